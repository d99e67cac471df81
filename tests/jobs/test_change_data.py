"""Datasets are changed by a real job: whole or not at all, and anew after a kill; and from the shell."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli import build
from backend.data.rows import Row, line
from backend.data.split import leaks
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.errors import DataError, SpecError
from backend.queue.store import Store
from backend.specs import parse
from backend.workspace import Workspace
from tests.support.jobs import Queue

ROWS = 150_000
SPLIT = {"do": "split", "shares": {"train": 80, "validation": 10, "test": 10}, "seed": 3}


def row(n: int, name: str = "question") -> Row:
    text = f"{name} {n} {n * 7919 % 1_000_003:x} {n * 104_729 % 999_983:x}"
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "an answer"}]}


def made(workspace: Workspace, name: str, count: int) -> Version:
    with Datasets(workspace).write(name, steps=[{"do": "import"}]) as out:
        for n in range(count):
            out.add_line(line(row(n, name)))
    return Datasets(workspace).open(name)


def ids(workspace: Workspace, name: str) -> list[str]:
    return sorted(path.name for path in (workspace.datasets / name / "versions").iterdir())


def test_a_job_makes_the_version_and_says_which(queue: Queue, store: Store, workspace: Workspace) -> None:
    version = made(workspace, "farm", 300)
    job = store.submit(
        "change_data", {"dataset": "farm", "version": version.info.id, "steps": [SPLIT], "note": "first"}
    )
    assert job.title == "split farm"
    done = queue.reach(job.id, "succeeded", "failed", timeout=60)
    assert done.state == "succeeded", done
    new = Datasets(workspace).open("farm")
    result = store.result(job.id)
    assert result is not None
    assert (result["dataset"], result["version"], result["counts"]) == ("farm", new.info.id, new.info.counts)
    assert new.info.counts == {"train": 240, "validation": 30, "test": 30}
    assert (new.info.note, new.info.steps) == ("first", [SPLIT])
    assert store.artifacts(job.id)[0]["label"] == f"farm@{new.info.id}"


def test_a_mix_of_two_is_a_job_and_what_cannot_be_says_why(queue: Queue, store: Store, workspace: Workspace) -> None:
    made(workspace, "farm", 60)
    made(workspace, "law", 20)
    parts = [{"dataset": "farm", "weight": 3}, {"dataset": "law", "weight": 1}]
    good = store.submit("change_data", {"steps": [{"do": "mix", "parts": parts}], "name": "both"})
    bad = store.submit("change_data", {"steps": [{"do": "mix", "parts": parts, "size": 500}], "name": "more"})
    assert queue.reach(good.id, "succeeded", "failed", timeout=60).state == "succeeded"
    assert Counter(each["meta"]["source"] for each in Datasets(workspace).open("both")) == {"farm": 60, "law": 20}
    failed = queue.reach(bad.id, "succeeded", "failed", timeout=60)
    assert failed.state == "failed"
    error = DataError.from_dict(failed.error or {})
    assert str(error) == "A mix of 500 rows takes 375 from 'farm', which offers 60."
    assert not (workspace.datasets / "more").exists(), "nothing half made is left"


@pytest.mark.slow
def test_a_killed_or_cancelled_change_leaves_nothing_and_is_done_again(
    queue: Queue, store: Store, workspace: Workspace
) -> None:
    version = made(workspace, "many", ROWS)
    spec = {"dataset": "many", "steps": [SPLIT]}
    cancelled = store.submit("change_data", spec).id
    queue.step(cancelled, 1)
    store.cancel(cancelled)
    assert queue.reach(cancelled, "cancelled", "succeeded", timeout=60).state == "cancelled"
    assert ids(workspace, "many") == [version.info.id]
    killed = store.submit("change_data", spec).id
    queue.step(killed, 1)
    queue.child(killed).kill()
    assert queue.reach(killed, "failed", "lost", "succeeded", timeout=60).state != "succeeded"
    assert Datasets(workspace).get("many").current.id == version.info.id
    store.resume(killed)
    assert queue.reach(killed, "succeeded", "failed", timeout=90).state == "succeeded"
    new = Datasets(workspace).open("many")
    assert sum(new.info.counts.values()) == ROWS
    assert ids(workspace, "many") == sorted([version.info.id, new.info.id])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"steps": [SPLIT]}, "a dataset is needed; for a mix the name of the new one"),
        ({"dataset": "farm", "steps": []}, "steps: List should have at least 1 item"),
        ({"steps": [{"do": "mix", "parts": []}], "name": "a/b"}, "'a/b' cannot be the name of a dataset"),
    ],
)
def test_what_is_no_change_is_refused_before_it_is_a_job(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse("change_data", spec)
    assert words in str(caught.value)


def data(*args: str) -> tuple[int, dict[str, Any]]:
    found = CliRunner().invoke(build(("data",)), ["data", *args, "--json"])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, json.loads(found.stdout)


def test_a_file_is_split_into_files_of_its_own_format(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "farm.json"
    path.write_text(json.dumps([{"instruction": f"{n} {n * 7919:x}?", "input": "", "output": "x"} for n in range(50)]))
    _code, told = data("split", str(path), "--train", "80", "--test", "20", "--seed", "4")
    assert told["counts"] == {"train": 40, "validation": 0, "test": 10}
    train, test = (json.loads((tmp_path / "farm-split" / f"{name}.json").read_text()) for name in ("train", "test"))
    assert {each["instruction"] for each in train} & {each["instruction"] for each in test} == set()
    assert (len(train), len(test)) == (40, 10)
    assert set(train[0]) == {"instruction", "input", "output"}, "the part is told by the file"
    again = data("split", str(path), "--train", "80", "--test", "20", "--seed", "4", "--out", str(tmp_path / "again"))[
        1
    ]
    assert (tmp_path / "again" / "test.json").read_text() == (tmp_path / "farm-split" / "test.json").read_text()
    assert Path(again["files"]["test"]["path"]) == tmp_path / "again" / "test.json"


def test_a_dataset_is_split_into_a_version_and_mixed_with_a_file_into_a_file(
    workspace: Workspace, tmp_path: Path
) -> None:
    made(workspace, "farm", 50)
    made(workspace, "law", 30)
    _code, told = data("split", "farm", "--stratify", "language")
    assert told["counts"] == {"train": 40, "validation": 5, "test": 5}
    assert leaks(Datasets(workspace).open("farm", told["version"])).groups == 0
    path = tmp_path / "more.jsonl"
    path.write_bytes(b"\n".join(line(row(n, "more")) for n in range(10)))
    _code, mixed = data("mix", "law", str(path), "--weights", "2,1", "--out", str(tmp_path / "out.jsonl"))
    assert mixed["sources"] == {"law": 20, "more": 10}
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 30
    _code, named = data("mix", "farm", "law", "--size", "40", "--name", "both")
    assert Counter(each["meta"]["source"] for each in Datasets(workspace).open("both")) == {"farm": 20, "law": 20}
    assert named["rows"] == 40


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("split", "farm", "--train", "0.5"), "The shares train 0.5 do not add up to 100 %."),
        (("mix", "farm", "farm", "--weights", "x"), "'x' are not 2 weights."),
        (("mix", "farm"), "Nothing says where the mix goes."),
        (("split", "farm", "--stratify", "nothing", "--train", "0", "--test", "0"), "do not add up to 100 %"),
    ],
)
def test_what_cannot_be_said_in_the_shell_is_a_sentence(
    workspace: Workspace, args: tuple[str, ...], words: str
) -> None:
    made(workspace, "farm", 10)
    with pytest.raises(DataError) as caught:
        data(*args)
    assert words in str(caught.value)
