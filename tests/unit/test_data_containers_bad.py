"""Malformed files: a person is told what is wrong, where, and what to do; the rest is read; memory stays bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from backend.data.containers import Broken, Record, open_source
from backend.errors import DataError
from backend.workspace import ROOT
from tests.support import bad_data
from tests.support.bad_data import BAD, ROWS, lines, zipped

MAX_PEAK = 80_000_000


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_malformed_file_is_told_and_what_is_whole_in_it_is_read(tmp_path: Path, name: str) -> None:
    bad = BAD[name]
    path = bad.make(tmp_path)
    told: list[tuple[str, str]] = []
    hints: list[str] = []
    rows, refused = 0, False
    tracemalloc.start()
    try:
        with open_source(path) as source:
            for item in source:
                if isinstance(item, Broken):
                    told.append((item.error.code, str(item.error)))
                    hints.append(item.error.localized()[1])
                rows += isinstance(item, Record)
            told += [(notice.code, str(notice)) for notice in source.warnings]
    except DataError as error:
        refused = True
        told.append((error.code, str(error)))
        hints.append(error.localized()[1])
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert bad.code in dict(told)
    assert all(hints)  # what to do
    assert not [message for _, message in told if "{" in message and "}" in message]  # every place was filled
    assert refused == (bad.rows is None)
    assert bad.rows is None or rows == bad.rows
    assert peak < MAX_PEAK
    assert not (tmp_path.parent / "escaped.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("broken_json", "at byte 416"),
        ("cut_jsonl", "line 11"),
        ("damaged_utf8", "Line 8"),
        ("nul_bytes", "line 7: 2, the first at byte 427"),
        ("more_cells", "line 3: 3; in the heading: 2"),
        ("open_quote", "opens in line 4"),
        ("formulas", "Rows!B3"),
        ("error_cells", "Rows!B2"),
        ("merged_cells", "Rows!A2:A4"),
        ("long_line", "line 2 is 50.0 MB"),
        ("zip_slip", "../../escaped.jsonl"),
        ("zip_link", "rows.jsonl is a link"),
        ("far_cell", "17,179,869,184 cells"),
    ],
)
def test_the_place_is_named(tmp_path: Path, name: str, where: str) -> None:
    try:
        source = open_source(BAD[name].make(tmp_path))
        told = [str(item.error) for item in source if isinstance(item, Broken)] + [str(n) for n in source.warnings]
    except DataError as error:
        told = [str(error)]
    assert any(where in message for message in told), told


def test_the_byte_that_is_named_is_the_byte_of_the_file(tmp_path: Path) -> None:
    """In a list with Chinese before it, where characters and bytes count differently."""
    text = json.dumps([{"q": "小麦" * 50, "a": n} for n in range(3)], indent=1, ensure_ascii=False).replace(
        '"a": 1', '"a": é'
    )
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    (broken,) = [item for item in open_source(path) if isinstance(item, Broken)]
    assert broken.number == 2
    assert broken.error.params["byte"] == path.read_bytes().index("é".encode()) + 1
    assert broken.error.params["line"] == text[: text.index("é")].count("\n") + 1


def test_rows_after_each_of_many_damaged_rows_are_read(tmp_path: Path) -> None:
    rows = [{"instruction": f"Question {n}?", "output": "x" * 3000} for n in range(3000)]
    text = json.dumps(rows)
    for n in (5, 700, 701, 2999):
        text = text.replace(f'"Question {n}?"', f'"Question {n}?')
    path = tmp_path / "rows.json"
    path.write_text(text)
    items = list(open_source(path))
    assert [item.number for item in items if isinstance(item, Broken)] == [6, 701, 702, 3000]
    assert len(items) == 3000


def test_pictures_outside_the_folder_are_refused_by_name(tmp_path: Path) -> None:
    found: list[str] = []
    with open_source(bad_data.pictures(tmp_path)) as source:
        for item in source:
            assert isinstance(item, Record)
            try:
                found.append(source.image(item.value["image"]).name)
            except DataError as error:
                found.append(f"{error.code} {error.params['reference']}")
        for reference in ("/etc/hostname", str(tmp_path / "outside.png")):
            with pytest.raises(DataError, match="outside the folder"):
                source.image(reference)
        with pytest.raises(DataError, match="another machine"):
            source.image("https://example.org/1.png")
    assert found == [
        "1.png",
        "1.png",
        "data_image_outside ../outside.png",
        "data_image_outside images/link.png",
        "data_image_bad images/text.png",
    ]


def test_what_is_no_file_and_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        open_source(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match="does not exist on this machine"):
        open_source(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="holds no file of rows"):
        open_source(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        open_source(tmp_path / ("x" * 300))


def test_a_damaged_file_in_a_folder_does_not_keep_the_others_from_being_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(ROWS))
    BAD["cut_parquet"].make(tmp_path)
    BAD["lfs_pointer"].make(tmp_path)
    (tmp_path / "z.jsonl").write_text(lines(ROWS))
    items = list(open_source(tmp_path))
    assert sum(isinstance(item, Record) for item in items) == 2 * len(ROWS)
    assert {item.part: item.error.code for item in items if isinstance(item, Broken)} == {
        "cut.parquet": "data_columnar_broken",
        "pointer.jsonl": "data_lfs_pointer",
    }


def test_ten_megabytes_of_zipped_repetition_are_rows_and_not_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "same.zip"
    path.write_bytes(zipped({"rows.jsonl": lines([ROWS[0]]) * 200_000}))
    assert sum(isinstance(item, Record) for item in open_source(path)) == 200_000


def test_no_malformed_file_needs_more_than_400_mib_of_a_process(tmp_path: Path) -> None:
    """Readers outside Python count here too: a limit on the whole process, under which they would be killed."""
    program = """
import resource, sys, numpy, pyarrow.parquet, python_calamine, charset_normalizer
from pathlib import Path
from backend.data.containers import open_source
from backend.errors import DataError
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20),) * 2)
for path in sys.argv[1:]:
    try:
        with open_source(path) as source:
            print(sum(1 for _ in source))
    except DataError as error:
        print(error.code)
"""
    paths = [bad.make(tmp_path) for name, bad in sorted(BAD.items()) if not name.startswith("long_")]
    paths = [path for path in dict.fromkeys(paths) if path.exists()]
    run = [sys.executable, "-c", program, *map(str, paths)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == len(paths)
