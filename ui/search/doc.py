"""A section of the documentation, read in the panel: where it stands, what it says, and what comes before and after it.

Pictures come from ``docs/images`` of this checkout only; links between pages lead to the same view.
"""

from __future__ import annotations

import posixpath
import re

import streamlit as st

from backend.i18n import _
from backend.search import Query, docs
from backend.search.docs import Section
from ui import errors
from ui.search import state as search_state
from ui.search import words as search_words

READING_PX = 820
MOST_ROWS = 12
"""Rows of a long table that are shown at once because they hold what was looked for."""
_PICTURE = re.compile(r"!\[([^\]]*)\]\(\s*([^)\s]+)[^)]*\)")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(```.*?```|~~~.*?~~~|`[^`\n]*`)", re.DOTALL)
_TYPES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def draw(doc: str, slug: str, asked: Query) -> None:
    """Draw the section ``slug`` of the page ``doc``; the first one where there is none of that name."""
    sections = docs.sections(doc)
    with st.container(key="search_back"):
        label = _("Back to what was found") if asked.text else _("Search")
        query = search_state.address(asked.text)
        st.page_link(search_state.PAGE, label=label, icon=":material/arrow_back:", query_params=query)
    if not sections:
        st.title(_("Documentation"), anchor=False)
        st.markdown(_("There is no such page in the documentation."))
        return
    section = next((one for one in sections if one.slug == slug), sections[0])
    with st.container(width=READING_PX, key="search_doc"):
        if section.place:
            st.caption(errors.plain(" › ".join(section.above)))
        st.title(search_words.marked(asked, section.title), anchor=False)
        _found(section, asked)
        _body(section)
        _around(sections, section, asked)


def _found(section: Section, asked: Query) -> None:
    """Of a long table, the rows that hold what was looked for, before all of it."""
    lines = section.body.split("\n")
    rows = [place for place in docs.matching(asked, section) if lines[place].startswith("|")]
    if not rows or len(lines) < MOST_ROWS:
        return
    head = rows[0]
    while head > 0 and lines[head - 1].startswith("|"):
        head -= 1
    chosen = [lines[place] for place in rows if place > head + 1][:MOST_ROWS]
    if not chosen:
        return
    with st.container(border=True, key="search_doc_found"):
        st.caption(_("What was looked for"))
        st.markdown(_readable(section.doc, "\n".join([lines[head], lines[head + 1], *chosen])))


def _body(section: Section) -> None:
    """The text, with its pictures between."""
    at = 0
    for picture in _PICTURE.finditer(section.body):
        _text(section, section.body[at : picture.start()])
        _picture(section.doc, picture.group(1), picture.group(2))
        at = picture.end()
    _text(section, section.body[at:])


def _text(section: Section, text: str) -> None:
    if text.strip():
        st.markdown(_readable(section.doc, text))


def _picture(doc: str, alt: str, link: str) -> None:
    """A picture of this checkout; what it shows, in words, where it is none."""
    folder = (docs.FOLDER / "images").resolve()
    path = (docs.FOLDER / posixpath.dirname(doc) / link).resolve()
    if path.is_relative_to(folder) and path.suffix.lower() in _TYPES and path.is_file():
        st.image(path, caption=errors.plain(alt) or None)
    elif alt:
        st.caption(errors.plain(alt))


def _readable(doc: str, text: str) -> str:
    """Markdown as Streamlit reads it: links lead to this view, a dollar is a dollar, a break in a table is a blank."""
    return "".join(
        part if place % 2 else _linked(doc, part.replace("$", "\\$").replace("<br>", " "))
        for place, part in enumerate(_CODE.split(text))
    )


def _linked(doc: str, text: str) -> str:
    return _LINK.sub(
        lambda link: f"[{link.group(1)}]({target})" if (target := _target(doc, link.group(2))) else link.group(1), text
    )


def _target(doc: str, link: str) -> str:
    """Where a link leads: out of the panel, to a section in it, or (empty) nowhere that can be shown here."""
    if link.startswith(("https://", "http://")):
        return link
    path, _sign, slug = link.partition("#")
    name = posixpath.normpath(posixpath.join(posixpath.dirname(doc), path)).removesuffix(".md") if path else doc
    name = name.removesuffix(".zh")
    if ":" in link or name not in docs.pages():
        return ""
    return f"/search?{search_state.DOC}={name}" + (f"&{search_state.SECTION}={slug}" if slug else "")


def _around(sections: tuple[Section, ...], here: Section, asked: Query) -> None:
    """The sections before and after, and all of the page."""
    st.divider()
    with st.container(horizontal=True, horizontal_alignment="distribute", key="search_doc_around"):
        for place, icon in ((here.place - 1, ":material/arrow_back:"), (here.place + 1, ":material/arrow_forward:")):
            if 0 <= place < len(sections):
                _link(sections[place], asked, icon)
    with st.expander(_("All sections of this page"), icon=":material/toc:"):
        for one in sections:
            _link(one, asked, None, inset="  " * (one.level - 1))


def _link(section: Section, asked: Query, icon: str | None, inset: str = "") -> None:
    query = {search_state.DOC: section.doc, search_state.SECTION: section.slug, **search_state.address(asked.text)}
    st.page_link(search_state.PAGE, label=inset + errors.plain(section.title), icon=icon, query_params=query)
