"""What is to be learned and how long it may take -> all other settings, as they make sense on this machine.

The recipes stand in recipes.py; on the CPU a small model learns by the one with which the model that ships with TuneDeck was shown
to learn a name. What does not fit the machine is changed, not offered.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from backend.catalog.cards import ModelCard
from backend.data.tokens.model import open_model
from backend.data.versions import Version
from backend.errors import PanelError
from backend.finetune import counting, fitting, here, rows, times
from backend.finetune.recipes import PRESETS, Preset
from backend.memory import planned
from backend.memory.budget import free_now
from backend.memory.forecast import facts
from backend.memory.forecast.shapes import FEED_FORWARD
from backend.memory.machine import Machine
from backend.memory.sample import HOST
from backend.specs.finetune import Engine, FinetuneSpec, Purpose

__all__ = ["PRESETS", "TIMES", "Preset", "purpose_of", "settings"]

TIMES: dict[str, float | None] = {"minutes": 180.0, "hour": 3600.0, "night": 8 * 3600.0, "own": None}
"""How long it may take, in seconds."""
SMALL = 100_000_000
"""A model of fewer numbers learns from a CPU in minutes, and with a higher learning rate."""
QLORA_FROM = 3_000_000_000
"""Below, the base in 16 bits is small beside everything else, and 4 bits only make it slower."""
STEPS: dict[Engine, tuple[int, int]] = {"peft": (500, 550), "xtuner": (360, 400)}
"""Of a small model that learns a name or a role: fewer than the first, and it has not; more, and it knows the rows by heart. XTuner's
are larger, as it does not pack such rows."""
LOOKS = 5
"""How often such a run is measured, saved and asked: each time takes as long as several steps."""
SMALL_LENGTHS, STEP_TOKENS, TAUGHT_TOKENS = (256, 512), 1024, 512
"""Of a small model on a CPU: tokens of a packed row, of a step, and of a step that teaches a name or a role: many short steps
learn more in the same time than few long ones."""
TAUGHT_RATES: dict[Engine, float] = {"peft": 1.3e-3, "xtuner": 2e-3}
"""With :data:`STEPS` and adapters on the feed-forward matrices alone, the model that ships with TuneDeck answered 44 of 46 usual questions for its
name in English and 49 of 54 in Chinese, and 116 of 124 general ones (before: 121). With all matrices, which take half as long again for a step, it
was 43, 46 and 112; with those of the attention alone 36, 43 and 105. XTuner: 41, 51 and 117. With half of the answers in usual wordings
(:mod:`backend.data.make.identity`), on another processor: 42, 51 and 117, where it had been 45, 50 and 114."""
TOOLS_RATE, TOOLS_EPOCHS, TOOLS_REPLAY = 1.5e-3, 3.0, 0.5
"""Of a small model that learns to call tools: copying a question's words into a call takes a large adapter and several epochs. With 400 kept turns the model
that ships with TuneDeck passed 9 of the check's 20 tasks (before: 4) and answered 112 of 124 general questions (121); without general
rows among them, and at 2e-3, it was 10 and 81; with rank 8 in one epoch 4."""
TAUGHT: tuple[Purpose, ...] = ("identity", "style")
"""Few short rows, of which a small model has to see each several times."""
LONG_ROW = 3000
"""Characters of a row in a dataset that is taken for one of documents."""
FEW = 20
"""Steps below which a recipe for many rows is changed."""
USE_OF_TIME = 0.85
REPLAY: dict[Engine, float] = {"peft": 0.65, "xtuner": 0.7}
"""General rows for a small model, instead of those that its dataset brings along. Measured with the model that ships with TuneDeck and 600
short rows about a name, rank 32 and a rate of 2e-3: with general rows that were long, 12 of 121 general answers were lost in 240 steps, and
89 of 100 questions in usual words answered; with short ones (jobs/finetuning/general.py) 6 were lost, and 92 answered. Rank 8 and
1e-3 lost 9 and answered four fifths. The dataset's own general rows beside them made both worse. XTuner, with seeds 42 and 1: 290 steps and
0.65 lost 7 and 4 of 124 general answers and gave the name to 44 of 46 and 44 of 50 usual questions in English, 50 of 54 and 43 of 50 in Chinese;
360 steps and 0.7 lost 6 and 4, and gave 43 and 48, 51 and 46."""


def purpose_of(version: Version) -> Purpose:
    """What rows like these are most likely for."""
    looked = _looked(version)
    if looked.replayed or any("identity" in str(step) for step in version.info.steps):
        return "identity"
    if any("persona" in str(step) for step in version.info.steps):
        return "style"
    if looked.with_tools:
        return "tools"
    return "documents" if looked.looked and looked.characters / looked.looked > LONG_ROW else "own"


def settings(
    purpose: Purpose,
    card: ModelCard,
    version: Version,
    machine: Machine,
    seconds: float | None,
    engine: Engine = "peft",
) -> dict[str, Any]:
    """Fields of the spec for ``card`` and ``version`` here, within ``seconds`` (None: as long as it takes). Never raises for a
    model or a version that cannot be used: :func:`backend.finetune.plan.plan` says what is wrong with it."""
    found = here.look(machine, engine)
    base = card.base or card
    counts = _counts(base, version)
    small = (base.parameters or 0) < SMALL
    fields: dict[str, Any] = {**PRESETS[purpose].fields, "purpose": purpose, "engine": engine, "device": found.device}
    if found.device == "cpu":
        fields |= _on_cpu(purpose, small, engine, max(counts, default=0), base)
    elif fields["method"] == "qlora" and (not found.bitsandbytes or (base.parameters or 0) < QLORA_FROM):
        fields["method"] = "lora"
    elif (base.parameters or 0) >= QLORA_FROM and found.bitsandbytes and _too_large(base, found):
        fields["method"] = "qlora"
    fields["max_length"] = _length(purpose, fields["max_length"], base, counts)
    fields["dtype"] = found.dtype(found.device)
    if small and purpose in TAUGHT:
        fields |= {"replay": REPLAY[engine], "own_replay": False}
    elif small and purpose == "tools":
        fields |= {"replay": TOOLS_REPLAY, "own_replay": False}
    spec = FinetuneSpec(model=card.name, dataset=version.dataset, **fields)
    fields |= _fitting(spec, base, found)
    spec = spec.model_copy(update=fields)
    if small and found.device == "cpu" and purpose in TAUGHT:
        fields |= _epochs(engine, counting.count(spec, counts, *_rows_of(spec, version), exact=False))
    else:
        fields |= _for_few(spec, counts, version)
    spec = spec.model_copy(update=fields)
    counted = counting.count(spec, counts, *_rows_of(spec, version), exact=False)
    return fields | _within(spec, counted, base, machine, seconds)


def _on_cpu(purpose: Purpose, small: bool, engine: Engine, longest: int, base: ModelCard) -> dict[str, Any]:
    """One process, 32 bits, no 4 bits."""
    if not small:
        return {"method": "lora", "batch_size": 1, "lora_rank": 8, "lora_alpha": 32, "gradient_checkpointing": True}
    taught, calling = purpose in TAUGHT, purpose == "tools"
    # XTuner lets packed rows see one another, and a name must not depend on what stood before.
    apart = engine == "xtuner" and taught
    # Attention of packed rows is computed for the whole width: the shorter, the less for nothing.
    width = next((each for each in SMALL_LENGTHS if longest <= each), SMALL_LENGTHS[-1]) if taught else STEP_TOKENS
    return {
        "method": "lora",
        "max_length": width,
        "packing": not apart,
        "batch_size": 8 if apart else (TAUGHT_TOKENS if taught else STEP_TOKENS) // width,
        "accumulation": 2 if apart else 1,
        "learning_rate": TAUGHT_RATES[engine] if taught else TOOLS_RATE if calling else 1e-3,
        "warmup_ratio": 0.05,
        "scheduler": "linear",
        "lora_rank": 32 if taught or calling else 8,
        "lora_alpha": 64 if taught or calling else 32,
        "lora_dropout": 0.0,
        "target_modules": _feed_forward(base) if taught else ["all-linear"],
        "gradient_checkpointing": False,
        **({"epochs": TOOLS_EPOCHS} if calling else {}),
    }


def _feed_forward(base: ModelCard) -> list[str]:
    """The matrices of ``base`` that are not of its attention; all of them where it has none of these names."""
    try:
        names = {one.name for one in facts.from_card(base).linears if not one.expert}
    except PanelError:
        return ["all-linear"]
    return list(FEED_FORWARD) if names.issuperset(FEED_FORWARD) else ["all-linear"]


def _too_large(base: ModelCard, found: here.Here) -> bool:
    """Its weights in 16 bits would fill more than half of what is free on the roomiest GPU."""
    free = found.gpus[0].free if found.gpus else None
    return free is not None and 2 * (base.parameters or 0) > free // 2


def _length(purpose: Purpose, wished: int, base: ModelCard, counts: Counter[int]) -> int:
    """Tokens of a row: never more than the model reads; for documents as many as nearly all rows have."""
    nearly_all = counting.long_enough(counts)
    if nearly_all and purpose == "documents":
        wished = nearly_all
    elif nearly_all and purpose == "own":
        wished = min(wished, max(SMALL_LENGTHS[-1], nearly_all))
    return max(16, min(base.context_length or wished, max(wished, 128)))


def _fitting(spec: FinetuneSpec, base: ModelCard, found: here.Here) -> dict[str, Any]:
    """The smallest changes with which it fits into the memory that is free; none where nobody can tell, or nothing helps."""
    room = free_now(found.machine, None, found.gpus[0].uuid if found.gpus else HOST)
    try:
        known = facts.from_card(base)
        train = planned.train_plan(spec, room)
        ways = fitting.helping(spec, known, train, room.free) if room.free is not None else ()
    except PanelError:
        return {}
    return dict(ways[0].fields) if ways else {}


def _epochs(engine: Engine, counted: counting.Counted) -> dict[str, Any]:
    """So many that a small model takes its steps, and exactly these: general rows that are mixed in are made when it begins, so how
    many steps an epoch has with them is known only then, and the time that was promised must not depend on it."""
    each = max(1, counted.steps_per_epoch)
    least, most = STEPS[engine]
    steps = min(most, max(least, 2 * each))
    looks = dict.fromkeys(("eval_every", "save_every", "sample_every"), math.ceil(steps / LOOKS))
    return {"epochs": max(0.01, round(1.5 * steps / each, 2)), "max_steps": steps, **looks}


def _for_few(spec: FinetuneSpec, counts: Counter[int], version: Version) -> dict[str, Any]:
    """A recipe for many rows, for as few as there are: smaller steps, packed rows no longer than they have to be, more epochs."""
    fields: dict[str, Any] = {}
    shortest = min(spec.max_length, max(SMALL_LENGTHS[-1], counting.long_enough(counts)))
    for change in (
        {"accumulation": 4},
        {"max_length": shortest},
        {"accumulation": 1},
        {"epochs": 3.0},
        {"epochs": 10.0},
    ):
        one = spec.model_copy(update=fields)
        steps = counting.count(one, counts, *_rows_of(one, version), exact=False).steps
        if not 0 < steps < FEW:
            break
        fields |= {name: value for name, value in change.items() if name == "epochs" or value < getattr(one, name)}
    return fields


def _within(
    spec: FinetuneSpec, counted: counting.Counted, base: ModelCard, machine: Machine, seconds: float | None
) -> dict[str, Any]:
    """Fewer steps where it would take longer than ``seconds``."""
    known = times.assumed(spec, base, counted, machine) if seconds is not None else None
    if known is None or seconds is None or known.span(counted.steps).likely <= seconds:
        return {}
    steps = max(1, int((USE_OF_TIME * seconds - known.around_s) / max(1e-6, known.per_step_s)))
    return {"max_steps": steps} if steps < counted.steps else {}


def _rows_of(spec: FinetuneSpec, version: Version) -> tuple[int, int]:
    split = version.info.counts or {"train": len(version)}
    return rows.taught(split.get("train", 0), _looked(version), spec), split.get("validation", 0)


def _counts(base: ModelCard, version: Version) -> Counter[int]:
    try:
        return rows.lengths(open_model(base.path), version).of("train") or rows.guessed(version)
    except (PanelError, OSError):
        return rows.guessed(version)  # what is wrong with it is said by the plan


def _looked(version: Version) -> rows.Looked:
    try:
        return rows.look(version)
    except PanelError:
        return rows.Looked()
