"""Versions of a dataset: whole or not there, found again by what is in them, read from anywhere, never changed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.rows import Row, line, parse
from backend.data.store import Datasets, image_path
from backend.data.writer import PARTIAL
from backend.errors import ConflictError, DataError, WorkspaceError
from backend.workspace import Workspace, open_workspace
from tests.support.wait import until

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def row(text: str, answer: str = "yes", **meta: str) -> Row:
    made: Row = {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]}
    if meta:
        made["meta"] = dict(meta)
    return made


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


@pytest.fixture
def sets(workspace: Workspace) -> Datasets:
    return Datasets(workspace)


def fill(sets: Datasets, name: str, rows: Iterable[Row], do: str = "import") -> str:
    with sets.write(name, steps=[{"do": do}]) as out:
        for entry in rows:
            out.add(entry)
    return out.version.id


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_rows_come_back_in_order_and_from_anywhere(sets: Datasets) -> None:
    rows = [row(f"question {n} 问题", split="test" if n % 10 == 0 else "train") for n in range(1000)]
    fill(sets, "mine", rows)
    version = sets.open("mine")
    assert list(version) == rows
    assert version.rows(900, 903) == rows[900:903]
    assert version[-1] == rows[-1]
    assert version[::400] == rows[::400]
    assert version.rows(998, 2000) == rows[998:]
    assert version.rows(5, 5) == []
    assert version.info.counts == {"test": 100, "train": 900}
    assert [parse(data) for data in version.lines(990)] == rows[990:]
    with pytest.raises(IndexError):
        version[1000]


def test_the_same_rows_are_the_same_version_and_going_back_loses_nothing(sets: Datasets) -> None:
    first = fill(sets, "mine", [row("a"), row("b")])
    second = fill(sets, "mine", [row("a")], "drop")
    assert sets.get("mine").current.id == second
    assert len(sets.versions("mine")) == 2
    assert sets.use("mine", first[:5]).id == first
    assert len(sets.open("mine")) == 2
    assert len(sets.open("mine", second)) == 1
    assert sets.resolve(f"mine@{second}").info.id == second
    assert fill(sets, "mine", [row("a")], "again") == second
    assert sets.open("mine", second).info.steps == [{"do": "drop"}]
    assert sets.get("mine").versions == 2


def test_an_error_inside_leaves_everything_as_it_was(sets: Datasets, workspace: Workspace) -> None:
    def broken() -> Iterator[Row]:
        yield row("b")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fill(sets, "new", broken())
    assert sets.list() == []
    assert list(workspace.datasets.iterdir()) == []
    kept = fill(sets, "mine", [row("a")])
    with pytest.raises(RuntimeError):
        fill(sets, "mine", broken())
    assert sets.get("mine").current.id == kept
    assert names(workspace.datasets / "mine" / "versions") == [kept]


def _write_for_ever(root: Path, ready: multiprocessing.synchronize.Event) -> None:
    with Datasets(Workspace(root)).write("mine", steps=[]) as out:
        while True:
            out.add(row("never whole " * 1000))
            ready.set()


def test_a_killed_writer_leaves_nothing_that_is_seen_and_the_next_one_sweeps(
    sets: Datasets, workspace: Workspace
) -> None:
    kept = fill(sets, "mine", [row("a")])
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    child = context.Process(target=_write_for_ever, args=(workspace.root, ready))
    child.start()
    assert ready.wait(60)
    versions = workspace.datasets / "mine" / "versions"
    until(lambda: any(versions.glob(f"{PARTIAL}*")), 10, "the writer's folder")
    other = fill(sets, "mine", [row("while it writes")])  # does not disturb it
    assert any(versions.glob(f"{PARTIAL}*"))
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(30)
    assert sets.get("mine").current.id == other
    last = fill(sets, "mine", [row("b")])
    assert names(versions) == sorted([kept, other, last])


def test_a_lost_pointer_or_a_damaged_file_is_told_or_mended(sets: Datasets, workspace: Workspace) -> None:
    fill(sets, "mine", [row("a"), row("b")])
    (workspace.datasets / "mine" / "dataset.json").unlink()
    version = sets.open("mine")
    assert len(version) == 2
    (version.folder / "rows.jsonl").write_bytes(b"half")
    with pytest.raises(DataError, match=r"rows\.jsonl") as told:
        version.rows(0, 2)
    assert told.value.code == "dataset_damaged"
    with pytest.raises(DataError):
        list(version)
    (version.folder / "offsets.u64").unlink()
    with pytest.raises(DataError, match="offsets"):
        version[1]


@pytest.mark.parametrize("name", ["../out", "", ".", "a/b", ".hidden", "nul\0"])
def test_a_name_does_not_lead_out_of_the_folder(sets: Datasets, name: str) -> None:
    with pytest.raises((ConflictError, DataError)), sets.write(name, steps=[]) as out:
        out.add(row("a"))
    with pytest.raises(DataError):
        sets.open(name)
    with pytest.raises(DataError):
        sets.delete(name)


def test_rename_delete_and_what_is_not_there(sets: Datasets) -> None:
    first = fill(sets, "mine", [row("a")])
    fill(sets, "yours", [row("b")])
    with pytest.raises(ConflictError):
        sets.rename("mine", "yours")
    assert sets.rename("mine", " our  rows ") == "our rows"
    assert sets.open("our rows").info.id == first
    sets.delete("yours")
    assert [info.name for info in sets.list()] == ["our rows"]
    for wrong in ("yours", "our rows@ffff"):
        with pytest.raises(DataError):
            sets.resolve(wrong)


def test_a_version_can_be_removed_alone_but_not_the_current_one(sets: Datasets) -> None:
    first, second = fill(sets, "mine", [row("a")]), fill(sets, "mine", [row("b")])
    with pytest.raises(ConflictError):
        sets.forget("mine", second)
    sets.forget("mine", first[:6])
    assert [info.id for info in sets.versions("mine")] == [second]
    with pytest.raises(DataError):
        sets.forget("mine", first)


def test_what_could_not_be_a_row_is_kept_and_counted(sets: Datasets) -> None:
    with sets.write("mine", steps=[]) as out:
        out.add(row("a"))
        out.reject(7, DataError("row_no_answer", "Row {n}", n=7).to_dict(), "x" * 5000 + "\ud800")
    version = sets.open("mine")
    assert version.info.rejected == 1
    kept = version.rejected()
    assert kept[0]["number"] == 7
    assert kept[0]["code"] == "row_no_answer"
    assert len(kept[0]["text"]) == 2000


def test_pictures_are_kept_once_and_found(sets: Datasets, workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(PNG)
    with sets.write("mine", steps=[]) as out:
        address = out.picture(file)
        assert out.picture(PNG) == address
        out.add(row("what is this? <image>"))
        with pytest.raises(DataError):
            out.picture(b"<svg/>")
    assert image_path(workspace, address).read_bytes() == PNG
    assert address.endswith(".png")  # by what it is, not by its name
    for wrong in ("../../etc/passwd", "ab/../x.png", address.upper()):
        with pytest.raises(DataError):
            image_path(workspace, wrong)


def test_a_read_only_workspace_is_told(sets: Datasets, workspace: Workspace) -> None:
    workspace.datasets.mkdir(parents=True)
    (workspace.datasets / "mine").write_text("a file where the folder should be")
    with pytest.raises(WorkspaceError), sets.write("mine", steps=[]) as out:
        out.add(row("a"))


TEXT = st.text(st.characters(codec=None), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, st.integers() | TEXT), max_size=8))
def test_any_text_survives_as_what_utf_8_can_hold(entries: list[tuple[str, str, int | str]]) -> None:
    for question, answer, extra in entries:
        data = line({**row(question, answer), "meta": {"extra": extra}})
        assert b"\n" not in data
        assert line(parse(data)) == data
