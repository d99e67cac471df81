"""How far the tables of an OpenDocument file (.ods) reach: it says "this cell, a million times" in a few bytes."""

from __future__ import annotations

import re
import zipfile

_CHUNK = 1 << 20
_TOKEN = re.compile(rb"<(/?)table:(table|table-row|table-cell|covered-table-cell)(\s[^>]*)?>")
_ROWS = re.compile(rb"table:number-rows-repeated\s*=\s*[\"'](\d{1,12})")
_COLUMNS = re.compile(rb"table:number-columns-repeated\s*=\s*[\"'](\d{1,12})")


def reach(packed: zipfile.ZipFile) -> int:
    """Cells of the largest rectangle that a table fills up to its last cell with a value."""
    largest = height = width = blank_rows = 0
    column = last = repeated = 0
    rest = b""
    with packed.open("content.xml") as stream:
        while data := stream.read(_CHUNK):
            text = rest + data
            cut = text.rfind(b"<") if len(text) < 2 * _CHUNK else len(text)
            rest = text[cut:]
            for found in _TOKEN.finditer(text, 0, cut):
                closing, kind, attributes = found[1], found[2], found[3] or b""
                if kind == b"table" and not closing:
                    height = width = blank_rows = 0
                elif kind == b"table-row" and not closing and not attributes.endswith(b"/"):
                    column = last = 0
                    repeated = _times(_ROWS, attributes)
                elif kind == b"table-row":
                    if not closing:  # <table:table-row …/>
                        last, repeated = 0, _times(_ROWS, attributes)
                    if last:
                        height, blank_rows = height + blank_rows + repeated, 0
                        width = max(width, last)
                        largest = max(largest, height * width)
                    else:
                        blank_rows += repeated
                elif not closing:
                    column += _times(_COLUMNS, attributes)
                    if b"value" in attributes or not attributes.endswith(b"/"):
                        last = column
    return largest


def _times(pattern: re.Pattern[bytes], attributes: bytes) -> int:
    found = pattern.search(attributes)
    return int(found[1]) if found else 1
