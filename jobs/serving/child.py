"""The engine's process as the job sees it: start it, read what it prints, end it for certain."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping

from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.workspace import ROOT
from jobs.serving.engine import EXIT_LOAD_FAILED

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

    def cause(self, model: str, times: int) -> PanelError:
        """Why it ended by itself, from its exit code and its last words. ``times``: how often now."""
        code = self.process.wait()
        self._reader.join(1.0)
        line = last_words(list(self._tail))
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        facts = {"model": model, "times": times, "how": how, "line": line}
        if re.search(r"out of memory|OutOfMemory|MemoryError|can't allocate memory|Cannot allocate memory", line):
            return ServerError(
                "engine_out_of_memory",
                N_("The memory was not enough to serve '{model}': {line}"),
                N_("Stop other servers or jobs, choose a smaller or quantized model, or a shorter context length."),
                **facts,
            )
        if "address already in use" in line.lower():
            return ServerError(
                "server_port_taken",
                N_("Another program took the port of the server for '{model}': {line}"),
                N_("Start the server again; it gets another port."),
                **facts,
            )
        if code == EXIT_LOAD_FAILED:
            return ServerError(
                "engine_load_failed",
                N_("The engine could not load '{model}': {line}"),
                N_("The log shows where. The model may need a newer engine, or its files may not belong together."),
                **facts,
            )
        if code == -signal.SIGKILL:
            return ServerError(
                "engine_killed",
                N_("The engine that served '{model}' was killed from outside ({how}), {times} times."),
                N_(
                    "Often the machine ran out of memory, or somebody ended it. Look at the memory, then start it again."
                ),
                **facts,
            )
        return ServerError(
            "engine_crashed",
            N_("The engine that served '{model}' ended with {how}, {times} times. Its last words: {line}"),
            N_(
                "The log shows where. Start it again; if it ends the same way, the cause is in the model or the engine."
            ),
            **facts,
        )


def last_words(lines: list[str]) -> str:
    """The line that says most: the last that names an error, else the last that is not empty."""
    said = [line.strip() for line in lines if line.strip()]
    named = [line for line in said if re.match(r"(ERROR:?\s|[\w.]+(Error|Exception)\b|Fatal|Killed|terminate)", line)]
    return (named or said or ["-"])[-1][:500]


def environment(threads: int, device: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Ours, made safe for an engine: no downloads, no hidden parallelism, no GPU where none was asked for."""
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
    if device == "cpu":
        found["CUDA_VISIBLE_DEVICES"] = ""
    return found
