"""Fixtures of tests that ask a real panel: one a module, with an empty workspace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.workspace import Workspace, open_workspace
from tests.support.panel import Panel, start_panel


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = start_panel(tmp_path_factory.mktemp("panel"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def home(panel: Panel) -> Workspace:
    """The panel's workspace, as the tests see it."""
    return open_workspace(panel.workspace)
