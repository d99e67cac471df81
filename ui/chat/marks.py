"""Text with everything in it made visible: blanks, line breaks, special tokens, and where one token ends."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence

MAX_TOKENS = 3_000
"""More are drawn as their beginning and end; the whole is beside it as plain text."""
BLANK, BREAK, TAB = "␣", "⏎", "⇥"

STYLE = """<style>
.sent-text { font-family: 'JetBrains Mono', 'Noto Sans SC Common', 'Noto Sans SC More', monospace; font-size: 0.875rem;
  line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere;
  font-variant-ligatures: none; }
.sent-text i { font-style: normal; opacity: 0.45; }
.sent-text .odd { background: color-mix(in srgb, currentColor 15%, transparent); border-radius: 0.2rem; }
.sent-text b { font-weight: 600; border: 1px solid currentColor; border-radius: 0.35rem; padding: 0 0.3rem;
  margin: 0 0.1rem; white-space: nowrap; font-size: 0.8rem; }
</style>"""


def visible(text: str) -> str:
    """``text`` as HTML in which nothing is invisible."""
    return "".join(_MARKS.get(sign) or _sign(sign) for sign in text)


def tokens(pieces: Sequence[str], special: Sequence[int]) -> str:
    """The pieces of a prompt as HTML: every second token shaded, special ones as badges, repeated ones counted."""
    marked, parts, at, shade = set(special), list[str](), 0, False
    shown = [*range(len(pieces))]
    if len(pieces) > MAX_TOKENS:
        half = MAX_TOKENS // 2
        shown = [*range(half), *range(len(pieces) - half, len(pieces))]
    while at < len(shown):
        place = shown[at]
        if at and place != shown[at - 1] + 1:
            parts.append("\n<b>…</b>\n")
        piece, count = pieces[place], 1
        if place in marked:
            # A picture is hundreds of times the same token.
            while at + count < len(shown) and shown[at + count] in marked and pieces[shown[at + count]] == piece:
                count += 1
            times = f" × {count:,}" if count > 1 else ""
            name = piece.strip()
            before, after = (
                (piece[: piece.index(name)], piece[piece.index(name) + len(name) :]) if name else (piece, "")
            )
            parts.append(f"{visible(before)}<b>{html.escape(name) or '?'}{times}</b>{visible(after)}")
        elif piece:
            shade = not shade
            inner = visible(piece)
            parts.append(f'<span class="odd">{inner}</span>' if shade else f"<span>{inner}</span>")
        at += count
    return "".join(parts)


def block(inner: str) -> str:
    """``inner`` (HTML of this module) ready for ``st.html``."""
    return f'{STYLE}<div class="sent-text">{inner}</div>'


def around(text: str) -> tuple[str, str]:
    """The blanks and line breaks before and after ``text``, as marks; all of them before it where there is nothing else."""
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    return _plain(text[:start]), _plain(text[max(start, end) :])


def _plain(blanks: str) -> str:
    marks = {" ": BLANK, "\n": BREAK, "\t": TAB}
    found = [marks.get(sign, f"U+{ord(sign):04X}") for sign in blanks[:12]]
    return " ".join(found) + (" …" if len(blanks) > 12 else "")


def _sign(sign: str) -> str:
    # Separators, controls and formats have no shape of their own; emoji are joined by one of them.
    if unicodedata.category(sign) in ("Zs", "Zl", "Zp", "Cc", "Cf") and sign != "\u200d":
        return f"<b>U+{ord(sign):04X}</b>"
    return html.escape(sign)


# After a blank's mark a line may end, as after the blank.
_MARKS = {" ": f"<i>{BLANK}</i><wbr>", "\n": f"<i>{BREAK}</i>\n", "\t": f"<i>{TAB}</i>\t"}
