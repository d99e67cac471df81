"""Installs of the toy engine as processes, started by hand as a person could: no queue, no panel."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import psutil

from backend.queue.events import read_events
from backend.workspace import read_json
from tests.support.toy_engine import Checkout
from tests.support.wait import until


class Run:
    """One program of ``jobs/`` at work, with what it said; :meth:`wait` for its end."""

    begun: ClassVar[list[Run]] = []
    """For :func:`end_all`."""

    def __init__(self, checkout: Checkout, verb: str, folder: Path, environ: Mapping[str, str], /, **spec: Any) -> None:
        self.dir = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._from = (folder / "events.jsonl").stat().st_size if (folder / "events.jsonl").exists() else 0
        (folder / "result.json").unlink(missing_ok=True)
        (folder / "spec.json").write_text(json.dumps({"engine": "toy", **spec}))
        self.log = folder / "log"
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"jobs.{verb}", str(folder / "spec.json")],
                cwd=checkout.root,
                env={**environ, "TUNEDECK_JOB_DIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        Run.begun.append(self)

    def phases(self) -> list[str]:
        """Those that began since this attempt started, in their order."""
        found: list[str] = []
        for event in read_events(self.dir, self._from)[0]:
            phase = event.get("phase")
            if phase and (not found or found[-1] != phase):
                found.append(phase)
        return found

    def reach(self, phase: str) -> Run:
        """Wait until it is in ``phase``."""

        def there() -> bool:
            assert self.process.poll() is None or phase in self.phases(), self.text()
            return phase in self.phases()

        until(there, 60, f"the phase {phase} (it said {self.phases()})")
        return self

    def wait(self, code: int | None = 0) -> Any:
        """Its result once it has ended."""
        ended = self.process.wait(100)
        assert code is None or ended == code, self.text()
        return read_json(self.dir / "result.json")

    def error(self) -> dict[str, Any]:
        """Why it failed."""
        error: dict[str, Any] = self.wait(1)["error"]
        return error

    def kill(self) -> None:
        """kill -9, of it and of all that it started, as when the machine goes down."""
        top = psutil.Process(self.process.pid)
        tree: set[psutil.Process] = {top}
        # Each is held before it is looked at: what it starts while we look would live on and fill a build that is being removed.
        held: set[psutil.Process] = set()
        while left := tree - held:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
                held.add(process)
            tree |= {child for process in held if process.is_running() for child in process.children()}
        for process in tree:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(list(tree), timeout=10)
        self.process.wait(10)

    def interrupt(self) -> None:
        """What a cancel sends first."""
        self.process.send_signal(signal.SIGINT)

    def text(self) -> str:
        return self.log.read_text(errors="replace")


def environ(folder: Path, index: str = "", **more: str) -> dict[str, str]:
    """Variables for jobs that know one index and nothing of this machine's pip; their workspace lies in ``folder``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "TUNEDECK_"))}
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    clean = {name: value for name, value in clean.items() if name.lower() not in proxies}
    return {
        **clean,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_INDEX_URL": index or "http://127.0.0.1:9/simple",
        "HOME": str(folder / "nobody"),  # no netrc of a real person
        "TUNEDECK_WORKSPACE": str(folder / "workspace"),
        "TUNEDECK_ENVIRONMENTS_FOLDER": str(folder / "workspace" / "environments"),
        "TUNEDECK_DOWNLOAD_RESERVE_MIB": "0",
        **more,
    }


def end_all() -> None:
    """Kill what a test that failed left running."""
    while Run.begun:
        run = Run.begun.pop()
        if run.process.poll() is None:
            run.kill()
