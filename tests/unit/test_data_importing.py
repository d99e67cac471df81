"""From a file to a dataset: looked at, then read whole; what cannot be a row is kept with its reason."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from backend.data import importing
from backend.data.schemas import Mapping
from backend.data.store import Datasets, image_path
from backend.errors import DataError
from backend.workspace import Workspace, open_workspace

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
ALPACA = [{"instruction": f"问题 {n}", "input": "", "output": f"回答 {n}"} for n in range(30)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


def jsonl(path: Path, rows: list[object]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_set_of_the_notes_becomes_rows_with_a_history(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "self.json"
    path.write_text(json.dumps(ALPACA, ensure_ascii=False), encoding="gb18030")
    found = importing.inspect(path)
    assert found.detection.schema == "alpaca"
    assert found.kind == "json"
    assert found.whole
    assert found.encoding.lower().startswith("gb")
    first = found.preview[0]
    assert first.number == 1
    assert first.row is not None
    assert [m["content"] for m in first.row["messages"]] == ["问题 0", "回答 0"]

    told: list[tuple[float, int]] = []
    info = importing.run(workspace, path, "mine", note="first", progress=lambda share, rows: told.append((share, rows)))
    assert info.rows == 30
    assert info.schema == "alpaca"
    assert info.note == "first"
    assert info.made_from == [{"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}]
    assert info.steps[0]["do"] == "import"
    assert told[-1] == (1.0, 30)
    assert [message["content"] for message in Datasets(workspace).open("mine")[29]["messages"]] == [
        "问题 29",
        "回答 29",
    ]


def test_what_cannot_be_a_row_is_kept_with_its_number_and_why(workspace: Workspace, tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    path = jsonl(tmp_path / "rows.jsonl", [good, '{"messages": [', good, 7, good])
    found = importing.inspect(path)
    assert [entry.number for entry in found.preview if entry.error] == [2, 4]
    info = importing.run(workspace, path, "mine")
    assert (info.rows, info.rejected) == (3, 2)
    refused = Datasets(workspace).open("mine").rejected()
    assert [record["number"] for record in refused] == [2, 4]
    assert refused[0]["text"].startswith('{"messages"')
    assert all(record["code"] and record["message"] for record in refused)


def test_columns_are_read_as_a_person_says(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("spalte,antwort\nWas?,Das.\nWer?,Der.\n", encoding="utf-8")
    mapping = Mapping("table", {"instruction": "spalte", "output": "antwort"}, system="Be brief.")
    found = importing.inspect(path, mapping=mapping)
    assert found.columns == ["spalte", "antwort"]
    assert importing.run(workspace, path, "mine", mapping).rows == 2
    row = Datasets(workspace).open("mine")[0]
    assert [message["content"] for message in row["messages"]] == ["Be brief.", "Was?", "Das."]


def test_pictures_come_along_and_one_that_is_missing_keeps_its_address(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "llava"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(PNG)
    rows = [
        {
            "id": str(n),
            "image": image,
            "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}],
        }
        for n, image in enumerate(["images/a.png", "images/gone.png", "../../etc/passwd"])
    ]
    (folder / "data.json").write_text(json.dumps(rows))
    info = importing.run(workspace, folder, "mine")
    assert info.rows == 3
    images = [row["messages"][0]["images"][0] for row in Datasets(workspace).open("mine")]
    assert image_path(workspace, images[0]).read_bytes() == PNG
    assert images[1:] == ["images/gone.png", "../../etc/passwd"]
    assert sum(info.steps[0]["warnings"].values()) >= 2


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "data_empty"), (b"[]", "data_no_rows"), (b"[1, 2]", "data_none_usable"), (b"\x00\x01", None)],
)
def test_nothing_that_could_be_a_row_is_told_and_leaves_nothing(
    workspace: Workspace, tmp_path: Path, content: bytes, code: str | None
) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as told:
        importing.run(workspace, path, "mine")
    if code:
        assert told.value.code == code
    assert Datasets(workspace).list() == []


def test_a_path_that_is_not_there_or_not_ours_is_told(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataError) as told:
        importing.run(workspace, tmp_path / "gone.json", "mine")
    assert told.value.code == "data_missing"


def test_an_import_that_is_stopped_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    path = jsonl(tmp_path / "rows.jsonl", [good] * 2000)

    def stop(share: float, rows: int) -> None:
        if rows > 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        importing.run(workspace, path, "mine", progress=stop)
    assert Datasets(workspace).list() == []
    assert list(workspace.datasets.iterdir()) == []


def test_a_zip_of_rows_is_read_like_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.writestr("data/rows.json", json.dumps(ALPACA))
    assert importing.run(workspace, tmp_path / "rows.zip", "mine").rows == 30


def test_the_command_line_reads_a_path_or_a_dataset(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "self.json"
    path.write_text(json.dumps(ALPACA))
    importing.run(workspace, path, "mine")
    of_file = list(importing.rows_of(str(path), workspace))
    assert of_file == list(importing.rows_of("mine", workspace))
    assert of_file[0][0] == 1
    with pytest.raises(DataError):
        list(importing.rows_of("yours", workspace))
