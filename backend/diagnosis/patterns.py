"""Patterns: the words of a message, found whatever lies around and between them.

Logs are wrapped at any column, indented, boxed and prefixed. So text and patterns are compared without any blanks and line
ends, and without regard to case. In a pattern

    …               up to 200 characters of anything; …… up to 3,000
    <name:kind>     a value that the message holds; ``kind`` is one of KINDS
    at its start …  the words may stand anywhere in a line; otherwise they begin the message, or follow ``SomeError:`` or the like
    at its end $    the message ends here

Everything else stands for itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

KINDS = {
    "size": r"\d+(?:\.\d+)?(?:[KMGT]i?B|bytes)",
    "num": r"-?\d+(?:[.,]\d+)*",
    "name": r"[\w.\-/+@:]+?",
    "program": r"[\w.\-/+@]+?",
    "cuda": r"\d{4,5}",
    "quoted": r"[^'\"`]{1,300}?",
    "weight": r"[\w.]*(?:weight|qweight|bias|lm_head|embed_tokens)[\w.]*",
    "class": r"\w+(?:ForCausalLM|ForConditionalGeneration|Model)",
    "rest": r".{1,120}",
}
GAPS = {"…": ".{0,200}?", "……": ".{0,3000}?"}
PLACE = re.compile(r"<(\w+):(\w+)>|…+")
# What may stand before the first word of a message: names that end in a colon, as exceptions, programs and loggers have.
LEAD = re.compile(r"(?:[\w.\-/\\\[\]()<>=+|#*@]{1,120}:{1,2})*(?:\[[\w.:\-]*\])*")


@dataclass(frozen=True)
class Pattern:
    """literal: what any text that fits must hold, in lower case; found first, because that is fast. opened: the value with
    which it ends, if it ends with one: that goes to the next blank or the end of the line."""

    source: str
    expression: str
    literal: str
    anywhere: bool
    ends: bool
    opened: str

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Compiled when it is needed: of hundreds few ever are."""
        return re.compile(self.expression, re.IGNORECASE | re.ASCII | re.DOTALL)


@cache
def compiled(source: str) -> Pattern:
    """The pattern ``source``.

    Raises:
        ValueError: it holds no run of words long enough to look for.
    """
    anywhere = source.startswith("…")
    body = source.removeprefix("…")
    ends = body.endswith("$")
    body = body.removesuffix("$")
    parts: list[str] = []
    literals: list[str] = []
    at = 0
    for place in [*PLACE.finditer(body), None]:
        literal = squeeze(body[at : place.start() if place else None])
        literals.append(literal.lower())
        parts.append(re.escape(literal))
        if place:
            name, kind = place.groups()
            parts.append(f"(?P<{name}>{KINDS[kind]})" if name else GAPS[place.group()])
            at = place.end()
    longest = max(literals, key=len)
    if len(longest) < 5:
        raise ValueError(f"too little to look for: {source!r}")
    last = list(PLACE.finditer(body))[-1:]
    opened = last[0].group(1) or "" if last and last[0].end() == len(body) else ""
    if opened:
        parts[-2] = parts[-2].replace("+?)", "+)")  # nothing follows that would make it take more than it must
    return Pattern(source, "".join(parts), longest, anywhere, ends, opened)


def squeeze(text: str) -> str:
    """``text`` without blanks."""
    return "".join(text.split())
