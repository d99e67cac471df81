"""Files as people have them, read to their rows: every format, every encoding, whatever the pieces they arrive in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.containers import Broken, Item, Record, Source, document, encodings, lines, open_source, table
from backend.data.containers.parts import Meter
from backend.data.containers.records import Context, Notices
from backend.errors import DataError
from tests.support.bad_data import PNG, ROWS, opendocument, zipped
from tests.support.bad_data import lines as jsonl

TEXTS = st.text(max_size=12) | st.sampled_from(
    ['"', "\\", '\\"', "{", "}", "[]", "],[", "小麦", "😀", "a,b", "\n", "\\\\"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), min_size=1, max_size=6)
SIZES = st.integers(1, 40)


def context() -> Context:
    return Context("file", 1, None, Notices(), Meter(1))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def values(items: Iterator[Item] | Source | list[Item]) -> list[dict[str, Any]]:
    found = list(items)
    assert [item.number for item in found] == list(range(1, len(found) + 1))
    broken = [str(item.error) for item in found if isinstance(item, Broken)]
    assert not broken
    return [item.value for item in found if isinstance(item, Record)]


def written(tmp_path: Path, name: str, data: bytes | str) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def codes(source: Source) -> list[str]:
    return [notice.code for notice in source.warnings]


@settings(max_examples=60, deadline=None)
@given(OBJECTS, SIZES, st.sampled_from([None, 0, 2]), st.booleans())
def test_a_list_is_read_as_a_parser_reads_it_whatever_the_pieces(
    rows: list[dict[str, Any]], size: int, indent: int | None, ascii_only: bool
) -> None:
    data = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    assert values(document.read(pieces(data, size), context())) == rows


@settings(max_examples=40, deadline=None)
@given(OBJECTS, SIZES)
def test_lines_are_read_as_a_parser_reads_them_whatever_the_pieces(rows: list[dict[str, Any]], size: int) -> None:
    data = b"\n".join(orjson.dumps(row) for row in rows)
    assert values(lines.read(pieces(data, size), context())) == rows


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text("ab,;\"\n 小\t'", min_size=1), st.text('xy,"\n小')), min_size=1, max_size=6), SIZES)
def test_a_table_is_read_as_it_was_written_whatever_the_pieces(cells: list[tuple[str, str]], size: int) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("question", "answer"), *cells])
    read = values(table.read(pieces(out.getvalue().encode(), size), context(), ","))
    assert read == [{"question": question, "answer": answer} for question, answer in cells]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([json.dumps(ROWS), json.dumps(ROWS, indent=1), jsonl(ROWS), json.dumps({"data": ROWS})]),
    st.lists(st.tuples(st.integers(0, 1500), st.binary(max_size=3), st.integers(0, 4)), min_size=1, max_size=3),
)
def test_damage_anywhere_is_told_and_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, text: str, damages: list[tuple[int, bytes, int]]
) -> None:
    data = text.encode()
    for at, new, gone in damages:
        data = data[:at] + new + data[at + gone :]
    path = tmp_path_factory.mktemp("damaged") / "rows.json"
    path.write_bytes(data)
    try:
        items = list(open_source(path))
    except DataError:
        return  # refused as a whole, in words; whatever else it raises fails here
    assert [item.number for item in items] == list(range(1, len(items) + 1))
    for item in items:
        if isinstance(item, Broken):
            message, _hint = item.error.localized()
            assert item.error.code
            assert message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "big5"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_chinese_is_read_in_every_encoding_that_people_save_it_in(tmp_path: Path, encoding: str, name: str) -> None:
    rows = [{"q": f"小麥是什麼？第 {n} 次", "a": "一種穀物，種植很廣，人們用它做麵包和麵條。"} for n in range(50)]
    if name == "rows.csv":
        text = "q,a\n" + "".join(f"{row['q']},{row['a']}\n" for row in rows)
    else:
        text = json.dumps(rows, ensure_ascii=False) if name == "rows.json" else jsonl(rows)
    source = open_source(written(tmp_path, name, text.encode(encoding)))
    assert values(source) == rows
    assert ("data_encoding" in codes(source)) == (not encoding.startswith("utf-8"))


def test_the_encoding_is_found_where_the_first_megabytes_are_ascii(tmp_path: Path) -> None:
    ascii_rows = jsonl([{"q": "x" * 1000, "a": "y"}] * 2500).encode()
    source = open_source(written(tmp_path, "rows.jsonl", ascii_rows + '{"q": "小麦", "a": "谷物"}\n'.encode("gb18030")))
    assert values(source)[-1] == {"q": "小麦", "a": "谷物"}


def test_nul_bytes_on_both_sides_are_damage_and_not_utf16() -> None:
    assert encodings.wide(b'"\0,\0' * 50) == "utf-16-le"
    assert encodings.wide(b'"\0,\0' * 50 + b"x" + b'"\0,\0' * 50) is None


def test_an_encoding_that_a_person_names_is_used_and_one_that_does_not_exist_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", "q;a\né;è\n".encode("cp850"))
    assert values(open_source(path, encoding="cp850")) == [{"q": "é", "a": "è"}]
    for name in ("klingon", "hex", "a\0b"):
        with pytest.raises(DataError, match="is no encoding"):
            open_source(path, encoding=name)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_and_quoted_line_breaks_stay_in_their_cell(tmp_path: Path, separator: str) -> None:
    text = f'question{separator}answer\nWhich one?{separator}"one\ntwo ""three"""\n'
    source = open_source(written(tmp_path, "rows.csv", text))
    assert source.columns == ["question", "answer"]
    assert values(source) == [{"question": "Which one?", "answer": 'one\ntwo "three"'}]


def test_headings_without_a_name_or_twice_the_same_are_told_apart(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, "rows.csv", "sep=;\na;;a\n1;2;3\n"))
    assert values(source) == [{"a": "1", "column 2": "2", "a (2)": "3"}]


def test_objects_over_several_lines_one_after_another_are_rows(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, "rows.jsonl", "\n".join(json.dumps(row, indent=2) for row in ROWS)))
    assert values(source) == ROWS
    assert codes(source) == ["data_several_values"]


def test_lists_by_split_in_one_object_keep_their_split(tmp_path: Path) -> None:
    source = open_source(
        written(tmp_path, "rows.json", json.dumps({"about": {"x": [1]}, "train": ROWS, "val": ROWS[:2]}))
    )
    splits = [item.split for item in source if isinstance(item, Record)]
    assert splits == ["train"] * len(ROWS) + ["validation"] * 2
    assert codes(source) == ["data_unwrapped", "data_fields_left"]
    assert "“train”, “val”" in str(source.warnings[0])


def test_a_single_conversation_is_a_row_and_not_unwrapped(tmp_path: Path) -> None:
    row = {"id": 1, "conversation": [{"system": "s", "input": "a", "output": "b"}, {"input": "c", "output": "d"}]}
    assert values(open_source(written(tmp_path, "one.json", json.dumps(row)))) == [row]


def test_lines_that_are_lists_of_turns_become_conversations(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    source = open_source(written(tmp_path, "flan.jsonl", jsonl([]) + f"{json.dumps(turns)}\n{json.dumps(turns)}\n"))
    assert values(source) == [{"messages": turns}] * 2
    assert codes(source) == ["data_bare_turns"]


def test_text_is_read_by_paragraph_or_by_line(tmp_path: Path) -> None:
    assert values(open_source(written(tmp_path, "a.txt", "one\ntwo\n\nthree\n"))) == [
        {"text": "one\ntwo"},
        {"text": "three"},
    ]
    assert values(open_source(written(tmp_path, "b.txt", "one\r\ntwo\r\n"))) == [{"text": "one"}, {"text": "two"}]


def test_a_source_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, "rows.jsonl", jsonl(ROWS)))
    assert values(source) == values(source) == ROWS
    assert source.encoding == "UTF-8"
    assert source.parts == ["rows.jsonl"]


def test_progress_grows_to_one(tmp_path: Path) -> None:
    rows = [{"text": "x" * 1000}] * 5000
    for name, data in (("rows.jsonl", jsonl(rows).encode()), ("rows.jsonl.gz", gzip.compress(jsonl(rows).encode(), 0))):
        at = [item.at for item in open_source(written(tmp_path, name, data))]
        assert at == sorted(at)
        assert at[0] < 0.5
        assert at[-1] == pytest.approx(1, abs=0.01)


def test_an_excel_sheet_gives_numbers_dates_and_the_other_sheets_names(tmp_path: Path) -> None:
    import datetime as dt

    import xlsxwriter

    path = tmp_path / "table.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Empty")
        sheet = book.add_worksheet("Rows")
        sheet.write("B2", "A title above the table")
        sheet.write_row("B4", ["question", "answer", "when"])
        sheet.write_row("B5", ["How many?", 3])
        sheet.write_datetime("D5", dt.datetime(2026, 1, 31), book.add_format({"num_format": "yyyy-mm-dd"}))
        sheet.write_row("B7", ["小麦", 2.5, "", "no heading"])
        book.add_worksheet("Other").write_row("A1", ["x", "y"])
    with open_source(path) as source:
        assert source.columns == ["question", "answer", "when"]
        assert source.sheets == ["Empty", "Rows", "Other"]
        assert values(source) == [
            {"question": "How many?", "answer": 3, "when": "2026-01-31"},
            {"question": "小麦", "answer": 2.5, "when": ""},
        ]
        assert codes(source) == ["data_other_sheets", "data_cells_beside", "data_title_rows"]
    for other in ("table.xls", "table.csv", "table", "table.ods"):
        assert len(values(open_source(path.rename(tmp_path / other)))) == 2
        path = tmp_path / other
    with pytest.raises(DataError, match="no sheet “Nope”"):
        open_source(path, sheet="Nope")


def test_an_opendocument_table_is_read_with_its_repeated_and_blank_cells(tmp_path: Path) -> None:
    def row(*cells: str, times: int = 1) -> str:
        written = "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in cells
        )
        blank = '<table:table-cell table:number-columns-repeated="16382"/>'
        return f'<table:table-row table:number-rows-repeated="{times}">{written}{blank}</table:table-row>'

    table_rows = row("question", "answer") + row("a", "b", times=2) + row("c", "d") + row(times=1_048_000)
    source = open_source(written(tmp_path, "rows.ods", opendocument(table_rows)))
    assert [row["question"] for row in values(source)] == ["a", "a", "c"]


def test_merged_cells_give_their_value_to_all_rows(tmp_path: Path) -> None:
    import xlsxwriter

    path = tmp_path / "merged.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Rows")
        sheet.write_row("C3", ["topic", "question"])
        sheet.merge_range("C4:C5", "wheat")
        sheet.write_column("D4", ["What?", "Where?", "Else?"])
        sheet.write("C6", "rye")
    assert [row["topic"] for row in values(open_source(path))] == ["wheat", "wheat", "rye"]


def test_what_hugging_face_saves_is_read_with_its_splits_and_pictures(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets
        from PIL import Image

        datasets.disable_progress_bars()
        whole = datasets.Dataset.from_list(ROWS)
        datasets.DatasetDict(test=whole.select(range(3)), train=whole).save_to_disk(tmp_path / "saved")
        picture = datasets.Dataset.from_dict({"image": [Image.new("RGB", (2, 2))], "text": ["a"]})
        picture.cast_column("image", datasets.Image()).save_to_disk(tmp_path / "seen")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    whole.to_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet")
    whole.select(range(3)).to_parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet")
    for name, kind in (("saved", "arrow"), ("hub", "parquet")):
        with open_source(tmp_path / name) as source:
            items = list(source)
            assert source.kind == kind
            assert source.columns == ["instruction", "output"]
        assert values(items) == ROWS + ROWS[:3]
        assert [item.split for item in items if isinstance(item, Record)] == ["train"] * 20 + ["test"] * 3
    with open_source(tmp_path / "seen") as source:
        (row,) = values(source)
        assert source.image(row["image"]).read_bytes().startswith(b"\x89PNG")
        folder = source.image(row["image"]).parent
    assert not folder.exists()  # nothing is left behind


def test_columns_of_dates_bytes_and_decimals_are_json(tmp_path: Path) -> None:
    import datetime as dt
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {"when": dt.datetime(2026, 1, 31, 12), "price": Decimal("1.50"), "text": "小麦".encode(), "raw": b"\xff\x00"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    source = open_source(tmp_path / "rows.parquet")
    expected = {"when": "2026-01-31T12:00:00", "price": "1.50", "text": "小麦", "raw": None}
    assert values(source) == [expected]
    assert codes(source) == ["data_binary_left"]


def test_a_folder_of_lines_is_read_in_natural_order_and_one_file_of_it_alone(tmp_path: Path) -> None:
    for name in ("toolbench_10.jsonl", "toolbench_2.jsonl", "react.jsonl", ".hidden.jsonl"):
        written(tmp_path / "flan", name, jsonl(ROWS[:2]))
    written(tmp_path / "flan", "README.md", "About it.")
    source = open_source(tmp_path / "flan")
    assert source.parts == ["react.jsonl", "toolbench_2.jsonl", "toolbench_10.jsonl"]
    assert len(values(source)) == 6
    assert len(values(open_source(tmp_path / "flan", member="react.jsonl"))) == 2
    with pytest.raises(DataError, match=r"holds no file nope\.jsonl"):
        open_source(tmp_path / "flan", member="nope.jsonl")


def test_archives_are_read_without_unpacking_rows_and_give_only_the_pictures_that_are_asked_for(tmp_path: Path) -> None:
    rows = [{"image": "1.png"}, {"image": "images/1.png"}, {"image": "../../1.png"}]
    path = written(
        tmp_path, "llava.zip", zipped({"set/llava.json": json.dumps(rows), "set/images/1.png": PNG, "2.png": "x"})
    )
    with open_source(path) as source:
        assert values(source) == rows
        assert source.image("1.png") == source.image("images/1.png")
        assert source.image("1.png").read_bytes() == PNG
        folder = source.image("1.png").parent
        assert len(list(folder.iterdir())) == 1
        with pytest.raises(DataError, match="outside the folder"):
            source.image("../../1.png")
    assert not folder.exists()


def test_names_that_windows_packed_in_chinese_are_read(tmp_path: Path) -> None:
    data = (
        zipped({"AAAA/BBBB.jsonl": jsonl(ROWS)})
        .replace(b"AAAA", "小麦".encode("gbk"))
        .replace(b"BBBB", "数据".encode("gbk"))
    )
    source = open_source(written(tmp_path, "rows.zip", data))
    assert source.parts == ["小麦/数据.jsonl"]
    assert values(source) == ROWS


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.csv", "rows.jsonl.gz"])
def test_a_large_file_is_never_held(tmp_path: Path, name: str) -> None:
    count = 25_000 if name == "rows.json" else 10_000
    rows = [{"instruction": f"Question {n}?", "output": "Answer. " * 120} for n in range(count)]
    if name == "rows.json":
        data = json.dumps(rows).encode()
    elif name == "rows.csv":
        data = b"instruction,output\n" + b"".join(f"{r['instruction']},{r['output']}\n".encode() for r in rows)
    else:
        data = jsonl(rows).encode()
    path = written(tmp_path, name, gzip.compress(data, 1) if name.endswith("gz") else data)
    size = len(data)
    del rows, data
    tracemalloc.start()
    try:
        found = sum(isinstance(item, Record) for item in open_source(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 0.8 * size
