"""Datasets are written for other programs by a real job, and files converted from the shell: whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from backend.cli import main
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.engines import xtuner_rows
from backend.errors import SpecError
from backend.queue.store import Store
from backend.specs import parse
from backend.workspace import Workspace
from tests.support.jobs import Queue


def made(workspace: Workspace, rows: int, name: str = "试 one") -> str:
    """A dataset with pictures in its first row, every tenth row for testing; returns the version."""
    picture = workspace.root / "red.png"
    Image.new("RGB", (4, 4), "red").save(picture)

    def listed(address: str) -> Iterator[Row]:
        yield {
            "messages": [
                {"role": "user", "content": "<image>\nWhat?", "images": [address]},
                {"role": "assistant", "content": "Red."},
            ]
        }
        for n in range(1, rows):
            row: Row = {
                "messages": [
                    {"role": "user", "content": f"question {n}"},
                    {"role": "assistant", "content": "an answer " * 20},
                ]
            }
            yield {**row, "meta": {"split": "test"}} if n % 10 == 0 else row

    with Datasets(workspace).write(name, steps=[{"do": "import"}]) as out:
        for row in listed(out.picture(picture)):
            out.add(row)
    return out.version.id


def test_a_job_writes_a_version_where_nobody_says_where(queue: Queue, store: Store, workspace: Workspace) -> None:
    version = made(workspace, 100)
    job = store.submit("export_data", {"dataset": "试 one", "to": "xtuner"}).id
    hf = store.submit("export_data", {"dataset": "试 one", "version": version[:5], "to": "hf", "split": "test"}).id
    done = queue.reach(job, "succeeded", "failed")
    assert done.state == "succeeded", done.error
    result = store.result(job) or {}
    assert (result["rows"], result["format"], result["container"]) == (100, "xtuner", "json")
    assert [warning["code"] for warning in result["warnings"]] == ["images"]
    path = Path(result["path"])
    assert path == workspace.exports / f"试 one-{version[:6]}-xtuner.json"
    assert xtuner_rows.problem(path, "conversation") is None
    assert [(each["kind"], each["path"]) for each in store.artifacts(job)] == [("file", str(path))]
    assert "Pictures were left out" in (store.job_dir(job) / "attempt-1.log").read_text()
    done = queue.reach(hf, "succeeded", "failed")
    assert done.state == "succeeded", done.error
    assert datasets.load_from_disk((store.result(hf) or {})["path"]).num_rows == 9


def test_pictures_go_with_the_rows(queue: Queue, store: Store, workspace: Workspace, tmp_path: Path) -> None:
    made(workspace, 2)
    target = tmp_path / "new" / "pictures.json"
    job = store.submit("export_data", {"dataset": "试 one", "to": "llava", "path": str(target)}).id
    done = queue.reach(job, "succeeded", "failed")
    assert done.state == "succeeded", done.error
    first, second = json.loads(target.read_text())
    assert (target.parent / first["image"]).read_bytes() == (workspace.root / "red.png").read_bytes()
    assert first["conversations"][0] == {"from": "human", "value": "<image>\nWhat?"}
    assert "image" not in second


def test_a_stopped_export_leaves_nothing(queue: Queue, store: Store, workspace: Workspace) -> None:
    made(workspace, 150_000)
    job = store.submit("export_data", {"dataset": "试 one", "to": "csv"}).id
    queue.step(job, 1)
    store.cancel(job)
    assert queue.reach(job, "cancelled", "succeeded").state == "cancelled"
    assert list(workspace.exports.iterdir()) == []


def test_what_cannot_be_written_says_why(queue: Queue, store: Store, workspace: Workspace) -> None:
    made(workspace, 2)
    mine = workspace.root / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    job = store.submit("export_data", {"dataset": "试 one", "to": "hf", "path": str(mine)}).id
    gone = store.submit("export_data", {"dataset": "nobody", "to": "hf"}).id
    failed = queue.reach(job, "failed", "succeeded")
    assert failed.error is not None
    assert failed.error["code"] == "export_target_taken"
    failed = queue.reach(gone, "failed", "succeeded")
    assert failed.error is not None
    assert failed.error["code"] == "dataset_unknown"


def test_a_spec_takes_the_short_names_and_refuses_others() -> None:
    spec = parse("export_data", {"dataset": "x", "to": "parquet", "path": "~/x.parquet"}).model_dump()
    assert (spec["to"], spec["container"]) == ("openai", "parquet")
    assert spec["path"] == str(Path.home() / "x.parquet")
    with pytest.raises(SpecError) as caught:
        parse("export_data", {"dataset": "", "to": "klingon", "container": "tape", "split": "half"})
    assert [each["field"] for each in caught.value.problems] == ["dataset", "to", "container", "split"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """``python -m backend data … --json``, called where ``tmp_path`` is the folder that one is in."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> Any:
        code = main(["data", *args, "--json"])
        told = json.loads(capsys.readouterr().out)
        assert code == (1 if "error" in told else 0)
        return told

    return call


def test_the_shell_tells_the_format_of_a_file(data: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "问答.csv").write_bytes("问题,答案,备注\n你是谁？,小罗,x\n".encode("gb18030"))
    told = data("detect", "问答.csv")
    assert (told["schema"], told["confidence"], told["encoding"]) == ("table", 1.0, "GB18030")
    assert told["mapping"]["columns"] == {"instruction": "问题", "output": "答案"}
    assert "'问题' is the question." in told["reasons"]
    assert data("detect", "missing.csv")["error"]["code"] == "dataset_unknown"
    assert data("detect", "./missing.csv")["error"]["code"] == "data_missing"


def test_the_shell_converts_a_file_and_names_what_it_could_not_read(data: Callable[..., Any], tmp_path: Path) -> None:
    lines = [
        {"instruction": "a", "input": "", "output": "b"},
        {"conversation": [{"input": "q", "output": "o"}]},
        {"messages": [{"role": "narrator", "content": "x"}]},
    ]
    (tmp_path / "in.jsonl").write_text("\n".join([*map(json.dumps, lines), "broken"]))
    told = data("convert", "in.jsonl", "--to", "xtuner")
    assert (told["rows"], told["refused"], told["path"]) == (2, 2, str(tmp_path / "in-xtuner.json"))
    assert [(each["row"], each["code"]) for each in told["problems"]] == [(3, "row_role_unknown"), (4, "row_not_json")]
    assert xtuner_rows.problem(tmp_path / "in-xtuner.json", "conversation") is None
    for to, out in (
        ("csv", "t.csv"),
        ("alpaca", "a.parquet"),
        ("sharegpt", "s.json"),
        ("agent-flan", "f.jsonl"),
        ("hf", "hf"),
    ):
        assert data("convert", "in-xtuner.json", "--to", to, "--out", out)["rows"] == 2
        assert data("convert", out, "--to", "openai", "--out", "back.jsonl")["rows"] == 2
        turns = [
            json.loads(line)["messages"][-1]["content"] for line in (tmp_path / "back.jsonl").read_text().splitlines()
        ]
        assert turns == ["b", "o"], out
    onto = data("convert", "in.jsonl", "--to", "openai", "--out", "in.jsonl")
    assert onto["error"]["code"] == "export_onto_itself"
    assert data("convert", "in.jsonl", "--to", "klingon")["error"]["code"] == "schema_unknown"
    assert data("convert", "in.jsonl", "--to", "csv", "--split", "half")["error"]["code"] == "split_unknown"


def test_the_shell_converts_a_dataset(data: Callable[..., Any], workspace: Workspace) -> None:
    version = made(workspace, 30)
    told = data("convert", f"试 one@{version[:4]}", "--to", "alpaca", "--split", "test")
    assert (told["rows"], Path(told["path"]).name) == (2, f"试 one-{version[:4]}-alpaca.json")
    assert data("detect", "试 one")["kind"] == "dataset"
