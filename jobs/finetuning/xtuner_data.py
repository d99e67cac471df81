"""What XTuner is given: rows as messages, held-out rows as tokens and labels, and questions to ask while it learns.

Written once, when the job begins; after that nothing is read from the dataset, which may be deleted while it trains.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.data.rows import Row
from backend.data.tokens import xtuner as rows_of_xtuner
from backend.data.tokens.model import TokenModel
from backend.data.tokens.xtuner_templates import LAYOUTS, layout_name
from backend.engines import xtuner_rows
from backend.errors import DataError
from backend.finetune import xtuner
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from backend.workspace import read_json, write_json
from jobs.finetuning.rows import Question

PREPARED = "prepared.json"
MOST_EVALUATED = 256
"""Held-out rows that every evaluation looks at."""
ANSWER_TOKENS = 48
BLOCK = 8
"""Batches between whose rows the lengths are put together: enough that a fifth is filled in where it was more than all, few enough that
long and short rows still take turns within a few steps."""


@dataclass(frozen=True)
class Prompt:
    """A question that is asked again and again. ids: with all that stands before its answer. expected: what its row says."""

    question: str
    ids: list[int]
    expected: str = ""


@dataclass(frozen=True)
class Prepared:
    """rows: that are learned from. evaluated: held-out rows."""

    rows: int
    evaluated: int
    prompts: list[Prompt]


def prepared(home: Path) -> Prepared | None:
    """What an earlier attempt of this job has written; None where it has not come so far."""
    data = read_json(home / PREPARED)
    if not isinstance(data, dict):
        return None
    return Prepared(data["rows"], data["evaluated"], [Prompt(**one) for one in data["prompts"]])


def prepare(
    home: Path,
    spec: FinetuneSpec,
    model: TokenModel,
    train: Iterable[Row],
    held: Sequence[Row],
    questions: Sequence[Question] = (),
) -> Prepared:
    """Write what XTuner is given into ``home``.

    Raises:
        DataError: ``xtuner_row``: the first row that XTuner would die of, drop, or train as something else.
        ModelError: the model's tokenizer lacks what XTuner needs.
    """
    home.mkdir(parents=True, exist_ok=True)
    data, count = home / xtuner.ROWS, 0
    with data.open("w", encoding="utf-8") as file:
        for row in train:
            file.write(_line({"messages": rows_of_xtuner.messages(row)}))
            count += 1
    if problem := xtuner_rows.problem(data, "messages"):
        raise DataError(
            "xtuner_row",
            N_("XTuner cannot learn from these rows as they are meant. {problem}"),
            N_("Correct that row on the Datasets page, or fine-tune with the engine peft."),
            problem=problem.message,
        )
    if xtuner.in_order(spec):
        _put_in_order(data, model, spec)
    kept = spread(held, MOST_EVALUATED)
    with (home / xtuner.VALIDATION).open("w", encoding="utf-8") as file:
        for row in kept:
            found = rows_of_xtuner.encode(model, row, spec.max_length)
            file.write(_line({"input_ids": found.ids, "labels": found.labels}))
    prompts = [Prompt(one.question, _ids(model, one.messages), one.expected) for one in questions]
    made = Prepared(count, len(kept), prompts)
    write_json(home / PREPARED, asdict(made))
    return made


def watch(home: Path, spec: FinetuneSpec, model: TokenModel, made: Prepared, **more: Any) -> None:
    """Write what the hooks in XTuner have to do: see ``jobs/shims/xtuner_watch.py``. ``more``: on top."""
    layout = LAYOUTS[layout_name(model)]
    ends = {*model.ends, layout.suffix, model.special.get("eos_token", "")}
    tokens = {model.tokenizer.token_to_id(text) for text in ends if text}
    write_json(
        home / xtuner.WATCH,
        {
            "batch_size": spec.batch_size,
            "prompts": [one.ids for one in made.prompts],
            "most": ANSWER_TOKENS,
            "ends": sorted(token for token in tokens if token is not None),
            **more,
        },
    )


def longest(train: Iterable[Row], model: TokenModel, spec: FinetuneSpec, steps: int) -> tuple[list[Row], int]:
    """Rows for so many steps, the longest of ``train``, and the tokens of the longest: what takes the most memory. Where there
    are fewer, they come again."""
    found = sorted(
        (
            (len(rows_of_xtuner.encode(model, row, spec.max_length).ids), number, row)
            for number, row in enumerate(train)
        ),
        key=lambda one: (-one[0], one[1]),
    )
    if not found:
        return [], 0
    wanted = steps * spec.batch_size * spec.accumulation * spec.gpus
    chosen: list[Row] = []
    tokens = 0
    while (tokens < wanted * spec.max_length) if spec.packing else (len(chosen) < wanted):
        for length, _number, row in found[: max(1, wanted)]:
            chosen.append(row)
            tokens += length
    return chosen, found[0][0]


def ordered(lengths: Sequence[int], batch: int, seed: int) -> list[int]:
    """Places of rows in an order by chance, in which the rows of a batch are about equally long. lengths: in tokens."""
    chance = random.Random(f"{seed}/batches")  # noqa: S311 - a choice that must repeat
    places, found = list(range(len(lengths))), list[int]()
    chance.shuffle(places)
    for start in range(0, len(places), BLOCK * batch):
        block = sorted(places[start : start + BLOCK * batch], key=lengths.__getitem__)
        whole = len(block) // batch
        batches = [block[number * batch : (number + 1) * batch] for number in range(whole)]
        chance.shuffle(batches)
        # What is left at the end makes the last batch, or all after it would begin in the middle of one.
        found += [place for each in (*batches, block[whole * batch :]) for place in each]
    return found


def _put_in_order(data: Path, model: TokenModel, spec: FinetuneSpec) -> None:
    """The lines of ``data``, which are rows, as :func:`ordered` has them."""
    starts, lengths, part = [0], list[int](), data.with_suffix(".part")
    with data.open("rb") as file:
        for line in file:
            starts.append(starts[-1] + len(line))
            lengths.append(len(rows_of_xtuner.encode(model, json.loads(line), spec.max_length).ids))
        with part.open("wb") as out:
            for place in ordered(lengths, spec.batch_size, spec.seed):
                file.seek(starts[place])
                out.write(file.read(starts[place + 1] - starts[place]))
    part.replace(data)


def spread(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many of ``rows``, from the whole of them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[place * len(rows) // most] for place in range(most)]


def _ids(model: TokenModel, asked: Sequence[Mapping[str, Any]]) -> list[int]:
    """The tokens before an answer to ``asked``: they are the same, whatever answer follows."""
    before = [{**one, "loss": False} for one in asked]
    row: Any = {"messages": [*before, {"role": "assistant", "content": "."}]}
    found = rows_of_xtuner.encode(model, row)
    return found.ids[: found.trained.index(True)]


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
