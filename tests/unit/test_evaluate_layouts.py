"""A folder or archive of C-Eval or MMLU is looked at before anything is asked: what it holds, and all that is wrong with it."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.errors import DataError, PanelError
from backend.evaluate import sets
from backend.evaluate.layouts import Examined
from tests.support.question_files import HEADING, ceval, mmlu, numbered, questions, write, zipped


def said(told: list[dict[str, Any]]) -> str:
    return "\n".join(str(PanelError.from_dict(each)) for each in told)


def codes(told: list[dict[str, Any]]) -> list[str]:
    return [each["code"] for each in told]


def test_a_whole_folder_of_c_eval_has_nothing_wrong_but_the_subjects_that_are_missing(tmp_path: Path) -> None:
    found = sets.examine(ceval(tmp_path / "formal_ceval"))
    assert (found.kind, found.root, found.questions, found.encoding, found.clean) == ("ceval", "", 8, "UTF-8", True)
    assert [(s.name, s.questions, s.examples, s.title, s.group) for s in found.subjects] == [
        ("law", 4, 5, "法学", "humanities"),
        ("logic", 4, 5, "逻辑学", "humanities"),
    ]
    assert not found.problems
    assert codes(found.notices) == ["set_subjects_missing"]
    assert "C-Eval has 52 subjects; 50 of them are not here" in said(found.notices)


def test_a_whole_folder_of_mmlu_is_told_by_its_subjects(tmp_path: Path) -> None:
    found = sets.examine(mmlu(tmp_path / "mmlu"))
    assert (found.kind, found.questions, found.clean) == ("mmlu", 8, True)
    assert found.subjects[0].title == "Anatomy"
    assert "MMLU has 57 subjects" in said(found.notices)


def test_subjects_that_nobody_knows_are_told_by_whether_files_have_a_heading(tmp_path: Path) -> None:
    assert sets.examine(ceval(tmp_path / "a", ["farming"])).kind == "ceval"
    assert sets.examine(mmlu(tmp_path / "b", ["farming"])).kind == "mmlu"
    # A name that both have says nothing either.
    assert sets.examine(ceval(tmp_path / "c", ["high_school_physics"])).kind == "ceval"
    assert sets.examine(mmlu(tmp_path / "d", ["high_school_physics"])).kind == "mmlu"


def test_known_subjects_decide_over_a_heading_that_should_not_be_there_or_is_missing(tmp_path: Path) -> None:
    root = mmlu(tmp_path / "m")
    for subject in ("anatomy", "virology"):
        for split in ("dev", "test"):
            write(root, split, subject, questions(subject, 2), heading=("question", "A", "B", "C", "D", "answer"))
    assert (sets.examine(root).kind, sets.examine(root).questions) == ("mmlu", 4)
    root = ceval(tmp_path / "c")
    for subject in ("law", "logic"):
        for split in ("dev", "val"):
            write(root, split, subject, numbered(questions(subject, 2)), heading=())
    found = sets.examine(root)
    assert found.kind == "ceval"
    assert codes(found.problems) == ["set_columns"] * 4


@pytest.mark.parametrize("above", ["ceval/formal_ceval", "data/ceval/formal_ceval", "formal_ceval", "x/data/data"])
def test_the_usual_folders_around_the_splits_may_be_chosen_too(tmp_path: Path, above: str) -> None:
    ceval(tmp_path / "top" / above)
    found = sets.examine(tmp_path / "top")
    assert (found.root, found.questions) == (above, 8)
    inside = sets.examine(tmp_path / "top" / above / "val")
    assert (inside.path, inside.root, inside.questions) == (tmp_path / "top" / above, "", 8)


def test_a_folder_with_both_benchmarks_is_refused_with_their_names(tmp_path: Path) -> None:
    ceval(tmp_path / "ceval/formal_ceval")
    mmlu(tmp_path / "mmlu")
    with pytest.raises(DataError, match="several benchmarks, in ceval/formal_ceval, mmlu") as refused:
        sets.examine(tmp_path)
    assert refused.value.code == "set_several"


def test_what_is_no_benchmark_is_refused_with_what_was_wanted(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path, code in (
        (tmp_path, "set_no_layout"),
        (tmp_path / "notes.txt", "set_not_a_place"),
        (tmp_path / "nowhere", "set_path_missing"),
    ):
        with pytest.raises(DataError) as refused:
            sets.examine(path)
        assert refused.value.code == code
        assert refused.value.hint


def test_all_problems_are_told_at_once_with_file_and_line(tmp_path: Path) -> None:
    root = ceval(tmp_path, ["law", "logic", "marxism", "education_science", "physician", "accountant"], count=5)
    rows = numbered(questions("law", 5))
    write(root, "val", "law", [*rows[:2], ("7", "too", "short"), (*rows[2][:6], "E", ""), ("8", " ", *rows[3][2:])])
    (root / "val/logic_val.csv").write_bytes(b"")
    write(root, "val", "marxism", rows, heading=("id", "query", *HEADING[2:6], "solution", ""))
    (root / "val/education_science_val.csv").unlink()
    write(root, "val", "physician", [])
    text = (root / "val/accountant_val.csv").read_text()
    (root / "val/accountant_val.csv").write_text(text.replace("w2", '"w2'))
    found = sets.examine(tmp_path)
    told = said(found.problems)
    for wanted in (
        "val/education_science_val.csv is missing.",
        "val/law_val.csv, line 4: 3 cells instead of 8. Rows like this: 1; they are left out.",
        "val/law_val.csv, line 5: the answer is “E”, which is none of A, B, C and D.",
        "val/law_val.csv, line 6: there is no question.",
        "val/logic_val.csv holds no questions.",
        "val/marxism_val.csv, line 1: the heading lacks question, answer. It has: id, query, A, B, C, D, solution",
        "val/physician_val.csv holds no questions.",
        "val/accountant_val.csv: a quotation mark in the row that begins in line 3 is not closed",
    ):
        assert wanted in told
    asked = {subject.name: (subject.questions, subject.problem.get("code")) for subject in found.subjects}
    assert asked["law"] == (2, None)
    assert asked["logic"] == (0, "set_file_empty")
    assert asked["marxism"] == (0, "set_columns")
    assert asked["education_science"] == (0, "set_file_missing")
    assert asked["accountant"][0] >= 1
    assert not found.clean


def test_a_row_that_spans_lines_does_not_shift_the_count_of_lines(tmp_path: Path) -> None:
    rows = numbered(questions("law", 3))
    write(ceval(tmp_path), "val", "law", [("0", "two\nlines", *rows[0][2:]), rows[1], ("9",)])
    assert "val/law_val.csv, line 5: 1 cells instead of 8" in said(sets.examine(tmp_path).problems)


def test_missing_examples_are_said_and_questions_are_asked_all_the_same(tmp_path: Path) -> None:
    root = mmlu(tmp_path)
    (root / "dev/anatomy_dev.csv").unlink()
    found = sets.examine(root)
    assert found.questions == 8
    assert "Subjects with fewer than 5 solved examples: 1 (anatomy)." in said(found.notices)
    assert not found.clean


def test_a_heading_in_mmlu_is_left_out_and_said(tmp_path: Path) -> None:
    root = mmlu(tmp_path)
    write(root, "test", "anatomy", questions("anatomy", 4), heading=("question", "A", "B", "C", "D", "answer"))
    found = sets.examine(root)
    assert (found.questions, found.problems, found.clean) == (8, [], False)
    assert "begins with a heading" in said(found.notices)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("gb18030", "GB18030"), ("utf-8-sig", "UTF-8 BOM"), ("utf-16", "UTF-16")],
)
def test_other_encodings_are_found_read_and_said(tmp_path: Path, encoding: str, name: str) -> None:
    plain = sets.examine(ceval(tmp_path / "plain", count=20))
    found = sets.examine(ceval(tmp_path / "other", count=20, encoding=encoding))
    assert found.encoding == name
    assert found.version == plain.version, "the same questions, whatever they are written in"
    assert f"Files in {name}, read as such: 4" in said(found.notices)
    assert not found.problems
    assert not found.clean


def test_one_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    root = ceval(tmp_path, count=20)
    write(root, "val", "logic", numbered(questions("逻辑", 20, chinese=True)), encoding="gb18030")
    found = sets.examine(root)
    assert found.encoding == "GB18030, UTF-8"
    assert "val/logic_val.csv" in said(found.notices)


def test_damaged_bytes_are_said_and_the_rest_is_read(tmp_path: Path) -> None:
    root = ceval(tmp_path, count=20)
    path = root / "val/law_val.csv"
    path.write_bytes(path.read_bytes().replace("第3题".encode(), b"\xff\xfe\xe7"))
    found = sets.examine(root)
    assert found.questions == 40
    assert "places that are no text in UTF-8" in said(found.notices)


def test_an_archive_is_looked_into_without_unpacking_it(tmp_path: Path) -> None:
    path = zipped(ceval(tmp_path / "c"), tmp_path / "c.zip", "nested/ceval/formal_ceval/")
    before = sorted(tmp_path.rglob("*"))
    found = sets.examine(path)
    assert (found.kind, found.root, found.questions) == ("ceval", "nested/ceval/formal_ceval", 8)
    assert found.version == sets.examine(tmp_path / "c").version
    assert sorted(tmp_path.rglob("*")) == before


def _with(name: str, content: bytes = b"x", mode: int = 0) -> Callable[[zipfile.ZipFile], None]:
    def add(packed: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        packed.writestr(info, content)

    return add


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_with("../val/law_val.csv"), "data_zip_path"),
        (_with("/val/law_val.csv"), "data_zip_path"),
        (_with("C:\\val\\law_val.csv"), "data_zip_path"),
        (_with("val/link_val.csv", b"/etc/passwd", stat.S_IFLNK | 0o777), "data_zip_link"),
        (_with("val/bomb_val.csv", b"0" * (2 << 20)), "data_zip_bomb"),
    ],
    ids=["parent", "absolute", "drive", "link", "bomb"],
)
def test_an_archive_that_means_harm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[zipfile.ZipFile], None], code: str
) -> None:
    monkeypatch.setattr("backend.data.containers.archive.SUSPECT_BYTES", 1 << 20)  # else it takes seconds to pack it
    path = zipped(ceval(tmp_path / "c"), tmp_path / "c.zip")
    with zipfile.ZipFile(path, "a") as packed:
        spoil(packed)
    with pytest.raises(DataError) as refused:
        sets.examine(path)
    assert refused.value.code == code


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    path = zipped(ceval(tmp_path / "c", count=200), tmp_path / "c.zip")
    data = bytearray(path.read_bytes())
    at = data.find(b"val/law_val.csv") + 60
    data[at : at + 20] = b"\0" * 20
    path.write_bytes(data)
    found = sets.examine(path)
    assert "set_member_damaged" in codes(found.problems)
    assert next(s for s in found.subjects if s.name == "logic").questions == 200


def test_lower_case_letters_are_read_but_are_not_what_opencompass_reads(tmp_path: Path) -> None:
    root = ceval(tmp_path)
    write(root, "val", "law", [(*row[:6], f" {row[6].lower()} ", "") for row in numbered(questions("law", 4))])
    found: Examined = sets.examine(root)
    assert (found.questions, found.problems, found.clean) == (8, [], False)
