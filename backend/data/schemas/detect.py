"""What format records are in, told from the records themselves, with the reasons; each record of a mixed file by its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson

from backend.data.rows import Row
from backend.data.schemas import columns as named
from backend.data.schemas.mapping import TITLES, Mapping
from backend.errors import DataError, fill
from backend.i18n import N_, _

TURN_COLUMNS = ("messages", "conversations", "conversation", "dialog", "dialogue", "chat", "turns", "对话", "消息")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reason:
    """One thing that speaks for a format; ``message`` is a template for ``params``, translated when drawn."""

    message: str
    params: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The sentence, in the language of the current person."""
        return fill(_(self.message), {key: _(value) if key == "title" else value for key, value in self.params.items()})


@dataclass(frozen=True)
class Detection:
    """What the records are. confidence: 0 to 1. counts: schema -> how many of the records; ``unknown`` where nothing fits.

    Other formats than ``schema`` among the counts are read too, each record by its own.
    """

    schema: str
    confidence: float
    mapping: Mapping
    reasons: list[Reason]
    counts: dict[str, int]

    @property
    def mixed(self) -> bool:
        """Whether there are records of several formats."""
        return len([name for name in self.counts if name != UNKNOWN]) > 1


def detect(records: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> Detection:
    """The format of ``records``, some from the beginning of a file.

    Args:
        columns: names of the columns, in their order, where the file has some.
    """
    found = [recognise(record) for record in records]
    if any(each and each.schema == "llava" for each in found):
        # LLaVA's sets have rows without a picture, which alone look like ShareGPT.
        found = [replace(each, schema="llava") if each and each.schema == "sharegpt" else each for each in found]
    counts = Counter(each.schema if each else UNKNOWN for each in found)
    known = Counter(each.schema for each in found if each)
    if not known:
        return _nothing(records, columns, counts)
    schema, number = known.most_common(1)[0]
    mapping = _merged([each for each in found if each and each.schema == schema])
    reasons = [
        Reason(
            N_("{title}: {number} of the first {total} records have its form."),
            {"title": TITLES[schema], "number": number, "total": len(records)},
        )
    ]
    if schema in ("table", "alpaca"):
        for part, text in (
            ("instruction", N_("'{column}' is the question.")),
            ("output", N_("'{column}' is the answer.")),
        ):
            if part in mapping.columns:
                reasons.append(Reason(text, {"column": mapping.columns[part]}))
    else:
        reasons.append(Reason(N_("'{column}' holds the turns."), {"column": mapping.columns["messages"]}))
    for other, times in known.most_common()[1:]:
        reasons.append(
            Reason(N_("Records of another form: {number} ({title})."), {"number": times, "title": TITLES[other]})
        )
    if counts[UNKNOWN]:
        reasons.append(Reason(N_("Records of no form that is known: {number}."), {"number": counts[UNKNOWN]}))
    confidence = number / len(records)
    if schema == "table" and "instruction" not in mapping.columns:
        confidence *= 0.6  # text without a question: maybe there is one, under a name that says nothing
    return Detection(schema, round(confidence, 3), mapping, reasons, dict(counts.most_common()))


def _merged(mappings: list[Mapping]) -> Mapping:
    """One mapping for all: what most say of a part; a part that only some records have is read where it is."""
    votes: dict[str, Counter[str]] = {}
    for each in mappings:
        for part, column in each.columns.items():
            votes.setdefault(part, Counter())[column] += 1
    return Mapping(mappings[0].schema, {part: count.most_common(1)[0][0] for part, count in votes.items()})


def _nothing(records: Sequence[dict[str, Any]], columns: Sequence[str] | None, counts: Counter[str]) -> Detection:
    """No names that say anything: the two columns with the longest texts may be it, and a person must look."""
    lengths: Counter[str] = Counter()
    for record in records:
        for name, value in record.items():
            if name and isinstance(value, str):
                lengths[name] += len(value)
    order = {name: place for place, name in enumerate(columns or (name for record in records for name in record))}
    longest = sorted((name for name, _n in lengths.most_common(2)), key=lambda name: order.get(name, 0))
    if len(longest) < 2:
        reasons = [Reason(N_("No column says by its name that it holds questions, answers or turns."))]
        return Detection("table", 0.0, Mapping("table", {}), reasons, dict(counts))
    mapping = Mapping("table", {"instruction": longest[0], "output": longest[1]})
    reasons = [
        Reason(N_("No column says by its name that it holds questions, answers or turns.")),
        Reason(
            N_("'{question}' and '{answer}' hold the longest texts."), {"question": longest[0], "answer": longest[1]}
        ),
    ]
    return Detection("table", 0.3, mapping, reasons, dict(counts))


def recognise(record: dict[str, Any]) -> Mapping | None:
    """How ``record`` is read, by itself; None where it has no form that is known."""
    for column in TURN_COLUMNS:
        value = record.get(column)
        if value is None:
            continue
        if isinstance(value, str) and value[:1] in "[{":
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                continue
        first = value if isinstance(value, dict) else value[0] if isinstance(value, list) and value else None
        if isinstance(first, dict):
            with_image = record.get("image") is not None
            # Tables of turns hold every key in each of them, most of them empty.
            keys = frozenset(key for key, value in first.items() if value is not None)
            return _turns(column, keys, with_image)
    return _columns(tuple(name for name, value in record.items() if value is not None))


@lru_cache(maxsize=1000)  # a file has few shapes, and a reader is made once for each
def _turns(column: str, has: frozenset[str], with_image: bool) -> Mapping | None:
    from backend.data.schemas import FORMATS

    if has & {"from", "value"} and not has & {"role", "content"}:
        schema = "llava" if with_image else "sharegpt"
    elif has & {"role", "content"}:
        schema = "agent-flan" if column == "conversation" else "openai"
    elif has & {"input", "output"}:
        schema = "xtuner"
    else:
        return None
    return Mapping(schema, {**FORMATS[schema].columns, "messages": column})


@lru_cache(maxsize=1000)
def _columns(names: tuple[str, ...]) -> Mapping | None:
    from backend.data.schemas import FORMATS

    if "output" in names and ("instruction" in names or "input" in names):
        columns = dict(FORMATS["alpaca"].columns)
        return Mapping("alpaca", columns)
    guessed = named.guess(names)
    return Mapping("table", guessed) if "output" in guessed else None


def read_otherwise(record: dict[str, Any], mapping: Mapping, problem: DataError) -> Row:
    """A record that lacks what ``mapping`` reads, by its own form where that is another one.

    Raises:
        DataError: ``problem``, or what its own form says.
    """
    found = recognise(record)
    if found is None or (found.schema == mapping.schema and found.columns == mapping.columns):
        raise problem
    needed = "output" if found.schema in ("alpaca", "table") else "messages"
    if record.get(found.columns.get(needed, "")) is None or found.columns.get(needed) == mapping.columns.get(needed):
        raise problem
    if mapping.system:
        found = Mapping(found.schema, found.columns, mapping.system)
    return found.reader(record)
