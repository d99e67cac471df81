"""A run as it is watched from outside.

Its output is taken in up to a limit, its time, folder and threads are looked at many times a second, and its end is
made sure of.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backend.workspace import ROOT
from jobs.agent.sandbox import folder as folders
from jobs.agent.sandbox.cell import FIGURES, MOST_VALUE
from jobs.agent.sandbox.running import Ended, Limits, Ran, Walls, WallsMissing, libraries

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from jobs.agent.sandbox.enter import main; main()"
DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
LOOK = 0.05
"""Seconds between two looks at the clock and at Stop."""

DISK_LOOK = 0.1
PATIENCE = 3.0
"""Seconds in which the guard has to have ended everything once it is told to."""

MOST_REPORT = 4 * MOST_VALUE + 1
BLOCK = 1 << 16


class Watch:
    """One run. ``ended``: why we ended it, None where it ended by itself."""

    def __init__(self, code: str, path: str, folder: int, walls: Walls, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.ended: Ended | None = None
        self._next_disk_look = 0.0
        self._pid: int | None = None
        self._output, self._report, self._news = bytearray(), bytearray(), bytearray()
        ours, theirs = self._pipes()
        try:
            self._program = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOT, str(ROOT)],
                stdin=subprocess.PIPE,
                stdout=theirs["output"],
                stderr=theirs["output"],
                cwd="/",
                env=_environment(path),
                pass_fds=(theirs["report"], theirs["news"], theirs["hold"]),
                start_new_session=True,
            )
        except BaseException:
            for handle in ours.values():
                os.close(handle)
            raise
        finally:
            for handle in theirs.values():
                os.close(handle)
        self._hold: int | None = ours.pop("hold")
        self._reads = ours
        self._give(_job(code, path, walls, limits, theirs))

    @staticmethod
    def _pipes() -> tuple[dict[str, int], dict[str, int]]:
        ours, theirs = {}, {}
        for name in ("output", "report", "news"):
            ours[name], theirs[name] = os.pipe()
            os.set_blocking(ours[name], False)
        theirs["hold"], ours["hold"] = os.pipe()
        return ours, theirs

    def _give(self, job: bytes) -> None:
        stdin = self._program.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):
            stdin.write(job)
        with contextlib.suppress(BrokenPipeError):
            stdin.close()

    def until_its_end(self, deadline: float, stopped: Callable[[], bool]) -> None:
        """Watch; when this returns or raises, no process of the run is left."""
        try:
            with selectors.DefaultSelector() as selector:
                for name, handle in self._reads.items():
                    selector.register(handle, selectors.EVENT_READ, name)
                self._watch(selector, deadline, stopped)
        finally:
            self._let_go()
            self._gone()
            for name, handle in self._reads.items():
                while self._take(name, handle):
                    pass
                os.close(handle)

    def _watch(self, selector: selectors.BaseSelector, deadline: float, stopped: Callable[[], bool]) -> None:
        last: float | None = None
        while last is None or time.monotonic() < last:
            for key, _event in selector.select(LOOK):
                if not self._take(key.data, key.fd):
                    selector.unregister(key.fd)
                    if key.data == "news":
                        return  # the guard and the first process are gone, and with them all
            if self.ended is None and (reason := self._reason(deadline, stopped)):
                self.ended = reason
                self._let_go()
                last = time.monotonic() + PATIENCE

    def _take(self, name: str, handle: int) -> bool:
        """Read what is there. False at its end."""
        try:
            data = os.read(handle, BLOCK)
        except BlockingIOError:
            return self._program.poll() is None
        kept, most = {
            "output": (self._output, self.limits.output + 1),
            "report": (self._report, MOST_REPORT),
            "news": (self._news, BLOCK),
        }[name]
        kept += data[: max(0, most - len(kept))]
        return bool(data)

    def _reason(self, deadline: float, stopped: Callable[[], bool]) -> Ended | None:
        if stopped():
            return "stopped"
        now = time.monotonic()
        if now > deadline:
            return "time"
        if len(self._output) > self.limits.output:
            return "output"
        if now < self._next_disk_look:
            return None
        reason = self._disk_and_threads()
        self._next_disk_look = now + max(DISK_LOOK, 5 * (time.monotonic() - now))
        return reason

    def _disk_and_threads(self) -> Ended | None:
        try:
            used = folders.usage(self.folder, self.limits.files)
        except folders.Unfit:
            return "disk"
        if used.size > self.limits.folder_bytes or used.entries > self.limits.files:
            return "disk"
        pid = self._line(b"R")
        if not pid:
            return None
        written = _figures(f"/proc/{pid}/io")
        if max(written.get("wchar", 0), written.get("write_bytes", 0)) > self.limits.written:
            return "disk"
        return "threads" if _figures(f"/proc/{pid}/status").get("Threads", 0) > self.limits.threads else None

    def _let_go(self) -> None:
        """Tell the guard to end everything."""
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None

    def _gone(self) -> None:
        try:
            self._program.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._program.pid, signal.SIGKILL)
            self._program.wait()

    def _line(self, letter: bytes) -> str | None:
        lines = bytes(self._news).split(b"\n")[:-1]
        return next((line[1:].decode("utf-8", "replace") for line in lines if line[:1] == letter), None)

    def ran(self, ended: Ended | None, made: tuple[str, ...], seconds: float) -> Ran:
        """What came of it.

        Raises:
            WallsMissing: the code was not run.
        """
        if self._line(b"R") is None and ended is None:
            told = self._line(b"X") or bytes(self._output[-300:]).decode("utf-8", "replace").strip()
            raise WallsMissing(told or f"exit code {self._program.returncode}")
        code, tag = int(self._line(b"S") or 0), bytes(self._report[:1])
        text = bytes(self._report[1:]).decode("utf-8", "replace")
        if ended is None:
            ended = self._how(code, tag)
        if tag == b"X" and text not in ("0", ""):
            code = int(text) if text.isdigit() else 1
            self._output += b"" if text.isdigit() else text.encode()
        return Ran(
            ended,
            bytes(self._output[: self.limits.output]),
            text if tag == b"V" else None,
            text if tag == b"E" else None,
            code,
            made,
            seconds,
        )

    def _how(self, code: int, tag: bytes) -> Ended:
        used = float(self._line(b"U") or 0)
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and used >= self.limits.cpu_seconds):
            return "cpu"
        if tag:
            return "exit" if tag == b"X" else "done"
        return "signal" if code < 0 else "exit"


def _environment(path: str) -> dict[str, str]:
    """All that the code sees of an environment; nothing of ours."""
    cores = str(min(4, os.cpu_count() or 1))
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        "HOME": path,
        "TMPDIR": path,
        "LANG": "C.UTF-8",
        "PATH": "",
        "USER": "user",
        "LOGNAME": "user",
        "MPLBACKEND": f"module://{FIGURES}",
        "MPLCONFIGDIR": f"{path}/.matplotlib",
        **dict.fromkeys(threads, cores),
    }


def _job(code: str, path: str, walls: Walls, limits: Limits, pipes: dict[str, int]) -> bytes:
    reads, imports = libraries()
    return marshal.dumps(
        {
            "code": code,
            "folder": path,
            "reads": list(reads),
            "path": list(imports),
            "devices": DEVICES,
            "namespaces": walls.namespaces,
            "landlock": walls.landlock,
            "limits": limits.of_the_kernel(),
            "figures": Path(__file__).with_name("figures.py").read_text(encoding="utf-8"),
            "report": pipes["report"],
            "news": pipes["news"],
            "hold": pipes["hold"],
        }
    )


def _figures(path: str) -> dict[str, int]:
    """The numbers of a file of /proc, by their names; empty where it is not there any more."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(value) for name, value in pairs if value.strip().isdigit() for value in [value.strip()]}
