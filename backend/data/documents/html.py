"""HTML as text: headings, paragraphs and tables; not what surrounds them on a page (scripts, menus, headers, forms)."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from backend.data.documents.document import Block

if TYPE_CHECKING:
    from bs4 import Tag

_OUT = (
    "script",
    "style",
    "noscript",
    "template",
    "nav",
    "aside",
    "form",
    "svg",
    "iframe",
    "object",
    "button",
    "select",
    "head",
)
_FRAME = ("header", "footer")
"""Out where they belong to the page; an article's own header may hold its title."""
_BLOCKS = frozenset(
    ["address", "article", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"]
)  # fmt: skip
_MAIN_SHARE = 0.4
"""A ``<main>`` or ``<article>`` that holds so much of the page's text is what the page is about."""


def blocks(data: bytes | str) -> list[Block]:
    """The blocks of a page; its encoding is told as browsers do, by its mark, its ``<meta>``, or its bytes."""
    from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning

    warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)  # XHTML: what stands in it is read all the same
    soup = BeautifulSoup(data, "lxml")
    for tag in soup(list(_OUT)):
        tag.decompose()
    for tag in soup(list(_FRAME)):
        if tag.find_parent(["article", "main"]) is None:
            tag.decompose()
    for tag in soup.find_all(lambda tag: tag.has_attr("hidden") or tag.get("aria-hidden") == "true"):
        tag.decompose()
    return _walk(_main(soup))


def _main(soup: Tag) -> Tag:
    whole = len(soup.get_text())
    for name in ("main", "article"):
        found = soup.find_all(name)
        if len(found) == 1 and len(found[0].get_text()) >= _MAIN_SHARE * whole:
            return found[0]
    return soup


def _walk(root: Tag) -> list[Block]:
    from bs4 import NavigableString, Tag
    from bs4.element import PreformattedString

    found: list[Block] = []
    held: list[str] = []
    owner: Tag | None = None
    cell: Tag | None = None

    def close() -> None:
        if owner is not None:
            _add(found, owner, "".join(held))
        held.clear()

    # Without recursion: a page may be nested deeper than Python's stack.
    for item in root.descendants:
        if isinstance(item, Tag):
            if item.name == "br":
                held.append("\n")
            continue
        if not isinstance(item, NavigableString) or isinstance(item, PreformattedString):
            continue  # a comment
        block = next((parent for parent in item.parents if parent.name in _BLOCKS), root)
        if block is not owner:
            close()
            owner, cell = block, None
        if block.name == "tr":
            here = item.find_parent(["td", "th"])
            if cell is not None and here is not cell and str(item).strip():
                held.append(" | ")
            cell = here if str(item).strip() else cell
        held.append(str(item) if block.name == "pre" else re.sub(r"\s+", " ", str(item)))
    close()
    return found


def _add(found: list[Block], owner: Tag, text: str) -> None:
    name = owner.name
    if name == "pre":
        if text.strip():
            found.append(Block(text.strip("\n"), lines=True))
        return
    text = re.sub(r" *\n *", "\n", re.sub(r"[ \t]+", " ", text)).strip()
    if not text:
        return
    if name == "tr":
        before = owner.find_previous("tr")
        if (
            found
            and found[-1].lines
            and before is not None
            and before.find_parent("table") is owner.find_parent("table")
        ):
            found[-1] = Block(f"{found[-1].text}\n{text}", lines=True)
        else:
            found.append(Block(text, lines=True))
        return
    level = int(name[1]) if re.fullmatch(r"h[1-6]", name) else 0
    found.append(Block(text.replace("\n", " ") if level else text, level=level))
