"""A folder of Agent-FLAN files becomes the dataset that the course's own step makes of it: column for column, row for row."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from backend.data.sinks import flan_messages
from backend.errors import ConflictError, DataError
from backend.workspace import ROOT


def talk(number: int, *, results: str = "user", **more: Any) -> dict[str, Any]:
    """A record as the published files have them: a call and its result between question and answer."""
    turns = [
        {"role": "system", "content": f"You can use tools. {number}", "loss": False},
        {"role": "user", "content": f"问题 {number}: 日本語 😀\n", "loss": False},
        {"role": "assistant", "content": 'Thought: I look.\nAction: search\nAction Input: {"q": "x"}', "loss": number % 2 == 0},
        {"role": results, "content": "Response: 12 \u2028 °C", "loss": False},
        {"role": "assistant", "content": "Final Answer: 12", "loss": True},
    ]  # fmt: skip
    return {"conversation": turns, "id": number, **more}


def folder(tmp_path: Path, **files: list[dict[str, Any]]) -> Path:
    path = tmp_path / "Agent-FLAN" / "data"
    path.mkdir(parents=True)
    for name, records in files.items():
        text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records)
        (path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return path


def by_hand(path: Path, out: Path) -> datasets.Dataset:
    """The step of the course: every record of every file, the column renamed, the identifier dropped, saved."""
    records = []
    for file in sorted(path.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").split("\n"):
            if line:
                value = json.loads(line)
                value.pop("id", None)
                value["messages"] = value.pop("conversation")
                records.append(value)
    datasets.Dataset.from_list(records).save_to_disk(str(out))
    return datasets.load_from_disk(str(out))


def convert(path: Path, out: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "backend", "data", "convert", str(path), "--to", "agent-flan-messages"]
    done = subprocess.run(
        [*command, "--out", str(out), *more, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def same(one: datasets.Dataset, other: datasets.Dataset) -> None:
    assert one.features == other.features
    assert one.column_names == other.column_names
    assert one.split == other.split
    assert one.to_list() == other.to_list()


def test_a_folder_of_several_files_is_what_the_courses_step_makes_of_it(tmp_path: Path) -> None:
    path = folder(
        tmp_path,
        agent_instruct_react=[talk(n) for n in range(7)],
        agent_instruct_tflan=[talk(n, results="system") for n in range(7, 9)],
        toolbench_react_10p=[talk(n, results="function") for n in range(9, 40)],
        toolbench_negative=[{key: value for key, value in talk(n).items() if key != "id"} for n in range(40, 44)],
    )
    (path / "README.md").write_text("# Agent-FLAN")
    expected = by_hand(path, tmp_path / "by hand")
    told = convert(path, tmp_path / "ours")
    found = datasets.load_from_disk(str(tmp_path / "ours"))
    assert (told["rows"], told["refused"], told["path"]) == (44, 0, str(tmp_path / "ours"))
    assert list(expected.features) == ["messages"]
    assert set(expected.features["messages"].feature) == {"role", "content", "loss"}
    same(found, expected)
    # It is as good as one of its own: it can be cut and saved again.
    found.select(range(3)).save_to_disk(str(tmp_path / "again"))


def test_many_rows_in_which_flags_are_missing_are_the_same_too(tmp_path: Path) -> None:
    records = [talk(n) for n in range(2500)]
    for record in records[:1200]:
        for turn in record["conversation"]:
            del turn["loss"]
    path = folder(tmp_path, a=records[:1000], b=records[1000:])
    expected = by_hand(path, tmp_path / "by hand")
    source = (flan_messages.record(each, n) for n, each in enumerate(records, 1))
    count, _size = flan_messages.write(source, tmp_path / "ours")
    assert count == 2500
    same(datasets.load_from_disk(str(tmp_path / "ours")), expected)


def test_other_columns_of_the_first_record_stay_as_the_step_leaves_them(tmp_path: Path) -> None:
    records = [talk(1, source="a", score=1, rate=1), talk(2, source=None, score=None, rate=0.5), talk(3, late="x")]
    path = folder(tmp_path, one=records)
    expected = by_hand(path, tmp_path / "by hand")
    flan_messages.write((flan_messages.record(each, 1) for each in records), tmp_path / "ours")
    same(datasets.load_from_disk(str(tmp_path / "ours")), expected)
    assert expected.column_names == ["source", "score", "rate", "messages"]


def test_a_flag_that_is_a_word_becomes_the_truth_it_means(tmp_path: Path) -> None:
    record = talk(1)
    for turn in record["conversation"]:
        turn["loss"] = str(turn["loss"])
    flan_messages.write([flan_messages.record(record, 1), flan_messages.record(talk(2), 2)], tmp_path / "ours")
    found = datasets.load_from_disk(str(tmp_path / "ours"))
    assert [turn["loss"] for turn in found[0]["messages"]] == [False, False, False, False, True]


def test_records_that_are_broken_are_told_and_left_out(tmp_path: Path) -> None:
    path = folder(tmp_path, one=[talk(1), talk(2), {"conversation": [], "id": 3}, {"conversation": [{"role": "user"}]}])
    with (path / "one.jsonl").open("a") as file:
        file.write('{"conversation": [{"role": "us\n')
    told = convert(path, tmp_path / "ours")
    assert (told["rows"], told["refused"]) == (2, 3)
    codes = [each["code"] for each in told["problems"]]
    assert codes[:2] == ["flan_no_conversation", "flan_turn_bad"]
    assert told["problems"][0]["message"] == "Row 3 has no list of turns called 'conversation'."
    assert datasets.load_from_disk(str(tmp_path / "ours")).num_rows == 2


def test_a_folder_with_something_else_in_it_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ConflictError) as caught:
        flan_messages.write([flan_messages.record(talk(1), 1)], tmp_path / "mine")
    assert caught.value.code == "export_target_taken"
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    # An earlier one is.
    for number in (1, 2):
        flan_messages.write([flan_messages.record(talk(number), 1)], tmp_path / "ours")
    assert datasets.load_from_disk(str(tmp_path / "ours"))[0]["messages"][0]["content"].endswith("2")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine", "ours"]


def test_rows_of_another_form_are_refused_by_its_name(tmp_path: Path) -> None:
    path = folder(tmp_path, one=[{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}])  # fmt: skip
    told = convert(path, tmp_path / "ours")
    assert told["error"]["code"] == "flan_other_form"
    assert "OpenAI" in told["error"]["message"]
    assert not (tmp_path / "ours").exists()


def test_a_record_without_turns_is_no_conversation() -> None:
    for bad, code in (({}, "flan_no_conversation"), ({"conversation": "x"}, "flan_no_conversation"), ({"conversation": [{"role": 1, "content": ""}]}, "flan_turn_bad")):  # fmt: skip
        with pytest.raises(DataError) as caught:
            flan_messages.record(bad, 9)
        assert caught.value.code == code
