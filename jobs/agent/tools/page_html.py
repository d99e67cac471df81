"""A web page as text: title, headings, paragraphs, lists, tables row by row, links numbered and listed at the end.

Left out: scripts, styles, menus and forms, and what the page itself hides (``hidden``, ``aria-hidden``, inline styles).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin

from lxml import etree, html

MOST_LINKS = 100
_OUT = frozenset(
    ["script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "audio", "video", "nav", "aside", "button", "select", "textarea", "input", "dialog", "head"]
)  # fmt: skip
_FRAME = frozenset(["header", "footer"])
_BLOCKS = frozenset(
    ["address", "article", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "legend", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"]
)  # fmt: skip
_HIDES = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|(?:font-size|opacity|max-height)\s*:\s*0*\.?0+(?:px|em|rem|%|pt)?\s*(?:!|;|$)",
    re.IGNORECASE,
)
_MAIN_SHARE = 0.4
"""A ``<main>`` or ``<article>`` that holds so much of the page's text is what the page is about."""


def text(page: str, address: str) -> str:
    """The text of the HTML ``page``; links are made whole with ``address`` and the page's ``<base>``."""
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True)
    try:
        root = html.document_fromstring(page.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return ""  # nothing in it
    title = " ".join((root.findtext(".//title") or "").split())
    base = root.find(".//base[@href]")
    address = _joined(address, base.get("href")) or address if base is not None else address
    for element in list(root.iter(etree.Element)):
        if element is not root and _unseen(element):
            element.drop_tree()
    writer = _Writer(address)
    writer.write(_main(root))
    body = writer.text()
    if not body and not title:
        return ""
    links = [f"[{number}] {target}" for number, target in enumerate(writer.links, 1)]
    return "\n\n".join(
        part
        for part in (f"Title: {title}" if title else "", body, "\n".join(["Links:", *links]) if links else "")
        if part
    )


def _unseen(element: Any) -> bool:
    tag = element.tag
    if not isinstance(tag, str) or tag in _OUT:
        return True
    if tag in _FRAME and next(element.iterancestors("article", "main"), None) is None:
        return True  # of the page; an article's own header may hold its title
    hidden = element.get("hidden") is not None and element.get("hidden") != "until-found"
    return hidden or element.get("aria-hidden") == "true" or bool(_HIDES.search(element.get("style") or ""))


def _main(root: Any) -> Any:
    whole = _length(root)
    for name in ("main", "article"):
        found = list(root.iter(name))
        if len(found) == 1 and _length(found[0]) >= _MAIN_SHARE * whole:
            return found[0]
    return root


def _length(element: Any) -> int:
    return sum(map(len, element.itertext()))


def _joined(address: str, link: str) -> str:
    """A whole address of the web; "" where the link leads to no page."""
    try:
        found = urljoin(address, link.strip())
    except ValueError:
        return ""
    return found.partition("#")[0] if found.startswith(("http://", "https://")) else ""


class _Writer:
    """Writes an element and all below it. Without recursion: a page may be nested deeper than Python's stack."""

    def __init__(self, address: str) -> None:
        self.links: dict[str, int] = {}
        self._address = address
        self._blocks: list[tuple[str, str]] = []
        self._held: list[str] = []
        self._lists: list[int | None] = []
        self._pre = self._row = self._cells = 0
        self._mark = ""

    def text(self) -> str:
        """All that was written."""
        lines: list[str] = []
        for number, (kind, block) in enumerate(self._blocks):
            close = number and kind in ("li", "tr") and self._blocks[number - 1][0] == kind
            lines.append(("\n" if close else "\n\n") + block)
        return "".join(lines).strip("\n")

    def write(self, root: Any) -> None:
        for event, element in etree.iterwalk(root, events=("start", "end")):
            if event == "start":
                self._start(element)
                self._say(element.text)
            else:
                self._end(element)
                if element is not root:
                    self._say(element.tail)
        self._close("")

    def _say(self, words: str | None) -> None:
        if words:
            self._held.append(words if self._pre else re.sub(r"\s+", " ", words))

    def _start(self, element: Any) -> None:
        tag = element.tag
        if tag == "br":
            self._held.append("\n")
        elif tag in ("td", "th") and self._row:
            if self._cells:
                self._held.append(" | ")
            self._cells += 1
        elif tag in _BLOCKS:
            self._break(tag)
            if tag in ("ul", "ol"):
                self._lists.append(1 if tag == "ol" else None)
            elif tag == "li":
                self._mark = self._bullet()
            elif tag == "tr":
                self._row, self._cells = self._row + 1, 0
            elif tag == "pre":
                self._pre += 1
            elif len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
                self._mark = "#" * int(tag[1]) + " "

    def _end(self, element: Any) -> None:
        tag = element.tag
        if tag == "a":
            self._link(element)
        elif tag in _BLOCKS:
            self._break(tag)
            if tag in ("ul", "ol") and self._lists:
                self._lists.pop()
            elif tag == "pre":
                self._pre -= 1
            elif tag == "tr":
                self._row -= 1

    def _break(self, tag: str) -> None:
        """A block begins or ends. Inside a row of a table only the row itself is one."""
        if self._row and tag not in ("tr", "table"):
            self._held.append(" ")
        else:
            self._close(tag)

    def _bullet(self) -> str:
        if not self._lists or self._lists[-1] is None:
            return "  " * (len(self._lists) - 1) + "- "
        number = self._lists[-1]
        self._lists[-1] = number + 1
        return "  " * (len(self._lists) - 1) + f"{number}. "

    def _link(self, element: Any) -> None:
        target = _joined(self._address, element.get("href") or "")
        if not target or not any(map(str.strip, element.itertext())) or target == self._address:
            return
        if target not in self.links:
            if len(self.links) == MOST_LINKS:
                return
            self.links[target] = len(self.links) + 1
        self._held.append(f" [{self.links[target]}]")

    def _close(self, tag: str) -> None:
        whole = "".join(self._held)
        self._held.clear()
        if self._pre:
            block = whole.strip("\n") if whole.strip() else ""
        else:
            block = re.sub(r" *\n *", "\n", re.sub(r"[ \t\u00a0]+", " ", whole)).strip()
        if self._row:
            block = block.replace("\n", " ").strip("| ")
        if not block:
            return
        kind = "tr" if self._row else "li" if self._mark.strip()[:1] not in ("", "#") else ""
        self._blocks.append((kind, self._mark + block))
        self._mark = ""
