"""Files as people really have them: damaged, misnamed, in old encodings, or made to harm.

``BAD`` holds a maker for each, by name, and the code of the error or notice that a person must be shown for it:

    sample = BAD["broken_json"]
    path = sample.make(folder)
"""

from __future__ import annotations

import gzip
import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = [{"instruction": f"Question {n}?", "output": f"Answer {n}, in full."} for n in range(1, 21)]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000"
    "000049454e44ae426082"
)
LONG_BYTES = 50_000_000


@dataclass(frozen=True)
class Bad:
    """``code``: of the error or notice. ``rows``: how many rows must still be read; None: the file is refused as a whole."""

    make: Callable[[Path], Path]
    code: str
    rows: int | None = None


BAD: dict[str, Bad] = {}


def sample(name: str, code: str, rows: int | None = None) -> Callable[[Callable[[Path], bytes | str]], Any]:
    """Registers the maker of the content of the file ``name``."""

    def register(content: Callable[[Path], bytes | str]) -> Callable[[Path], bytes | str]:
        def make(folder: Path) -> Path:
            path = folder / name
            data = content(folder)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
            return path

        BAD[content.__name__] = Bad(make, code, rows)
        return content

    return register


def lines(rows: list[dict[str, Any]]) -> str:
    """Rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@sample("broken.json", "row_not_json", 19)
def broken_json(_: Path) -> str:
    return json.dumps(ROWS).replace('"Question 7?", "output"', '"Question 7?" "output"')


@sample("quote.json", "row_not_json", 19)
def broken_json_quote(_: Path) -> str:
    return json.dumps(ROWS).replace('"Question 7?"', '"Question "7?"')


@sample("brace.json", "row_not_json", 19)
def broken_json_brace(_: Path) -> str:
    return json.dumps(ROWS).replace('"Answer 7, in full."}', '"Answer 7, in full."')


@sample("cut.json", "row_cut", 10)
def cut_json(_: Path) -> str:
    text = json.dumps(ROWS)
    return text[: text.index("Answer 11")]


@sample("cut.jsonl", "row_cut", 10)
def cut_jsonl(_: Path) -> str:
    text = lines(ROWS)
    return text[: text.index("Answer 11")]


@sample("open.json", "data_array_open", 20)
def open_json(_: Path) -> str:
    return json.dumps(ROWS)[:-1]


@sample("comma.json", "data_last_comma", 20)
def last_comma(_: Path) -> str:
    return json.dumps(ROWS)[:-1] + ",\n]"


@sample("wrapped.json", "data_unwrapped", 20)
def wrapped_json(_: Path) -> str:
    return json.dumps({"version": "1.0", "data": ROWS})


@sample("one.json", "data_one_object", 1)
def one_object(_: Path) -> str:
    return json.dumps(ROWS[0])


@sample("columns.json", "data_columns", 20)
def columns_json(_: Path) -> str:
    return json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]})


@sample("python.jsonl", "row_python", 0)
def python_repr(_: Path) -> str:
    return "".join(f"{row}\n" for row in ROWS)


@sample("numbers.json", "row_not_object", 1)
def not_objects(_: Path) -> str:
    return json.dumps([1, "two", ROWS[0], None])


@sample("nan.jsonl", "data_values_mended", 20)
def nan_values(_: Path) -> str:
    return "".join(json.dumps(row | {"score": float("nan"), "half": "\ud83d"}) + "\n" for row in ROWS)


@sample("long.jsonl", "row_too_long", 2)
def long_line(_: Path) -> str:
    return lines([ROWS[0], {"instruction": "x" * LONG_BYTES, "output": "y"}, ROWS[1]])


@sample("long.json", "row_too_long", 2)
def long_element(_: Path) -> str:
    return json.dumps([ROWS[0], {"instruction": "x" * LONG_BYTES, "output": "y"}, ROWS[1]])


@sample("long.csv", "row_too_long", 2)
def long_cell(_: Path) -> str:
    return f"instruction,output\na,b\n{'x' * LONG_BYTES},y\nc,d\n"


@sample("nul.jsonl", "row_nul_bytes", 19)
def nul_bytes(_: Path) -> bytes:
    return lines(ROWS).encode().replace(b"Answer 7", b"Answer\0\0")


@sample("nul_end.jsonl", "row_nul_bytes", 20)
def nul_end(_: Path) -> bytes:
    return lines(ROWS).encode() + b"\0" * 40_000_000


@sample("nul.csv", "row_nul_bytes", 1)
def nul_cell(_: Path) -> bytes:
    return b"instruction,output\na,b\nc,d\0\n"


@sample("nul_all.csv", "data_binary")
def nul_all(_: Path) -> bytes:
    return b"\0" * 100_000


@sample("deep.jsonl", "row_too_deep", 1)
def deep_json(_: Path) -> str:
    return lines([ROWS[0]]) + '{"a":' + "[" * 100_000 + "]" * 100_000 + "}\n"


@sample("rows.csv", "data_extension_wrong", 20)
def json_named_csv(_: Path) -> str:
    return json.dumps(ROWS)


@sample("table.json", "data_extension_wrong", 2)
def csv_named_json(_: Path) -> str:
    return "instruction,output\na,b\nc,d\n"


@sample("words.json", "data_not_json")
def words_named_json(_: Path) -> str:
    return "These are only words.\n"


@sample("empty.jsonl", "data_empty")
def empty_file(_: Path) -> bytes:
    return b"\n \n"


@sample("heading.csv", "data_no_rows")
def only_heading(_: Path) -> str:
    return "instruction,output\n"


@sample("page.json", "data_web_page")
def web_page(_: Path) -> str:
    return "<!DOCTYPE html><html><body>Please log in</body></html>"


@sample("pointer.jsonl", "data_lfs_pointer")
def lfs_pointer(_: Path) -> str:
    return "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1234\n"


@sample("rows.jsonl", "data_other_kind")
def pdf_file(_: Path) -> bytes:
    return b"%PDF-1.7\n"


@sample("cells.csv", "row_cells", 2)
def more_cells(_: Path) -> str:
    return "instruction,output\na,b\nWell, yes, no\nc,d\n"


@sample("quote.csv", "row_quote_open", 2)
def open_quote(_: Path) -> str:
    return 'instruction,output\na,b\nc,d\n"e,f\ng,h\n'


@sample("inside.csv", "row_quote_inside", 2)
def quote_inside(_: Path) -> str:
    return 'instruction,output\na,b\n"say "yes" now",f\ng,h\n'


@sample("gb.jsonl", "data_encoding", 20)
def gb18030(_: Path) -> bytes:
    return lines([{"instruction": f"小麦是什么？{n}", "output": "一种谷物，种植很广。"} for n in range(20)]).encode(
        "gb18030"
    )


@sample("utf16.csv", "data_encoding", 1)
def utf16(_: Path) -> bytes:
    return "instruction,output\n小麦,谷物\n".encode("utf-16")


@sample("latin.csv", "data_encoding", 2)
def latin1(_: Path) -> bytes:
    return "question;réponse\noù est l'été;après le café\nà côté;très près\n".encode("latin-1")


@sample("mixed.jsonl", "row_not_utf8", 19)
def damaged_utf8(_: Path) -> bytes:
    text = lines([row | {"output": f"谷物，种植很广 {n}"} for n, row in enumerate(ROWS)]).encode()
    return text.replace("谷物，种植很广 7".encode(), "谷物，种植很广 7".encode()[1:])


@sample("merged.xlsx", "data_merged_cells", 4)
def merged_cells(_: Path) -> bytes:
    return _workbook(
        lambda sheet: [
            sheet.merge_range("A2:A4", "one question"),
            sheet.write_column("B2", list("abcd")),
            sheet.write("A5", "another"),
        ]
    )


@sample("formulas.xlsx", "data_formulas_empty", 2)
def formulas(_: Path) -> bytes:
    data = _workbook(
        lambda sheet: [
            sheet.write_column("A2", ["a", "b"]),
            sheet.write_formula("B2", '="x"', None, "computed"),
            sheet.write_formula("B3", '="y"', None, "gone"),
        ]
    )
    return edited(data, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"<v>gone</v>", b""))


@sample("errors.xlsx", "data_cells_error", 1)
def error_cells(_: Path) -> bytes:
    return _workbook(lambda sheet: [sheet.write("A2", "a"), sheet.write_formula("B2", "=1/0", None, "#DIV/0!")])


@sample("far.xlsx", "data_excel_large")
def far_cell(_: Path) -> bytes:
    return _workbook(lambda sheet: [sheet.write("A2", "a"), sheet.write("XFD1048576", "far")])


@sample("far.ods", "data_excel_large")
def repeated_cells(_: Path) -> bytes:
    """One cell that stands 17 thousand million times."""
    cell = '<table:table-cell office:value-type="string" table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
    return opendocument(f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-row>')


@sample("damaged.xlsx", "data_excel_broken")
def damaged_workbook(_: Path) -> bytes:
    data = _workbook(lambda sheet: [sheet.write("A2", "a")])
    return edited(data, "xl/worksheets/sheet1.xml", lambda xml: xml[: len(xml) // 2])


@sample("sheets.xlsx", "data_no_rows")
def workbook_without_sheets(_: Path) -> bytes:
    data = _workbook(lambda sheet: [sheet.write("A2", "a")])
    return edited(data, "xl/workbook.xml", lambda xml: xml.replace(b"<sheet ", b"<sheep "))


@sample("cut.parquet", "data_columnar_broken")
def cut_parquet(folder: Path) -> bytes:
    return _parquet(folder)[:-100]


@sample("cut.zip", "data_zip_broken")
def cut_zip(_: Path) -> bytes:
    return zipped({"rows.jsonl": lines(ROWS)})[:-60]


@sample("bomb.zip", "data_zip_bomb")
def zip_bomb(_: Path) -> bytes:
    return zipped({"rows.jsonl": b" " * 100_000_000})


@sample("lies.zip", "data_unreadable")
def zip_that_lies(_: Path) -> bytes:
    """States a thousand bytes for a member of 20 MB."""
    data = zipped({"rows.jsonl": b" " * 20_000_000})
    return data.replace(struct.pack("<I", 20_000_000), struct.pack("<I", 1000))


@sample("overlap.zip", "data_zip_bomb")
def overlapping_zip(_: Path) -> bytes:
    data = zipped({"a.jsonl": lines(ROWS), "b.jsonl": lines(ROWS)})
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 42] + struct.pack("<I", 0) + data[at + 46 :]


@sample("bomb.jsonl.gz", "data_zip_bomb")
def gzip_bomb(_: Path) -> bytes:
    return gzip.compress(lines(ROWS).encode() + b" " * 100_000_000)


@sample("cut.jsonl.gz", "data_unreadable", 15)
def cut_gzip(_: Path) -> bytes:
    return gzip.compress(lines(ROWS).encode(), 0)[:-280]  # level 0 keeps the text as it is


@sample("slip.zip", "data_zip_path")
def zip_slip(_: Path) -> bytes:
    return zipped({"rows.jsonl": lines(ROWS), "../../escaped.jsonl": "{}"})


@sample("absolute.zip", "data_zip_path")
def zip_absolute(_: Path) -> bytes:
    return zipped({"/etc/cron.d/rows.jsonl": lines(ROWS)})


@sample("drive.zip", "data_zip_path")
def zip_backslashes(_: Path) -> bytes:
    return zipped({"..\\..\\rows.jsonl": lines(ROWS)})


@sample("link.zip", "data_zip_link")
def zip_link(_: Path) -> bytes:
    link = zipfile.ZipInfo("rows.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped({link: "/etc/passwd"})


@sample("nested.zip", "data_folder_without_rows")
def zip_in_zip(_: Path) -> bytes:
    return zipped({"inner.zip": zipped({"rows.jsonl": lines(ROWS)})})


@sample("locked.zip", "data_zip_locked")
def locked_zip(_: Path) -> bytes:
    data = bytearray(zipped({"rows.jsonl": lines(ROWS)}))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def zipped(members: Mapping[Any, bytes | str]) -> bytes:
    """A ZIP archive of these members: names, or ZipInfo."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def opendocument(rows: str) -> bytes:
    """An OpenDocument table of these rows."""
    names = "".join(f' xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    body = f'<office:body><office:spreadsheet><table:table table:name="Rows">{rows}</table:table></office:spreadsheet></office:body>'
    content = f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{names}>{body}</office:document-content>'
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return zipped({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})


def edited(archive: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    """``archive`` with one member changed."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    return zipped(members | {member: change(members[member])})


def _workbook(fill: Callable[[Any], Any]) -> bytes:
    """An Excel file with the heading instruction, output."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Rows")
        sheet.write_row("A1", ["instruction", "output"])
        fill(sheet)
    return out.getvalue()


def _parquet(folder: Path) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "whole.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    data = path.read_bytes()
    path.unlink()
    return data


def pictures(folder: Path) -> Path:
    """A folder of rows with pictures: one within, one outside, one through a link, one that is none."""
    (folder / "outside.png").write_bytes(PNG)
    inside = folder / "llava"
    (inside / "images").mkdir(parents=True)
    (inside / "images" / "1.png").write_bytes(PNG)
    (inside / "images" / "text.png").write_text("no picture")
    (inside / "images" / "link.png").symlink_to(folder / "outside.png")
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A dot."}]
    names = ["1.png", "images/1.png", "../outside.png", "images/link.png", "images/text.png"]
    (inside / "llava.json").write_text(json.dumps([{"image": name, "conversations": turns} for name in names]))
    return inside
