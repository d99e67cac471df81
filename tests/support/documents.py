"""Documents made by hand: a PDF from its bytes, so that the reader under test meets another's writing, and DOCX."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import docx


def pdf(pages: Sequence[Sequence[str] | None], outline: Sequence[tuple[str, int]] = ()) -> bytes:
    """A PDF with these lines on its pages; None: a page that is one picture. outline: bookmarks, (title, page from 1)."""
    objects: dict[int, bytes] = {}
    font, picture, root, tree, marks = 1, 2, 3, 4, 5
    objects[font] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    head = (
        "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>"
    )
    objects[picture] = _stream(head.encode(), b"\x80")
    first = 10
    for number, lines in enumerate(pages):
        page, content = first + 2 * number, first + 2 * number + 1
        if lines is None:
            drawn, resources = b"q 500 0 0 700 50 50 cm /Im0 Do Q", f"<< /XObject << /Im0 {picture} 0 R >> >>"
        else:
            shown = [f"({_escaped(line)}) Tj T*" if line else "T*" for line in lines]
            drawn = "\n".join(["BT /F1 11 Tf 14 TL 50 750 Td", *shown, "ET"]).encode("cp1252")
            resources = f"<< /Font << /F1 {font} 0 R >> >>"
        objects[content] = _stream(f"<< /Length {len(drawn)} >>".encode(), drawn)
        objects[page] = (
            f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 595 842] /Resources {resources} /Contents {content} 0 R >>"
        ).encode()
    kids = " ".join(f"{first + 2 * n} 0 R" for n in range(len(pages)))
    objects[tree] = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode()
    objects[root] = f"<< /Type /Catalog /Pages {tree} 0 R /Outlines {marks} 0 R >>".encode()
    start = first + 2 * len(pages)
    ends = f"/First {start} 0 R /Last {start + len(outline) - 1} 0 R" if outline else ""
    objects[marks] = f"<< /Type /Outlines /Count {len(outline)} {ends} >>".encode()
    for number, (title, page) in enumerate(outline):
        following = f"/Next {start + number + 1} 0 R" if number + 1 < len(outline) else ""
        place = f"[{first + 2 * (page - 1)} 0 R /Fit]"
        objects[start + number] = (
            f"<< /Title ({_escaped(title)}) /Parent {marks} 0 R /Dest {place} {following} >>".encode()
        )
    return _file(objects, root)


def word(*parts: str | tuple[int, str] | list[list[str]]) -> bytes:
    """A DOCX: a string is a paragraph, (level, text) a heading, a list of rows a table."""
    document = docx.Document()
    for part in parts:
        if isinstance(part, str):
            document.add_paragraph(part)
        elif isinstance(part, tuple):
            document.add_heading(part[1], part[0])
        else:
            table = document.add_table(len(part), len(part[0]))
            for row, texts in enumerate(part):
                for column, text in enumerate(texts):
                    table.cell(row, column).text = text
    written = BytesIO()
    document.save(written)
    return written.getvalue()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _stream(head: bytes, data: bytes) -> bytes:
    return head + b"\nstream\n" + data + b"\nendstream"


def _file(objects: dict[int, bytes], root: int) -> bytes:
    out = BytesIO()
    out.write(b"%PDF-1.4\n")
    places = {}
    for number in sorted(objects):
        places[number] = out.tell()
        out.write(f"{number} 0 obj\n".encode() + objects[number] + b"\nendobj\n")
    table = out.tell()
    last = max(objects)
    out.write(f"xref\n0 {last + 1}\n0000000000 65535 f \n".encode())
    for number in range(1, last + 1):
        out.write(f"{places[number]:010d} 00000 n \n".encode() if number in places else b"0000000000 65535 f \n")
    out.write(f"trailer << /Size {last + 1} /Root {root} 0 R >>\nstartxref\n{table}\n%%EOF\n".encode())
    return out.getvalue()
