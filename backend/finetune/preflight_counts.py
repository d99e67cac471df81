"""What is wrong with the numbers of a training: too few rows or steps, rows cut off, a warm-up that cannot be."""

from __future__ import annotations

from backend.catalog.cards import ModelCard
from backend.engines.xtuner_config import MIN_WARMUP_ITERATIONS
from backend.finetune.counting import Counted, long_enough
from backend.finetune.faults import Faults, Way
from backend.finetune.preflight_rows import FEW_ROWS, Seen
from backend.said import _, ngettext
from backend.specs.finetune import FinetuneSpec

CUT_SHARE = 0.05
FEW_STEPS = 10


def check_counts(spec: FinetuneSpec, card: ModelCard | None, seen: Seen, counted: Counted, faults: Faults) -> None:
    """What is wrong with the numbers: too few rows or steps, rows cut off, a warm-up that cannot be."""
    if not counted.rows:
        return
    if counted.rows < FEW_ROWS:
        text = ngettext(
            "There is {count} row to learn from: too few for more than learning it by heart.",
            "There are {count} rows to learn from: too few for more than learning them by heart.",
            counted.rows,
        )
        faults.add(
            "finetune_few_rows",
            "dataset",
            text.format(count=counted.rows),
            _("Some hundred rows are a beginning."),
            fatal=False,
        )
    if counted.rows_cut > CUT_SHARE * counted.rows:
        share = 100 * counted.rows_cut / counted.rows
        most = (card.context_length if card is not None else None) or 1 << 20
        fits = min(most, long_enough(seen.counts))
        faults.add(
            "finetune_rows_cut",
            "max_length",
            _("{share} % of the rows are longer than {tokens} tokens, and lose their end.").format(
                share=f"{share:.0f}", tokens=f"{spec.max_length:,}"
            ),
            _("Let rows be longer, if the memory allows it."),
            fatal=False,
            ways=(Way(_("Longest row: {tokens} tokens").format(tokens=f"{fits:,}"), {"max_length": fits}),)
            if fits > spec.max_length
            else (),
        )
    if counted.steps < FEW_STEPS:
        _few_steps(spec, counted, faults)
    _check_warmup(spec, counted, faults)


def _few_steps(spec: FinetuneSpec, counted: Counted, faults: Faults) -> None:
    ways = []
    epochs = round(spec.epochs * FEW_STEPS * 2 / max(1, counted.steps))
    if not spec.max_steps and 0 < epochs <= 1000:
        ways.append(Way(_("Epochs: {epochs}").format(epochs=epochs), {"epochs": float(epochs)}))
    if spec.accumulation > 1 and not spec.max_steps:
        ways.append(Way(_("Gradient accumulation: 1"), {"accumulation": 1}))
    if spec.max_steps and spec.max_steps < FEW_STEPS:
        ways.append(Way(_("As many steps as the epochs take"), {"max_steps": 0}))
    text = ngettext(
        "Only {steps} step: the model will have hardly learned anything.",
        "Only {steps} steps: the model will have hardly learned anything.",
        counted.steps,
    )
    faults.add(
        "finetune_few_steps",
        "epochs",
        text.format(steps=counted.steps),
        _("Learn for longer, or in smaller steps."),
        fatal=False,
        ways=tuple(ways),
    )


def _check_warmup(spec: FinetuneSpec, counted: Counted, faults: Faults) -> None:
    """mmengine dies of a warm-up shorter than one iteration ("end should be larger than begin"), and stays at a learning rate
    near zero with one of a single iteration."""
    iterations = counted.warmup_steps * spec.accumulation
    if spec.engine != "xtuner" or not spec.warmup_ratio or iterations >= MIN_WARMUP_ITERATIONS:
        return
    longer = min(1000.0, spec.epochs * 4)
    faults.add(
        "finetune_warmup",
        "warmup_ratio",
        _(
            "The warm-up would be {warmup} of {steps} steps: XTuner would stop at its start, or the learning rate would stay "
            "near zero for good."
        ).format(warmup=counted.warmup_steps, steps=counted.steps),
        _("Train without a warm-up, or for longer."),
        ways=(
            Way(_("Without a warm-up"), {"warmup_ratio": 0.0}),
            Way(_("Epochs: {epochs}").format(epochs=f"{longer:g}"), {"epochs": longer, "max_steps": 0}),
        ),
    )
