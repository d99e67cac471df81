"""How a run of Python can fail, for people; and what helps, for the model that wrote the code."""

from __future__ import annotations

import re
import signal
from importlib.util import find_spec

from backend.errors import PanelError
from backend.i18n import N_
from jobs.agent.sandbox.running import Limits, Ran

LIBRARIES = ("numpy", "pandas", "matplotlib", "scipy", "sympy", "sklearn", "PIL")
MIB = 1 << 20

_CLOSED_OFF = re.compile(
    r"PermissionError|Errno 1\]|Errno 13\]|Errno 38\]|gaierror|URLError|ConnectionError|name resolution"
)
_NO_MODULE = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '([\w.]{1,80})'")


def present() -> str:
    """The libraries beside Python's own that code can import here."""
    return ", ".join(name for name in LIBRARIES if find_spec(name)) or "none"


def code_missing() -> PanelError:
    return PanelError(
        "python_code_missing",
        N_("The call has no code to run."),
        N_('Write it as a text in the argument "code", such as {example}.'),
        example='{"code": "print(2 + 3)"}',
    )


def code_too_long(most: int) -> PanelError:
    return PanelError(
        "python_code_too_long",
        N_("The code has more than {most} characters."),
        N_("Write a shorter program; long data belongs into a file that an earlier call writes."),
        most=most,
    )


def folder_unfit(problem: str) -> PanelError:
    return PanelError(
        "python_folder_unfit",
        N_("The folder for Python's files cannot be used: {problem}."),
        N_("Free space on the disk, or start a new conversation, which has a folder of its own."),
        problem=problem,
    )


def of(ran: Ran, limits: Limits) -> PanelError | None:
    """What is wrong with how it ended; None where nothing is."""
    if ran.ended == "done":
        return _raised(ran.traceback) if ran.traceback is not None else None
    if ran.ended == "exit":
        return None if ran.code == 0 else _exited(ran.code)
    if ran.ended == "signal":
        return _killed(-ran.code)
    return _ended_by_us(ran, limits)


def _raised(traceback: str) -> PanelError:
    last = traceback.strip().rsplit("\n", 1)[-1]
    return PanelError(
        "python_raised",
        N_("The code stopped with an error: {error}"),
        N_("The model reads the same and can correct its code; if it does not, say what is wrong."),
        error=last[:300],
    )


def _exited(code: int) -> PanelError:
    return PanelError(
        "python_exited",
        N_("The code ended itself with exit code {exit_code}."),
        N_("Its output may say why; the model reads it too."),
        exit_code=code,
    )


def _killed(number: int) -> PanelError:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    return PanelError(
        "python_killed",
        N_("The code's process was ended by the signal {name}."),
        N_("Mostly a library crashed inside, or memory ran out: try with less data."),
        name=name,
    )


def _ended_by_us(ran: Ran, limits: Limits) -> PanelError:
    size = f"{limits.folder_bytes // MIB} MiB"
    less = N_("Ask for less in one step, or raise the limit in the settings of the Python tool.")
    return {
        "stopped": PanelError("python_stopped", N_("The code was stopped."), ""),
        "time": PanelError(
            "python_time",
            N_("The code was ended after {seconds} seconds."),
            less,
            seconds=round(limits.seconds, 1),
        ),
        "cpu": PanelError(
            "python_cpu",
            N_("The code was ended after {seconds} seconds of processor time."),
            less,
            seconds=limits.cpu_seconds,
        ),
        "output": PanelError(
            "python_output",
            N_("The code was ended because it printed more than {size}."),
            N_("Print less, or write it into a file."),
            size=f"{limits.output // MIB or 1} MiB",
        ),
        "disk": PanelError(
            "python_disk",
            N_("The code was ended because it wrote more than its folder may hold: {size} or {files} files."),
            N_("What it had written in this step was removed. Ask for fewer or smaller files."),
            size=size,
            files=limits.files,
        ),
        "threads": PanelError(
            "python_threads",
            N_("The code was ended because it started more than {most} threads."),
            N_("Ask for the same without threads."),
            most=limits.threads,
        ),
    }[ran.ended]


def advice(ran: Ran, limits: Limits) -> str:
    """What a model has to know to write it otherwise; empty where its own words say it."""
    text = f"{ran.traceback or ''}\n{ran.output[-2000:].decode('utf-8', 'replace')}"
    if found := _NO_MODULE.search(text):
        name = found[1].partition(".")[0]
        return f"{name} is not installed here and cannot be. Beside Python's own modules there are: {present()}."
    if ran.traceback is None and not ran.code:
        return ""
    if "MemoryError" in text:
        return f"At most {limits.memory // MIB} MiB of memory can be used: work with less data at once."
    if "File too large" in text:
        return f"A file can have at most {limits.file_bytes // MIB} MiB."
    if "EOFError" in text:
        return "Nobody can type an answer to input() here: put the values into the code."
    if _CLOSED_OFF.search(text):
        return (
            "The code runs by itself: without network, other programs or processes, and it can read and write files "
            "only in its current folder."
        )
    return ""
