"""What code printed, as text that can be shown: no signs that move a cursor, and no pretence that bytes are text."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[@-Z\\-_]?)"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_UNREADABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]")
BINARY_SHARE, BINARY_LEAST = 0.1, 8
SHOWN_BYTES = 32


def readable(data: bytes) -> str:
    """Output as text; where much of it is none, its size and first bytes."""
    text = data.decode("utf-8", "replace")
    plain = _ESCAPES.sub("", text)
    unreadable = len(_UNREADABLE.findall(plain))
    if unreadable >= BINARY_LEAST and unreadable > BINARY_SHARE * len(plain):
        return f"[binary output, {len(data):,} bytes, beginning with {data[:SHOWN_BYTES].hex(' ')}]"
    return tidy(plain)


def tidy(text: str) -> str:
    """Text without control characters, and of each line only what a terminal would have left of it."""
    lines = _ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    shown = (line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)
    return _CONTROLS.sub("\ufffd", "\n".join(shown))
