"""Why OpenCompass has no number for a set of questions: known lines of its output become a cause and what to do, with the lines that show it.

It says what went wrong in the middle of hundreds of lines, and prints ``-`` in the table. Facts are those of 0.5.4.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.doctor.masking import scrub
from backend.errors import PanelError
from backend.i18n import N_

LONGEST = 300
LOOKED_AT = 80
"""Lines from the end: what stood before was overcome, since it went on."""
BEFORE, AFTER = 2, 3
"""Lines shown around the one that says it."""


@dataclass(frozen=True)
class Cause:
    """error: what a person is told. evidence: the lines that show it, may be empty. whole: it concerns the run and not one set of questions."""

    error: PanelError
    evidence: str = ""
    whole: bool = False

    def stored(self) -> dict[str, Any]:
        """As a score keeps it."""
        return self.error.to_dict()


@dataclass(frozen=True)
class _Known:
    """One cause. pattern: its groups are parameters of the templates. whole: see :class:`Cause`. beside: must stand in another line nearby."""

    pattern: re.Pattern[str]
    code: str
    message: str
    hint: str
    whole: bool = False
    beside: str = ""


def _known(pattern: str, code: str, message: str, hint: str, *, whole: bool = False, beside: str = "") -> _Known:
    return _Known(re.compile(pattern), code, message, hint, whole, beside)


KNOWN = (
    _known(
        r"Input length \((?P<tokens>\d+)\) exceeds max_seq_len|input length \((?P<tokens2>\d+)\) being too close to max_seq_len"
        r"|context_length_exceeded|maximum context length",
        "opencompass_too_long",
        N_("A question is longer than the model can read: {line}"),
        N_("Serve the model with a longer context and ask only this subject again, or leave it out."),
    ),
    _known(
        r"Error code: (?P<status>401|403)\b",
        "opencompass_key_refused",
        N_("The server refused the key: {line}"),
        N_("Choose the stored key of that server, or start the server again."),
        whole=True,
    ),
    _known(
        r"Error code: 404\b",
        "opencompass_model_unknown",
        N_("The server does not know this model or this address: {line}"),
        N_("Look at the model's name on its server; the address ends in /v1."),
        whole=True,
    ),
    _known(
        r"Request timed out|APITimeoutError|ReadTimeout",
        "opencompass_timed_out",
        N_("The server did not answer within the time-out."),
        N_("Raise the time-out or ask fewer questions at once; Resume asks only what is missing."),
        whole=True,
    ),
    _known(
        r"Error code: (?P<status>429|5\d\d)\b",
        "opencompass_server_failed",
        N_("The server could not answer: {line}"),
        N_("Look at the log of the server; Resume asks only what is missing."),
        whole=True,
    ),
    _known(
        r"Connection error|Connection refused|APIConnectionError|RemoteProtocolError|Connection reset|Server disconnected",
        "opencompass_server_gone",
        N_("The server does not answer: {line}"),
        N_("What it answered is kept. Start the model again and resume: only what is missing is asked."),
        whole=True,
    ),
    _known(
        r"OutOfMemoryError|CUDA out of memory|DefaultCPUAllocator|not enough memory|^\s*MemoryError",
        "opencompass_out_of_memory",
        N_("There was not enough memory: {line}"),
        N_("Take a smaller batch or a shorter answer, quantize the model, or evaluate it through a server that fits."),
        whole=True,
    ),
    _known(
        r"No space left on device|Disk quota exceeded",
        "opencompass_disk_full",
        N_("The disk is full: {line}"),
        N_("Make room and resume: only what is missing is asked."),
        whole=True,
    ),
    _known(
        r"chat_template is not set|does not have a chat template",
        "opencompass_no_template",
        N_("This model has no chat template, so OpenCompass cannot put questions to it."),
        N_("Evaluate it through a server, which adds one, or take a model that was taught to chat."),
        whole=True,
    ),
    _known(
        r"torchrun: (?:command )?not found|No such file or directory: '[^']*torchrun'",
        "opencompass_no_torchrun",
        N_("OpenCompass looked for the program torchrun and did not find it."),
        N_(
            "Start it with the environment's own bin folder on PATH, as TuneDeck does, or install the environment again."
        ),
        whole=True,
    ),
    _known(
        r"No module named '(?P<module>[^']+)'",
        "opencompass_no_module",
        N_("The Python package {module} is missing in OpenCompass's environment."),
        N_("Some data sets need packages of their own. Install the environment again, or add this package to it."),
    ),
    _known(
        r"(?P<library>lib\w+\.so[.\d]*): cannot open shared object|(?P<library2>libaio)\b.*not (?:found|be found)",
        "opencompass_no_library",
        N_("The system library {library} is missing on this machine."),
        N_("Install it with the system's package manager (libaio: libaio-dev or libaio-devel)."),
        whole=True,
    ),
    _known(
        r"(?i)couldn't connect to 'https?://|OfflineModeIsEnabled|LocalEntryNotFoundError|outgoing traffic has been disabled"
        r"|Max retries exceeded with url|Failed to resolve '|Name or service not known",
        "opencompass_would_download",
        N_("OpenCompass wanted to download something: {line}"),
        N_(
            "Nothing is fetched here while it runs. Name a folder on this machine: for the tokenizer, the data, or the model."
        ),
    ),
    _known(
        r"(?:FileNotFoundError: )?.*No such file or directory: '(?P<path>[^']+)'",
        "opencompass_no_file",
        N_("The file {path} is missing."),
        N_("Bring the whole folder of questions, or leave this subject out; then ask only this subject again."),
    ),
    _known(
        r"UnicodeDecodeError: .*",
        "opencompass_encoding",
        N_("The file of questions is not UTF-8: {line}"),
        N_("Save it as UTF-8, or bring the folder into TuneDeck, which reads GB18030 too."),
    ),
    _known(
        r"(?:IndexError|KeyError|AssertionError|_csv\.Error|JSONDecodeError|CastError|ArrowInvalid)\b.*",
        "opencompass_bad_file",
        N_("The file of questions has the wrong shape: {line}"),
        N_("Look at its columns; C-Eval and MMLU need five solved questions in dev. Then ask only this subject again."),
        beside="opencompass/",
    ),
)
_ERROR = re.compile(r"^\s*[\w.]*(Error|Exception|Interrupt|Exit)\b")
_NOT_IT = re.compile(r"Calling OpenAI|Prediction files not found|error occurs at")
"""Says that something went wrong, and not what."""
_HEAD = re.compile(r"^.* - OpenCompass - \w+ - ")
"""``11/26 14:58:36 - OpenCompass - ERROR - <file> - <function> - <line> - Error code: 404 - …``"""


def find(lines: Sequence[str], code: int | None = 0) -> Cause:
    """The cause that ``lines`` name, the last ones first. code: exit code of the program, minus the signal that ended it; None: it goes on."""
    lines = lines[-LOOKED_AT:]
    for at in range(len(lines) - 1, -1, -1):
        for known in KNOWN:
            found = known.pattern.search(lines[at])
            if found is None or _NOT_IT.search(lines[at]):
                continue
            if not known.beside or any(known.beside in line for line in lines):
                return _cause(known, found, lines, at)
    if code == -signal.SIGKILL:
        return killed(_around(lines, len(lines) - 1))
    return unknown(lines, code)


def killed(evidence: str = "") -> Cause:
    """Somebody, or the system where memory was short, has ended the program."""
    return Cause(
        PanelError(
            "opencompass_killed",
            N_("OpenCompass was killed, most likely because memory ran out."),
            N_("Close what else needs memory, or take a smaller batch; Resume asks only what is missing."),
        ),
        evidence,
        whole=True,
    )


def unknown(lines: Sequence[str], code: int | None = 0) -> Cause:
    """Nothing of what is known: its last error, or its last words."""
    at = next((at for at in range(len(lines) - 1, -1, -1) if _ERROR.match(lines[at])), None)
    if at is None:
        at = next((at for at in range(len(lines) - 1, -1, -1) if lines[at].strip()), 0)
    line = said(lines[at]) if lines else ""
    if code:
        error = PanelError(
            "opencompass_failed",
            N_("OpenCompass ended with exit code {exit}: {line}"),
            N_("The log of this job has all that it said."),
            exit=code,
            line=line or "-",
        )
    else:
        error = PanelError(
            "opencompass_no_number",
            N_("OpenCompass left no number for this subject: {line}"),
            N_("The log of this job has all that it said. Ask only this subject again."),
            line=line or "-",
        )
    return Cause(error, _around(lines, at), whole=bool(code))


def nothing_read(asked: int, evidence: str) -> Cause:
    """It answered, and its extractor took nothing out of any answer: the number says nothing about what the model knows."""
    error = PanelError(
        "opencompass_nothing_read",
        N_("OpenCompass could read an answer out of none of {n} replies, so this number says nothing about the model."),
        N_(
            "Look at the replies beside the solutions: the model may answer in another form, or its answers may be cut off."
        ),
        n=asked,
    )
    return Cause(error, evidence)


def said(line: str) -> str:
    """What a line of its output says, without time and place, no secret in it."""
    text = line.strip()
    if _HEAD.match(text):
        text = _HEAD.sub("", text).split(" - ", 3)[-1]
    return scrub(text.strip())[:LONGEST]


def _cause(known: _Known, found: re.Match[str], lines: Sequence[str], at: int) -> Cause:
    # Alternatives of a pattern may name the same thing twice; a digit tells the names apart.
    params = {name.rstrip("2"): value for name, value in found.groupdict().items() if value}
    error = PanelError(known.code, known.message, known.hint, **params, line=said(lines[at]))
    return Cause(error, _around(lines, at), known.whole)


def _around(lines: Sequence[str], at: int) -> str:
    some = lines[max(0, at - BEFORE) : at + AFTER + 1]
    return "\n".join(said(line) for line in some if line.strip())
