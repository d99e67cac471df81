"""Where a run ran out of memory, said in words: the phase, the moment, and how much was missing.

What helps, with the saving of each change, is :mod:`backend.finetune.relief`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import PanelError, fill
from backend.finetune import files
from backend.finetune.files import OutOfMemory
from backend.i18n import N_, _

WHERE = {
    "load": N_("It ran out of memory while the model was loaded."),
    "forward": N_("It ran out of memory in the forward pass, after step {step}."),
    "backward": N_("It ran out of memory in the backward pass, after step {step}."),
    "optimizer": N_("It ran out of memory in the step of the optimizer, after step {step}."),
    "evaluate": N_("It ran out of memory while it was being evaluated, after step {step}."),
    "save": N_("It ran out of memory while a checkpoint was written, after step {step}."),
    "merge": N_("It ran out of memory while the adapter was merged; what it learned is kept."),
    "prove": N_("It ran out of memory while it was checked whether it worked; what it learned is kept."),
    "neighbour": N_("Other programs took memory that had been free when it began: it ran out after step {step}."),
    "killed": N_("The system ended it after step {step}, most likely because the main memory was used up."),
}
"""By phase; ``killed``: by the kernel, which leaves no word."""
MEANS = {
    "load": N_("The weights alone do not fit beside what is held already."),
    "forward": N_("The forward pass keeps what each layer computes: it grows with the rows at once and their length."),
    "backward": N_(
        "The backward pass needs what the forward pass kept, and the gradients: here a step is at its largest."
    ),
    "optimizer": N_("The optimizer makes its two values for each trained weight at the first step."),
    "evaluate": N_("An evaluation keeps the scores of all tokens, which grow with the rows at once and their length."),
    "save": N_("To write a checkpoint, its weights are gathered once more."),
    "neighbour": N_(
        "Your settings fitted. Wait until the others are done, or make the run small enough for what is left."
    ),
    "killed": N_("Stop what else runs here, or make the run smaller."),
}
GREW = 512 << 20
"""Others grew where they hold so much more than when the run began; less is what CUDA loads for itself on the way."""
ELSEWHERE = N_("It ran out of memory after step {step}.")
HINT = N_("Open the run on the Fine-tune page: it shows the smallest change that helps, and goes on with it.")


@dataclass(frozen=True)
class Told:
    """sentence: what happened. means: why just there. figures: what was asked for and what there was, one line each.
    moment: epoch seconds. record: what the run wrote down; made of how it ended where it could write nothing."""

    sentence: str
    means: str
    figures: tuple[str, ...]
    phase: str
    moment: float
    record: OutOfMemory


def error(record: OutOfMemory) -> PanelError:
    """What the job fails with."""
    return PanelError(
        "finetune_out_of_memory",
        WHERE.get(record.phase, ELSEWHERE),
        HINT,
        step=record.step,
        line=record.line,
        phase=record.phase,
    )


def told(record: OutOfMemory) -> Told:
    """``record`` in words, in the language of the current person."""
    return Told(
        sentence=fill(_(WHERE.get(record.phase, ELSEWHERE)), {"step": record.step}),
        means=_(MEANS[record.phase]) if record.phase in MEANS else "",
        figures=tuple(_figures(record)),
        phase=record.phase,
        moment=record.t,
        record=record,
    )


def of_run(
    job_dir: Path, failure: Mapping[str, Any] | None, progress: Mapping[str, Any], ended: float | None
) -> OutOfMemory | None:
    """How the run in ``job_dir`` ran out of memory; None where it did not.

    failure, progress, ended: as the queue keeps them of the job. A run that was killed from outside (SIGKILL is what the
    kernel sends when memory is used up) is told by its last words.
    """
    failure = failure or {}
    code, params = str(failure.get("code") or ""), failure.get("params") or {}
    if code == "finetune_out_of_memory":
        record = files.read(job_dir / files.OUT_OF_MEMORY, OutOfMemory)
        # It may be gone, or from a version that wrote it otherwise: the job's own last word says enough to go on.
        return record or OutOfMemory(
            str(params.get("phase", "")), int(params.get("step") or 0), ended or 0.0, str(params.get("line", ""))
        )
    if code == "job_killed" and params.get("signal") == "SIGKILL":
        step = int(progress.get("step") or 0) if progress.get("phase") == "train" else 0
        during = str(progress.get("phase") or "")
        return OutOfMemory("killed", step, ended or 0.0, line="SIGKILL", device="cpu", during=during)
    return None


def _figures(record: OutOfMemory) -> Iterator[str]:
    def gib(size: int) -> str:
        return f"{size / 2**30:.1f}" if size >= 100 << 20 else f"{size / 2**30:.3f}"

    if record.asked:
        yield _("{size} GiB more were asked for at once").format(size=gib(record.asked))
    if record.reserved and record.total:
        yield _("it held {size} GiB of {total}").format(size=gib(record.reserved), total=gib(record.total))
    elif record.reserved:
        yield _("it held {size} GiB").format(size=gib(record.reserved))
    if record.free is not None:
        yield _("{size} GiB were free").format(size=gib(record.free))
    if record.others_then is not None and record.others_before is not None:
        rise = record.others_then - record.others_before
        if rise >= GREW:
            said = _("others held {then} GiB, {rise} more than when it began")
            yield said.format(then=gib(record.others_then), rise=gib(rise))
        elif record.others_then >= GREW:
            yield _("others held {then} GiB, as when it began").format(then=gib(record.others_then))
