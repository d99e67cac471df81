"""One model after the other through the same rows and questions; what the base had no time for is asked of no other."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from backend.catalog import ModelCard
from backend.data.tokens.encoded import Encoded
from backend.data.tokens.model import TokenModel, open_listed
from backend.errors import ModelError, PanelError
from backend.i18n import N_
from backend.quantize.report_cells import OTHER_TOKENS
from backend.quantize.report_records import PARTS, Heard, Raw
from backend.specs.quantize import ReportCardSpec
from backend.workspace import open_workspace
from jobs.finetuning import asking
from jobs.grading import loading
from jobs.grading.examiner import Distributions, Examiner, fitting
from jobs.grading.material import Material, encode
from jobs.harness import Job

READ_S, ASK_S = 900.0, 1200.0
"""Seconds that the base may take for rows and for answers."""
CONTEXT = 4096
FILE = "base-distributions.f32"
Watch = Callable[[str, float], None]
Keep = Callable[[int, Raw], None]


class Sitting:
    """See the module. device: where they compute, once that is known."""

    def __init__(self, job: Job, spec: ReportCardSpec, cards: Sequence[ModelCard], material: Material) -> None:
        self.job, self.spec, self.cards, self.material = job, spec, cards, material
        self.device = ""
        self._path = job.dir / PARTS / FILE
        self._rows: list[Encoded] = []
        self._distributions: Distributions | None = None

    def base_is_wanted(self, raws: Sequence[Raw]) -> bool:
        """Whether some model is still to be compared with the base, and that has not been read by this attempt."""
        return self._distributions is None and any(raw.losses is None for raw in raws)

    def sit(self, place: int, raws: Sequence[Raw], watch: Watch, keep: Keep) -> Raw:
        """The model at ``place``, with all of it that was not measured yet. keep: called when a part is done.

        Raises:
            PanelError: of the base: it cannot be read. Stopped: the person asked to stop.
        """
        raw = raws[place]
        try:
            model, way, tokens = self._load(place)
        except PanelError as error:
            if place == 0:
                raise
            self.job.log(f"not read: {error}")
            return _unable(raw, error)
        except torch.OutOfMemoryError as error:
            if place == 0:
                raise
            return _unable(raw, _not_loaded(self.cards[place], error))
        examiner = Examiner(model, tokens)
        try:
            with asking.threads(model):
                raw = self._read(place, replace(raw, way=way), examiner, watch)
                keep(place, raw)
                if raw.heard is None:
                    self.job.phase("ask")
                    raw = self._ask(place, raw, raws[0], examiner, watch)
        finally:
            del examiner, model
            asking.let_go()
        return raw

    def leave(self) -> None:
        """Give the disk back; a resumed job reads the base again where others are still to be compared with it."""
        if self._distributions is not None:
            self._distributions.close()
        self._path.unlink(missing_ok=True)

    def _load(self, place: int) -> tuple[Any, str, TokenModel]:
        card = self.cards[place]
        where = loading.place(self.spec.device)
        self.device = where.name
        self.job.log(f"loading {card.path} on {where.name}")
        tokens = open_listed(open_workspace(), self.spec.models[place])
        try:
            return *loading.load(card, where), tokens
        except (PanelError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # what libraries raise for weights that they do not know has no common class
            self.job.log("".join(traceback.format_exception(error)).rstrip())
            raise _not_loaded(card, error) from error

    def _read(self, place: int, raw: Raw, examiner: Examiner, watch: Watch) -> Raw:
        cutoff = _context(examiner)
        encoded = encode(self.material.rows, examiner.tokens, cutoff)
        if place == 0:
            rows = [one for one in encoded if one is not None]
            lengths = [sum(one.trained[1:]) for one in rows]
            # What was read of it before ended where its time did: the others were read as far as that.
            rows = rows[: len(raw.tokens)] if raw.tokens else rows
            rows = rows[: fitting(lengths, examiner.vocabulary, self.job.dir)] if len(self.cards) > 1 else rows
            if not rows:
                raise _nothing_to_read(self.cards[0])
            self._path.unlink(missing_ok=True)
            self._distributions = Distributions(self._path, lengths[: len(rows)], examiner.vocabulary)
            found = examiner.read(
                rows,
                _share(watch, "read", len(rows)),
                keep=self._distributions if len(self.cards) > 1 else None,
                until=float("inf") if raw.tokens else time.monotonic() + READ_S,
            )
            self._distributions.close()
            self._rows = rows[: len(found)]
            return replace(raw, tokens=lengths[: len(found)], losses=[one.loss for one in found])
        rows = [one for one in encoded if one is not None][: len(self._rows)]
        same = [one.ids for one in rows] == [one.ids for one in self._rows]
        if not rows:
            return replace(raw, problems={**raw.problems, "read": OTHER_TOKENS.to_dict()})
        against = self._distributions if same else None
        found = examiner.read(rows, _share(watch, "read", len(rows)), against=against)
        compared = [one for one in found if one.divergence is not None and one.same is not None]
        whole = len(compared) == len(found)
        return replace(
            raw,
            tokens=[sum(one.trained[1:]) for one in rows],
            losses=[one.loss for one in found],
            divergences=[one.divergence or 0.0 for one in compared] if whole else None,
            same=[one.same or 0 for one in compared] if whole else None,
        )

    def _ask(self, place: int, raw: Raw, base: Raw, examiner: Examiner, watch: Watch) -> Raw:
        asked, context = self.material.asked, _context(examiner)
        if not asked:
            return replace(raw, heard=[])
        if not examiner.tokens.templates:
            return replace(raw, problems={**raw.problems, "ask": _no_template(self.cards[place]).to_dict()})
        known = base.heard if place else None
        prompts = [asking.prompt(examiner.tokens, one, context) for one in asked]
        places = [at for at, one in enumerate(prompts) if one is not None and (known is None or known[at] is not None)]
        until = float("inf") if place else time.monotonic() + ASK_S
        chosen = [prompt for at in places if (prompt := prompts[at]) is not None]
        replies = examiner.answers(chosen, until, _share(watch, "ask", len(chosen)))
        heard: list[Heard | None] = [None] * len(asked)
        for at, reply in zip(places, replies, strict=True):
            heard[at] = cast("Heard | None", reply)
        return replace(raw, heard=heard)


def _share(watch: Watch, part: str, total: int) -> Callable[[int], None]:
    return lambda done: watch(part, done / max(1, total))


def _context(examiner: Examiner) -> int:
    known = getattr(examiner.model.config, "max_position_embeddings", None)
    return min(CONTEXT, int(known)) if known else CONTEXT


def _unable(raw: Raw, why: PanelError) -> Raw:
    told = {part: why.to_dict() for part in ("read", "ask")}
    return replace(raw, problems={**raw.problems, **told})


def _not_loaded(card: ModelCard, error: BaseException) -> ModelError:
    return ModelError(
        "report_not_loaded",
        N_("'{model}' could not be loaded to be measured: {kind}: {problem}"),
        N_("The log says more. Where memory was short, measure it when more is free."),
        model=card.name,
        kind=type(error).__name__,
        problem=str(error)[:600],
    )


def _nothing_to_read(card: ModelCard) -> ModelError:
    return ModelError(
        "report_nothing_to_read",
        N_("None of the rows can be read by '{model}': its chat template refuses them, or the disk has no room."),
        N_("Choose another dataset, or none: then the bundled rows are read."),
        model=card.name,
    )


def _no_template(card: ModelCard) -> ModelError:
    return ModelError(
        "report_no_template",
        N_("'{model}' has no chat template, so nothing can be asked of it."),
        N_("Give it a known chat template in its details on the Models page."),
        model=card.name,
    )
