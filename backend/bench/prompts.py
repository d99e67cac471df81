"""What a server is asked while it is measured: the bundled prompts, or a file of one's own.

``data/prompts.jsonl``: 112 prompts in English and Chinese, from one line to about 600 tokens, written for this. A file may be
ShareGPT JSON (of each conversation the first question, and the length of its answer, as LMDeploy's script takes them), or
JSON, JSON Lines or text with a prompt or a conversation a row. Nothing is ever downloaded.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.chat.history import estimate_tokens
from backend.data.containers import Broken, open_source
from backend.errors import DataError
from backend.i18n import N_

if TYPE_CHECKING:
    from backend.workspace import Workspace

BUNDLED = "bundled"
FILE = Path(__file__).parent / "data" / "prompts.jsonl"
LEAST, LONGEST, LONGEST_BOTH = 4, 1024, 2048
"""LMDeploy's limits for ShareGPT, in tokens: a prompt and an answer have at least 4, a prompt at most 1,024, both together 2,048."""
_PLAIN = ("prompt", "question", "instruction", "text", "input")
_ASKS, _ANSWERS = ("human", "user"), ("gpt", "assistant", "model", "bot")
Tokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one request sends. answer_tokens: length of the answer that the file has for it; 0: none known."""

    messages: tuple[dict[str, str], ...]
    answer_tokens: int = 0

    @property
    def text(self) -> str:
        """All that is said in it."""
        return "\n".join(one["content"] for one in self.messages)


@dataclass(frozen=True)
class Chosen:
    """Prompts for a measurement. found: usable ones in the file; left_out: too long, too short or unreadable; repeated: the
    file has fewer than are sent, so some are sent again, and a server that remembers prompts answers those faster."""

    prompts: list[Prompt]
    found: int
    left_out: int
    repeated: bool


def read(
    source: str, count: int, *, seed: int = 42, input_tokens: int = 0, tokens: Tokens | None = None
) -> list[Prompt]:
    """``count`` prompts; see :func:`choose`."""
    return choose(source, count, seed=seed, input_tokens=input_tokens, tokens=tokens).prompts


def choose(
    source: str,
    count: int,
    *,
    seed: int = 42,
    input_tokens: int = 0,
    tokens: Tokens | None = None,
    overhead: int = 0,
    room: int = 0,
) -> Chosen:
    """``count`` prompts of ``source`` in an order that ``seed`` decides.

    Args:
        source: ``bundled``, or the path of a file.
        input_tokens: each is cut or repeated to this length; 0: as it is.
        tokens: counts those of a text; None: an estimate from its characters.
        overhead: tokens that the model's template adds to each prompt, counted into ``input_tokens`` and ``room``.
        room: tokens of prompt and template that fit; longer prompts are left out. 0: any.

    Raises:
        DataError: ``bench_prompts_shape``: no row holds a prompt; ``bench_prompts_long``: none fits; what
            :func:`backend.data.containers.open_source` raises for a file that is none.
    """
    tokens = tokens or estimate_tokens
    rows, bad, first_bad = _rows(FILE if source == BUNDLED else Path(source).expanduser())
    if not rows:
        raise _no_prompt(source, first_bad)
    random.Random(seed).shuffle(rows)  # noqa: S311 - an order that can be had again, no secret
    found: list[Prompt] = []
    for text in rows:
        if len(found) == count:
            break
        prompt = _prompt(text, tokens, input_tokens - overhead if input_tokens else 0)
        if prompt is None or (room and tokens(prompt.text) + overhead > room):
            bad += 1
            continue
        found.append(prompt)
    if not found:
        raise DataError(
            "bench_prompts_long",
            N_("None of the {count} prompts in {source} can be sent: they are longer than the {room} tokens that fit."),
            N_("Give a prompt length that fits, shorter answers, or serve the model with a longer context."),
            count=len(rows),
            source=source,
            room=room or LONGEST,
        )
    prompts = [found[n % len(found)] for n in range(count)]
    return Chosen(prompts, len(found), bad, len(found) < count)


def counter(workspace: Workspace, model: str) -> Tokens:
    """Counts as the tokenizer of ``model`` does (a name of the catalog, or a folder).

    Raises:
        PanelError: there is no such model, or its tokenizer cannot be read.
    """
    from backend.data.tokens.model import open_listed

    tokenizer = open_listed(workspace, model).tokenizer
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def fit(text: str, wanted: int, tokens: Tokens) -> str:
    """``text`` cut, or repeated and cut, to the longest that has at most ``wanted`` tokens, at least one character."""
    has = max(1, tokens(text))
    if has == wanted:
        return text
    whole = "\n\n".join([text] * (wanted // has + 2))
    low, high = 1, len(whole)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens(whole[:middle]) <= wanted else (low, middle - 1)
    return whole[:low]


@dataclass(frozen=True, slots=True)
class _Row:
    messages: tuple[dict[str, str], ...]
    answer: str
    sharegpt: bool


def _prompt(row: _Row, tokens: Tokens, wanted: int) -> Prompt | None:
    answer = tokens(row.answer) if row.answer else 0
    if wanted:
        asked = row.messages[-1]
        return Prompt(({**asked, "content": fit(asked["content"], max(1, wanted), tokens)},), answer)
    if row.sharegpt:
        asked_tokens = tokens(row.messages[-1]["content"])
        if min(asked_tokens, answer) < LEAST or asked_tokens > LONGEST or asked_tokens + answer > LONGEST_BOTH:
            return None
    return Prompt(row.messages, answer)


def _rows(path: Path) -> tuple[list[_Row], int, DataError | Mapping[str, Any] | None]:
    """Prompts of a file, how many rows hold none, and what the first of these was."""
    rows: list[_Row] = []
    bad, first = 0, None
    with open_source(path) as source:
        for item in source:
            row = None if isinstance(item, Broken) else _row(item.value)
            if row is None:
                bad += 1
                first = first or (item.error if isinstance(item, Broken) else item.value)
            else:
                rows.append(row)
    return rows, bad, first


def _row(value: Mapping[str, Any]) -> _Row | None:
    turns = value.get("conversations", value.get("conversation"))
    if isinstance(turns, list):
        return _sharegpt(turns)
    if isinstance(value.get("messages"), list):
        return _messages(value["messages"])
    said = [value[name] for name in _PLAIN if isinstance(value.get(name), str) and value[name].strip()]
    if not said:
        return None
    # Alpaca has the task in one column and what it is about in another.
    both = "instruction" in value and isinstance(value.get("input"), str) and value["input"].strip()
    text = f"{value['instruction']}\n\n{value['input']}" if both else said[0]
    answer = next((value[name] for name in ("output", "answer", "response") if isinstance(value.get(name), str)), "")
    return _Row(({"role": "user", "content": text},), answer, sharegpt=False)


def _sharegpt(turns: Sequence[Any]) -> _Row | None:
    told = list(_turns(turns, "from", "value"))
    for n, (who, text) in enumerate(told[:-1]):
        if who in _ASKS and told[n + 1][0] in _ANSWERS:
            return _Row(({"role": "user", "content": text},), told[n + 1][1], sharegpt=True)
    return None


def _messages(turns: Sequence[Any]) -> _Row | None:
    told = list(_turns(turns, "role", "content"))
    answer = told.pop()[1] if told and told[-1][0] in _ANSWERS else ""
    if not told or told[-1][0] not in _ASKS:
        return None
    return _Row(tuple({"role": who, "content": text} for who, text in told), answer, sharegpt=False)


def _turns(turns: Sequence[Any], who: str, what: str) -> Iterator[tuple[str, str]]:
    for turn in turns:
        if isinstance(turn, dict) and isinstance(turn.get(what), str) and turn[what].strip():
            yield str(turn.get(who) or ""), turn[what]


def _no_prompt(source: str, first: DataError | Mapping[str, Any] | None) -> DataError:
    found = str(first) if isinstance(first, DataError) else ", ".join(sorted(first or ()))[:300] or "-"
    return DataError(
        "bench_prompts_shape",
        N_("No row of {source} holds a prompt. Its first row has: {found}"),
        N_(
            "Each row needs 'prompt', 'messages' with a question, or 'conversations' as in ShareGPT; or write one prompt a line into a .txt file."
        ),
        source=source,
        found=found,
    )
