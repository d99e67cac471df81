"""Full-text search in rows and documents: real files, real SQLite, and two processes at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from backend.agent.search import documents, index, keeping, rows, terms
from backend.data.documents import uploads
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.errors import PanelError
from backend.queue import locks
from backend.workspace import ROOT, Workspace
from tests.support.datasets import keep, row, sums

FRUIT = [
    row("How do I store apples?", "Keep apples in a cool cellar."),
    row("怎样保存苹果？", "苹果要放在阴凉的地窖里。"),
    row("What is a pear?", "A pear is a fruit. Quantized models do not eat it."),
    row("梨是什么？", "梨是一种多汁的水果，学习语言模型的人也喜欢。"),
    row("Naïve Café", "ＦＵＬＬ width and max_results and C++"),
]


def question(text: str) -> terms.Question:
    found = terms.question(text)
    assert found is not None
    return found


def fruit(workspace: Workspace, name: str = "fruit") -> Version:
    keep(workspace, name, FRUIT)
    return Datasets(workspace).open(name)


def numbers(workspace: Workspace, version: Version, text: str, most: int = 10) -> tuple[int, ...]:
    return rows.search(workspace, version, question(text), most=most).numbers


@pytest.fixture(params=["fts5", "without"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With FTS5, and as where SQLite was built without it."""
    if request.param == "without":
        monkeypatch.setattr(index, "has_fts5", lambda: False)
    elif not index.has_fts5():
        pytest.skip("this SQLite was built without FTS5")
    return str(request.param)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("apples", 0),
        ("APPLES", 0),
        ("cellar cool", 0),
        ("苹果", 1),
        ("果", 1),
        ("里", 1),
        ("地窖", 1),
        ("怎样保存苹果", 1),
        ("语言模型", 3),
        ("quantization", 2),
        ("cafe" if index.has_fts5() else "café", 4),
        ("full width", 4),
        ("max_results", 4),
        ('"cool cellar"', 0),
        ('"多汁的水果"', 3),
        ("how do pears taste", 2),
    ],
)
def test_a_row_is_found_by_its_words_in_both_languages(workspace: Workspace, text: str, first: int) -> None:
    assert numbers(workspace, fruit(workspace), text)[0] == first


@pytest.mark.parametrize("text", ["apples", "苹果", "语言模型", "full width", "max_results", "cool cellar"])
def test_without_fts5_the_same_rows_are_found(workspace: Workspace, either: str, text: str) -> None:
    first = {"apples": 0, "苹果": 1, "语言模型": 3, "cool cellar": 0}.get(text, 4)
    assert numbers(workspace, fruit(workspace), text)[0] == first, either


@pytest.mark.parametrize("text", ["zebra", "斑马", '"cellar cool"', '"果苹"'])
def test_what_is_nowhere_is_not_found(workspace: Workspace, text: str) -> None:
    assert numbers(workspace, fruit(workspace), text) == ()


def test_words_of_a_question_in_chinese_need_not_stand_together(workspace: Workspace) -> None:
    assert 1 in numbers(workspace, fruit(workspace), "苹果应该怎么保存才好")


def test_rows_with_all_words_come_before_rows_with_some(workspace: Workspace) -> None:
    keep(workspace, "order", [row("apple apple apple", "apple"), row("pear", "plum"), row("an apple", "and a pear")])
    version = Datasets(workspace).open("order")
    assert numbers(workspace, version, "apple pear")[0] == 2
    assert set(numbers(workspace, version, "apple pear")) == {0, 1, 2}


@pytest.mark.parametrize("text", ["", "   ", "?!", '""', "。，"])
def test_a_question_without_words_is_none(text: str) -> None:
    assert terms.question(text) is None


@pytest.mark.parametrize(
    "text",
    ['"', '"a', 'a" OR "b', "NEAR(a b)", "a AND", "text: x", "a*", "-a", "(((", "^a", "{x}: y", "the", "'; DROP TABLE words", "a\x00b", "\udce4", "🍎", "𠀀𠀁"],
)  # fmt: skip
def test_no_sign_in_a_question_is_taken_for_syntax(workspace: Workspace, text: str) -> None:
    asked = terms.question(text)
    if asked is not None:
        assert rows.search(workspace, fruit(workspace), asked, most=5).searched == len(FRUIT)


def test_calls_of_tools_are_found(workspace: Workspace) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Reykjavik"}'}}
    keep(workspace, "calls", [{"messages": [{"role": "assistant", "content": "", "tool_calls": [call]}]}])
    assert numbers(workspace, Datasets(workspace).open("calls"), "reykjavik") == (0,)


def test_a_new_version_is_searched_for_itself_and_the_old_one_stays(workspace: Workspace) -> None:
    old = fruit(workspace)
    assert numbers(workspace, old, "zebra") == ()
    keep(workspace, "fruit", [*FRUIT, row("A zebra?", "No fruit.")])
    new = Datasets(workspace).open("fruit")
    assert numbers(workspace, new, "zebra") == (5,)
    assert numbers(workspace, old, "zebra") == ()


# --- building


def built(workspace: Workspace, version: Version) -> Path:
    return keeping.folder(workspace) / f"rows-{version.info.id}.db"


def test_the_second_search_reads_no_row_again(workspace: Workspace) -> None:
    version = fruit(workspace)
    assert numbers(workspace, version, "apples")
    (version.folder / "rows.jsonl").rename(version.folder / "elsewhere")
    assert numbers(workspace, version, "苹果") == (1,)


def test_out_of_time_it_searches_what_it_has_read_and_goes_on_the_next_time(workspace: Workspace) -> None:
    keep(workspace, "sums", sums(3500))
    version = Datasets(workspace).open("sums")
    done = [
        rows.search(workspace, version, question('"3456 plus"'), most=1, build_s=1e-9 if first else 60)
        for first in (True, True, False)
    ]
    assert [found.searched for found in done] == [0, 0, 3500]
    assert done[2].numbers == (3456,)


def test_stopped_in_the_middle_it_keeps_what_it_has_read(workspace: Workspace) -> None:
    keep(workspace, "sums", sums(3500))
    version = Datasets(workspace).open("sums")
    asked = iter([False, False, True])
    with pytest.raises(PanelError, match="The search was stopped") as stopped:
        rows.search(workspace, version, question("7"), most=1, stopped=lambda: next(asked))
    assert stopped.value.code == "search_stopped"
    found = rows.search(workspace, version, question("7"), most=1, build_s=1e-9)
    assert found.searched == 2000


def test_a_killed_search_leaves_an_index_that_the_next_one_completes(workspace: Workspace) -> None:
    keep(workspace, "sums", sums(6000))
    version = Datasets(workspace).open("sums")
    script = (
        "import os, sys; from pathlib import Path; from backend.workspace import Workspace\n"
        "from backend.agent.search import rows, terms; from backend.data.store import Datasets\n"
        "w = Workspace(Path(sys.argv[1])); n = iter(range(99))\n"
        "rows.search(w, Datasets(w).open('sums'), terms.question('x'), most=1,\n"
        "            stopped=lambda: os.kill(os.getpid(), 9) if next(n) == 3 else False)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(workspace.root)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert rows.search(workspace, version, question("x"), most=1, build_s=1e-9).searched == 3000
    found = rows.search(workspace, version, question('"5999 plus 5999"'), most=5)
    assert (found.numbers, found.searched) == ((5999,), 6000)


def test_two_processes_that_build_at_once_build_one_index(workspace: Workspace) -> None:
    keep(workspace, "sums", sums(4000))
    script = (
        "import sys; from pathlib import Path; from backend.workspace import Workspace\n"
        "from backend.agent.search import rows, terms; from backend.data.store import Datasets\n"
        "w = Workspace(Path(sys.argv[1]))\n"
        "found = rows.search(w, Datasets(w).open('sums'), terms.question('\"3999 plus 3999\"'), most=5)\n"
        "assert (found.numbers, found.searched) == ((3999,), 4000), found\n"
    )
    command = [sys.executable, "-c", script, str(workspace.root)]
    running = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    try:
        assert [each.wait(60) for each in running] == [0, 0]
    finally:
        for each in running:
            each.kill()
            each.wait()
    version = Datasets(workspace).open("sums")
    with sqlite3.connect(built(workspace, version)) as db:
        assert db.execute("SELECT count(*) FROM words WHERE words MATCH 'plus'").fetchone() == (4000,)
    db.close()


def test_who_waits_for_another_search_can_be_stopped(workspace: Workspace) -> None:
    version = fruit(workspace)
    assert numbers(workspace, version, "apples")
    lock = locks.acquire(built(workspace, version).with_suffix(".lock"))
    assert lock is not None
    asked = iter([False, False, True])
    try:
        with pytest.raises(PanelError) as stopped:
            rows.search(workspace, version, question("x"), most=1, stopped=lambda: next(asked))
    finally:
        os.close(lock)
    assert stopped.value.code == "search_stopped"


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 1000, None])
def test_a_damaged_index_is_made_anew(workspace: Workspace, damage: bytes | None) -> None:
    version = fruit(workspace)
    assert numbers(workspace, version, "apples")
    path = built(workspace, version)
    if damage is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        path.write_bytes(damage)
    assert numbers(workspace, version, "苹果") == (1,)


def test_a_dataset_is_never_held_whole_in_memory(workspace: Workspace) -> None:
    with Datasets(workspace).write("long", steps=[{"do": "import"}]) as out:
        for number in range(6000):
            out.add(row(f"question {number}", f"{number} " + "several words that fill a row " * 200))
    version = Datasets(workspace).open("long")
    assert version.info.bytes > 30_000_000
    tracemalloc.start()
    try:
        assert rows.search(workspace, version, question('"question 5998"'), most=1).numbers == (5998,)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < version.info.bytes * 0.7


def test_only_the_beginning_of_a_very_long_row_is_searched(workspace: Workspace) -> None:
    keep(workspace, "long", [row("q", "x " * 10_000 + "zebra"), row("q", "zebra")])
    assert numbers(workspace, Datasets(workspace).open("long"), "zebra") == (1,)


def test_an_index_that_is_as_large_as_it_may_be_says_how_much_it_covers(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST_BYTES", 60_000)
    keep(workspace, "sums", sums(5000))
    found = rows.search(workspace, Datasets(workspace).open("sums"), question("plus"), most=1)
    assert 0 < found.searched < 5000


def test_rows_that_are_damaged_are_an_error_and_not_an_empty_result(workspace: Workspace) -> None:
    version = fruit(workspace)
    path = version.folder / "rows.jsonl"
    path.chmod(0o600)
    path.write_bytes(b"{broken\n" * len(FRUIT))
    with pytest.raises(PanelError) as problem:
        numbers(workspace, version, "apples")
    assert problem.value.code == "dataset_damaged"


def test_indexes_of_removed_rows_and_the_oldest_ones_are_removed(workspace: Workspace) -> None:
    kept = []
    for name in ("old", "new", "gone"):
        keep(workspace, name, [*FRUIT, row(name, name)])
        kept.append(Datasets(workspace).open(name))
        assert numbers(workspace, kept[-1], "apples")
    os.utime(built(workspace, kept[0]), (1, 1))
    Datasets(workspace).delete("gone")
    keeping.tidy(workspace)
    assert [built(workspace, each).exists() for each in kept] == [True, True, False]
    size = built(workspace, kept[1]).stat().st_size
    keeping.tidy(workspace, most=size)
    assert [built(workspace, each).exists() for each in kept] == [False, True, False]
    assert numbers(workspace, kept[0], "apples")[0] == 0


# --- excerpts


def test_the_excerpt_is_the_part_in_which_most_words_stand() -> None:
    text = "apple " + "filler " * 300 + "here apple and pear and plum" + " filler" * 300
    part = terms.excerpt(text, ("appl", "pear", "plum"), 200)
    assert "apple and pear and plum" in part
    assert len(part) < 210
    assert part[0] == part[-1] == "…"


@pytest.mark.parametrize("text", ["", "short", "İßſ" * 1000, "x" * 5000])
def test_an_excerpt_of_anything_is_a_part_of_it(text: str) -> None:
    assert terms.excerpt(text, ("zebra", "ss", "x"), 100).strip("…") in text


# --- documents


def upload(workspace: Workspace, name: str, text: str) -> Path:
    return uploads.keep(workspace, name, text.encode())


def found(workspace: Workspace, text: str, **others: object) -> documents.Found:
    among = documents.sources(workspace)
    return documents.search(workspace, among, question(text), most=5, **others)  # type: ignore[arg-type]


def test_an_upload_is_found_below_its_heading_and_forgotten_when_it_is_gone(workspace: Workspace, either: str) -> None:
    long = "Apples grow here, and so do pears. " * 50
    path = upload(workspace, "trees.md", f"# Orchard\n\n{long}\n\n# Forest\n\n{long} 松树也是。")
    (passage,) = found(workspace, "松树").passages
    assert (passage.name, passage.origin, passage.place) == ("trees.md", "upload", "Forest")
    path.unlink()
    assert found(workspace, "松树") == documents.Found((), 0, (), 0), either
    upload(workspace, "trees.md", "# Orchard\n\n松树")
    assert len(found(workspace, "松树").passages) == 1


def test_words_of_a_document_that_is_gone_do_not_lead_to_another_one(workspace: Workspace) -> None:
    path = upload(workspace, "firs.txt", "firs 松树")
    assert len(found(workspace, "firs").passages) == 1
    path.unlink()
    upload(workspace, "apples.txt", "apples")
    assert len(found(workspace, "apples").passages) == 1
    assert found(workspace, "firs").passages == found(workspace, "松树").passages == ()


def test_only_what_is_new_is_read(workspace: Workspace) -> None:
    first = upload(workspace, "one.txt", "apples")
    assert found(workspace, "apples").documents == 1
    first.write_text("changed behind our back")
    upload(workspace, "two.txt", "apples too")
    got = found(workspace, "apples")
    assert sorted(passage.text for passage in got.passages) == ["apples", "apples too"]


def test_a_document_that_cannot_be_read_is_named_with_its_reason(workspace: Workspace) -> None:
    uploads.keep(workspace, "broken.pdf", b"%PDF-1.4 nothing more")
    upload(workspace, "good.txt", "apples")
    got = found(workspace, "apples")
    assert got.documents == 1
    ((name, why),) = got.left_out
    assert name == "broken.pdf"
    assert "damaged" in why


def test_documents_that_there_was_no_time_for_are_counted(workspace: Workspace) -> None:
    for number in range(3):
        upload(workspace, f"{number}.txt", f"apples {number}")
    assert found(workspace, "apples", build_s=-1.0).waiting == 3
    assert found(workspace, "apples").waiting == 0


def test_only_the_documents_that_are_meant_are_searched(workspace: Workspace) -> None:
    for number in range(8):
        upload(workspace, f"many {number}.txt", f"apples apples {number}")
    upload(workspace, "one.txt", "an apple, once, among other words")
    got = found(workspace, "apple", names={"one.txt"}.__contains__)
    assert [passage.name for passage in got.passages] == ["one.txt"]
    assert got.documents == 1


def test_a_search_in_no_documents_finds_nothing(workspace: Workspace) -> None:
    assert found(workspace, "apples") == documents.Found((), 0, (), 0)


def test_reading_documents_can_be_stopped(workspace: Workspace) -> None:
    upload(workspace, "one.txt", "apples")
    began = time.monotonic()
    with pytest.raises(PanelError) as stopped:
        found(workspace, "apples", stopped=lambda: True)
    assert stopped.value.code == "search_stopped"
    assert time.monotonic() - began < 2
