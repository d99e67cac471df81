"""XTuner's programs: how each is started, and what its files say. Facts are those of xtuner 0.2.0.

Never through the command ``xtuner``: it ends with 0 whatever happened, and leaves its child running when it is ended.
``python -m xtuner.tools...`` has true exit codes. SIGINT ends a training within seconds and keeps the last checkpoint that
was due; SIGTERM keeps nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.xtuner_config import Settings

RESUME_ENVIRON = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
"""Only where a training goes on from a checkpoint of its own: mmengine pickles more than tensors into it, and torch since 2.6
loads tensors alone. Never for files from elsewhere: it allows them to run code."""
METRICS = {
    "loss": "loss",
    "lr": "lr",
    "grad_norm": "grad_norm",
    "memory": "memory_mib",
    "memory_mib": "memory_mib",
    "time": "s_per_iteration",
}
"""What mmengine, and our hook in it, call it -> what we call it."""


def train(
    python: Path,
    config: Path,
    work: Path,
    *,
    gpus: int = 1,
    deepspeed: str = "",
    resume: Path | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """The command that trains what ``config`` says; everything it writes goes below ``work``. ``deepspeed``: a name that
    XTuner has for settings, or their file. ``resume``: a checkpoint of the same training, see :data:`RESUME_ENVIRON`.
    ``options``: on top of the config, ``name=value`` each."""
    # A free port of its own on loopback: two trainings on one machine do not meet.
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"] if gpus > 1 else []
    argv = [str(python), *start, "-m", "xtuner.tools.train", str(config), "--work-dir", str(work)]
    argv += ["--launcher", "pytorch"] if gpus > 1 else []
    argv += ["--deepspeed", deepspeed] if deepspeed else []
    argv += ["--resume", str(resume)] if resume else []
    return argv + (["--cfg-options", *options] if options else [])


def to_hf(python: Path, config: Path, checkpoint: Path, out: Path) -> list[str]:
    """The command that makes an adapter of ``checkpoint`` (of a full fine-tuning: the model), in float32 and safetensors.
    It unpickles ``checkpoint``: only for what was trained here."""
    module = "xtuner.tools.model_converters.pth_to_hf"
    return [str(python), "-m", module, str(config), str(checkpoint), str(out), "--fp32", "--safe-serialization"]


def merge(python: Path, base: Path, adapter: Path, out: Path, device: str = "cpu") -> list[str]:
    """The command that writes the base with the adapter in it, in float16 and safetensors."""
    module = "xtuner.tools.model_converters.merge"
    return [str(python), "-m", module, str(base), str(adapter), str(out), "--device", device, "--safe-serialization"]


@dataclass
class Scalars:
    """The measurements of a training, read as they come. ``work``: its folder; every start of XTuner makes another folder in
    it, named by the time."""

    work: Path
    _file: Path | None = None
    _offset: int = 0

    def new(self) -> list[dict[str, Any]]:
        """What was measured since the last call, oldest first; a line that is being written waits for the next one."""
        found: list[dict[str, Any]] = []
        for file in sorted(self.work.glob("*/vis_data/scalars.json")):
            if self._file is not None and file < self._file:
                continue
            start = self._offset if file == self._file else 0
            with file.open("rb") as opened:
                opened.seek(start)
                whole, end, _half = opened.read().rpartition(b"\n")
            self._file, self._offset = file, start + len(whole) + len(end)
            found += [row for row in map(_row, whole.splitlines()) if row is not None]
        return found


def progress(row: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    """A row of :class:`Scalars` as :meth:`jobs.harness.Job.progress` takes it: ``step`` and ``total`` in optimizer steps,
    and ``metrics``; None for a row that is none of the training's."""
    done = row.get("iter")
    if not isinstance(done, int) or "loss" not in row:
        return None
    metrics = {
        ours: float(row[theirs]) for theirs, ours in METRICS.items() if isinstance(row.get(theirs), (int, float))
    }
    return {"step": done / settings.accumulation, "total": settings.steps, "metrics": metrics}


def newest_checkpoint(work: Path) -> Path | None:
    """The last checkpoint that was written whole; None where there is none. Its name is noted once it is there, so that one
    that was being written when the training was killed is not taken."""
    try:
        named = Path((work / "last_checkpoint").read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return None
    # By its name: the folder may have been moved since.
    found = work / named.name
    return found if named.name and found.exists() else None


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
