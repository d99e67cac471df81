"""The last look at a run: base and tuned model asked the same, counted, and kept as ``proof.json``.

A run that learned is never lost here: whatever goes wrong is written down as the reason why it could not be checked, and the
model is kept. Only a person who stops the job ends it; started again, it is asked once more.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.data.tokens.model import open_listed
from backend.errors import PanelError
from backend.finetune import files, intervals, proof
from backend.finetune.proof_records import Answer, Losses, Proof, part, verdicts
from backend.finetune.scoring import right
from backend.i18n import N_
from backend.workspace import open_workspace
from jobs.finetuning.types import Trained
from jobs.harness import Job, Stopped

if TYPE_CHECKING:
    from backend.finetune.plan import Plan
    from jobs.finetuning.asking import Asker, Reply
    from jobs.finetuning.exam import Asked, Exam

BASE_S, TUNED_S = 180.0, 360.0
"""Seconds that either model may be asked for. What the base had no time for is not asked of the tuned model, which gets twice as
long, so that it comes through."""
CONTEXT = 4096
KEPT_CHARS = 2000
"""Of a question or an answer that is kept to be read."""


@dataclass(frozen=True)
class Sat:
    """What one model made of it; None where there was no time."""

    replies: list[Reply | None]
    losses: list[float | None]


def prove(job: Job, plan: Plan, trained: Trained, merged: Path | None) -> Proof | None:
    """Ask both models; the proof, which is kept in the job's folder, too. None where it was not to be made or could not be:
    then the folder holds the reason. merged: not needed here; the adapter on its base is the same model.

    Raises:
        Stopped: the person asked to stop.
    """
    del merged
    if not plan.spec.prove:
        return None
    known = proof.read(job.dir)
    if known is not None and known.problem is None and known.step == trained.step:
        job.log("checked already whether it worked")
        return known
    job.phase("prove")
    try:
        found = _proved(job, plan, trained)
        proof.write(job.dir, found)
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - the run has learned: nothing that happens here may take that away
        _cannot(job, error, trained)
        return None
    for line in proof.sentences(found):
        job.log(line)
    job.artifact("report", job.dir / files.PROOF)
    return found


def _proved(job: Job, plan: Plan, trained: Trained) -> Proof:
    # torch and the models: only here, so that a job that is not to prove anything does not need them.
    from jobs.finetuning import asking, devices, exam
    from jobs.serving import adapting

    began = time.monotonic()
    tokens = open_listed(open_workspace(), plan.spec.model)
    place = devices.settle(plan.spec)
    model = asking.load(plan.model_folder, place, four_bit=plan.spec.method == "qlora")
    asked = exam.make(job.dir, plan, tokens, _context(model))
    job.log(f"asking both models {len(asked.asked)} questions; loss on {len(asked.rows)} rows")
    progress = _Progress(job, 2 * (len(asked.asked) + len(asked.rows)))
    base = _sit(asking.Asker(model, tokens), asked, BASE_S, progress)
    # What the base had no time for would compare with nothing.
    kept = [at for at, reply in enumerate(base.replies) if reply is not None]
    rows = [at for at, loss in enumerate(base.losses) if loss is not None]
    base = Sat([base.replies[at] for at in kept], [base.losses[at] for at in rows])
    asked = asked.only(kept, rows)
    if trained.adapter is not None:
        model = adapting.put_on(model, str(trained.adapter))
    else:
        del model
        asking.let_go()
        model = asking.load(str(trained.model), place)
    progress.second_half()
    tuned = _sit(asking.Asker(model, tokens), asked, TUNED_S, progress)
    del model
    asking.let_go()
    found = _judged(asked, base, tuned)
    return replace(
        found, step=trained.step, seconds=round(time.monotonic() - began, 1), made=time.time(), device=place.name
    )


def _sit(asker: Asker, asked: Exam, seconds: float, progress: _Progress) -> Sat:
    from jobs.finetuning import asking

    until = time.monotonic() + seconds
    with asking.threads(asker.model):
        losses = asker.losses(asked.rows, time.monotonic() + seconds / 3, progress)
        replies = asker.answers([one.prompt for one in asked.asked], until, progress.after(len(asked.rows)))
    return Sat(replies, losses)


def _judged(asked: Exam, base: Sat, tuned: Sat) -> Proof:
    answers = [
        _answer(one, before, after)
        for one, before, after in zip(asked.asked, base.replies, tuned.replies, strict=True)
        if before is not None and after is not None
    ]
    parts = {}
    for kind, split in (("questions", asked.split), ("general", "general")):
        some = [one for one in answers if one.part == kind]
        parts[kind] = part(split, some, asked.there[kind]) if some else None
    loss = _losses(asked, base, tuned)
    found = verdicts(parts["questions"], loss, parts["general"])
    return Proof(found, parts["questions"], loss, parts["general"], tuple(answers))


def _answer(one: Asked, before: Reply, after: Reply) -> Answer:
    asked = one.question
    return Answer(
        one.part,
        asked.language,
        asked.asked[-KEPT_CHARS:],
        asked.expected[:KEPT_CHARS],
        before.text[:KEPT_CHARS],
        after.text[:KEPT_CHARS],
        right(asked, before.text),
        right(asked, after.text),
        before.ended,
        after.ended,
        asked.distance,
    )


def _losses(asked: Exam, base: Sat, tuned: Sat) -> Losses | None:
    both = [
        (before, after, sum(row.trained[1:]))
        for row, before, after in zip(asked.rows, base.losses, tuned.losses, strict=True)
        if before is not None and after is not None
    ]
    if not both:
        return None
    first, second, counts = (list(each) for each in zip(*both, strict=True))
    tokens = sum(counts)
    low, high = intervals.per_token(first, second, counts) or (None, None)
    return Losses(asked.rows_split, len(both), tokens, sum(first) / tokens, sum(second) / tokens, low, high)


def _context(model: Any) -> int:
    """Tokens that the model was made for, as far as they are needed here."""
    known = getattr(model.config, "max_position_embeddings", None)
    return min(CONTEXT, int(known)) if known else CONTEXT


def _cannot(job: Job, error: Exception, trained: Trained) -> None:
    """Write down why it could not be checked."""
    if isinstance(error, PanelError):
        why = error
    else:
        job.log("".join(traceback.format_exception(error)).rstrip())
        why = PanelError(
            "proof_failed",
            N_("Whether it worked could not be checked: {kind}: {problem}"),
            N_("The model is kept. Chat with it and its base, or read the log for what happened."),
            kind=type(error).__name__,
            problem=str(error)[:1000],
        )
    job.log(f"not checked whether it worked: {why}")
    try:
        proof.write(job.dir, Proof(step=trained.step, made=time.time(), problem=why.to_dict()))
    except PanelError as second:
        job.log(f"the reason could not be kept either: {second}")


class _Progress:
    """Progress over both models; called with how much of the present one is done, and ends the asking where a person stops."""

    def __init__(self, job: Job, total: int) -> None:
        self.job, self.total, self.before = job, max(1, total), 0
        self.began = time.monotonic()

    def __call__(self, done: int) -> None:
        self.job.check_stop()
        step = self.before + done
        spent = time.monotonic() - self.began
        self.job.progress("prove", step, self.total, spent / step * max(0, self.total - step) if step else None)

    def after(self, done: int) -> Callable[[int], None]:
        """The same, behind ``done`` others."""
        return lambda more: self(done + more)

    def second_half(self) -> None:
        """The base is through."""
        self.before = self.total // 2
