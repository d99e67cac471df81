"""What the job keeps in its folder, so that another attempt goes on where this one stopped.

chunks.jsonl    what the documents were cut into: written once, so that a file that changes later changes nothing
answers.jsonl   what the model said about each chunk, a line each, on the disk before the next one is asked
base.json       the version of the dataset that the pairs are added to
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.data.documents import Chunk
from backend.data.documents.asking import Answer
from backend.workspace import read_json, write_json

CHUNKS, ANSWERS, BASE = "chunks.jsonl", "answers.jsonl", "base.json"


@dataclass(frozen=True)
class Plan:
    """All chunks. files: ``{"file", "sha256", "chunks"}`` each. left_out: documents that could not be read,
    ``{"file", "error"}`` each."""

    chunks: list[Chunk]
    files: list[dict[str, Any]]
    left_out: list[dict[str, Any]]


class Record:
    """The files of one job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self) -> Plan | None:
        """What an earlier attempt has cut; None where none came so far."""
        try:
            with (self.folder / CHUNKS).open(encoding="utf-8") as file:
                head = json.loads(next(file))
                return Plan([_chunk(json.loads(line)) for line in file], head["files"], head["left_out"])
        except (FileNotFoundError, StopIteration):
            return None

    def keep_plan(self, plan: Plan) -> None:
        partial = self.folder / f"{CHUNKS}.partial"
        with partial.open("w", encoding="utf-8") as file:
            file.write(_line({"files": plan.files, "left_out": plan.left_out}))
            file.writelines(_line(asdict(chunk)) for chunk in plan.chunks)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / CHUNKS)

    def answers(self) -> dict[int, Answer]:
        """What was answered so far. The last line of an attempt that was killed may be half a line; it is cut off."""
        found: dict[int, Answer] = {}
        path = self.folder / ANSWERS
        if not path.is_file():
            return found
        whole = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                answer = Answer(**json.loads(line))
                found[answer.chunk] = answer
        os.truncate(path, whole)
        return found

    def keep(self, answer: Answer) -> None:
        """Append ``answer``; it is on the disk when this returns."""
        with (self.folder / ANSWERS).open("ab") as file:
            file.write(_line(asdict(answer)).encode())
            file.flush()
            os.fsync(file.fileno())

    def base(self, current: str | None) -> str | None:
        """The version to add to: ``current`` the first time, and the same one if this attempt has to be made again."""
        kept = read_json(self.folder / BASE)
        if not isinstance(kept, dict):
            kept = {"version": current}
            write_json(self.folder / BASE, kept)
        version = kept["version"]
        return None if version is None else str(version)


def _chunk(data: dict[str, Any]) -> Chunk:
    return Chunk(**{**data, "heading": tuple(data["heading"]), "pages": tuple(map(tuple, data["pages"]))})


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False) + "\n"
