"""Options that stand on lines in the text of a question, as people write multiple choices into conversations."""

from __future__ import annotations

import re

from backend.evaluate.questions import LETTERS

_LINE = re.compile(r"\s*[(（\[]?([A-Ja-j])\s*[)）\].．、:：]\s*[.．:：]?\s*(\S.*)")
LONGEST_INSTRUCTION = 80
"""Characters of a last line such as "Answer with the letter."; a longer one belongs to the question."""


def split(text: str) -> tuple[str, tuple[str, ...]] | None:
    """(question, options) of ``text``; None where it has no two options on lines of their own that begin with A and B.

    Of several lists the last one counts. A short line after the options is an instruction, which is written anew when the question is asked.
    """
    lines = text.splitlines()
    for start in range(len(lines) - 1, -1, -1):
        options, after = _options(lines, start)
        if len(options) >= 2:
            stem = "\n".join(lines[:start]).strip()
            rest = "\n".join(lines[after:]).strip()
            if rest and (len(rest) > LONGEST_INSTRUCTION or rest.endswith(("?", "？"))):
                stem = f"{stem}\n{rest}".strip()
            return (stem, tuple(options)) if stem else None
    return None


def _options(lines: list[str], start: int) -> tuple[list[str], int]:
    """(options that begin with A in line ``start``, the line after them); blank lines between do not count."""
    options: list[str] = []
    at = start
    while at < len(lines) and len(options) < len(LETTERS):
        match = _LINE.fullmatch(lines[at])
        if match and match[1].upper() == LETTERS[len(options)]:
            options.append(match[2].strip())
        elif lines[at].strip() or not options:
            break
        at += 1
    return options, at
