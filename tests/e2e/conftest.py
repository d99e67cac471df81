"""Fixtures of the browser tests: one Chromium a session, one panel a module, a new visitor a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from backend.queue.store import Store, open_store
from backend.workspace import open_workspace
from tests.support.browser import Visitor, chromium, visitor
from tests.support.panel import Panel, start_panel
from tests.support.stub_openai import Stub, published, stub


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(400))  # a training may run beside it, in another browser test


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """A panel with an empty workspace, shared by the tests of one module."""
    running = start_panel(tmp_path_factory.mktemp("workspace"))
    yield running
    running.stop()


@pytest.fixture
def store(panel: Panel) -> Iterator[Store]:
    """The jobs of the panel's workspace."""
    opened = open_store(open_workspace(panel.workspace))
    yield opened
    opened.close()


@pytest.fixture
def server(store: Store) -> Iterator[Stub]:
    """A model called ``stub`` that says what the test tells it to."""
    with stub() as running, published(store, running):
        yield running


@pytest.fixture
def visit(browser: Browser, panel: Panel) -> Iterator[Callable[..., Visitor]]:
    """``visit(locale="zh-CN", scheme="dark", viewport=PHONE)`` gives a new person at a browser of their own."""
    with ExitStack() as stack:
        people: list[Visitor] = []

        def new(**how: object) -> Visitor:
            person = stack.enter_context(visitor(browser, panel, **how))  # type: ignore[arg-type]
            people.append(person)
            return person

        yield new
        assert [error for person in people for error in person.errors] == []


@pytest.fixture
def open_page(visit: Callable[..., Visitor]) -> Callable[..., Page]:
    """``open_page("/jobs")``: that page for a new English visitor at a desk, standing still."""
    return lambda path="/", **how: visit(**how).open(path)
