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


def rows(count: int, seed: int) -> list[Row]:
    """``count`` rows, half of them Chinese."""
    return list(_rows(count, seed)) if count else []


def _rows(count: int, seed: int) -> Iterator[Row]:
    from jobs.starter import corpus  # not needed by most trainings

    skills = [skill for skill in corpus.SKILLS if skill.name not in WITHOUT]
    shares = [skill.share for skill in skills]
    for number in range(count):
        rng = random.Random(f"general/{seed}/{number}")  # noqa: S311 - data that must repeat
        while True:
            made = rng.choices(skills, shares)[0].dialogue(rng, "en" if number % 2 else "zh", False)
            if not made.tools and {role for role, _ in made.turns} <= {"user", "assistant"}:
                break
        meta = {"source": "general", "lineage": {"intent": "replay", "skill": made.skill}}
        yield Row(messages=cast("list[Message]", made.messages()), meta=meta)
