"""The engine's process as the job sees it: start it, read what it prints, end it for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping

from backend.workspace import ROOT

TERM_S, INT_S = 0.8, 0.4
"""Seconds that a stop waits after SIGTERM and after SIGINT before the next step; together under two."""


class Child:
    """A running engine. Its output goes to our own, line by line, and the last lines are kept as evidence."""

    def __init__(self, argv: list[str], environment: Mapping[str, str]) -> None:
        # Its standard input stays open as long as this process lives: the engine leaves when it closes.
        self.process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._tail: deque[str] = deque(maxlen=400)
        self._reader = threading.Thread(target=self._read, name="engine-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self._tail.append(line)
            print(line, flush=True)  # noqa: T201 - standard output is the job's log

    @property
    def returncode(self) -> int | None:
        """None while it lives; minus the signal where one ended it."""
        return self.process.poll()

    def stop(self) -> None:
        """End it and all it started: SIGTERM, SIGINT, SIGKILL. Returns when it is gone, within two seconds."""
        for number, seconds in ((signal.SIGTERM, TERM_S), (signal.SIGINT, INT_S), (signal.SIGKILL, 5.0)):
            if self.process.poll() is not None:
                break
            self._signal_group(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        self._signal_group(signal.SIGKILL)
        self._reader.join(1.0)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def last_lines(self) -> list[str]:
        """What it said last, once it has ended."""
        self._reader.join(1.0)
        return list(self._tail)


def environment(threads: int, device: str, extra: Mapping[str, str], *, ours: bool = True) -> dict[str, str]:
    """Ours, made safe for an engine: no downloads, no hidden parallelism, no GPU where none was asked for.

    ``ours``: it runs in our environment and imports our modules; else it must not see them.
    """
    found = {
        **os.environ,
        "OMP_NUM_THREADS": str(max(1, threads)),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **extra,
    }
    if not ours:
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
            found.pop(name, None)
    if device == "cpu":
        found["CUDA_VISIBLE_DEVICES"] = ""
    return found
