"""A role that a model is to play: rows from a description, example lines, topics, and what it does not talk about.

What is composed here are templates, and says so (``meta.lineage.template``): they teach who the role is, what it gladly talks
about and what it declines, not what it knows. Knowledge comes from example exchanges, which are taken word for word, and from
documents. A role says that an AI plays it when it is asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from backend.data.make import identity, phrases
from backend.data.make.grammar import Lang, checked_line, checked_text, fill, with_article
from backend.data.rows import Message, Row, split_of
from backend.errors import DataError
from backend.i18n import N_

Prompted = Literal["both", "with", "without"]
"""Whether rows stand under the role's system prompt: each row both ways, always, or never."""
MAX_NAME, MAX_WHO, MAX_STYLE, MAX_TOPIC, MAX_SAID = 40, 200, 300, 60, 4000
MOST_TOPICS, MOST_EXAMPLES = 30, 200
SOURCE = "persona"
_SELF = ("name", "intro")


@dataclass(frozen=True)
class PersonaWish:
    """What is asked for. who: completes "I am …", "我是…". style: how it speaks, in words; stands in the system prompt.
    sayings: what it likes to say, whole sentences. examples: (question, answer), taken as they are. topics, refuses: what
    it talks about gladly and not at all. replay: share of all taught rows that have nothing to do with it."""

    name: str
    who: str
    style: str = ""
    sayings: tuple[str, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    topics: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    lang: Lang = "en"
    prompted: Prompted = "both"
    replay: float = 0.2
    seed: int = 1


def checked(wish: PersonaWish) -> PersonaWish:
    """``wish`` with its texts tidy.

    Raises:
        DataError: a text that is missing, too long or unfit; ``too_many_lines``.
    """
    for what, most in ((wish.topics, MOST_TOPICS), (wish.refuses, MOST_TOPICS), (wish.examples, MOST_EXAMPLES)):
        if len(what) > most:
            raise DataError(
                "too_many_lines", N_("There are {count} lines."), N_("Use at most {most}."), count=len(what), most=most
            )
    who = checked_line(wish.who, N_("Who it is"), MAX_WHO).rstrip(".。")
    return replace(
        wish,
        name=checked_line(wish.name, N_("The name"), MAX_NAME),
        who=with_article(_lower(who)) if wish.lang == "en" else who,
        style=checked_line(wish.style, N_("How it speaks"), MAX_STYLE, needed=False).rstrip(".。"),
        sayings=tuple(checked_line(each, N_("What it likes to say"), MAX_STYLE) for each in wish.sayings),
        examples=tuple(
            (checked_text(q, N_("An example"), MAX_SAID), checked_text(a, N_("An example"), MAX_SAID))
            for q, a in wish.examples
        ),
        topics=_topics(wish.topics),
        refuses=_topics(wish.refuses),
        replay=min(identity.MOST_REPLAY, max(0.0, wish.replay)),
    )


def rows(wish: PersonaWish) -> list[Row]:
    """Taught rows, mixed; then the held-out ones, ``meta.split`` = ``test``.

    Raises:
        DataError: see :func:`checked`.
    """
    wish = checked(wish)
    rng = random.Random(f"persona/{wish.seed}/{wish.lang}")  # noqa: S311 - rows that must repeat
    head: list[Message] = [{"role": "system", "content": system_prompt(wish)}]
    ways = {"both": (head, []), "with": (head,), "without": ([],)}[wish.prompted]
    made: list[Row] = []
    seen: set[str] = set()
    for question, answers, lineage, split in (*_examples(wish), *_composed(wish, rng)):
        if question in seen:  # an example goes before a template that asks the same
            continue
        seen.add(question)
        for way, answer in zip(ways, answers, strict=False):
            context = {"context": "system" if way else "alone"}
            made.append(identity.row([*way, *identity.exchange(question, answer)], lineage | context, split, SOURCE))
    taught = [row for row in made if split_of(row) == "train"]
    others = identity.replay(wish.lang, round(len(taught) * wish.replay / (1 - wish.replay)), rng)
    taught += [{**row, "meta": {**row["meta"], "source": SOURCE}} for row in others]
    rng.shuffle(taught)
    return taught + [row for row in made if split_of(row) == "test"]


def system_prompt(wish: PersonaWish) -> str:
    """The system prompt of a wish that was :func:`checked`."""
    texts = phrases.table("persona")
    kinds = [
        ("system", True),
        ("style", bool(wish.style)),
        ("topics", bool(wish.topics)),
        ("refuses", bool(wish.refuses)),
    ]
    last, other = ("和", "和") if wish.lang == "zh" else (" and ", " or ")
    values = _values(wish) | {
        "topic": _listed(wish.topics, wish.lang, last),
        "refused": _listed(wish.refuses, wish.lang, other),
    }
    parts = [fill(texts[kind, wish.lang, "all"][0], values, wish.lang) for kind, there in kinds if there]
    return (" " if wish.lang == "en" else "").join(parts)


_Made = tuple[str, tuple[str, str], dict[str, Any], str]
"""Question, an answer for each way of asking it, lineage, split."""


def _examples(wish: PersonaWish) -> Iterator[_Made]:
    for question, answer in wish.examples:
        yield question, (answer, answer), {"intent": "example", "language": wish.lang, "template": False}, "train"


def _composed(wish: PersonaWish, rng: random.Random) -> Iterator[_Made]:
    texts = phrases.table("persona")
    values = _values(wish)
    said = _in_turn(rng, wish.sayings)

    def put(template: str, more: dict[str, str]) -> str:
        return fill(template, values | more, wish.lang)

    def two(make: Callable[[], str]) -> tuple[str, str]:
        """Two answers, as different as there are some: the same one twice would teach little."""
        one = make()
        return one, next((other for other in (make() for _time in range(9)) if other != one), one)

    def answer(kind: str, more: dict[str, str], saying: bool = True) -> str:
        parts = [put(rng.choice(texts[kind, wish.lang, "train"]), more)]
        if saying and wish.sayings and rng.random() < 0.5:
            parts.append(next(said))
        return (" " if wish.lang == "en" else "").join(parts)

    def declined(more: dict[str, str]) -> str:
        told = answer("declined", more, saying=False)
        if not wish.topics:
            return told
        instead = answer("instead", {"topic": rng.choice(wish.topics)}, saying=False)
        return told + (" " if wish.lang == "en" else "") + instead

    for split in ("train", "test"):
        for question in phrases.questions(wish.lang, split):
            if question.intent not in (*_SELF, "nature"):
                continue
            kind = "nature" if question.intent == "nature" else "who"
            lineage = _lineage(wish, question.intent, question.wording)
            if split == "test":
                lineage["expect"] = [wish.name]
            yield question.wording, two(partial(answer, kind, {})), lineage, split
        for topic in wish.topics:
            for wording in texts["topic", wish.lang, split]:
                more = {"topic": topic}
                yield put(wording, more), two(partial(answer, "about", more)), _lineage(wish, "topic", wording), split
        for refused in wish.refuses:
            for wording in texts["refuse", wish.lang, split]:
                more = {"refused": refused}
                yield put(wording, more), two(partial(declined, more)), _lineage(wish, "refuse", wording), split


def _lineage(wish: PersonaWish, intent: str, wording: str) -> dict[str, Any]:
    return {"intent": intent, "language": wish.lang, "template": True, "wording": wording}


def _values(wish: PersonaWish) -> dict[str, str]:
    return {"name": wish.name, "who": wish.who, "style": wish.style}


def _topics(typed: tuple[str, ...]) -> tuple[str, ...]:
    found = [checked_line(each, N_("A topic"), MAX_TOPIC, needed=False).rstrip(".。，,;；") for each in typed]
    return tuple(dict.fromkeys(each for each in found if each))


def _listed(items: tuple[str, ...], lang: Lang, last: str) -> str:
    """``items`` as a list in a sentence."""
    if len(items) < 2:
        return "".join(items)
    comma = "、" if lang == "zh" else ", "
    return fill("{most}" + last + "{end}", {"most": comma.join(items[:-1]), "end": items[-1]}, lang)


def _lower(text: str) -> str:
    """An article that was typed with a capital stands inside a sentence here."""
    first, blank, rest = text.partition(" ")
    return f"{first.lower()}{blank}{rest}" if first in ("A", "An", "The") else text


def _in_turn(rng: random.Random, texts: tuple[str, ...]) -> Iterator[str]:
    mixed = list(texts)
    while mixed:
        rng.shuffle(mixed)
        yield from mixed
