"""No test touches the person's own workspace: each gets one of its own, and English whatever the machine speaks."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import i18n
from backend.memory.series import MemoryStore, open_memory
from backend.queue.store import Store, open_store
from backend.workspace import Workspace, open_workspace
from tests.support.jobs import Queue

# Started in the background of a script, or by nohup, we ignore these, and so would every process that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ORDER = ("unit", "pages", "jobs", "engines", "e2e", "gpu", "bench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick ones first; and Playwright keeps an event loop in this thread, so nothing that needs one comes after it. Within a folder,
    files that may take longest come first: where files run side by side, none of them is left alone at the end."""
    here = Path(__file__).parent
    longest: dict[Path, float] = {}
    for item in items:
        limit = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), float(limit.args[0]) if limit else 0.0)
    items.sort(key=lambda item: (ORDER.index(item.path.relative_to(here).parts[0]), -longest[item.path]))


def pytest_collection_finish() -> None:
    """Tests and modules stay to the end: no collection of garbage looks at them again. Streamlit makes a full one after each run of a page."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("TUNEDECK_", "HF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TUNEDECK_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("TUNEDECK_ENVIRONMENTS_FOLDER", str(tmp_path / "workspace" / "environments"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    i18n.use("en")
    yield
    i18n.use("en")


@pytest.fixture
def workspace() -> Workspace:
    """A fresh workspace."""
    return open_workspace()


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    """Its store."""
    opened = open_store(workspace)
    yield opened
    opened.close()


@pytest.fixture
def memory(workspace: Workspace) -> Iterator[MemoryStore]:
    """Its record of the memory."""
    opened = open_memory(workspace)
    yield opened
    opened.close()


@pytest.fixture
def queue(workspace: Workspace, store: Store) -> Iterator[Queue]:
    """A real queue: its watcher runs as a process; at the end nothing that it started is left."""
    running = Queue(workspace, store)
    running.start_watcher()
    yield running
    running.end()
