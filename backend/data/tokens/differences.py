"""In words, what two engines do differently with the same row."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from backend.data.tokens.encoded import Encoded
from backend.data.tokens.model import TokenModel
from backend.i18n import _, ngettext

MOST_TOKENS = 1_500
"""Between the first and the last difference; more are not aligned, which takes the square of it."""
MOST_EXAMPLES = 3
_CHARS = 48


def differences(model: TokenModel, peft: Encoded, xtuner: Encoded) -> list[str]:
    """Sentences, the most important first; one that says so where there is none."""
    said = _ends(model, peft, xtuner)
    said += _read(peft, xtuner)
    if peft.ids == xtuner.ids and peft.trained != xtuner.trained and not said:
        count = sum(one != other for one, other in zip(peft.trained, xtuner.trained, strict=True))
        said.append(
            ngettext(
                "Both read the same tokens, and one of them is learned by one engine only.",
                "Both read the same tokens, and {n} of them are learned by one engine only.",
                count,
            ).format(n=count)
        )
    return said or [_("Both engines read the same tokens of this row and learn the same ones.")]


def _ends(model: TokenModel, peft: Encoded, xtuner: Encoded) -> list[str]:
    """Whether one engine learns to end an answer and the other does not, or with another token."""
    ours, theirs = _end_tokens(model, peft), _end_tokens(model, xtuner)
    if ours == theirs or not any(peft.trained) or not any(xtuner.trained):
        return []
    if not theirs:
        return [
            _(
                "XTuner does not learn the token that ends an answer here ({token}): the model may not stop when it has "
                "answered."
            ).format(token=_quoted(ours))
        ]
    if not ours:
        return [
            _("transformers with peft does not learn the token that ends an answer; XTuner learns {token}.").format(
                token=_quoted(theirs)
            )
        ]
    return [
        _("An answer ends with {one} for transformers with peft, and with {other} for XTuner.").format(
            one=_quoted(ours), other=_quoted(theirs)
        )
    ]


def _end_tokens(model: TokenModel, found: Encoded) -> list[str]:
    """The special tokens with which what is learned ends."""
    follows = [*found.trained[1:], False]
    last = [n for n, (learned, then) in enumerate(zip(found.trained, follows, strict=True)) if learned and not then]
    return sorted({found.texts[n].strip() for n in last if found.texts[n].strip() in model.ends})


def _read(peft: Encoded, xtuner: Encoded) -> list[str]:
    """What only one of them reads."""
    if peft.ids == xtuner.ids:
        return []
    begin = next(
        (n for n, (a, b) in enumerate(zip(peft.ids, xtuner.ids, strict=False)) if a != b),
        min(len(peft.ids), len(xtuner.ids)),
    )
    rest = min(len(peft.ids), len(xtuner.ids)) - begin
    same = next((n for n in range(rest) if peft.ids[-1 - n] != xtuner.ids[-1 - n]), rest)
    ours, theirs = slice(begin, len(peft.ids) - same), slice(begin, len(xtuner.ids) - same)
    if max(ours.stop, theirs.stop) - begin > MOST_TOKENS:
        return [_("From token {n} on, they read different tokens.").format(n=begin + 1)]
    said = list[str]()
    steps = SequenceMatcher(None, peft.ids[ours], xtuner.ids[theirs], autojunk=False).get_opcodes()
    changes = [step for step in steps if step[0] != "equal"]
    for _kind, a, b, c, d in changes[:MOST_EXAMPLES]:
        one, other = _text(peft.texts[begin + a : begin + b]), _text(xtuner.texts[begin + c : begin + d])
        if one and other:
            said.append(
                _("Token {n}: transformers with peft reads “{one}”, XTuner “{other}”.").format(
                    n=begin + a + 1, one=one, other=other
                )
            )
        elif one:
            said.append(_("Token {n}: only transformers with peft reads “{text}”.").format(n=begin + a + 1, text=one))
        else:
            said.append(_("Token {n}: only XTuner reads “{text}”.").format(n=begin + c + 1, text=other))
    more = len(changes) - MOST_EXAMPLES
    if more > 0:
        said.append(
            ngettext("And one more place where they differ.", "And {n} more places where they differ.", more).format(
                n=more
            )
        )
    return said


def _text(texts: Sequence[str]) -> str:
    joined = "".join(texts).replace("\n", "⏎").replace(" ", "␣")
    return joined if len(joined) <= _CHARS else joined[: _CHARS - 1] + "…"


def _quoted(tokens: Sequence[str]) -> str:
    return ", ".join(tokens)
