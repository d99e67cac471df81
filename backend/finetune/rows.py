"""The rows that a training would learn from, looked at before it is planned: how many tokens they have, and what is odd about them.

Bounded: a page asks on every press. Rows are looked at up to :data:`LOOK_BYTES`, tokens counted in :data:`COUNT_CHARS`
characters of text (from the file that the job ``count_tokens`` left: all). Versions never change, so both are kept for the process.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson

from backend.data.rows import Row, parse, split_of, trained
from backend.data.tokens import histogram
from backend.data.tokens.lengths import Lengths, count
from backend.data.tokens.model import TokenModel
from backend.data.versions import Version
from backend.specs.finetune import FinetuneSpec

LOOK_BYTES, COUNT_CHARS = 12_000_000, 400_000
LEAST_COUNTED = 16
KEPT = 16
NAMED = 3
"""Row numbers that are named of those with the same fault."""
MIXED = Path(__file__).parent / "data" / "mixed.jsonl"
"""The first general rows of seed 0: of those of another seed, which only the job makes, the lengths are much the same."""
T = TypeVar("T")
_kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
_lock = threading.Lock()


@dataclass
class Looked:
    """What rows of the split ``train`` are like. looked: how many were looked at; numbers of rows count from 1, in the whole
    version. silent: in which nothing is to be learned. empty: with an answer to be learned that holds nothing; where that is
    all that a row has, it counts as both. same: that say the same as one before; alike: of those that ask the same, whatever is answered, the
    most. replayed: general ones, put in against forgetting. pictured, with_tools: with pictures, with results of
    functions. characters: of text in all that were looked at."""

    looked: int = 0
    train: int = 0
    silent: int = 0
    empty: list[int] = field(default_factory=list)
    empty_count: int = 0
    same: int = 0
    alike: int = 1
    replayed: int = 0
    pictured: int = 0
    with_tools: list[int] = field(default_factory=list)
    characters: int = 0


def look(version: Version) -> Looked:
    """The rows of ``version``, as far as :data:`LOOK_BYTES` go.

    Raises:
        DataError: ``dataset_damaged``.
    """
    return _once(("look", str(version.folder)), lambda: _look(version))


def lengths(model: TokenModel, version: Version) -> Lengths:
    """Tokens of the rows of ``version``: of all, where they were counted or are few; else of a sample.

    Raises:
        ModelError: the model has no template, or it is broken. DataError: the version is damaged.
    """
    counted = histogram.read(model, version)
    if counted is not None:
        return counted
    looked = look(version)
    each = max(1, looked.characters // max(1, looked.looked))
    rows = max(LEAST_COUNTED, COUNT_CHARS // each)
    return _once(
        ("lengths", model.fingerprint, str(version.folder)), lambda: histogram.sample(model, version, rows=rows)
    )


def mixed_in(model: TokenModel) -> Counter[int]:
    """Tokens -> rows of some of the general rows that a training mixes in (:mod:`jobs.finetuning.general`), as this model's
    tokenizer counts them.

    Raises:
        ModelError: as :func:`lengths`.
    """
    return _once(("mixed", model.fingerprint), lambda: _mixed_in(model))


def guessed(version: Version) -> Counter[int]:
    """Tokens -> rows of the split ``train`` where no tokenizer can be asked: four bytes a token, all rows alike."""
    rows = version.info.counts.get("train", len(version))
    each = max(1, version.info.bytes // max(1, len(version)) // 4)
    return Counter({each: rows}) if rows else Counter()


def _look(version: Version) -> Looked:
    found, seen, asked, read = Looked(), set[bytes](), Counter[bytes](), 0
    for number, line in enumerate(version.lines(), start=1):
        read += len(line)
        if read > LOOK_BYTES:
            break
        row = _parsed(version, line)
        found.looked += 1
        found.characters += sum(len(one["content"]) for one in row["messages"])
        if split_of(row) == "train":
            _add(found, number, row, seen)
            asked[orjson.dumps([one["content"] for one in row["messages"] if one["role"] == "user"])] += 1
    found.alike = max(asked.values(), default=1)
    return found


def _mixed_in(model: TokenModel) -> Counter[int]:
    found = Lengths(0)
    deque(count(model, enumerate(map(parse, MIXED.read_bytes().splitlines()), start=1), found), maxlen=0)
    return found.of()


def _parsed(version: Version, line: bytes) -> Row:
    try:
        return parse(line)
    except orjson.JSONDecodeError as error:
        raise version.damaged("rows.jsonl") from error


def _add(found: Looked, number: int, row: Row, seen: set[bytes]) -> None:
    found.train += 1
    messages = row["messages"]
    said = orjson.dumps([(one["role"], one["content"]) for one in messages])
    found.same += said in seen
    seen.add(said)
    learned = [one for one in messages if trained(one)]
    filled = [one for one in learned if one["content"].strip() or one.get("tool_calls")]
    found.silent += not filled
    if len(filled) < len(learned):
        found.empty_count += 1
        found.empty += [number] if len(found.empty) < NAMED else []
    found.replayed += general(row)
    found.pictured += any(one.get("images") for one in messages)
    if any(one["role"] == "tool" for one in messages) and len(found.with_tools) < NAMED:
        found.with_tools.append(number)


def general(row: Row) -> bool:
    """Whether it has nothing to do with what is taught, and is there against forgetting."""
    lineage = row.get("meta", {}).get("lineage")
    return isinstance(lineage, dict) and lineage.get("intent") == "replay"


def taught(train: int, looked: Looked, spec: FinetuneSpec) -> int:
    """Of ``train`` rows, those that ``spec`` learns from; where not all were looked at, as many in proportion."""
    left_out = 0 if spec.own_replay else round(train * looked.replayed / max(1, looked.train))
    return train - left_out


def _once(key: tuple[Any, ...], make: Callable[[], T]) -> T:
    with _lock:  # several sessions of the panel plan at once
        if key in _kept:
            _kept.move_to_end(key)
            found: T = _kept[key]
            return found
    made = make()
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made
