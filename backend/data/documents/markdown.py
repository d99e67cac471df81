"""Markdown as text: headings, paragraphs, tables and code stay what they are, marks for bold, links and pictures go."""

from __future__ import annotations

import re

from backend.data.documents.document import Block

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,}).*")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+\S")
_RULE = re.compile(r"[ \t]*(?:[-*_][ \t]*){3,}")
_TABLE_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_INLINE = (
    (re.compile(r"<!--.*?-->", re.DOTALL), ""),
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"`([^`]+)`"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), ""),
)


def blocks(text: str) -> list[Block]:
    """The blocks of a Markdown text; the front matter is left out."""
    lines = re.sub(r"\A---\n.*?\n(?:---|\.\.\.)\n", "", text, count=1, flags=re.DOTALL).split("\n")
    found: list[Block] = []
    held: list[str] = []

    def close() -> None:
        whole = "\n".join(held).strip("\n")
        table = len(held) > 1 and all("|" in line for line in held)
        if table:
            whole = "\n".join(line for line in held if not _TABLE_RULE.fullmatch(line))
        if plain := _plain(whole).strip():
            found.append(Block(plain, lines=table))
        held.clear()

    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if fence := _FENCE.fullmatch(line):
            close()
            code, number = _code(lines, number, fence[1])
            if code.strip():
                found.append(Block(code, lines=True))
        elif heading := _HEADING.fullmatch(line):
            close()
            if title := _plain(heading[2] or "").strip():
                found.append(Block(title, level=len(heading[1])))
        elif held and len(held) == 1 and not _ITEM.match(held[0]) and (under := _UNDERLINE.fullmatch(line)):
            title = _plain(held.pop()).strip()
            found.append(Block(title, level=1 if under[1][0] == "=" else 2))
        elif not line.strip() or _RULE.fullmatch(line):
            close()
        else:
            held.append(line.rstrip())
    close()
    return found


def _code(lines: list[str], number: int, fence: str) -> tuple[str, int]:
    """The lines up to the end of the fence, or of the text; and the number of the line after it."""
    end = re.compile(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*")
    for last in range(number, len(lines)):
        if end.fullmatch(lines[last]):
            return "\n".join(lines[number:last]), last + 1
    return "\n".join(lines[number:]), len(lines)


def _plain(text: str) -> str:
    for pattern, instead in _INLINE:
        text = pattern.sub(instead, text)
    return text
