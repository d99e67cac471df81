"""What a person has to know to read the figures of a measurement rightly: stored as a code, told in words."""

from __future__ import annotations

from collections.abc import Iterable

from backend.i18n import N_, _

NOTICES: dict[str, str] = {
    "no_stream": N_(
        "This server sends each answer in one piece, so nobody can say when the first token came or how long each one took."
    ),
    "tokens_estimated": N_(
        "This server does not say how many tokens it read and wrote: those of answers are counted by the pieces that came, those of prompts are estimates."
    ),
    "eos_kept": N_(
        "Some answers ended before the length that was asked for: this server does not write on when the model is done."
    ),
    "rate_not_reached": N_(
        "The visitors came faster than so few at once can be let in. Their waiting counts; allow more people at once."
    ),
    "prompts_repeated": N_(
        "There are fewer prompts than requests, so some were sent again. A server that remembers prompts answers those faster."
    ),
    "prompts_left_out": N_("Some prompts were left out: too long for this model, too short, or not readable."),
    "length_estimated": N_(
        "The length of the prompts is an estimate: the tokenizer of this model is not on this machine."
    ),
}
ERRORS: dict[str, str] = {
    "connect": N_("nobody answered at the address"),
    "broken": N_("the connection broke off"),
    "timeout": N_("no full answer in time"),
    "garbage": N_("what came was not what an OpenAI server sends"),
    "key": N_("the key was not accepted"),
    "context": N_("the prompt was too long for the model"),
    "busy": N_("the server had too much to do"),
    "refused": N_("the server refused the request"),
    "failed": N_("the server reported an error"),
}
"""Kinds of failed requests, as :class:`backend.bench.records.Record` has them."""


def sentences(codes: Iterable[str]) -> list[str]:
    """The notices in the language of the current person; a code that is not known is left out."""
    return [_(NOTICES[code]) for code in codes if code in NOTICES]


def error_word(kind: str) -> str:
    """What went wrong with a request, in a few words."""
    return _(ERRORS[kind]) if kind in ERRORS else kind
