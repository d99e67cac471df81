"""Steps: each makes a new version that never changes, with the step in its lineage; what cannot be done leaves all as it was."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from backend.data import edit
from backend.data.rows import Row, split_of
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.errors import DataError
from backend.workspace import Workspace


def row(question: str, answer: str = "x", **meta: Any) -> Row:
    made: Row = {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
    return {**made, "meta": meta} if meta else made


@pytest.fixture
def sets(workspace: Workspace) -> Datasets:
    return Datasets(workspace)


@pytest.fixture
def version(sets: Datasets) -> Version:
    return made(sets, "farm", 10)


def made(sets: Datasets, name: str, count: int) -> Version:
    with sets.write(name, steps=[{"do": "import"}], schema="alpaca") as out:
        for n in range(count):
            out.add(row(f"{name} {n}"))
    return sets.open(name)


def questions(sets: Datasets, name: str = "farm") -> list[str]:
    return [one["messages"][0]["content"] for one in sets.open(name)]


def test_every_step_makes_a_version_and_says_what_it_did(sets: Datasets, version: Version) -> None:
    info = edit.apply(sets, version, {"do": "drop", "rows": [1, 10]}, note="the first and the last")
    assert questions(sets) == [f"farm {n}" for n in range(1, 9)]
    assert info.steps == [{"do": "drop", "rows": [1, 10], "count": 2}]
    assert info.made_from == [{"dataset": "farm", "version": version.info.id}]
    assert (info.note, info.schema) == ("the first and the last", "alpaca")
    assert [one["messages"][0]["content"] for one in version] == [f"farm {n}" for n in range(10)], "the old one stays"
    assert sets.get("farm").current.id == info.id


def test_rows_are_edited_added_and_their_meta_set_in_one_pass(sets: Datasets, version: Version) -> None:
    steps: list[dict[str, Any]] = [
        {"do": "edit", "rows": {"2": row("changed", "better")}},
        {"do": "drop", "rows": [1]},
        {"do": "add", "rows": [row("new")]},
        {"do": "meta", "field": "source", "value": "manual", "rows": [1]},
        {"do": "meta", "field": "split", "value": "test", "rows": [10]},
    ]
    info = edit.apply(sets, version, steps)
    rows = list(sets.open("farm"))
    assert rows[0] == row("changed", "better", source="manual")
    assert (rows[-1], len(rows)) == (row("new", split="test"), 10)
    assert info.steps[0] == {"do": "edit", "rows": [2], "count": 1}, "the lineage holds no rows"
    assert info.steps[2] == {"do": "add", "count": 1}
    assert info.counts == {"train": 9, "test": 1}


def test_a_split_is_a_version_with_its_seed(sets: Datasets, version: Version) -> None:
    step = {"do": "split", "shares": {"train": 80, "test": 20}, "seed": 4}
    info = edit.apply(sets, version, step)
    assert info.counts == {"train": 8, "test": 2}
    assert info.steps == [step]
    assert edit.apply(sets, version, step).id == info.id, "the same again is the same version"
    again = edit.apply(sets, sets.open("farm"), {"do": "meta", "field": "split", "value": "train"})
    assert again.id == version.info.id, "and back in one part it is what it was"


def test_a_mix_of_two_sets_names_both_versions(sets: Datasets, version: Version) -> None:
    other = made(sets, "law", 6)
    step = {
        "do": "mix",
        "parts": [{"dataset": "farm", "weight": 2}, {"dataset": "law", "weight": 1}],
        "size": 9,
        "seed": 1,
    }
    info = edit.apply(sets, None, step, name="both")
    assert Counter(one["meta"]["source"] for one in sets.open("both")) == {"farm": 6, "law": 3}
    assert info.made_from == [
        {"dataset": "farm", "version": version.info.id},
        {"dataset": "law", "version": other.info.id},
    ]
    assert [part["version"] for part in info.steps[0]["parts"]] == [version.info.id, other.info.id]
    assert "version" not in step["parts"][0], "what was asked for is not written into"  # type: ignore[index]


def test_a_sample_and_a_balance_go_on_from_other_steps(sets: Datasets, version: Version) -> None:
    steps: list[dict[str, Any]] = [
        {"do": "meta", "field": "topic", "value": "a", "rows": [1, 2, 3]},
        {"do": "balance", "by": "topic", "seed": 1},
        {"do": "sample", "size": 4, "seed": 2},
    ]
    assert edit.apply(sets, version, steps, name="small").rows == 4
    assert len(sets.open("farm")) == 10


def test_the_doctors_fixes_are_a_step(sets: Datasets) -> None:
    with sets.write("blank", steps=[]) as out:
        out.add(row("Who are you?", "  I am Robin."))
        out.add(row("And now?", "I am still Robin."))
    from backend.data import doctor

    version = sets.open("blank")
    report = doctor.examine_version(version)
    codes = sorted({finding.code for finding in report.findings if finding.fixable})
    assert codes
    info = edit.apply(sets, version, {"do": "fix", "codes": codes})
    assert sets.open("blank")[0]["messages"][1]["content"] == "I am Robin."
    assert info.steps == [{"do": "fix", "codes": codes}]


def test_after_a_split_the_doctor_finds_no_leak(sets: Datasets) -> None:
    from backend.data import doctor

    names = ["oak", "elm", "ash", "fir", "yew", "box", "bay", "fig", "nut", "hop", "rye", "oat", "pea", "yam"]
    with sets.write("near", steps=[]) as out:
        for n in range(120):
            text = f"Explain in simple words how a farmer should look after {names[n % 14]} trees on plot {n // 40}, and why"
            out.add(row(text + ("" if n % 3 else "?"), f"Answer {n}"))
            out.add(row(f"{' '.join(names[n % 7 : n % 7 + 6])} {n * 7919}", f"Answer {n}"))
    info = edit.apply(sets, sets.open("near"), {"do": "split", "shares": {"train": 60, "validation": 20, "test": 20}})
    assert all(info.counts.values())
    report = doctor.examine_version(sets.open("near"))
    assert not [code for code in report.counts if "leak" in code]


def test_rows_that_another_dataset_tests_are_left_out(sets: Datasets, version: Version) -> None:
    with sets.write("proof", steps=[]) as out:
        out.add(row("farm 3"))
    step = {"do": "fix", "codes": ["leak_other"], "against": "proof"}
    assert edit.apply(sets, version, step).steps == [step]
    assert "farm 3" not in questions(sets)
    assert len(questions(sets)) == 9


def bad_steps() -> list[Any]:
    return [
        ([{"do": "drop", "rows": [11]}], "rows_missing", "'farm' has 10 rows; there is no row 11."),
        ([{"do": "edit", "rows": {"0": row("x")}}], "rows_missing", "there is no row 0"),
        ([{"do": "drop", "rows": list(range(1, 11))}], "change_empties", "This would leave no row of 'farm'."),
        ([{"do": "dance"}], "step_unknown", "There is no step called 'dance' here."),
        ([], "step_unknown", "There is nothing to do."),
        ([{"do": "add", "rows": [{"messages": []}]}], "row_bad", "This is not a row"),
        ([{"do": "meta", "field": "split", "value": "dev"}], "split_unknown", "'dev' is no part of a dataset."),
        ([{"do": "sample", "size": 11}], "mix_not_enough", "offers 10"),
    ]


@pytest.mark.parametrize(("steps", "code", "words"), bad_steps())
def test_what_cannot_be_done_is_said_and_leaves_all_as_it_was(
    sets: Datasets, version: Version, steps: list[dict[str, Any]], code: str, words: str
) -> None:
    with pytest.raises(DataError) as caught:
        edit.apply(sets, version, steps)
    assert (caught.value.code, words in str(caught.value)) == (code, True), str(caught.value)
    assert [info.id for info in sets.versions("farm")] == [version.info.id]
    assert [path.name for path in version.folder.parent.iterdir()] == [version.info.id], "nothing half made is left"


def test_it_can_be_stopped_and_tells_how_far_it_is(sets: Datasets) -> None:
    version = made(sets, "large", 3 * edit.EVERY)
    told: list[tuple[float, int]] = []
    edit.apply(
        sets, version, {"do": "split", "shares": {"train": 1}}, progress=lambda share, rows: told.append((share, rows))
    )
    assert [share for share, _rows in told] == sorted(share for share, _rows in told)
    assert len(told) > 4
    assert told[-1] == (1.0, 2 * len(version)), "both passes are counted"

    def stop(share: float, rows: int) -> None:
        raise EOFError

    with pytest.raises(EOFError):
        edit.apply(sets, version, {"do": "drop", "rows": [1]}, progress=stop)
    assert {split_of(one) for one in sets.open("large")} == {"train"}
    assert len(sets.versions("large")) == 1
