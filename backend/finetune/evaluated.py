"""What a training will be judged by, in sentences, before it is started."""

from __future__ import annotations

from backend.finetune.counting import Counted
from backend.i18n import _, ngettext
from backend.specs.finetune import FinetuneSpec


def sentences(spec: FinetuneSpec, counted: Counted, test_rows: int) -> tuple[str, ...]:
    """One for each; ``spec`` is settled."""
    found = []
    if counted.validation_rows:
        text = ngettext(
            "The loss on {rows} held-out row, every {steps} steps.",
            "The loss on {rows} held-out rows, every {steps} steps.",
            counted.validation_rows,
        )
        found.append(text.format(rows=f"{counted.validation_rows:,}", steps=spec.eval_every))
    else:
        found.append(
            _("The loss on the rows it learns from alone: no row is held out, so that learning by heart is not seen.")
        )
    if spec.sample_prompts:
        text = ngettext(
            "The answer to {count} question of yours, beside the base's, every {steps} steps.",
            "The answers to {count} questions of yours, beside the base's, every {steps} steps.",
            len(spec.sample_prompts),
        )
        found.append(text.format(count=len(spec.sample_prompts), steps=spec.sample_every))
    else:
        found.append(
            _("The answers to some held-out questions, beside the base's, every {steps} steps.").format(
                steps=spec.sample_every
            )
        )
    if spec.prove:
        if test_rows:
            text = ngettext(
                "At the end, base and tuned model are asked {rows} question that was never taught.",
                "At the end, base and tuned model are asked {rows} questions that were never taught.",
                test_rows,
            )
            found.append(text.format(rows=f"{test_rows:,}"))
        found.append(_("At the end, general questions show whether it forgot anything."))
    return tuple(found)
