"""Small talk: greetings, identity, thanks, jokes. All wordings and answers stand in ``data/small_talk.txt``."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.starter.dialogue import Exchange, Lang, as_typed, punctuated

IDENTITY = ("name", "maker", "nature", "other")
"""Intents that ask who the model is."""
COMMON = 5
GREETINGS = ("greet", "morning", "afternoon", "evening", "how")


@dataclass(frozen=True)
class Intent:
    """One thing people say: wordings to train on, wordings kept for the evaluation, answers."""

    name: str
    said: dict[str, tuple[str, ...]]
    kept: dict[str, tuple[str, ...]]
    answers: dict[str, tuple[str, ...]]


@cache
def intents() -> dict[str, Intent]:
    """name -> intent, from the data file."""
    found: dict[str, Intent] = {}
    name = ""
    text = (Path(__file__).parent / "data" / "small_talk.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:].strip()
            found[name] = Intent(name, {}, {}, {})
        elif line[:2] in ("en", "zh"):
            lang, kind, rest = line[:2], line[2], line[3:]
            parts = tuple(part.strip() for part in rest.split("|"))
            {"?": found[name].said, "!": found[name].kept, "=": found[name].answers}[kind][lang] = parts
    return found


def exchange(rng: random.Random, lang: Lang, held: bool, names: tuple[str, ...] = ()) -> Exchange:
    """Something of one of the intents ``names`` (default: all but greetings and identity, by number of wordings)."""
    everything = intents()
    chosen = everything[rng.choice(names or _others())]
    pool = chosen.kept[lang] if held else chosen.said[lang]
    # The first wordings of a line are the commonest ones, and come up more often: "hello", "hi", "yes".
    wording = rng.choice(pool[:COMMON] if not held and rng.random() < 0.35 else pool)
    question = as_typed(rng, punctuated(wording, lang), lang, lead=0.06)
    answers = chosen.answers[lang]
    skill = "greetings" if chosen.name in GREETINGS else "identity" if chosen.name in IDENTITY else "small talk"
    answer = rng.choice(answers)
    key = f"talk/{chosen.name}/{lang}/{wording}" + ("!" if held else "")
    return Exchange(skill, lang, question, answer, key, accept=answers)


@cache
def _others() -> tuple[str, ...]:
    weighted: list[str] = []
    for name, intent in intents().items():
        if name not in GREETINGS and name not in IDENTITY:
            weighted += [name] * max(2, len(intent.said["en"]) // 6)
    return tuple(weighted)
