"""Which answer was better: one verdict a turn, with everything that was judged; the tally per pair; and the export.

A line of the export, which is JSON Lines:

    {"format": 1, "time": "2026-11-21T14:05:09+00:00", "verdict": "better", "winner": 1, "reason": "shorter", "blind": true,
     "prompt": "…", "seed": 7, "before": [{"prompt": "…", "answers": ["…", "…"]}],
     "contenders": [{"label": "starter", "model": "starter", "params": {…}}, …],
     "answers": [{"text": "…", "state": "done", "completion_tokens": 41, "ttft_s": 0.2, "tokens_s": 55.0}, …]}

winner: place in ``contenders``, or null. A verdict other than better is ``tie`` or ``both_bad`` (none is good).
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backend.chat.records import Message, clean
from backend.compare.comparisons import Comparisons
from backend.compare.records import BAD, BETTER, TIE, Turn, labels
from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_

FORMAT = 1
LONGEST_REASON = 300
SHARE_FROM = 10
"""Votes below which a share in percent says nothing."""


@dataclass(frozen=True)
class Pair:
    """How two contenders did against each other; ``a`` comes before ``b`` in the alphabet."""

    a: str
    b: str
    a_better: int = 0
    b_better: int = 0
    ties: int = 0
    both_bad: int = 0

    @property
    def votes(self) -> int:
        return self.a_better + self.b_better + self.ties + self.both_bad

    def share(self, count: int) -> float | None:
        """``count`` of all votes on this pair, 0 to 1; None where there are too few to say."""
        return count / self.votes if self.votes >= SHARE_FROM else None


def cast(comparisons: Comparisons, comparison: str, turn: int, verdict: str, winner: int | None = None) -> None:
    """Store the verdict on ``turn``, in place of an earlier one, whose reason stays; names that were hidden are shown.

    Raises:
        ConflictError: ``answer_running``: not all answers have ended; ``nothing_to_judge``: none says anything.
        NotFoundError: ``comparison_unknown``; ``turn_unknown``.
    """
    found = comparisons.get(comparison)
    turns = comparisons.turns(found)
    place = next((place for place, each in enumerate(turns) if each.id == turn), None)
    if place is None:
        raise NotFoundError("turn_unknown", N_("This comparison has no such turn any more."))
    judged = turns[place]
    if judged.running:
        raise ConflictError(
            "answer_running",
            N_("An answer in this comparison is still being written."),
            N_("Wait for its end, or stop it."),
        )
    if not judged.votable or (verdict == BETTER and not _said(judged, winner)):
        raise ConflictError("nothing_to_judge", N_("There is no answer that could be judged."))
    names = labels(found.contenders)
    record = {
        "prompt": judged.prompt,
        "seed": judged.seed,
        "before": [{"prompt": t.prompt, "answers": [a.content if a else "" for a in t.answers]} for t in turns[:place]],
        "contenders": [
            {"label": name, "model": c.model, "params": c.params.model_dump(exclude={"seed"})}
            for name, c in zip(names, found.contenders, strict=True)
        ],
        "answers": [_answer(answer) for answer in judged.answers],
    }
    with comparisons.columns.write() as db:
        db.execute(
            "INSERT INTO votes (turn, verdict, winner, blind, labels, record, created) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (turn) DO UPDATE SET verdict = excluded.verdict, winner = excluded.winner,"
            " created = excluded.created",  # blind stays: how it was when the first verdict was given
            (
                turn,
                verdict,
                winner if verdict == BETTER else None,
                int(found.hidden),
                json.dumps(names, ensure_ascii=False),
                json.dumps(record, ensure_ascii=False),
                time.time(),
            ),
        )
        db.execute("UPDATE comparisons SET revealed = 1 WHERE id = ?", (comparison,))


def explain(comparisons: Comparisons, turn: int, reason: str) -> None:
    """Why the verdict on ``turn`` is what it is, in one line."""
    line = clean(" ".join(reason.split()))[:LONGEST_REASON]
    with comparisons.columns.write() as db:
        db.execute("UPDATE votes SET reason = ? WHERE turn = ?", (line, turn))


def withdraw(comparisons: Comparisons, turn: int) -> None:
    """Take the verdict on ``turn`` back."""
    with comparisons.columns.write() as db:
        db.execute("DELETE FROM votes WHERE turn = ?", (turn,))


def count(comparisons: Comparisons, comparison: str | None = None) -> int:
    """How many votes there are, in all or in one comparison."""
    only = "" if comparison is None else " WHERE turn IN (SELECT id FROM turns WHERE comparison = ?)"
    with comparisons.columns.read() as db:
        query = f"SELECT count(*) FROM votes{only}"
        return int(db.execute(query, () if comparison is None else (comparison,)).fetchone()[0])


def tally(comparisons: Comparisons) -> list[Pair]:
    """Every pair of contenders that was judged, the most votes first. A vote among more than two counts for each pair in
    which it says something: the winner is better than each other; a tie, and all being bad, hold for every pair."""
    with comparisons.columns.read() as db:
        rows = db.execute("SELECT verdict, winner, labels FROM votes ORDER BY turn").fetchall()
    counts: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        names = json.loads(row["labels"])
        for one, other in itertools.combinations(range(len(names)), 2):
            if names[one] == names[other] or (row["verdict"] == BETTER and row["winner"] not in (one, other)):
                continue
            a, b = sorted((names[one], names[other]))
            kind = {TIE: 2, BAD: 3}.get(row["verdict"])
            if kind is None:
                kind = 0 if names[row["winner"]] == a else 1
            counts.setdefault((a, b), [0, 0, 0, 0])[kind] += 1
    pairs = [Pair(a, b, *each) for (a, b), each in counts.items()]
    return sorted(pairs, key=lambda pair: (-pair.votes, pair.a, pair.b))


def export(comparisons: Comparisons) -> Iterator[str]:
    """All votes, oldest first, a line of JSON each (see the module), each with its line break."""
    with comparisons.columns.read() as db:
        rows = db.execute("SELECT * FROM votes ORDER BY created, turn").fetchall()
    for row in rows:
        line = {
            "format": FORMAT,
            "time": datetime.fromtimestamp(row["created"], UTC).isoformat(timespec="seconds"),
            "verdict": row["verdict"],
            "winner": row["winner"],
            "reason": row["reason"],
            "blind": bool(row["blind"]),
            **json.loads(row["record"]),
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"


def _said(turn: Turn, winner: int | None) -> bool:
    answer = turn.answers[winner] if winner is not None and 0 <= winner < len(turn.answers) else None
    return answer is not None and bool(answer.content)


def _answer(answer: Message | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "text": answer.content,
        "state": answer.state,
        "completion_tokens": answer.completion_tokens,
        "ttft_s": answer.ttft_s,
        "tokens_s": answer.tokens_s,
    }
