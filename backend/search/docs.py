"""The documentation in ``docs/``, cut at its headings: found section by section, and read in the panel.

Where there is a translation beside a page (``tutorial.zh.md``), a reader of that language gets it instead. A page is read again when its
file has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.i18n import current
from backend.search.found import Group, Hit
from backend.search.words import SCATTERED, TEXT, WITHIN, Query, around, fold
from backend.workspace import ROOT

FOLDER = ROOT / "docs"
TRANSLATED = {"zh_CN": "zh"}
FIRST = ("tutorial", "troubleshooting", "operations")
"""Pages whose sections come before those of others that fit as well."""
MOST_BYTES = 2_000_000
"""A longer file is no page that somebody reads."""
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|`|\*\*|^\s*[-*]\s+|<br>")


@dataclass(frozen=True)
class Section:
    """doc: its page, such as ``operations`` or ``decisions/0006-lmdeploy``. slug: names it in its page, as in links. place: from 0. level: of its
    heading. above: the headings that it stands under. body: Markdown up to the next heading. lines: the same as they are compared."""

    doc: str
    slug: str
    place: int
    level: int
    title: str
    above: tuple[str, ...]
    body: str
    name: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def pages() -> dict[str, Path]:
    """Name of a page -> its file in the reader's language."""
    suffix = TRANSLATED.get(current(), "")
    found: dict[str, Path] = {}
    for path in (*sorted(FOLDER.glob("*.md")), *sorted(FOLDER.glob("decisions/*.md"))):
        name, dot, language = path.relative_to(FOLDER).with_suffix("").as_posix().partition(".")
        if not dot or (language == suffix and suffix):
            found[name] = path
    return dict(sorted(found.items(), key=lambda item: (_place(item[0]), item[0])))


def _place(doc: str) -> int:
    """What helps a person stands before figures, and figures before decisions."""
    return FIRST.index(doc) if doc in FIRST else len(FIRST) + ("/" in doc)


def sections(doc: str) -> tuple[Section, ...]:
    """The sections of a page, in order; none where there is no such page."""
    path = pages().get(doc)
    return _read(doc, path) if path else ()


def group(asked: Query, limit: int) -> Group:
    """The sections that are looked for: by heading, by one of their lines, by the whole of them."""
    hits = []
    for doc, path in pages().items():
        for section in _read(doc, path):
            found = _fits(asked, section)
            if found is not None:
                rank, line = found
                more = {"doc": doc, "above": section.above}
                address = {"doc": doc, "section": section.slug}
                context = around(asked, _plain(line))
                hits.append(
                    Hit("docs", f"{doc}#{section.slug}", section.title, context, "search", address, None, rank, more)
                )
    hits.sort(key=lambda hit: hit.rank)
    return Group("docs", tuple(hits[:limit]), len(hits))


def matching(asked: Query, section: Section) -> list[int]:
    """Which of the lines of ``section`` hold all the words."""
    return [
        place for place, line in enumerate(section.lines) if asked.words and all(word in line for word in asked.words)
    ]


def _fits(asked: Query, section: Section) -> tuple[int, str] | None:
    """(rank, the line to show)."""
    raw = section.body.split("\n")
    rank = asked.rank(section.name)
    places = matching(asked, section)
    if rank is not None:
        return rank, raw[places[0]] if places else next((line for line in raw if line.strip()), "")
    if places:
        return (WITHIN if any(f"`{word}`" in section.lines[places[0]] for word in asked.words) else TEXT), raw[
            places[0]
        ]
    if asked.rank("", f"{section.name} {section.text}") is None:
        return None
    return SCATTERED, next(
        (line for line, known in zip(raw, section.lines, strict=True) if asked.words[0] in known), raw[0]
    )


def _plain(line: str) -> str:
    """A line of Markdown as it is read: without signs, the cells of a table in a row."""
    text = _MARKUP.sub(r"\1", line.strip()).strip("|")
    return " · ".join(cell.strip() for cell in text.split(" | ") if cell.strip())


def _read(doc: str, path: Path) -> tuple[Section, ...]:
    state = path.stat()
    return _cut(doc, str(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=128)
def _cut(doc: str, path: str, _changed: int, size: int) -> tuple[Section, ...]:
    if size > MOST_BYTES:
        return ()
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    found: list[Section] = []
    slugs: dict[str, int] = {}
    trail: list[tuple[int, str]] = []
    for level, title, body in _blocks(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)):
        trail = [(above, name) for above, name in trail if above < level]
        slug = _slug(title)
        slugs[slug] = slugs.get(slug, -1) + 1
        slug = f"{slug}-{slugs[slug]}" if slugs[slug] else slug
        said = _plain(title) or doc
        lines = tuple(fold(line) for line in body.split("\n"))
        above = tuple(name for _level, name in trail)
        found.append(Section(doc, slug, len(found), level, said, above, body, fold(said), lines))
        trail.append((level, said))
    return tuple(found)


def _blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """(level, heading, Markdown below it) one after the other; signs in code are no headings."""
    level, title, body, fence = 1, "", list[str](), ""
    for line in text.split("\n"):
        mark = line.lstrip()[:3]
        if mark in ("```", "~~~") and (not fence or mark == fence):
            fence = "" if fence else mark
        heading = None if fence else _HEADING.fullmatch(line)
        if heading is None:
            body.append(line)
            continue
        if title or any(each.strip() for each in body):
            yield level, title, "\n".join(body).strip("\n")
        level, title, body = len(heading.group(1)), heading.group(2), []
    yield level, title, "\n".join(body).strip("\n")


def _slug(title: str) -> str:
    """As in links on code hosts: lower case, no punctuation, hyphens for blanks."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.strip().lower()))
