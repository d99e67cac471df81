"""What goes wrong while a copy is made, as a person should hear it; nothing half-made stays behind."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from backend.catalog.files import size_text
from backend.errors import ModelError, PanelError, WorkspaceError
from backend.finetune import oom_lines
from backend.i18n import N_
from jobs.harness import Stopped

FULL = ("no space left on device", "os error 28", "disk quota exceeded", "os error 122")
"""As Python and as safetensors, which is written in Rust, say it."""


@contextlib.contextmanager
def told(folder: Path, partial: Path, engine: str, model: str) -> Iterator[None]:
    """A copy of ``model`` is made in ``partial``, which lies in ``folder``; what fails takes all of it away.

    Raises:
        What :func:`explained` makes of it.
    """
    try:
        yield
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if not isinstance(error, Exception):
            raise
        meant = explained(error, folder, engine, model)
        if meant is error:
            raise
        raise meant from error


def explained(error: Exception, folder: Path, engine: str, model: str) -> Exception:
    """``error`` as a person should hear it; itself where it says so already.

    Returns:
        WorkspaceError ``quantize_no_room``; ModelError ``quantize_out_of_memory`` or ``quantize_engine_failed``.
    """
    if full(error):
        return no_room(folder)
    if isinstance(error, PanelError | Stopped):
        return error
    # All of it, for people who read the log: what the job says last is one sentence.
    traceback.print_exception(error, file=sys.stdout)
    return _engine(error, engine, model)


def full(error: BaseException) -> bool:
    """Whether ``error`` says that the disk is full."""
    if isinstance(error, WorkspaceError):
        return error.code == "workspace_full"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return not isinstance(error, PanelError) and is_full(str(error))


def is_full(text: str) -> bool:
    """Whether ``text``, an error or the last lines of a program, says that the disk is full."""
    return any(words in text.lower() for words in FULL)


def no_room(folder: Path) -> WorkspaceError:
    """The disk that holds ``folder`` is full."""
    free = shutil.disk_usage(folder).free
    return WorkspaceError(
        "quantize_no_room",
        N_(
            "The disk that holds {folder} became full while the copy was written; {free} are free. The model is untouched."
        ),
        N_("Make room there: delete finished jobs or models that are no longer needed. Then resume the job."),
        folder=str(folder),
        free=size_text(free),
    )


def out_of_memory(line: str, model: str) -> ModelError:
    """The memory did not suffice; ``line`` says so."""
    return ModelError(
        "quantize_out_of_memory",
        N_("The memory did not suffice to make a smaller copy of '{model}': {line}"),
        N_(
            "Take fewer and shorter calibration rows, plain rounding, or another processor; or end what else needs memory."
        ),
        model=model,
        line=line,
    )


def _engine(error: Exception, engine: str, model: str) -> ModelError:
    line = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
    if isinstance(error, MemoryError) or oom_lines.ran_out(line):
        return out_of_memory(line, model)
    return ModelError(
        "quantize_engine_failed",
        N_("{engine} could not make a smaller copy of '{model}': {line}"),
        N_("Try plain rounding, which looks at no rows, or another method. The log of this job has all that it said."),
        engine=engine,
        model=model,
        line=line,
    )
