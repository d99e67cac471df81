"""Bundled general conversation that is mixed in against forgetting: what the starter was taught, but for who it is.

Made anew from the seed, so nothing has to be shipped; wordings that the evaluation asks are never among them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import cast

from backend.data.rows import Message, Row

WITHOUT = ("identity", "greetings")
"""Skills that are about the model itself: they would teach the old name beside the new one."""

FACTORS = {"facts": 3.0, "choice": 0.4, "practice": 0.4, "ReAct": 0.5}
"""How much more of a skill there is than in the corpus: knowledge goes first, and its rows are short; the long ones of few words that
are learned from would take the time of many others."""

MOST_CHARS = 280
"""Of a row: longer ones would lose their end, and with it the answer, where rows are cut off at 256 tokens."""


def rows(count: int, seed: int) -> list[Row]:
    """``count`` rows, half of them Chinese."""
    return list(_rows(count, seed)) if count else []


def _rows(count: int, seed: int) -> Iterator[Row]:
    from jobs.starter import corpus  # not needed by most trainings

    skills = [skill for skill in corpus.SKILLS if skill.name not in WITHOUT]
    shares = [skill.share * FACTORS.get(skill.name, 1.0) for skill in skills]
    for number in range(count):
        rng = random.Random(f"general/{seed}/{number}")  # noqa: S311 - data that must repeat
        while True:
            made = rng.choices(skills, shares)[0].dialogue(rng, "en" if number % 2 else "zh", False)
            plain = not made.tools and {role for role, _ in made.turns} <= {"user", "assistant"}
            if plain and len(made.system) + sum(len(text) for _role, text in made.turns) <= MOST_CHARS:
                break
        meta = {"source": "general", "lineage": {"intent": "replay", "skill": made.skill}}
        yield Row(messages=cast("list[Message]", made.messages()), meta=meta)
