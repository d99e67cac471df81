"""The general slice: simple questions that most models answer, asked before and after, as an alarm for forgetting.

``data/general.jsonl``: language, kind, question, and what an answer may hold to be right, any one of it. They are facts of
everyday knowledge (capitals, opposites, small sums, words in two languages) from the tables that the starter model knows
(``jobs/starter/data``), each in a wording of which the starter was trained on no example for this fact: so the starter can answer them and
has not learned them by heart, and larger models know them anyway. What an answer may hold was written by hand. None stands among the
general rows that TuneDeck mixes into datasets (``backend/data/make/data/neutral.tsv``).

Not covered: reasoning, long texts, code, other languages. A model can forget these without the alarm.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from backend.finetune.scoring import Question, said

FILE = Path(__file__).parent / "data" / "general.jsonl"


@lru_cache(maxsize=1)
def everything() -> tuple[Question, ...]:
    """All of them, the languages in turn."""
    found = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        found.append(
            Question(
                [{"role": "user", "content": one["question"]}],
                one["accept"][0],
                one["language"],
                "any",
                tuple(one["accept"]),
            )
        )
    return tuple(found)


def untaught(taught: Collection[str]) -> list[Question]:
    """Those that are not among ``taught``, questions as :func:`backend.finetune.scoring.said` writes them: what was just
    learned says nothing about what was forgotten."""
    return [one for one in everything() if not said([one.asked]) & set(taught)]
