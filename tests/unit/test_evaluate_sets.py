"""Sets of questions: the bundled one, benchmarks that were added, what is drawn of them, and what happens when their files change."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from backend.errors import ConflictError, DataError, PanelError
from backend.evaluate import bundled, layout_tables, layouts, set_files, sets
from backend.workspace import Workspace, open_workspace
from tests.support.question_files import HEADING, ceval, mmlu, numbered, questions, write, zipped


def test_the_bundled_set_is_there_at_once_and_balanced(workspace: Workspace) -> None:
    (known,) = sets.listed(workspace)
    assert (known.name, known.kind, known.questions, len(known.subjects)) == ("bundled", "bundled", 120, 12)
    asked = sets.questions(workspace, "bundled")
    for lang in ("en", "zh"):
        some = [question for question in asked if question.language == lang]
        assert Counter(question.answer for question in some) == dict.fromkeys("ABCD", 15)
    assert all(len(set(question.options)) == 4 for question in asked)
    keys = {question.key for question in asked}
    assert len(keys) == 120
    for subject in known.subjects:
        solved = sets.examples(workspace, "bundled", subject.name)
        assert len(solved) == subject.examples == 5
        assert not keys & {question.key for question in solved}
        assert {question.language for question in solved} == {subject.language}


def test_a_limit_draws_of_each_subject_by_the_seed_and_a_larger_one_holds_the_smaller(workspace: Workspace) -> None:
    few, more = (sets.questions(workspace, "bundled", limit=n, seed=7) for n in (3, 6))
    assert Counter(question.subject for question in few) == dict.fromkeys(bundled.TITLES, 3)
    assert set(few) < set(more)
    assert few == sets.questions(workspace, "bundled", limit=3, seed=7)
    assert few != sets.questions(workspace, "bundled", limit=3, seed=8)
    assert [q.number for q in few[:3]] == sorted(q.number for q in few[:3])
    assert len(sets.questions(workspace, "bundled", ["nature-zh"], limit=100)) == 10


def test_a_folder_stays_where_it_is_and_is_asked(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "data/ceval/formal_ceval")
    made = sets.add(workspace, tmp_path / "data", "my ceval")
    assert (made.name, made.kind, made.title, made.questions, made.path) == ("my ceval", "ceval", "C-Eval", 8, root)
    asked = sets.questions(workspace, "my ceval", ["logic"])
    assert [(q.subject, q.number, q.answer) for q in asked] == [("logic", n, "ABCD"[(n + 1) % 4]) for n in range(4)]
    assert asked[0].options == ("w1", "x1", "y1", "z1")
    assert asked[0].language == "zh"
    assert len(sets.examples(workspace, "my ceval", "law")) == 5
    assert sets.folder(workspace, "my ceval") == root
    assert [known.name for known in sets.listed(workspace)] == ["bundled", "my ceval"]
    sets.remove(workspace, "my ceval")
    assert root.is_dir()
    assert [known.name for known in sets.listed(workspace)] == ["bundled"]


def test_an_archive_is_unpacked_and_asked_without_it(workspace: Workspace, tmp_path: Path) -> None:
    path = zipped(mmlu(tmp_path / "m"), tmp_path / "m.zip", "data/mmlu/")
    made = sets.add(workspace, path, "mmlu", title="Ours")
    path.unlink()
    shutil.rmtree(tmp_path / "m")
    assert made.title == "Ours"
    assert len(sets.questions(workspace, "mmlu")) == 8
    assert (sets.folder(workspace, "mmlu") / "dev/anatomy_dev.csv").is_file()
    assert made.path is not None
    assert made.path.is_relative_to(workspace.root)
    os.utime(made.path / "test/anatomy_test.csv", (1, 1))
    assert sets.get(workspace, "mmlu") == made, "looked at again"
    workspace.root.rename(tmp_path / "moved")
    moved = open_workspace(tmp_path / "moved")
    assert len(sets.questions(moved, "mmlu")) == 8
    sets.remove(moved, "mmlu")
    assert not (moved.question_sets / "mmlu").exists()


def test_names_that_cannot_be_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "c")
    sets.add(workspace, root, "one")
    for name, why in (("one", "set_name_taken"), ("bundled", "set_name_taken"), ("../up", "set_name_bad")):
        with pytest.raises(ConflictError) as refused:
            sets.add(workspace, root, name)
        assert refused.value.code == why
    for name in ("", ".", "..", "../one", "no such", "a\0b"):
        with pytest.raises(DataError) as unknown:
            sets.get(workspace, name)
        assert unknown.value.code == "set_unknown"
    with pytest.raises(DataError, match="bundled set of questions cannot be removed"):
        sets.remove(workspace, "bundled")
    assert not list(workspace.question_sets.glob(".new-*"))


def test_an_unknown_subject_is_named_and_so_are_those_that_there_are(workspace: Workspace) -> None:
    with pytest.raises(DataError) as refused:
        sets.questions(workspace, "bundled", ["geography-en", "alchemy"])
    assert refused.value.code == "set_subject_unknown"
    message, hint = refused.value.localized()
    assert "alchemy" in message
    assert "geography-en" in hint


def test_a_folder_in_which_nothing_can_be_asked_is_not_added(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "c", ["law"])
    (root / "val/law_val.csv").unlink()
    with pytest.raises(DataError) as refused:
        sets.add(workspace, root, "c")
    assert refused.value.code == "set_unusable"
    assert "val/law_val.csv is missing" in str(refused.value)
    assert sets.listed(workspace) == [sets.get(workspace, "bundled")]


def test_a_subject_with_a_problem_is_left_out_unless_it_is_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "c")
    (root / "val/law_val.csv").write_bytes(b"")
    sets.add(workspace, root, "c")
    assert {question.subject for question in sets.questions(workspace, "c")} == {"logic"}
    with pytest.raises(DataError, match="holds no questions"):
        sets.questions(workspace, "c", ["law"])
    assert sets.told(workspace, "c")[0]["code"] == "set_file_empty"


def test_a_list_of_sets_reads_no_questions(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets.add(workspace, ceval(tmp_path / "c"), "c")
    before = sets.listed(workspace)

    def never(*_args: object) -> None:
        raise AssertionError("a file of questions was read")

    monkeypatch.setattr(layout_tables, "read", never)
    monkeypatch.setattr(layouts, "examine", never)
    assert sets.listed(workspace) == before


def test_a_changed_file_gives_another_version_and_a_new_one_is_seen(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "c")
    first = sets.add(workspace, root, "c")
    write(root, "val", "law", numbered(questions("law", 6)))
    second = sets.get(workspace, "c")
    assert second.version != first.version
    assert second.questions == 10
    ceval(root, ["physician"])
    assert [subject.name for subject in sets.get(workspace, "c").subjects] == ["law", "logic", "physician"]
    # Kept: the next one who looks reads nothing.
    found = set_files.data(workspace.question_sets / "c")
    assert found is not None
    assert len(found["subjects"]) == 3


def test_a_folder_that_is_gone_is_said_and_works_again_when_it_is_back(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "c")
    made = sets.add(workspace, root, "c")
    root.rename(tmp_path / "away")
    known = sets.get(workspace, "c")
    assert known.problem["code"] == "set_gone"
    assert known.version == made.version
    for act in (sets.questions, sets.folder):
        with pytest.raises(DataError, match="is not there any more"):
            act(workspace, "c")
    assert [each.name for each in sets.listed(workspace)] == ["bundled", "c"]
    (tmp_path / "away").rename(root)
    assert sets.get(workspace, "c").problem == {}
    assert len(sets.questions(workspace, "c")) == 8


@pytest.mark.parametrize("content", ["", "{", "[]", '{"subjects": []}', '{"subjects": [{"nam": 1}], "title": "x"}'])
def test_a_damaged_set_is_listed_with_its_problem(workspace: Workspace, tmp_path: Path, content: str) -> None:
    sets.add(workspace, ceval(tmp_path / "c"), "c")
    (workspace.question_sets / "c/set.json").write_text(content)
    known = sets.listed(workspace)[1]
    assert (known.name, known.problem["code"]) == ("c", "set_damaged")
    assert PanelError.from_dict(known.problem).localized()[1]
    sets.remove(workspace, "c")
    assert len(sets.listed(workspace)) == 1


def test_opencompass_gets_a_copy_in_utf8_where_the_files_are_not(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "c", count=20, encoding="gb18030")
    write(root, "val", "logic", [*numbered(questions("逻辑", 3, chinese=True)), ("9", "bad")], encoding="utf-8-sig")
    (root / "test/law_test.csv").unlink()
    before = {path: path.read_bytes() for path in root.rglob("*.csv")}
    sets.add(workspace, root, "c")
    copy = sets.folder(workspace, "c")
    assert copy.is_relative_to(workspace.root)
    for subject, count in (("law", 20), ("logic", 3)):
        for split in ("dev", "val", "test"):
            with (copy / f"{split}/{subject}_{split}.csv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
            assert rows[0][:6] == list(HEADING[:6])
            if split == "val":
                assert len(rows) == count + 1
                assert all(len(row) == len(HEADING) for row in rows)
    assert "法" in sets.get(workspace, "c").subjects[0].title
    assert sets.folder(workspace, "c") == copy, "made once"
    assert {path: path.read_bytes() for path in root.rglob("*.csv")} == before
    asked = sets.questions(workspace, "c", ["law"])
    with (copy / "val/law_val.csv").open(encoding="utf-8", newline="") as file:
        assert [row[1] for row in csv.reader(file)][1:] == [question.text for question in asked]


def test_a_copy_follows_the_files_that_it_was_made_of(workspace: Workspace, tmp_path: Path) -> None:
    root = ceval(tmp_path / "c", count=20, encoding="gb18030")
    sets.add(workspace, root, "c")
    first = sets.folder(workspace, "c")
    write(root, "dev", "law", numbered(questions("新例", 5, chinese=True)), encoding="gb18030")
    second = sets.folder(workspace, "c")
    assert first != second
    assert first.is_dir(), "somebody may be reading it"
    assert "新例" in (second / "dev/law_dev.csv").read_text(encoding="utf-8")
    sets.remove(workspace, "c")
    assert not second.exists()


def test_a_set_that_is_no_benchmark_has_no_folder_of_splits(workspace: Workspace) -> None:
    with pytest.raises(DataError) as refused:
        sets.folder(workspace, "bundled")
    assert refused.value.code == "set_no_splits"
