"""From XTuner's checkpoint to what everybody reads: a peft adapter, or after a full fine-tuning a whole model.

Done in a folder of its own that gets its name once it is whole: where it was cut short, it is made again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from backend.data.tokens.model import FILES
from backend.errors import PanelError
from backend.finetune import xtuner
from backend.i18n import N_
from jobs.finetuning.xtuner_child import Child, environ, environment
from jobs.harness import Job, Stopped

CONVERTED = "converted"
WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")


def convert(job: Job, home: Path, checkpoint: Path, base: Path, out: Path, device: str) -> Path:
    """Write ``checkpoint`` of a training of ``base`` as ``out``; where that is there, it is left as it is.

    Raises:
        PanelError: ``xtuner_convert_failed``. Stopped: the person asked to stop.
    """
    if out.is_dir():
        return out
    from backend.workspace import open_workspace

    found = environment(open_workspace())
    assert found.python is not None
    part = home / CONVERTED
    shutil.rmtree(part, ignore_errors=True)
    argv = xtuner.conversion(found.python, home, checkpoint, part)
    job.log(" ".join(map(str, argv)))
    child = Child(argv, home, environ(found, home, device=device, own=True), job.log)
    try:
        while not child.ended():
            if job.stop_requested:
                raise Stopped
            child.wait(0.2)
    finally:
        child.end()
    if child.process.returncode or not any((part / name).is_file() for name in WEIGHTS):
        lines = [line.strip() for line in child.lines() if line.strip()]
        raise PanelError(
            "xtuner_convert_failed",
            N_("XTuner's checkpoint could not be made into a model that others read: {line}"),
            N_("What was learned is kept: resume the job once the cause is mended. The log has all that was said."),
            line=(lines or ["-"])[-1][:500],
            checkpoint=str(checkpoint),
        )
    if (part / WEIGHTS[0]).is_file():
        (part / "README.md").unlink(missing_ok=True)  # an empty form of peft's
    else:
        # Tokenizer and template as they were, and not as an older transformers writes them.
        for name in FILES:
            if (base / name).is_file():
                shutil.copy2(base / name, part / name)
    out.parent.mkdir(parents=True, exist_ok=True)
    part.replace(out)
    return out
