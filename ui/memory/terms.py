"""What memory is used for, in words and in colours: the same word and the same colour for the same thing on every page."""

from __future__ import annotations

from backend.i18n import N_, _

ORDER = ("weights", "adapter", "kv_cache", "optimizer", "gradients", "activations", "vision", "workspace", "context")
"""The terms of a forecast, in the order in which they are drawn."""

# Okabe and Ito's palette (2008), which people who see colours differently can tell apart; neighbours and what is free are
# greys: they are no part of what a job takes. Two terms share a hue only where they never stand beside each other.
_TERMS = {
    "weights": (N_("weights"), "#0072B2"),
    "kv_cache": (N_("KV cache"), "#E69F00"),
    "activations": (N_("activations"), "#009E73"),
    "gradients": (N_("gradients"), "#D55E00"),
    "optimizer": (N_("optimizer"), "#CC79A7"),
    "adapter": (N_("adapter"), "#56B4E9"),
    "vision": (N_("vision tower"), "#B3A125"),
    "workspace": (N_("workspace"), "#7F8C8D"),
    "context": (N_("program"), "#5B6768"),
    "other_jobs": (N_("other jobs"), "#8A9BA8"),
    "neighbours": (N_("neighbours"), "#A9B5B6"),
    "free": (N_("free"), "#D8DFDF"),
}
MEANINGS = {
    "weights": N_("The numbers that the model has learned."),
    "kv_cache": N_("Memory of the running conversation"),
    "activations": N_("Intermediate results of what is computed; training keeps them for its way back."),
    "gradients": N_("By how much each number that is trained should change."),
    "optimizer": N_("What the optimizer remembers of earlier steps."),
    "adapter": N_("A small add-on that holds what was learned."),
    "vision": N_("The part that sees images."),
    "workspace": N_("Room that the engine computes in."),
    "context": N_("The engine's own program and, on a GPU, the driver's share of it."),
}


def word(name: str) -> str:
    """The term ``name`` in the person's language; one that an engine invented stands for itself."""
    return _(_TERMS[name][0]) if name in _TERMS else name.replace("_", " ")


def colour(name: str) -> str:
    """Its colour, as ``#rrggbb``."""
    return _TERMS[name][1] if name in _TERMS else "#999999"


def meaning(name: str) -> str:
    """What it is, in one sentence; empty where there is none."""
    return _(MEANINGS[name]) if name in MEANINGS else ""
