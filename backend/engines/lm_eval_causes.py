"""Why lm-evaluation-harness has no number: known lines of its output become a cause and what to do, with the lines that show it.

One question that the server refuses ends its whole run, so a cause says whether it concerns that question or everything. Facts are those of 0.4.13.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from backend.doctor.masking import scrub
from backend.errors import PanelError, ServerError
from backend.i18n import N_

LONGEST = 300
LOOKED_AT = 120
"""Lines from the end; a traceback of its clients is long."""
BEFORE, AFTER = 1, 2
_BAR = re.compile(r"\d+%\||\d+it \[|examples/s\]|^\s*$")


@dataclass(frozen=True)
class Cause:
    """error: what a person is told. evidence: the lines that show it. away: nobody answers there any more. whole: it would be the same for every
    subject."""

    error: PanelError
    evidence: str = ""
    away: bool = False
    whole: bool = False


@dataclass(frozen=True)
class _Known:
    """error: pattern of the line that ended it. told: of the line that says more, where one must be there. Their groups are parameters of the
    templates."""

    error: re.Pattern[str]
    code: str
    message: str
    hint: str
    told: re.Pattern[str] | None = None
    away: bool = False
    whole: bool = False


def _known(
    error: str, code: str, message: str, hint: str, *, told: str = "", away: bool = False, whole: bool = False
) -> _Known:
    return _Known(re.compile(error), code, message, hint, re.compile(told) if told else None, away, whole)


_STATUS = r"(?:ClientResponseError|HTTPError): "
_TOLD = r"API request failed"
"""``API request failed! Status code: 400, Response text: …`` or ``API request failed with error message: …``"""
KNOWN = (
    _known(
        _STATUS + "400",
        "lm_eval_too_long",
        N_("A question is longer than the model can read: {line}"),
        N_("Serve the model with a longer context, show fewer solved examples, or leave this subject out."),
        told=_TOLD + r".*(?:context_length_exceeded|maximum context length|too long|longer than)",
    ),
    _known(
        _STATUS + "(?:401|403)",
        "lm_eval_key_refused",
        N_("The server refused the key: {line}"),
        N_("Choose the stored key of that server, or start the server again."),
        whole=True,
    ),
    _known(
        _STATUS + "404",
        "lm_eval_model_unknown",
        N_("The server does not know this model or this address: {line}"),
        N_("Look at the model's name on its server; the address ends in /v1."),
        whole=True,
    ),
    _known(
        _STATUS + r"4\d\d",
        "lm_eval_refused",
        N_("The server refused a question: {line}"),
        N_(
            "One refused question ends lm-evaluation-harness for its subject. TuneDeck's own evaluator goes on after it."
        ),
    ),
    _known(
        _STATUS + r"5\d\d",
        "lm_eval_server_failed",
        N_("The server could not answer: {line}"),
        N_("Look at the log of the server; Resume asks only what is missing."),
    ),
    _known(
        r"TimeoutError\b|ReadTimeout",
        "lm_eval_timed_out",
        N_("The server did not answer within the time-out."),
        N_("Raise the time-out or ask fewer questions at once; Resume asks only what is missing."),
    ),
    _known(
        r"ClientConnector|ClientOSError|ServerDisconnected|ClientPayloadError|ConnectionError|ConnectionRefused|ConnectionReset",
        "lm_eval_server_gone",
        N_("The server does not answer: {line}"),
        N_("What it answered is kept. Start the model again and resume: only what is missing is asked."),
        away=True,
        whole=True,
    ),
    _known(
        r"No module named '(?P<module>[^']+)'|required packages \['(?P<module2>[^']+)'",
        "lm_eval_no_module",
        N_("The Python package {module} is missing in the environment of lm-evaluation-harness."),
        N_("Install it again on the Environments page."),
        whole=True,
    ),
    _known(
        r"No space left on device|Disk quota exceeded|database or disk is full",
        "lm_eval_disk_full",
        N_("The disk is full: {line}"),
        N_("Make room and resume: only what is missing is asked."),
        whole=True,
    ),
    _known(
        r"MemoryError\b",
        "lm_eval_out_of_memory",
        N_("There was not enough memory: {line}"),
        N_("Close what else needs memory; Resume asks only what is missing."),
        whole=True,
    ),
    _known(
        r"yaml\.\w+\.\w+Error|Tasks not found|is not a registered task|re\.(?:error|PatternError)|JSONDecodeError|Arrow\w+",
        "lm_eval_task_bad",
        N_("lm-evaluation-harness cannot use the task that was written for this subject: {line}"),
        N_("Look at the questions of this subject; TuneDeck's own evaluator may take them."),
    ),
)
_ERROR = re.compile(r"^\s*[\w.]*(Error|Exception|Interrupt|Exit|error|Timeout)\b(?!\()")
_HEAD = re.compile(r"^\d{4}-\d\d-\d\d:\d\d:\d\d:\d\d \w+\s+\[[\w.]+:\d+\] ")
"""``2026-11-27:23:40:01 WARNING  [models.api_models:533] API request failed! …``"""


_REFUSAL = re.compile(
    r"API request failed(?:! Status code: (?P<status>\d+), Response text| with error message): (?P<body>.*)\. Retrying\.\.\."
)
_NOISE = re.compile(r"^(?:Traceback |Exception:|\s*\^+|Retry attempt)")


def is_bar(line: str) -> bool:
    """Whether ``line`` is a progress bar, or nothing."""
    return _BAR.search(line) is not None


def find(lines: Sequence[str], code: int | None = 0) -> Cause:
    """The cause that the error names which ended it. code: exit code of the program, minus the signal that ended it."""
    lines = [line for line in lines if not is_bar(line)][-LOOKED_AT:]
    if code == -signal.SIGKILL:
        return Cause(_killed(), _around(lines, len(lines) - 1), whole=True)
    at = next((at for at in range(len(lines) - 1, -1, -1) if _ERROR.match(lines[at])), None)
    for known in KNOWN:
        found = known.error.search(lines[at]) if at is not None else None
        told = _told(lines, known)
        if found is not None and at is not None and (known.told is None or told is not None):
            return _cause(known, found, lines, at if told is None else told)
    return _unknown(lines, code, at)


def _told(lines: Sequence[str], known: _Known) -> int | None:
    """The place of the last line in which the server's own words stand."""
    if known.told is None and not known.error.pattern.startswith(_STATUS):
        return None
    wanted = known.told or re.compile(_TOLD)
    return next((at for at in range(len(lines) - 1, -1, -1) if wanted.search(lines[at])), None)


def _killed() -> PanelError:
    return PanelError(
        "lm_eval_killed",
        N_("lm-evaluation-harness was killed, most likely because memory ran out."),
        N_("Close what else needs memory; Resume asks only what is missing."),
    )


def _unknown(lines: Sequence[str], code: int | None, at: int | None) -> Cause:
    """Nothing of what is known: its last error, or its last words."""
    if at is None:
        at = next((at for at in range(len(lines) - 1, -1, -1) if lines[at].strip()), 0)
    line = said(lines[at]) if lines else ""
    if code:
        error = PanelError(
            "lm_eval_failed",
            N_("lm-evaluation-harness ended with exit code {exit}: {line}"),
            N_("The log of this job has all that it said."),
            exit=code,
            line=line or "-",
        )
    else:
        error = PanelError(
            "lm_eval_no_number",
            N_("lm-evaluation-harness left no number for this subject: {line}"),
            N_("The log of this job has all that it said. Ask only this subject again."),
            line=line or "-",
        )
    return Cause(error, _around(lines, at))


def said(line: str) -> str:
    """What a line of its output says, without time and place, no secret in it; of a server's refusal what the server says."""
    text = _HEAD.sub("", line.strip()).strip()
    told = _REFUSAL.search(text)
    if told is not None:
        text = f"{told['status'] or ''} {_message(told['body'])}".strip()
    return scrub(text)[:LONGEST]


def _message(body: str) -> str:
    """The words of an error as OpenAI's interface has it: ``{"error": {"message": …}}``, or all of it."""
    try:
        found = json.loads(body)
    except ValueError:
        return body
    error = found.get("error", found) if isinstance(found, dict) else found
    return str(error.get("message") or body) if isinstance(error, dict) else str(error)


def _cause(known: _Known, found: re.Match[str], lines: Sequence[str], at: int) -> Cause:
    # Alternatives of a pattern may name the same thing twice; a digit tells the names apart.
    params = {name.rstrip("2"): value for name, value in found.groupdict().items() if value}
    kind = ServerError if known.away else PanelError
    error = kind(known.code, known.message, known.hint, **params, line=said(lines[at]))
    return Cause(error, _around(lines, at), known.away, known.whole)


def _around(lines: Sequence[str], at: int) -> str:
    some = lines[max(0, at - BEFORE) : at + AFTER + 1]
    return "\n".join(text for text in map(said, some) if text and not _NOISE.match(text))
