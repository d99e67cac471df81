"""pip as a process: its output into the job's log as it comes, ended with all that it started when the job stops."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

KEPT = 400
LOOK_S = 0.1
TERM_S = 2.0
RAW = "Progress "
"""How a line of ``--progress-bar raw`` begins."""


class Pip:
    """One run of pip. ``hear`` is given each line; those that only tell progress are left out of the log."""

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        say: Callable[[str], None],
        hear: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT)
        self._say, self._hear = say, hear
        Path(environ["TMPDIR"]).mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            list(argv),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Relative paths in its configuration are meant from anywhere but the folder that happens to be ours.
            cwd=environ["TMPDIR"],
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="pip-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self._hear(line)
            if line and not line.startswith(RAW):
                self.lines.append(line)
                self._say(line)

    def wait(self, check: Callable[[], None]) -> int:
        """Its exit code. ``check`` is called ten times a second; when it raises, pip is ended first."""
        try:
            while self._process.poll() is None:
                check()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(LOOK_S)
            self._reader.join(5.0)
            return self._process.returncode
        finally:
            self.end()

    def end(self) -> None:
        """End it and what it started."""
        deadline = time.monotonic() + TERM_S
        self._signal(signal.SIGTERM)
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join(5.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
