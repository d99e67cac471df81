"""Why XTuner ended by itself, told from what it said last."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from backend.errors import FULL_BYTES, PanelError, workspace_full
from backend.finetune import files, oom_lines, out_of_memory
from backend.i18n import N_

_FULL = re.compile(r"No space left on device|Disk quota exceeded|PytorchStreamWriter failed")
_ERROR = re.compile(r"^\s*[\w.]*(Error|Exception|Interrupt|Exit)\b")


def explained(job_dir: Path, lines: Sequence[str], code: int, *, step: int, device: str) -> PanelError:
    """The error for an end with ``code`` (minus the signal where one ended it) after ``step`` steps. Where memory ran out,
    ``out-of-memory.json`` is written, too."""
    if any(_FULL.search(line) for line in lines) or shutil.disk_usage(job_dir).free < FULL_BYTES:
        return workspace_full(job_dir)
    if (found := oom_lines.from_log(lines)) is not None:
        phase, line = found
        return _out_of_memory(job_dir, phase or "forward", line, step, device)
    if code == -signal.SIGKILL:
        return _out_of_memory(job_dir, "killed", "SIGKILL", step, device)
    last = next((line.strip() for line in reversed(lines) if _ERROR.match(line)), "")
    last = last or next((line.strip() for line in reversed(lines) if line.strip()), "-")
    return PanelError(
        "xtuner_failed",
        N_("XTuner ended with exit code {exit}: {line}"),
        N_(
            "The log of this job has all that it said. The last checkpoint is kept: resume from it once the cause is mended."
        ),
        exit=code,
        line=last[:500],
    )


def _out_of_memory(job_dir: Path, phase: str, line: str, step: int, device: str) -> PanelError:
    record = files.OutOfMemory(
        phase=phase, step=step, t=time.time(), line=line, asked=oom_lines.asked(line), device=device
    )
    files.write(job_dir / files.OUT_OF_MEMORY, record)
    return out_of_memory.error(record)
