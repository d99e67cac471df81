"""What every job program shares: read the spec, say what happens, stop when asked, write the result last.

A program is a module with ``run(job: Job) -> dict | None`` and, at its end::

    if __name__ == "__main__":
        raise SystemExit(main("drill", run))

It also runs by hand, without the panel: ``python -m jobs.drill spec.json`` then works in a new temporary folder, or in
``TUNEDECK_JOB_DIR``. SIGINT asks it to stop: :attr:`Job.stop_requested` becomes true, and ``run`` saves and returns (or
raises :class:`Stopped`). A second SIGINT interrupts at once.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar, cast

from backend.errors import PanelError, fill
from backend.i18n import N_
from backend.queue.events import EventWriter
from backend.specs import Spec, parse
from backend.workspace import explain_os_error, write_json

S = TypeVar("S", bound=Spec)
RESULT = "result.json"
EXIT_STOPPED = 130


class Stopped(Exception):
    """The person asked to stop and the job has saved what there was to save."""


class Job:
    """One running job, as its program sees it."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        self.spec = spec
        self.dir = folder
        self.events = EventWriter(folder)
        self.stop_requested = False
        self.attempt = int(os.environ.get("TUNEDECK_JOB_ATTEMPT", "1"))
        ports = os.environ.get("TUNEDECK_JOB_PORTS", "")
        self.ports = [int(p) for p in ports.split(",") if p]
        gpus = os.environ.get("TUNEDECK_JOB_GPUS", "")
        self.gpus = [g for g in gpus.split(",") if g]

    def spec_as(self, cls: type[S]) -> S:
        """The spec, typed."""
        assert isinstance(self.spec, cls), f"expected {cls.__name__}, got {type(self.spec).__name__}"
        return self.spec

    def phase(self, phase: str) -> None:
        """A new phase began; also printed to the log."""
        print(f"[{phase}]", flush=True)  # noqa: T201 - standard output is the job's log
        self.events.phase(phase)

    def progress(
        self,
        phase: str,
        step: float,
        total: float | None = None,
        eta_s: float | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """See :meth:`backend.queue.events.EventWriter.progress`."""
        self.events.progress(phase, step, total, eta_s, metrics)

    def artifact(self, kind: str, path: Path | str, label: str = "") -> None:
        """See :meth:`backend.queue.events.EventWriter.artifact`."""
        self.events.artifact(kind, path, label)

    def log(self, text: str) -> None:
        """A line for the job's log."""
        print(text, flush=True)  # noqa: T201 - standard output is the job's log

    def check_stop(self) -> None:
        """Raise :class:`Stopped` where a stop was requested; for programs with nothing to save."""
        if self.stop_requested:
            raise Stopped


def main(verb: str, run: Callable[[Job], dict[str, Any] | None], argv: list[str] | None = None) -> int:
    """Run the program ``verb``; returns its exit code: 0 done, 1 failed, 130 stopped.

    ``result.json`` is written last, by rename: ``{"ok": true, "attempt": n, ...}`` with what ``run`` returned, or
    ``{"ok": false, "attempt": n, "error": {...}}`` (see :meth:`backend.errors.PanelError.to_dict`).
    """
    args = sys.argv[1:] if argv is None else argv
    if len(args) != 1 or args[0] in ("-h", "--help"):
        print(f"usage: python -m jobs.{verb} SPEC.json", file=sys.stderr)  # noqa: T201
        return 2
    folder = Path(os.environ.get("TUNEDECK_JOB_DIR") or tempfile.mkdtemp(prefix=f"tunedeck-{verb}-"))
    job: Job | None = None
    try:
        try:
            data = json.loads(Path(args[0]).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PanelError(
                "spec_unreadable",
                N_("The spec {path} cannot be read: {problem}."),
                N_("Check the path; the file must be JSON."),
                path=args[0],
                problem=str(error),
            ) from error
        job = Job(parse(verb, data), folder)
        signal.signal(signal.SIGINT, _stopper(job))
        outcome = run(job)
        if job.stop_requested and not (outcome or {}).get("complete"):
            return EXIT_STOPPED
        _write_result(folder, {"ok": True, "attempt": job.attempt, **(outcome or {})})
        return 0
    except Stopped:
        return EXIT_STOPPED
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except PanelError as error:
        _say(f"{error}\n{fill(error.hint, error.params)}".strip())
        # The log's last line would be this very sentence: the evidence is what the program names, or nothing.
        line = str(error.params.get("line") or "")
        return _failed(folder, error, {"evidence": {"line": None, "text": line} if line else {}})
    except OSError as error:
        _say(traceback.format_exc().rstrip())
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _failed(folder, explain_os_error(error, folder))
        return _failed(folder, unexpected(error))
    except Exception as error:  # noqa: BLE001 - the border of the program: everything becomes a recorded failure
        _say(traceback.format_exc().rstrip())
        return _failed(folder, unexpected(error))
    finally:
        if job is not None:
            job.events.close()


def end_failed(job: Job, error: PanelError) -> NoReturn:
    """End the process at once as failed with ``error``, from any thread: for a program whose main thread waits for what will never come."""
    _say(f"{error}\n{fill(error.hint, error.params)}".strip())
    os._exit(_failed(job.dir, error))


def _say(text: str) -> None:
    """A last word on standard error; the log may lie on the very disk that is full."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def unexpected(error: Exception) -> PanelError:
    """An error that nobody has foreseen, for a person."""
    return PanelError(
        "job_crashed",
        N_("The job stopped with an error: {kind}: {problem}"),
        N_("The log shows where. Correct the cause and start the job again."),
        kind=type(error).__name__,
        problem=str(error)[:2000],
    )


def _failed(folder: Path, error: PanelError, more: dict[str, Any] | None = None) -> int:
    attempt = int(os.environ.get("TUNEDECK_JOB_ATTEMPT", "1"))
    try:
        _write_result(folder, {"ok": False, "attempt": attempt, "error": {**error.to_dict(), **(more or {})}})
    except PanelError as second:
        # The supervisor still sees the exit code and the log's end.
        _say(f"The reason could not be recorded either: {second}")
    return 1


def _write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write ``result.json``; the reserve that the supervisor laid down makes room for it on a full disk."""
    try:
        write_json(folder / RESULT, result)
    except PanelError as error:
        reserve = folder / "reserve"
        if error.code != "workspace_full" or not reserve.exists():
            raise
        reserve.unlink()
        write_json(folder / RESULT, result)


def _stopper(job: Job) -> Callable[[int, FrameType | None], None]:
    def on_sigint(signum: int, frame: FrameType | None) -> None:
        if job.stop_requested:
            cast("Callable[[int, FrameType | None], None]", signal.default_int_handler)(signum, frame)
        job.stop_requested = True

    return on_sigint
