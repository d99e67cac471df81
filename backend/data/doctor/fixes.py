"""Mend rows: a stream of rows in, a stream of mended rows out.

    rows, one by one     blanks, empty answers, system prompts, questions in a row, secrets, personal data; then rows are left out
    all rows together    copies, near duplicates, leaks, odd languages: what is left is laid down, scanned and planned

Mending again changes nothing, and never leaves or makes a finding of a code that was mended (tests/unit/test_data_doctor_fixes.py).
Nothing that was given is changed in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson

from backend.data.doctor.checks import CHECKS
from backend.data.doctor.examining import Against, lines_of, name_of
from backend.data.doctor.findings import Limits
from backend.data.doctor.look import look, trimmed
from backend.data.doctor.look import whole as pictures_seen
from backend.data.doctor.personal import cover
from backend.data.doctor.scan import Array, Lines, Tick, scan
from backend.data.doctor.spool import of_version, spooled
from backend.data.doctor.together import Other, Together
from backend.data.rows import Row, line
from backend.data.versions import Version
from backend.errors import DataError
from backend.i18n import N_

_COVERS = frozenset({"secret", "personal", "ip_address"})


def fix(
    rows: Version | Iterable[Row],
    codes: Iterable[str],
    *,
    against: Against | None = None,
    limits: Limits | None = None,
    images: Path | None = None,
    tick: Tick | None = None,
) -> Iterator[Row]:
    """``rows`` without what ``codes`` name. See :data:`checks.CHECKS` for which have a fix.

    Args:
        against: for ``leak_other``, the other dataset. images: for ``image_broken``, the folder that pictures lie below; of a
            version it is known. tick: called with the number of rows done, now and then; may raise to stop.

    Raises:
        DataError: ``fix_unknown``: a code has no fix; ``fix_against_missing``. Said at once, not when the first row is asked for.
    """
    chosen = frozenset(codes)
    for code in sorted(chosen):
        if code not in CHECKS or not CHECKS[code].fixable:
            raise DataError(
                "fix_unknown",
                N_("'{name}' is nothing that can be mended by itself."),
                N_("These can: {known}."),
                name=code,
                known=", ".join(code for code, check in CHECKS.items() if check.fixable),
            )
    if "leak_other" in chosen and against is None:
        raise DataError(
            "fix_against_missing",
            N_("Which rows stand in another dataset cannot be told without that dataset."),
            N_("Name it: --against on the command line, 'against' in a step."),
        )
    return _fixed(rows, chosen, against, limits or Limits(), images, tick)


def _fixed(
    rows: Version | Iterable[Row],
    codes: frozenset[str],
    against: Against | None,
    limits: Limits,
    images: Path | None,
    tick: Tick | None,
) -> Iterator[Row]:
    pictures_seen.cache_clear()
    whole = frozenset(code for code in codes if CHECKS[code].whole)
    single = codes - whole
    if isinstance(rows, Version):
        images = of_version(rows).images
    mended = (row for row in (mend(row, single, limits, images) for row in rows) if row is not None)
    if not whole:
        for number, row in enumerate(mended, 1):
            if tick is not None and number % 1000 == 0:
                tick(number)
            yield row
        return
    with ExitStack() as stack:
        lines = of_version(rows) if isinstance(rows, Version) and not single else None
        if lines is None:
            lines = stack.enter_context(spooled(enumerate(mended, 1)))
        other = None
        if against is not None and "leak_other" in whole:
            theirs = stack.enter_context(lines_of(against))
            theirs = Lines(theirs.path, theirs.edges, None, theirs.numbers)
            other = Other(name_of(against), theirs, scan(theirs, limits, tick))
        lines = Lines(lines.path, lines.edges)
        kept = planned(Together(lines, scan(lines, limits, tick), limits, other), whole)
        for keep, data in zip(kept, lines.read(0, len(lines)), strict=True) if len(lines) else ():
            if keep:
                yield orjson.loads(data)


def planned(together: Together, codes: frozenset[str]) -> Array:
    """Which rows stay: one bool a row. Taking one away may show another (a new first of its kind), so until nothing changes."""
    kept = np.ones(len(together.lines), bool)
    while True:
        before = int(kept.sum())
        duplicates, sizes = together.duplicates(kept)
        if "duplicate" in codes:
            kept[duplicates.places] = False
        elif "copies" in codes:
            kept[duplicates.places[sizes[duplicates.firsts] >= together.limits.copies]] = False
        if "leak" in codes:
            kept[together.leaks(kept).places] = False
        if "leak_near" in codes:
            kept[together.near_leaks(kept).places] = False
        if "leak_other" in codes:
            kept[together.leaks_other(kept).places] = False
        if "language_odd" in codes:
            kept[together.odd_language(kept)[0]] = False
        if "near_duplicate" in codes:
            near = together.near(kept)
            gone: set[int] = set()
            for place, first in zip(near.places.tolist(), near.firsts.tolist(), strict=True):
                if first not in gone:  # what is near to a row that goes may not be near to one that stays
                    gone.add(place)
            kept[list(gone)] = False
        if int(kept.sum()) == before:
            return kept


def mend(row: Any, codes: frozenset[str], limits: Limits, images: Path | None = None) -> Row | None:
    """One row without what ``codes`` name; None: it is left out. What is no conversation comes back as it is."""
    messages = row.get("messages") if isinstance(row, dict) else None
    if not codes or not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return cast(Row, row)
    turns = [dict(message) for message in messages]
    if "leading_blanks" in codes:
        turns = [_trimmed(turn) for turn in turns]
    if "system_late" in codes:
        turns = _system_first(turns)
    if "answer_empty" in codes:
        before = len(turns)
        turns = _without_empty_answers(turns)
        if len(turns) < before and not any(map(_answers, turns)):
            return None
    if "two_users" in codes:
        turns = _questions_joined(turns)
    if covered := codes & _COVERS:
        turns = [_covered(turn, covered) for turn in turns]
    if "leading_blanks" in codes:
        turns = [_trimmed(turn) for turn in turns]
    found = {**row, "messages": turns}
    drops = {code for code in codes if CHECKS[code].drops}
    if drops - {"answer_empty"}:
        told = look(found, line(cast(Row, found)), limits, images).told
        if any(code in drops for code, _ in told):
            return None
    return cast(Row, found)


def _text(turn: dict[str, Any]) -> str:
    text = turn.get("content")
    return text if isinstance(text, str) else ""


def _answers(turn: dict[str, Any]) -> bool:
    return turn.get("role") == "assistant" and turn.get("loss", True) is not False


def _trimmed(turn: dict[str, Any]) -> dict[str, Any]:
    text = trimmed(_text(turn))
    if not text or turn.get("role") not in ("user", "assistant") or text == turn["content"]:
        return turn
    return {**turn, "content": text}


def _system_first(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [turn for turn in turns if turn.get("role") == "system"]
    if not found or (len(found) == 1 and turns[0] is found[0]):
        return turns
    joined = {**found[0], "content": _joined(found)}
    return [joined, *(turn for turn in turns if turn.get("role") != "system")]


def _without_empty_answers(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each empty answer goes, and the question that it does not answer with it."""
    left: list[dict[str, Any]] = []
    for turn in turns:
        if not _answers(turn) or turn.get("tool_calls") or trimmed(_text(turn)):
            left.append(turn)
        elif left and left[-1].get("role") == "user":
            left.pop()
    return left


def _questions_joined(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    left: list[dict[str, Any]] = []
    for turn in turns:
        if left and turn.get("role") == left[-1].get("role") == "user":
            both = [left[-1], turn]
            images = [one for part in both for one in (part.get("images") or [])]
            left[-1] = {**left[-1], "content": _joined(both), **({"images": images} if images else {})}
        else:
            left.append(turn)
    return left


def _joined(turns: list[dict[str, Any]]) -> str:
    return "\n\n".join(text for text in map(_text, turns) if trimmed(text))


def _covered(turn: dict[str, Any], codes: frozenset[str]) -> dict[str, Any]:
    text = turn.get("content")
    if isinstance(text, str) and (new := cover(text, codes)) != text:
        turn = {**turn, "content": new}
    calls = turn.get("tool_calls")
    if isinstance(calls, list) and calls:
        new_calls = [_covered_call(call, codes) for call in calls]
        if new_calls != calls:
            turn = {**turn, "tool_calls": new_calls}
    return turn


def _covered_call(call: Any, codes: frozenset[str]) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    text = function.get("arguments")
    if not isinstance(text, str) or cover(text, codes) == text:
        return call
    try:
        # Inside of JSON a covered number must become a string.
        new = json.dumps(_covered_value(json.loads(text), codes), ensure_ascii=False)
    except (ValueError, RecursionError):
        new = text
    return {**call, "function": {**function, "arguments": cover(new, codes)}}


def _covered_value(value: Any, codes: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {cover(key, codes): _covered_value(one, codes) for key, one in value.items()}
    if isinstance(value, list):
        return [_covered_value(one, codes) for one in value]
    if isinstance(value, str):
        return cover(value, codes)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = json.dumps(value)
        return new if (new := cover(text, codes)) != text else value
    return value
