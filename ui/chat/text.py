"""A model's Markdown made safe to draw: nothing in it may load from elsewhere or run.

Covered: images of any form (inline, by reference, inside links), which would tell another host that the text was
read; Mermaid diagrams, whose nodes may hold images and HTML. HTML is never passed on by ``st.markdown``, and links are
followed only by a person's click.

Not covered: what a link's address tells when it is clicked.
"""

from __future__ import annotations

import html
import re

_BREAK = "\u200b"
"""Zero-width space: between ``!`` and ``[`` it leaves a link and takes away the image."""
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_FENCE = re.compile(r"([`~]{3,})([^\n`]*)")


def safe(text: str) -> str:
    """``text`` as Markdown that loads nothing; what cannot become an image (``vec![1, 2]``) is left as it is."""
    return _images(_diagrams(text))


def _images(text: str) -> str:
    if "![" not in text:
        return text
    defined = "]:" in text  # a place for the address of an image by reference
    parts, done = [], 0
    for match in re.finditer(r"!\[", text):
        # The words of an image end before the next blank line at the latest.
        end = _BLANK_LINE.search(text, match.end())
        if defined or "](" in text[match.end() : end.start() if end else len(text)]:
            parts += [text[done : match.start() + 1], _BREAK]
            done = match.start() + 1
    return "".join([*parts, text[done:]])


def _diagrams(text: str) -> str:
    """Mermaid blocks as plain code, however their name is written (entities and backslashes count as letters)."""

    def plain(match: re.Match[str]) -> str:
        name = html.unescape(match[2]).replace("\\", "").casefold()
        return match[1] + "text" if "mermaid" in name else match[0]

    return _FENCE.sub(plain, text) if "```" in text or "~~~" in text else text
