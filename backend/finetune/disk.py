"""What a run writes: checkpoints that are kept, and what it makes in the end. Bytes."""

from __future__ import annotations

from backend.catalog.cards import ModelCard
from backend.memory.forecast import ModelFacts, TrainPlan
from backend.memory.forecast.training import trained
from backend.specs.finetune import FinetuneSpec

LOGS = 8 << 20
"""Events, log, figures, samples, the capsule."""


def checkpoint(facts: ModelFacts, plan: TrainPlan) -> int:
    """One checkpoint: what is trained, and two states of AdamW for each number of it, all in 32 bits but where a whole model is
    trained in 16."""
    numbers = trained(facts, plan).all
    narrow = plan.method == "full" and plan.device == "cuda" and plan.precision != "fp32"
    return numbers * ((2 if narrow else 4) * 3)


def result(facts: ModelFacts, plan: TrainPlan, spec: FinetuneSpec, card: ModelCard) -> int:
    """What is made in the end: an adapter and, where it is merged, a copy of the base; or a whole model."""
    base = card.base or card
    if spec.method == "full":
        wide = 4 if spec.dtype == "float32" else 2
        return wide * facts.params.total
    merged = 0
    if spec.merge:
        # A base in 4 bits is merged in 16.
        merged = 2 * facts.params.total if facts.method else base.tensor_bytes
    return 4 * trained(facts, plan).all + merged


def total(spec: FinetuneSpec, checkpoint_bytes: int, result_bytes: int, rows_bytes: int) -> int:
    """All that is there at the fullest moment: the newest checkpoints, the best one, one more that is being written."""
    return (spec.keep + 2) * checkpoint_bytes + result_bytes + 3 * rows_bytes + LOGS
