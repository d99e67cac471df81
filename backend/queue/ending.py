"""From what a program left behind to what a person reads: how an attempt ended, why, and the line of the log that shows it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.i18n import N_
from backend.queue import folder

TAIL_BYTES = 64 * 1024


def how_it_ended(job_dir: Path, attempt: int, returncode: int | None, stop_asked: bool) -> dict[str, Any]:
    """``{"state", "error"}`` of an attempt whose program is gone.

    ``returncode`` is None where nobody could wait for it (its supervisor had died): then only its result speaks.
    """
    result = folder.read(job_dir, folder.RESULT, attempt)
    if result is not None and result.get("ok"):
        return {"state": "succeeded"}
    if stop_asked:
        return {"state": "cancelled"}
    if result is not None and isinstance(result.get("error"), dict):
        return {"state": "failed", "error": {**_evidence(job_dir, attempt), **result["error"]}}
    if returncode is None:
        return {"state": "lost", "error": lost(job_dir, attempt)}
    if returncode < 0:
        error = PanelError(
            "job_killed",
            N_("The program was killed from outside ({signal})."),
            N_("Often the machine ran out of memory, or somebody ended it. Resume it, or make it smaller first."),
            signal=_signal_name(-returncode),
        )
    else:
        error = PanelError(
            "job_no_result",
            N_("The program ended with code {exit_code} and left no result."),
            N_("The log's last lines say more. Correct the cause and resume."),
            exit_code=returncode,
        )
    return {"state": "failed", "error": {**error.to_dict(), **_evidence(job_dir, attempt)}}


def lost(job_dir: Path, attempt: int) -> dict[str, Any]:
    """The error of a job whose supervisor and program are both gone without a word."""
    plan = folder.read(job_dir, folder.ATTEMPT, attempt) or {}
    if plan.get("boot") not in (None, folder.boot_id()):
        error = PanelError(
            "job_lost_reboot",
            N_("The machine was restarted while this job ran."),
            N_("Resume it: it goes on from its last checkpoint, where it has one."),
        )
    else:
        error = PanelError(
            "job_lost",
            N_("The job's processes disappeared without a result: they were killed from outside."),
            N_("Resume it: it goes on from its last checkpoint, where it has one."),
        )
    return {**error.to_dict(), **_evidence(job_dir, attempt)}


def _evidence(job_dir: Path, attempt: int) -> dict[str, Any]:
    """The last line of the log that is not empty, with its number counted from 1."""
    path = folder.log_file(job_dir, attempt)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read(TAIL_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return {}
    lines = [(number, text) for number, text in enumerate(tail.splitlines(), 1) if text.strip()]
    if not lines:
        return {}
    number, text = lines[-1]
    # In a long log the number would need a read of all of it; the place is the end, which is where it is shown.
    return {"evidence": {"line": number if size <= TAIL_BYTES else None, "text": text.strip()[:500]}}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
