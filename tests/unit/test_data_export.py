"""Exports: every container is read back by the importer and by the real `datasets`; nothing half-written is ever left."""

from __future__ import annotations

import base64
import csv
import errno
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from backend.data import schemas
from backend.data.containers import Broken, open_source
from backend.data.export import CONTAINERS, NOTES, Exported, export, note_text, resolve
from backend.data.rows import Row
from backend.data.sinks.excel import CELL_CHARS
from backend.data.sinks.spool import MAX_COLUMNS, cell_text
from backend.engines import xtuner_rows
from backend.errors import ConflictError, DataError, WorkspaceError
from backend.workspace import ROOT
from tests.support.data_rows import rows

TALK: Row = {
    "messages": [
        {"role": "system", "content": "简短回答。"},
        {"role": "user", "content": "你是谁？"},
        {"role": "assistant", "content": "I am Robin."},
        {"role": "user", "content": "=1+1"},
        {"role": "assistant", "content": 'Two,\n"2"', "loss": False},
    ],
    "meta": {"id": "a1", "extra": {"score": 5}},
}
CALL: Row = {
    "messages": [
        {"role": "user", "content": "Rain?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "rain", "arguments": '{"at": "Kyoto"}'}}
            ],
        },
        {"role": "tool", "content": "yes", "tool_call_id": "c1"},
        {"role": "assistant", "content": "It rains."},
    ],
    "tools": [{"type": "function", "function": {"name": "rain", "parameters": {"type": "object"}}}],
}


def pair(n: int, **meta: Any) -> Row:
    row: Row = {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]}
    return {**row, "meta": meta} if meta else row


def back(path: Path) -> list[Row]:
    """What the importer makes of a file."""
    items = list(open_source(path))
    broken = [item.error for item in items if isinstance(item, Broken)]
    assert not broken, [str(error) for error in broken]
    records = [item.value for item in items if not isinstance(item, Broken)]
    mapping = schemas.detect(records).mapping
    return [schemas.to_row(record, mapping) for record in records]


def texts(row: Row) -> Row:
    """``row`` with the values beside its conversation as a table without types holds them."""
    meta = dict(row.get("meta", {}))
    for key in ("id", "source"):
        if key in meta:
            meta[key] = cell_text(meta[key])
    if "extra" in meta:
        meta["extra"] = {name: cell_text(value) for name, value in meta["extra"].items()}
    return {**row, "meta": meta}


@pytest.mark.parametrize("container", CONTAINERS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(given_rows=st.lists(rows(), min_size=1, max_size=4), to=st.sampled_from(schemas.NAMES))
def test_what_is_exported_without_a_warning_is_imported_as_it_was(
    container: str, tmp_path: Path, given_rows: list[Row], to: str
) -> None:
    held = [row for row in given_rows if not schemas.losses(row, to)]
    path = tmp_path / f"rows{CONTAINERS[container][1]}"
    said = export(held, path, to, container=container).warnings
    assert not set(said) - {"values_as_text", "formula_like", "nul_removed"}
    if not held or "nul_removed" in said:
        return
    found = back(path)
    if container == "hf":  # a folder for each part, so the order is another one
        found, held = (sorted(each, key=lambda row: json.dumps(row, sort_keys=True)) for each in (found, held))
    if "values_as_text" in said:
        found, held = [texts(row) for row in found], [texts(row) for row in held]
    if "values_as_text" not in said or container != "hf":
        assert found == held


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("to", schemas.NAMES)
def test_every_format_in_every_container_has_its_rows(tmp_path: Path, container: str, to: str) -> None:
    done = export([TALK, pair(2)], tmp_path / f"x{CONTAINERS[container][1]}", to, container=container)
    assert done.rows == 2
    assert done.bytes > 0
    assert [row["messages"][-1]["content"] for row in back(done.path)] == ['Two,\n"2"', "a2"]
    assert [each.name for each in tmp_path.iterdir()] == [done.path.name], "nothing else is left"


def test_the_real_datasets_library_reads_jsonl_json_and_parquet(tmp_path: Path) -> None:
    for container, loader in (("jsonl", "json"), ("json", "json"), ("parquet", "parquet")):
        path = export(
            [TALK, pair(2, split="test")], tmp_path / f"x{CONTAINERS[container][1]}", "openai", container=container
        ).path
        read = datasets.load_dataset(loader, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
        assert read.num_rows == 2
        turns = read[0]["messages"]
        assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant"]
        assert turns[4]["loss"] is False
        assert read["split"] == [None, "test"]


def test_what_the_real_datasets_library_refuses_is_told_before(tmp_path: Path) -> None:
    def late() -> Iterator[Row]:
        for n in range(12):
            row = pair(n, **({"split": "test"} if n == 11 else {}))
            row["messages"][0]["content"] = "q" * (1 << 20)
            yield row

    done = export(late(), tmp_path / "x.jsonl", "openai")
    assert done.warnings == {"late_columns": 1}
    with pytest.raises(datasets.exceptions.DatasetGenerationError):
        datasets.load_dataset("json", data_files=str(done.path), split="train", cache_dir=str(tmp_path / "cache"))
    safe = export(late(), tmp_path / "x.parquet", "openai", container="parquet")
    assert safe.warnings == {}
    read = datasets.load_dataset("parquet", data_files=str(safe.path), split="train", cache_dir=str(tmp_path / "cache"))
    assert read[11]["split"] == "test"


def test_the_real_datasets_library_reads_csv(tmp_path: Path) -> None:
    path = export([pair(1), pair(2)], tmp_path / "x.csv", "table").path
    read = datasets.load_dataset("csv", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert read.column_names == ["question", "answer"]
    assert read["answer"] == ["a1", "a2"]


def test_the_real_datasets_library_opens_the_folder(tmp_path: Path) -> None:
    done = export([TALK, pair(2), CALL], tmp_path / "one", "openai", container="hf")
    found = datasets.load_from_disk(str(done.path))
    assert isinstance(found, datasets.Dataset)
    assert (found.num_rows, str(found.split)) == (3, "train")
    assert found[0]["messages"][1]["content"] == "你是谁？"
    assert json.loads(found[2]["tools"])[0]["function"]["name"] == "rain"
    # It is as good as one of its own: it can be mapped, cut and saved again.
    assert found.map(lambda row: {"turns": len(row["messages"])})["turns"] == [5, 2, 4]
    found.select(range(2)).save_to_disk(str(tmp_path / "again"))
    assert back(tmp_path / "again") == [TALK, pair(2)]


def test_a_folder_with_several_parts_is_a_dict_of_datasets(tmp_path: Path) -> None:
    listed = [pair(1), pair(2, split="validation"), pair(3, split="test"), pair(4)]
    done = export(listed, tmp_path / "parts", "agent-flan", container="hf")
    found = datasets.load_from_disk(str(done.path))
    assert {name: part.num_rows for name, part in found.items()} == {"train": 2, "validation": 1, "test": 1}
    assert found["test"][0]["conversation"][1] == {"role": "assistant", "content": "a3", "loss": True}
    assert sorted(row["messages"][0]["content"] for row in back(done.path)) == ["q1", "q2", "q3", "q4"]
    only = export(listed, tmp_path / "only", "openai", container="hf", split="test")
    assert (only.rows, datasets.load_from_disk(str(only.path)).num_rows) == (1, 1)


@pytest.mark.parametrize(
    ("to", "form"), [("xtuner", "conversation"), ("openai", "messages"), ("agent-flan", "conversation")]
)
@pytest.mark.parametrize("container", ["json", "jsonl"])
def test_xtuner_can_train_on_what_is_exported_for_it(tmp_path: Path, to: str, form: str, container: str) -> None:
    listed = [TALK, pair(2), CALL] if to != "openai" else [TALK, pair(2)]
    path = export(listed, tmp_path / f"x.{container}", to, container=container).path
    if to == "agent-flan":  # the course's own step: the column gets the name that openai_map_fn reads
        rows = (
            json.loads(path.read_text())
            if container == "json"
            else [json.loads(line) for line in path.read_text().split("\n") if line]
        )
        path.write_text("\n".join(json.dumps({"messages": row["conversation"]}) for row in rows))
        path, form = path.rename(path.with_suffix(".jsonl")), "messages"
    assert xtuner_rows.problem(path, form) is None  # type: ignore[arg-type]


def test_xtuner_is_given_no_row_without_an_answer(tmp_path: Path) -> None:
    silent: Row = {"messages": [{"role": "user", "content": "Anybody?"}]}
    done = export([silent, pair(1)], tmp_path / "x.json", "xtuner")
    assert (done.rows, done.warnings) == (1, {"no_answer": 1})
    assert xtuner_rows.problem(done.path, "conversation") is None


def test_calls_become_text_where_there_is_no_place_for_them(tmp_path: Path) -> None:
    done = export([CALL, TALK], tmp_path / "x.json", "xtuner")
    assert done.warnings == {"tools": 1}
    turns = json.loads(done.path.read_text())[0]["conversation"]
    assert json.loads(turns[0]["system"])["name"] == "rain"
    assert json.loads(turns[0]["output"]) == {"name": "rain", "arguments": {"at": "Kyoto"}}
    assert (turns[1]["input"], turns[1]["output"]) == ("yes", "It rains.")


def test_excel_runs_no_formula_and_keeps_numbers(tmp_path: Path) -> None:
    evil: Row = {
        "messages": [
            {"role": "user", "content": '=HYPERLINK("http://127.0.0.1")'},
            {"role": "assistant", "content": "http://127.0.0.1/x"},
        ],
        "meta": {"extra": {"score": 4, "ok": True, "code": "007"}},
    }
    done = export([evil], tmp_path / "x.xlsx", "table", container="excel")
    with zipfile.ZipFile(done.path) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet.lower().replace("=hyperlink(", "")
    assert back(done.path) == [evil]
    assert done.warnings == {}


def test_a_table_tells_that_a_spreadsheet_may_run_its_cells(tmp_path: Path) -> None:
    one: Row = {"messages": [{"role": "user", "content": "=1+1"}, {"role": "assistant", "content": "@x"}]}
    done = export([one], tmp_path / "x.csv", "table")
    assert done.warnings == {"formula_like": 2}
    assert done.path.read_bytes().startswith(b"\xef\xbb\xbfquestion,answer\r\n")
    with done.path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.DictReader(file)) == [{"question": "=1+1", "answer": "@x"}]


def test_a_text_that_a_cell_cannot_hold_is_refused_by_its_row(tmp_path: Path) -> None:
    fits, long = pair(1), pair(2)
    fits["messages"][1]["content"] = "x" * CELL_CHARS
    long["messages"][1]["content"] = "😀" * (CELL_CHARS // 2 + 1)
    assert back(export([fits], tmp_path / "fits.xlsx", "table", container="excel").path) == [fits]
    with pytest.raises(DataError) as caught:
        export([fits, long], tmp_path / "x.xlsx", "table", container="excel")
    assert str(caught.value) == "Row 2 has 16,384 characters in 'answer'; a cell of Excel holds 32,767."
    assert [each.name for each in tmp_path.iterdir()] == ["fits.xlsx"]


def test_columns_without_end_share_one(tmp_path: Path) -> None:
    listed = [pair(n, extra={f"c{n}.{k}": "v" for k in range(60)}) for n in range(5)]
    done = export(listed, tmp_path / "x.csv", "table")
    with done.path.open(encoding="utf-8-sig", newline="") as file:
        assert len(next(csv.reader(file))) == MAX_COLUMNS + 3
    assert back(done.path) == listed


@pytest.mark.parametrize("container", ["csv", "excel", "parquet"])
def test_columns_that_a_heading_cannot_name_come_back(tmp_path: Path, container: str) -> None:
    odd = {" padded": "1", "two  blanks": "2", "sep=;": "3", "line\nbreak": "4", "plain": "5"}
    done = export([pair(1, extra=odd)], tmp_path / f"x{CONTAINERS[container][1]}", "table", container=container)
    assert back(done.path) == [pair(1, extra=odd)]


def picture(path: Path, color: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (color, 0, 0)).save(path)
    return path


def seen(*names: str) -> Row:
    return {
        "messages": [
            {"role": "user", "content": "<image>\n" * len(names) + "What is it?", "images": list(names)},
            {"role": "assistant", "content": "Red."},
        ],
        "meta": {"id": "p"},
    }


@pytest.mark.parametrize("container", ["json", "parquet", "hf"])
def test_pictures_go_beside(tmp_path: Path, container: str) -> None:
    for number in (1, 2):
        picture(tmp_path / "in" / f"{number}.png", number)
    listed = [seen("1.png"), seen("2.png"), seen("1.png"), seen("gone.png"), pair(1, id="t")]
    done = export(
        listed,
        tmp_path / "out" / f"x{CONTAINERS[container][1]}",
        "llava",
        container=container,
        pictures=(tmp_path / "in").joinpath,
    )
    assert done.pictures == 2
    assert done.warnings == {"picture_missing": 1}
    root = done.path if container == "hf" else done.path.parent
    named = [row["messages"][0].get("images", [""])[0] for row in back(done.path)]
    assert named[0] == named[2] != named[1]
    assert (root / named[0]).read_bytes() == (tmp_path / "in" / "1.png").read_bytes()
    assert named[3:] == ["gone.png", ""]
    assert not list(tmp_path.rglob("*.partial"))
    if container == "json":
        source = open_source(done.path)
        list(source)
        assert source.image(named[1]) == root / named[1]


def test_a_picture_that_stands_in_the_row_itself_becomes_a_file(tmp_path: Path) -> None:
    png = picture(tmp_path / "a.png", 9).read_bytes()
    inside = seen("data:image/png;base64," + base64.b64encode(png).decode())
    broken = seen("data:image/png;base64,???")
    done = export([inside, broken], tmp_path / "x.json", "llava", pictures=(tmp_path / "in").joinpath)
    assert (done.pictures, done.warnings) == (1, {"picture_missing": 1})
    assert (tmp_path / back(done.path)[0]["messages"][0]["images"][0]).read_bytes() == png


def test_what_is_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    export([pair(1)], path, "openai")

    def breaks() -> Iterator[Row]:
        yield pair(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(breaks(), path, "openai")
    assert back(path) == [pair(1)]
    assert [each.name for each in tmp_path.iterdir()] == ["x.jsonl"]
    assert export([pair(3)], path, "openai").rows == 1
    assert back(path) == [pair(3)]


def test_a_stop_from_progress_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done >= 1000:
            raise KeyboardInterrupt

    for container in CONTAINERS:
        with pytest.raises(KeyboardInterrupt):
            export((pair(n) for n in range(5000)), tmp_path / "x", "openai", container=container, progress=stop)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from backend.data.export import export
def rows():
    yield {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    os.kill(os.getpid(), signal.SIGKILL)
export(rows(), sys.argv[1], "openai")
"""


def test_what_a_killed_export_left_goes_with_the_next_and_what_works_stays(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "x.jsonl")], cwd=ROOT, timeout=60, check=False)
    (left,) = tmp_path.iterdir()
    seen: list[Path] = []

    def outer() -> Iterator[Row]:
        yield pair(1)
        seen.extend(tmp_path.glob(".export.*"))
        export([pair(2)], tmp_path / "inner.jsonl", "openai")
        yield pair(3)

    export(outer(), tmp_path / "x.jsonl", "openai")
    assert len(seen) == 1
    assert seen != [left]
    assert back(tmp_path / "x.jsonl") == [pair(1), pair(3)]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["inner.jsonl", "x.jsonl"]


def test_a_folder_that_is_no_export_is_not_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for container in ("hf", "jsonl"):
        with pytest.raises(ConflictError) as caught:
            export([pair(1)], mine, "openai", container=container)
        assert caught.value.code == "export_target_taken"
    assert (mine / "thesis.txt").read_text() == "years of work"
    first = export([pair(1)], tmp_path / "hf", "openai", container="hf")
    export([pair(2)], first.path, "openai", container="hf")
    assert back(first.path) == [pair(2)]


FULL = """
import sys
from pathlib import Path
from backend.data.export import export
from backend.errors import PanelError
def rows():
    for n in range(4000):
        yield {"messages": [{"role": "user", "content": f"q{n} " * 300}, {"role": "assistant", "content": str(hash(str(n)) ** 40)}]}
for container in ("jsonl", "json", "csv", "excel", "parquet", "hf"):
    try:
        export(rows(), Path(sys.argv[1]) / "out" / "x", "openai", container=container)
    except PanelError as error:
        print(container, error.code, sorted(each.name for each in (Path(sys.argv[1]) / "out").iterdir()))
"""
CAN_MOUNT = (
    shutil.which("unshare") is not None
    and subprocess.run(
        ["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    ).returncode
    == 0
)


@pytest.mark.skipif(not CAN_MOUNT, reason="needs the right to mount a small disk")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = [
        "unshare",
        "-m",
        "--propagation",
        "private",
        "bash",
        "-c",
        script,
        "-",
        str(tmp_path),
        sys.executable,
        FULL,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == [
        f"{container} workspace_full []" for container in ("jsonl", "json", "csv", "excel", "parquet", "hf")
    ], done.stderr
    assert done.stderr == ""


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WorkspaceError) as caught:
        export([pair(1)], tmp_path / "a" / "x.jsonl", "openai")
    assert caught.value.code == "workspace_read_only"


def test_short_names_mean_a_format_in_its_container() -> None:
    assert resolve("csv") == ("table", "csv")
    assert resolve("parquet") == ("openai", "parquet")
    assert resolve("xtuner") == ("xtuner", "json")
    assert resolve("alpaca", "excel") == ("alpaca", "excel")
    for to, container, code in (("nonsense", "", "schema_unknown"), ("openai", "tape", "container_unknown")):
        with pytest.raises(DataError) as caught:
            resolve(to, container)
        assert caught.value.code == code


def test_every_warning_has_words() -> None:
    assert Exported(Path("x"), 0, 0).warnings == {}
    for code in NOTES:
        assert note_text(code, 1234).startswith("1,234 times: ")
