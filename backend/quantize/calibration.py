"""The texts that a method looks at: of TuneDeck's own set in two languages, or of a dataset; never of a hub.

The bundled set (``data/calibration.jsonl``) was written for this: passages and conversations, half of them in English, half in
Chinese, on everyday and technical matters, with code, numbers and lists among them; no person, and nothing that is asked in an exam here.
Of a dataset only the split ``train`` is looked at: held-out rows stay unseen for the report card.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

from backend.data.rows import Row, parse, split_of
from backend.data.store import Datasets
from backend.data.tokens.model import TokenModel
from backend.data.tokens.template import render
from backend.data.versions import Version
from backend.errors import DataError
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace

FILE = Path(__file__).parent / "data" / "calibration.jsonl"
WHOLE_BYTES = 32_000_000
"""Up to this size all rows of a dataset are shuffled; of a larger one so many places are drawn, and no more are read."""
DRAWN = 8
LOOK_CHARS = 400_000
"""Characters that a plan looks at; the rest is guessed from these."""
CHARS, LEAST_CHARS = 16, 4096
"""Characters of a row that are tokenized for each token that is wanted (no real text has so few tokens), and at least."""


@dataclass(frozen=True)
class Calibrated:
    """rows: texts as the model reads them, conversations through its chat template, special tokens written out (tokenize them without
    adding any), cut to ``sample_tokens``. asked: rows that were asked for; found: that there are to choose from. cut: rows that
    were longer; longest: tokens of the longest of those, uncut. tokens: of all of ``rows``. refused: rows passed over, because the chat
    template does not take them, or they hold pictures. source: ``bundled``, ``name@version``, or empty for none. whole: all rows that
    were asked for were looked at; else there are some more than ``rows``."""

    rows: list[str]
    asked: int
    found: int
    cut: int
    source: str
    tokens: int = 0
    longest: int = 0
    refused: int = 0
    whole: bool = True

    @property
    def taken(self) -> int:
        """Rows that a run looks at, those included that a plan has not read."""
        return len(self.rows) if self.whole else min(self.asked, self.found)


NONE = Calibrated([], 0, 0, 0, "")


def texts(workspace: Workspace, spec: QuantizeSpec, tokens: TokenModel, most_chars: int | None = None) -> Calibrated:
    """The rows of ``spec``, the same for the same seed. tokens: of the model. most_chars: stop after so many characters.

    Raises:
        DataError: the dataset is not there, or damaged. ModelError: the model's chat template is missing or broken.
    """
    if spec.calibration == "none":
        return NONE
    version = Datasets(workspace).open(spec.dataset, spec.version or None) if spec.calibration == "dataset" else None
    drawn = _of_dataset(version, spec) if version is not None else _bundled(spec.seed)
    found = version.info.counts.get("train", len(version)) if version is not None else len(bundled())
    opening, chosen, refused, read, whole = _opening(tokens), list[str](), 0, 0, True
    for row in drawn:
        whole = most_chars is None or read < most_chars
        if len(chosen) == spec.samples or not whole:
            break
        text = _text(row, tokens, opening)
        if text:
            chosen.append(text)
            read += min(len(text), max(CHARS * spec.sample_tokens, LEAST_CHARS))
        else:
            refused += 1
    whole = whole or len(chosen) == spec.samples
    if whole and len(chosen) < spec.samples:
        found = len(chosen)
    cut, seen, longest = _cut(chosen, spec.sample_tokens, tokens)
    return Calibrated(
        rows=chosen,
        asked=spec.samples,
        found=found,
        cut=cut,
        source=f"{spec.dataset}@{version.info.id}" if version is not None else "bundled",
        tokens=seen,
        longest=longest,
        refused=refused,
        whole=whole,
    )


@lru_cache(maxsize=1)
def bundled() -> tuple[Row, ...]:
    """TuneDeck's own rows; those that are plain text have one message of no one in particular (``meta.text``)."""
    found = list[Row]()
    for line in FILE.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        meta = {"lineage": {"language": one["language"]}, "text": "text" in one}
        messages = one.get("messages") or [{"role": "user", "content": one["text"]}]
        found.append({"messages": messages, "meta": meta})
    return tuple(found)


def _bundled(seed: int) -> Iterator[Row]:
    """The two languages in turn, so that few rows hold both."""
    mix = random.Random(seed)  # noqa: S311 - a choice of rows, no secret
    parts = [[row for row in bundled() if (row["meta"]["lineage"]["language"] == "zh") is zh] for zh in (False, True)]
    for part in parts:
        mix.shuffle(part)
    for place in range(max(map(len, parts))):
        yield from (part[place] for part in parts if place < len(part))


def _of_dataset(version: Version, spec: QuantizeSpec) -> Iterator[Row]:
    """Rows of the split ``train`` in an order that follows from the seed."""
    mix = random.Random(spec.seed)  # noqa: S311 - a choice of rows, no secret
    if version.info.bytes <= WHOLE_BYTES:
        lines = list(version.lines())
        mix.shuffle(lines)
        rows = (_parsed(version, line) for line in lines)
    else:
        places = mix.sample(range(len(version)), min(len(version), DRAWN * spec.samples))
        rows = (version[place] for place in places)
    return (row for row in rows if split_of(row) == "train")


def _parsed(version: Version, line: bytes) -> Row:
    try:
        return parse(line)
    except orjson.JSONDecodeError as error:
        raise version.damaged("rows.jsonl") from error


def _text(row: Row, tokens: TokenModel, opening: str) -> str:
    """``row`` as the model reads it; empty where it cannot be one."""
    if row.get("meta", {}).get("text") or not tokens.templates:
        plain = "\n\n".join(message["content"] for message in row["messages"])
        return opening + plain if plain.strip() else ""
    if any(message.get("images") for message in row["messages"]):
        return ""
    try:
        return render(tokens, row)
    except DataError:
        return ""


def _opening(tokens: TokenModel) -> str:
    """What the model's tokenizer puts before a text by itself, such as ``<|begin_of_text|>``."""
    bare = tokens.tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokens.tokenizer.encode("a", add_special_tokens=True).ids
    place = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
    return "".join(tokens.text_of(one) for one in whole[:place])


def _cut(rows: list[str], most: int, tokens: TokenModel) -> tuple[int, int, int]:
    """Cut ``rows`` to ``most`` tokens, in place; (how many were longer, tokens of all, tokens of the longest before)."""
    cut = seen = longest = 0
    read = [text[: max(CHARS * most, LEAST_CHARS)] for text in rows]
    for place, found in enumerate(tokens.tokenizer.encode_batch(read, add_special_tokens=False)):
        length = len(found.ids)
        longest = max(longest, length * len(rows[place]) // max(1, len(read[place])))
        seen += min(length, most)
        if length > most:
            cut += 1
            rows[place] = rows[place][: found.offsets[most - 1][1]]
    return cut, seen, longest
