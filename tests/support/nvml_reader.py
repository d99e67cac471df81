"""A process that has the stub for its driver and looks at the machine whenever a test asks it to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from backend.workspace import ROOT, Workspace
from tests.support import nvml

PROGRAM = """
import dataclasses, json, sys, time
from pathlib import Path
from backend.memory import nvml
from backend.memory.reader import Reader
from backend.queue.store import Store
from backend.workspace import Workspace
reader, skipped = None, 0.0
for line in sys.stdin:
    asked = json.loads(line)
    skipped += asked["skip"]
    if asked["workspace"]:
        if reader is not None:
            reader.close()
            nvml.shut()
        workspace = Workspace(Path(asked["workspace"]))
        reader = Reader(workspace, Store(workspace), lambda: time.monotonic() + skipped)
    began = time.monotonic()
    sample = reader.read(time.time())
    print(json.dumps(dataclasses.asdict(sample) | {"took": time.monotonic() - began}), flush=True)
"""


class NvmlReader:
    """``look()`` as a dictionary. ``fresh`` gives it a reader that knows nothing of before."""

    def __init__(self, library: Path, scene: nvml.Scene) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=nvml.environ(library, scene),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._workspace: Workspace | None = None

    def fresh(self, workspace: Workspace) -> NvmlReader:
        self._workspace = workspace
        return self

    def look(self, *, skip: float = 0) -> dict[str, Any]:
        """A look, ``skip`` seconds later than it is by the reader's clock."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        root, self._workspace = self._workspace and str(self._workspace.root), None
        self._process.stdin.write(json.dumps({"workspace": root, "skip": skip}) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def __enter__(self) -> NvmlReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
