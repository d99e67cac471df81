"""DOCX (Word): paragraphs, headings and tables in their order. Looked through for zip bombs before it is opened."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

from backend.data.documents import limits
from backend.data.documents.document import Block

if TYPE_CHECKING:
    from docx.text.paragraph import Paragraph

_HEADING = re.compile(r"(?:heading|标题|überschrift|titre)\s*([1-9])", re.IGNORECASE)
_TITLES = ("title", "标题", "subtitle", "副标题")


def blocks(name: str, data: bytes) -> list[Block]:
    """The blocks of a DOCX file.

    Raises:
        DataError: ``document_zip_bomb``, ``document_broken``, ``document_unknown``.
    """
    check_zip(name, data)
    from docx import Document
    from docx.table import Table

    try:
        opened = Document(BytesIO(data))
        found = []
        for item in opened.iter_inner_content():
            block = _table(item) if isinstance(item, Table) else _paragraph(item)
            if block.text:
                found.append(block)
        return found
    except limits.DataError:
        raise
    except Exception as error:  # what a damaged file makes of python-docx and lxml has no common base
        raise limits.broken(name, error) from error


def check_zip(name: str, data: bytes) -> None:
    """Refuse an archive that unpacks to more than a document holds, by what its own directory says: reading stops there.

    Raises:
        DataError: ``document_zip_bomb``, ``document_broken``, ``document_encrypted``; ``document_unknown``: no Word document.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise limits.broken(name, error) from error
    unpacked = sum(part.file_size for part in parts)
    if (
        len(parts) > limits.MAX_PARTS
        or unpacked > limits.MAX_UNPACKED_BYTES
        or unpacked > max(1 << 20, limits.MAX_RATIO * len(data))
    ):
        raise limits.bomb(name)
    if any(part.flag_bits & 1 for part in parts):
        raise limits.encrypted(name)
    names = {part.filename for part in parts}
    if "word/document.xml" not in names:
        known = {"xl/workbook.xml": "Excel", "ppt/presentation.xml": "PowerPoint", "content.xml": "OpenDocument"}
        raise limits.unknown(name, next((holds for part, holds in known.items() if part in names), "ZIP"))


def _paragraph(paragraph: Paragraph) -> Block:
    text = paragraph.text.strip()
    return Block(text, level=_level(paragraph) if text else 0)


def _level(paragraph: Paragraph) -> int:
    style = paragraph.style
    title = (style.name or "") if style is not None else ""
    if title.lower() in _TITLES:
        return 1
    if match := _HEADING.match(title):
        return min(6, int(match[1]))
    properties = paragraph._p.pPr
    outline = properties.find(f"{{{properties.nsmap['w']}}}outlineLvl") if properties is not None else None
    value = next(iter(outline.attrib.values()), "") if outline is not None else ""
    return min(6, int(value) + 1) if value.isdecimal() and int(value) < 9 else 0


def _table(table: Any) -> Block:
    """A line a row; straight from the XML, because python-docx takes quadratic time for the cells of a long table."""
    rows = []
    for row in table._tbl.tr_lst:
        cells = [" ".join("".join(p.text for p in cell.p_lst).split()) for cell in row.tc_lst]
        if any(cells):
            rows.append(" | ".join(cells))
    return Block("\n".join(rows), lines=True)
