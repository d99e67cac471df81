"""Pages without a browser: the frame runs in this process and shows the page that was asked for."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from backend.chat import replies as replies_module
from backend.chat.replies import Replies
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.panel import end_all_of
from tests.support.stub_openai import Stub, published, stub

OpenPage = Callable[[str], AppTest]


@pytest.fixture(scope="session", autouse=True)
def _components_are_looked_for_once() -> Iterator[None]:
    """A panel looks once, at its start, which installed packages bring components; a test without a browser would before every
    run of a page, and read the metadata of all packages for it: four fifths of what a run costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="module", autouse=True)
def _what_is_left_is_freed() -> Iterator[None]:
    """Pages set aside what is loaded, and with it what earlier tests left: stores, each with open files. A panel has one workspace and frees
    such things once an hour; a thousand tests, each with its own, would hold more files than many shells allow."""
    yield
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@pytest.fixture
def open_page() -> OpenPage:
    """``open_page("jobs")`` runs the frame and that page; it must draw without a defect."""

    def open_(name: str = "home") -> AppTest:
        app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=30).run()
        if name != "home":
            app.switch_page(str(ROOT / "pages" / f"{name}.py")).run()
        assert not app.exception, app.exception
        return app

    return open_


@pytest.fixture
def panel(workspace: Workspace, store: Store) -> Iterator[Replies]:
    """What writes answers in this process; at the end neither it nor a watcher that a start brought up is left."""
    replies = replies_module.replies(workspace, store)
    yield replies
    replies.close()
    replies.conversations.close()
    replies_module._all.pop(str(workspace.root))
    end_all_of(workspace.root)


@pytest.fixture
def server(store: Store) -> Iterator[Stub]:
    """A running model called ``stub``."""
    with stub() as running, published(store, running):
        yield running


@pytest.fixture
def chat(open_page: OpenPage) -> AppTest:
    """The Chat page, with no conversation open."""
    return open_page("chat")
