"""Plain text: its encoding told from its bytes, its paragraphs from blank lines."""

from __future__ import annotations

import re

from backend.data.documents import limits
from backend.data.documents.document import Block

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CHAPTER = re.compile(
    r"(?:第\s*[0-9零〇一二三四五六七八九十百千两]+\s*[章节回卷部篇]|(?:chapter|part)\s+[\divxlc]+\b).{0,60}",
    re.IGNORECASE,
)
_FEW = 32
"""So few accented letters do not tell which of the old one-byte encodings it is; the most used one is taken."""
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def blocks(text: str) -> list[Block]:
    """Paragraphs stand between blank lines; where there is no blank line at all, each line is one."""
    whole = text.strip("\n")
    pieces = re.split(r"\n[ \t\u3000]*\n", whole) if re.search(r"\n[ \t\u3000]*\n", whole) else whole.split("\n")
    found: list[Block] = []
    for piece in pieces:
        lines = piece.strip("\n").split("\n")
        if _CHAPTER.fullmatch(lines[0].strip()):
            found.append(Block(lines.pop(0).strip(), level=1))
        rest = "\n".join(line.rstrip() for line in lines).strip()
        if rest:
            found.append(Block(rest))
    return found


def decoded(name: str, data: bytes) -> str:
    """``data`` as text with line feeds at the ends of its lines.

    Raises:
        DataError: ``document_unknown``: this is no text in an encoding that can be told.
    """
    text = _decoded(data)
    if text is None or _CONTROL.search(text):
        raise limits.unknown(name, "binary")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")


def _decoded(data: bytes) -> str | None:
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "gb18030"):
        if encoding == "gb18030" and not _looks_chinese(data):
            continue
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    if b"\0" in data[: 1 << 16] and not marked:
        return None
    if sum(byte >= 0x80 for byte in data) < _FEW:
        return data.decode("cp1252", errors="replace")
    from charset_normalizer import from_bytes

    best = from_bytes(data[: 1 << 18]).best()
    return data.decode(best.encoding, errors="replace") if best is not None else None


def _looks_chinese(data: bytes) -> bool:
    """Whether most bytes above ASCII come in pairs, as the common characters of GB2312 do: GB18030 also takes an accented
    letter and the one after it for a rare character."""
    high = sum(byte >= 0x80 for byte in data[: 1 << 18])
    paired = 2 * len(re.findall(rb"[\xa1-\xfe][\xa1-\xfe]", data[: 1 << 18]))
    return high > 0 and paired >= 0.8 * high
