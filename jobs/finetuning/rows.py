"""The rows of a training: chosen once, copied into the job's folder, and the same after every interruption.

    rows/train.jsonl         rows that are learned from, general ones mixed in
    rows/validation.jsonl    rows that are only measured
    rows/test.jsonl          rows that are asked when all is done
    rows/questions.json      what is asked while it learns
    rows/rows.json           written last: how many, and a fingerprint of them

Both engines train on these. Whatever becomes of the dataset meanwhile, the job goes on with its copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from backend.data.rows import Row, line, parse, row_hash, split_of, trained
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.errors import DataError
from backend.finetune import counting
from backend.finetune.rows import general as is_general
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from backend.workspace import open_workspace, read_json, write_json
from jobs.finetuning import general

FOLDER, INFO = "rows", "rows.json"
QUESTIONS = 4
"""Rows that are asked where a person named no questions."""


@dataclass(frozen=True)
class Question:
    """messages: what is asked, as the chat template takes it. question: its last turn. expected: what the row answers; empty
    where a person asked it."""

    messages: list[dict[str, Any]]
    question: str
    expected: str = ""
    tools: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Prepared:
    """The rows of a job, on the disk. train_rows, validation_rows: how many. general_rows: of them, bundled ones. held_out: the
    validation rows were taken from those of the split ``train``. fingerprint: of rows and order, 16 hex digits."""

    folder: Path
    train_rows: int
    validation_rows: int
    general_rows: int
    held_out: bool
    fingerprint: str

    @property
    def train(self) -> list[Row]:
        return list(self.rows("train"))

    @property
    def validation(self) -> list[Row]:
        return list(self.rows("validation"))

    def rows(self, part: str) -> Iterator[Row]:
        """The rows of ``train``, ``validation`` or ``test``, one by one."""
        with (self.folder / f"{part}.jsonl").open("rb", buffering=1 << 20) as file:
            yield from map(parse, file)

    @property
    def questions(self) -> list[Question]:
        return [Question(**one) for one in read_json(self.folder / "questions.json") or []]


def prepare(job_dir: Path, spec: FinetuneSpec) -> Prepared:
    """The rows for ``spec``; those that were chosen before, where there are any.

    Raises:
        DataError: ``dataset_unknown``, ``version_unknown``, ``dataset_damaged``, ``finetune_no_rows``.
        WorkspaceError: the disk is full.
    """
    folder = job_dir / FOLDER
    known = _read(folder)
    if known is not None:
        return known
    version = Datasets(open_workspace()).open(spec.dataset, spec.version or None)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    choice = _choose(version, spec)
    sums = hashlib.sha256()
    replayed = _write(folder, version, choice, spec, sums)
    questions = [asdict(one) for one in _questions(version, choice, spec)]
    write_json(folder / "questions.json", questions)
    told: dict[str, Any] = {
        "train_rows": len(choice.train) + replayed,
        "validation_rows": len(choice.validation),
        "general_rows": replayed,
        "held_out": choice.held_out,
        "fingerprint": sums.hexdigest()[:16],
    }
    write_json(folder / INFO, told)
    return Prepared(folder, **told)


def _read(folder: Path) -> Prepared | None:
    told = read_json(folder / INFO)
    try:
        return Prepared(folder, **told) if isinstance(told, dict) else None
    except TypeError:
        return None


@dataclass(frozen=True)
class _Choice:
    """Numbers of rows, from 0, in their order."""

    train: list[int]
    validation: list[int]
    test: list[int]
    held_out: bool


def _choose(version: Version, spec: FinetuneSpec) -> _Choice:
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    asked: list[int] = []
    for number, row in enumerate(version):
        if spec.own_replay or split_of(row) != "train" or not is_general(row):
            parts[split_of(row)].append(number)
        asked.append(row_hash({"messages": [one for one in row["messages"] if one["role"] == "user"]}))
    if not parts["train"]:
        raise DataError(
            "finetune_no_rows",
            N_("Dataset '{dataset}' has no row to learn from: its split 'train' is empty."),
            N_("Choose another version, or split the dataset anew on its tab Split."),
            dataset=spec.dataset,
        )
    wanted = counting.held_out(len(parts["train"]), len(parts["validation"]), spec.validation_share)
    if not wanted:
        few = _few(parts["validation"], spec.seed)
        return _Choice(parts["train"], few, parts["test"], False)
    taken = _held_out(parts["train"], asked, wanted, spec.seed)
    return _Choice([n for n in parts["train"] if n not in taken], _few(sorted(taken), spec.seed), parts["test"], True)


def _held_out(rows: list[int], asked: list[int], wanted: int, seed: int) -> set[int]:
    """About ``wanted`` of ``rows``: all with the same question or none, so that what is measured was not learned."""
    groups: dict[int, list[int]] = {}
    for number in rows:
        groups.setdefault(asked[number], []).append(number)
    order = list(groups.values())
    random.Random(f"{seed}/validation").shuffle(order)  # noqa: S311 - a choice that must repeat
    taken: set[int] = set()
    for group in order:
        if len(taken) >= wanted:
            break
        if len(taken) + len(group) < len(rows) and len(group) <= max(1, 2 * (wanted - len(taken))):
            taken.update(group)
    return taken


def _few(rows: list[int], seed: int) -> list[int]:
    if len(rows) <= counting.MOST_VALIDATION:
        return rows
    return sorted(random.Random(f"{seed}/measured").sample(rows, counting.MOST_VALIDATION))  # noqa: S311


def _write(folder: Path, version: Version, choice: _Choice, spec: FinetuneSpec, sums: Any) -> int:
    """Copy the chosen rows; returns how many general ones were mixed in."""
    chosen = {
        "train": set(choice.train),
        "validation": set(choice.validation),
        "test": set(_few(choice.test, spec.seed)),
    }
    more = general.rows(counting.general(len(choice.train), spec.replay), spec.seed)
    with contextlib.ExitStack() as stack:
        out = {part: stack.enter_context((folder / f"{part}.jsonl").open("wb")) for part in chosen}
        for number, text in enumerate(version.lines()):
            for part, numbers in chosen.items():
                if number in numbers:
                    out[part].write(text + b"\n")
                    sums.update(text)
        for row in more:
            text = line(row)
            out["train"].write(text + b"\n")
            sums.update(text)
    return len(more)


def _questions(version: Version, choice: _Choice, spec: FinetuneSpec) -> list[Question]:
    if spec.sample_prompts:
        return [Question([{"role": "user", "content": text}], text) for text in spec.sample_prompts]
    found: list[Question] = []
    for rows in (choice.test, choice.validation, choice.train):
        # Evenly over the part: neighbours are often about the same.
        step = max(1, len(rows) // (4 * QUESTIONS))
        for number in rows[::step]:
            one = _asked(version[number])
            if one is not None and all(one.question != other.question for other in found):
                found.append(one)
        if len(found) >= QUESTIONS:
            break
    found.sort(key=lambda one: len(one.messages))  # those that stand for themselves before long conversations
    short = found[: max(QUESTIONS, len(found) // 2)]
    return short[:: max(1, len(short) // QUESTIONS)][:QUESTIONS]


def _asked(row: Row) -> Question | None:
    """The last answer of ``row`` that is learned, and what comes before it."""
    messages = row["messages"]
    for place in range(len(messages) - 1, 0, -1):
        said, before = messages[place], messages[place - 1]
        if said["role"] == "assistant" and trained(said) and said["content"].strip() and before["role"] == "user":
            if any(one.get("images") for one in messages[:place]):
                return None
            plain: list[dict[str, Any]] = [dict(one) for one in messages[:place]]
            return Question(orjson.loads(orjson.dumps(plain)), before["content"], said["content"], row.get("tools"))
    return None
