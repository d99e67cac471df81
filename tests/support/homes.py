"""A workspace that the whole process works on for a while, where no fixture of a single test can give it one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.workspace import Workspace, open_workspace

NAME = "TUNEDECK_WORKSPACE"


@contextmanager
def working_on(root: Path) -> Iterator[Workspace]:
    """The workspace at ``root``; afterwards the variable is what it was."""
    before = os.environ.get(NAME)
    os.environ[NAME] = str(root)
    try:
        yield open_workspace(root)
    finally:
        os.environ.pop(NAME, None)
        if before is not None:
            os.environ[NAME] = before


@contextmanager
def temporary() -> Iterator[Workspace]:
    """A new workspace that is deleted in the end. What stands beside it, in the folder above, goes with it."""
    with (
        tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as folder,
        working_on(Path(folder) / "workspace") as made,
    ):
        yield made
