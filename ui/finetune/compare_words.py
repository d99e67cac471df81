"""How settings and outcomes of compared runs read."""

from __future__ import annotations

from backend.finetune.comparing import SHORT
from backend.i18n import N_, _
from ui import words

OUTCOMES = {
    "eval_loss": (N_("validation loss"), N_("The lowest that was measured on held-out rows. The one that counts.")),
    "right": (N_("right answers"), N_("Part of the held-out questions that it answers right.")),
    "general": (N_("general questions"), N_("Part of simple general questions that it still answers right.")),
    "loss": (N_("training loss"), N_("The last one, on the rows that it learned from.")),
    "steps": (N_("steps"), N_("Optimizer steps that were done.")),
    "seconds": (N_("time"), N_("All of the job, with what came before and after the learning.")),
    "tokens_s": (N_("tokens/s"), N_("How much it read in a second.")),
    "memory_mib": (N_("memory"), N_("The most that it held, measured by the program.")),
}


def outcome(name: str) -> str:
    """``validation loss``."""
    return _(OUTCOMES[name][0])


def about(name: str) -> str:
    """What the outcome means."""
    return _(OUTCOMES[name][1])


def value(name: str, number: float) -> str:
    """``0.412``, ``93 %``, ``2 min``."""
    if name in ("right", "general"):
        return f"{100 * number:.0f} %"
    if name == "seconds":
        return words.duration(number)
    if name == "memory_mib":
        return words.gib(number * 2**20)
    if name == "steps":
        return f"{number:,.0f}"
    return words.rate(number) if name == "tokens_s" else f"{number:.3f}"


def short(field: str, title: str) -> str:
    """A setting in a word, where there is one."""
    return _(SHORT[field]) if field in SHORT else title
