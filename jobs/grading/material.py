"""What all models of a report card are given: rows to foresee and questions to answer, chosen once and kept in the job's folder.

Of a dataset the rows that were held out (test, else validation); where there are none, any. Without a dataset the bundled rows
(``backend/quantize/data/held_out.jsonl``: everyday knowledge in two languages, drawn from the pairs of fact and wording that were held
out when the starter was trained, so that it foresees them without having seen them) and the general questions
(:mod:`backend.finetune.general`). None of them is a calibration row.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from backend.data.rows import Message, Row, split_of
from backend.data.store import Datasets
from backend.data.tokens import mask
from backend.data.tokens.encoded import Encoded
from backend.data.tokens.model import TokenModel
from backend.errors import PanelError
from backend.finetune import general, scoring
from backend.finetune.files import build
from backend.finetune.scoring import Question
from backend.quantize.report_records import PARTS
from backend.specs.quantize import ReportCardSpec
from backend.workspace import ROOT, Workspace, read_json, write_json
from jobs.harness import Job

FILE = "material.json"
BUNDLED = ROOT / "backend" / "quantize" / "data" / "held_out.jsonl"
DRAWN = 4000
"""Rows of each split that are held at once, however large the dataset is."""


@dataclass(frozen=True)
class Material:
    """rows: to foresee. asked: questions. dataset, version: where they are from; empty: bundled. split: of it; empty where it
    has none held out."""

    rows: list[Row]
    asked: list[Question]
    dataset: str = ""
    version: str = ""
    split: str = ""


def gather(job: Job, workspace: Workspace, spec: ReportCardSpec) -> Material:
    """The material of ``job``, the same each time, even where the dataset is gone by then.

    Raises:
        DataError: the dataset is not there, or damaged. WorkspaceError: it cannot be kept.
    """
    path = job.dir / PARTS / FILE
    known = read_json(path)
    kept = build(known, Material)
    if kept is not None:
        return Material(kept.rows, _questions(kept.asked), kept.dataset, kept.version, kept.split)
    made = _of_dataset(workspace, spec) if spec.dataset.strip() else _bundled(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(made))
    return made


def encode(rows: Iterable[Row], tokens: TokenModel, cutoff: int) -> list[Encoded | None]:
    """Each row as the model reads it, with the answers as what counts; None for one that its template does not take. A
    model without a template reads the texts as they are, and all of them counts."""
    return [_encoded(row, tokens, cutoff) for row in rows]


def _encoded(row: Row, tokens: TokenModel, cutoff: int) -> Encoded | None:
    if not tokens.templates:
        ids = tokens.tokenizer.encode("\n".join(one["content"] for one in row["messages"])).ids[:cutoff]
        return Encoded(ids, [], [True] * len(ids), len(ids)) if len(ids) > 1 else None
    try:
        found = mask.encode(tokens, row, cutoff)
    except PanelError:
        return None
    return found if any(found.trained[1:]) else None


def _bundled(spec: ReportCardSpec) -> Material:
    rng = _random(spec)
    rows: list[Row] = []
    for line in BUNDLED.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        said: list[Message] = [
            {"role": "user", "content": one["question"]},
            {"role": "assistant", "content": one["answer"]},
        ]
        rows.append({"messages": said, "meta": {"lineage": {"language": one["language"]}}})
    asked = list(general.everything())
    return Material(rng.sample(rows, min(len(rows), spec.rows)), rng.sample(asked, min(len(asked), spec.questions)))


def _of_dataset(workspace: Workspace, spec: ReportCardSpec) -> Material:
    version = Datasets(workspace).open(spec.dataset.strip(), spec.version or None)
    rng = _random(spec)
    held: dict[str, list[Row]] = {"test": [], "validation": [], "train": []}
    seen = dict.fromkeys(held, 0)
    for row in version:
        split = split_of(row)
        seen[split] += 1
        if len(held[split]) < DRAWN:
            held[split].append(row)
        elif (place := rng.randrange(seen[split])) < DRAWN:
            held[split][place] = row
    split = next((name for name in ("test", "validation") if held[name]), "train")
    some = rng.sample(held[split], len(held[split]))
    # Those whose answers can be checked come first: the others only stand side by side.
    asked = [one for one in map(scoring.question, some) if one is not None]
    asked.sort(key=lambda one: not one.rule)
    shown = "" if split == "train" else split
    return Material(some[: spec.rows], asked[: spec.questions], version.dataset, version.info.id, shown)


def _random(spec: ReportCardSpec) -> random.Random:
    return random.Random(spec.seed)  # noqa: S311 - a sample that must repeat


def _questions(some: Iterable[object]) -> list[Question]:
    found = (build(one, Question) for one in some)
    return [
        Question(one.messages, one.expected, one.language, one.rule, tuple(one.texts), one.tools)
        for one in found
        if one is not None
    ]
