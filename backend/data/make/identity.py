"""A name that a model is to know as its own: questions about it in many wordings, and answers in one tone.

A row is one question, by itself, under a system prompt, or later in a conversation. No prompt comes twice, and wordings of the
parts ``near`` (usual words) and ``test`` (unusual ones) are never taught: what a model says to them proves that it learned a name
and not sentences. Beside them stand rows that have nothing to do with the name (replay), so that a small model does not answer everything with its name.

Covered: who are you, who made you, are you somebody else, wrong names and makers that it is told, what it can do, what it
is built on (it says that it does not know), also after other talk. Not covered: long conversations that try to talk it out of it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from backend.data.make import phrases
from backend.data.make.grammar import LANGUAGES, Lang, checked_line, contracted, fill, purpose
from backend.data.make.phrases import Question
from backend.data.rows import Message, Row, split_of
from backend.errors import DataError
from backend.i18n import N_

Tone = Literal["friendly", "formal", "concise", "playful"]
TONES: tuple[Tone, ...] = get_args(Tone)
MAX_NAME, MAX_MAKER, MAX_PURPOSE = 40, 80, 200
LEAST, MOST = 150, 1000
"""Rows about the identity in a language: enough for over a hundred wordings; beyond, only the surroundings vary."""
MOST_REPLAY = 0.5
SOURCE = "identity"
EXPECTED = {"maker": ("maker",), "wrong_maker": ("maker",), "can": ()}
"""What an answer has to hold, by what was asked; ``name`` where nothing else stands here."""

DISTANCES = {"near": "near", "far": "test"}
"""How far the words of held-out questions are from the taught ones -> their part of the table."""


@dataclass(frozen=True)
class IdentityWish:
    """What is asked for. name, maker: as they stand in English; the ones in Chinese where they differ. purpose: completes
    "I can …" and "我可以…"; empty: a general one. rows: about the identity in each language. replay: share of all taught
    rows that have nothing to do with it."""

    name: str
    maker: str
    name_zh: str = ""
    maker_zh: str = ""
    purpose_en: str = ""
    purpose_zh: str = ""
    tone: Tone = "friendly"
    languages: tuple[Lang, ...] = LANGUAGES
    rows: int = 300
    replay: float = 0.3
    seed: int = 1

    def values(self, lang: Lang) -> dict[str, str]:
        """What goes into the places of a wording in ``lang``."""
        name, maker, typed = self.name, self.maker, self.purpose_en
        if lang == "zh":
            name, maker, typed = self.name_zh or name, self.maker_zh or maker, self.purpose_zh
        usual = phrases.table("others")["purpose", lang, "all"][0]
        return {"name": name, "maker": maker, "purpose": purpose(typed, lang) or usual}


def checked(wish: IdentityWish) -> IdentityWish:
    """``wish`` with its texts in one line each.

    Raises:
        DataError: a text that is missing, too long or unfit; ``no_language``.
    """
    if not wish.languages or any(lang not in LANGUAGES for lang in wish.languages):
        raise DataError("no_language", N_("No language is chosen."), N_("Choose at least one."))
    return replace(
        wish,
        name=checked_line(wish.name, N_("The name"), MAX_NAME),
        maker=checked_line(wish.maker, N_("The maker"), MAX_MAKER),
        name_zh=checked_line(wish.name_zh, N_("The name in Chinese"), MAX_NAME, needed=False),
        maker_zh=checked_line(wish.maker_zh, N_("The maker in Chinese"), MAX_MAKER, needed=False),
        purpose_en=checked_line(wish.purpose_en, N_("What it is for"), MAX_PURPOSE, needed=False),
        purpose_zh=checked_line(wish.purpose_zh, N_("What it is for"), MAX_PURPOSE, needed=False),
        rows=min(MOST, max(LEAST, wish.rows)),
        replay=min(MOST_REPLAY, max(0.0, wish.replay)),
        languages=tuple(lang for lang in LANGUAGES if lang in wish.languages),
    )


def rows(wish: IdentityWish) -> list[Row]:
    """Taught rows of all languages, mixed; then the held-out ones, ``meta.split`` = ``test``.

    ``meta.lineage`` says what was asked (``intent``), in which language and surroundings (``context``), and for held-out rows
    how far their words are from the taught ones (``distance``: ``near`` or ``far``) and what an answer has to hold, in whatever
    case (``expect``).

    Raises:
        DataError: see :func:`checked`.
    """
    wish = checked(wish)
    taught: list[Row] = []
    kept: list[Row] = []
    for lang in wish.languages:
        rng = random.Random(f"identity/{wish.seed}/{lang}")  # noqa: S311 - rows that must repeat
        writer = _Writer(wish, lang, rng)
        taught += writer.taught(wish.rows)
        taught += replay(lang, round(wish.rows * wish.replay / (1 - wish.replay)), rng)
        kept += writer.kept()
    random.Random(f"identity/{wish.seed}/order").shuffle(taught)  # noqa: S311 - an order that must repeat
    return taught + kept


@dataclass(frozen=True)
class Counts:
    """What is in rows made here. wordings: different wordings of questions that are taught, by language."""

    taught: int
    kept: int
    replayed: int
    wordings: dict[str, int]


def count(made: Sequence[Row]) -> Counts:
    """Count rows of :func:`rows`."""
    taught = [row["meta"]["lineage"] for row in made if split_of(row) == "train"]
    wordings = {(each["language"], each["wording"]) for each in taught if each["intent"] != "replay"}
    return Counts(
        taught=len(taught),
        kept=len(made) - len(taught),
        replayed=sum(each["intent"] == "replay" for each in taught),
        wordings=dict(Counter(lang for lang, _wording in sorted(wordings))),
    )


def replay(lang: Lang, number: int, rng: random.Random) -> list[Row]:
    """``number`` rows of other skills: each exchange by itself, then two of them in one conversation, no row twice."""
    every = list(phrases.neutral(lang))
    rng.shuffle(every)
    talks: list[tuple[tuple[str, str], ...]] = [(one,) for one in every]
    for shift in range(1, len(every)):
        talks += [(one, every[(place + shift) % len(every)]) for place, one in enumerate(every)]
    return [
        row([m for pair in talk for m in exchange(*pair)], {"intent": "replay", "language": lang})
        for talk in talks[:number]
    ]


def exchange(question: str, answer: str) -> list[Message]:
    """A question and its answer as messages."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def row(messages: list[Message], lineage: dict[str, Any], split: str = "train", source: str = SOURCE) -> Row:
    """A row that was made here."""
    meta: dict[str, Any] = {"source": source, "lineage": lineage}
    if split != "train":
        meta["split"] = split
    return {"messages": messages, "meta": meta}


class _Writer:
    """Rows about one identity in one language."""

    def __init__(self, wish: IdentityWish, lang: Lang, rng: random.Random) -> None:
        self.wish, self.lang, self.rng = wish, lang, rng
        self.values = wish.values(lang)
        self._answers: dict[tuple[str, bool], Iterator[str]] = {}
        self._strangers = {
            place: _strangers(wish, lang, place, of)
            for place, of in (("other", "name"), ("wrong", "name"), ("company", "maker"))
        }

    def taught(self, number: int) -> list[Row]:
        pool = list(phrases.questions(self.lang, "train"))
        self.rng.shuffle(pool)
        made: list[Row] = []
        seen: set[tuple[str, ...]] = set()
        told: set[tuple[str, str]] = set()
        turn = 0
        while len(made) < number:
            question = pool[turn % len(pool)]
            found = self._row(question, self._context())
            turn += 1
            prompts = tuple(m["content"] for m in found["messages"] if m["role"] != "assistant")
            ends = found["messages"][-2]["content"], found["messages"][-1]["content"]
            # By itself a question has one answer: two would contradict each other. And the same answer to the same question
            # teaches little in other surroundings, though a short tone has only so many.
            if prompts in seen or (ends in told and turn < 3 * number):
                continue
            seen.add(prompts)
            told.add(ends)
            made.append(found)
        return made

    def _context(self) -> str:
        # Mostly system prompts that name nobody: a small model that saw few of them takes a name from whatever stands there.
        contexts = ("system",) * 5 + ("own system", "later", "in a row")
        return "alone" if self.rng.random() < 0.5 else self.rng.choice(contexts)

    def kept(self) -> list[Row]:
        return [row for distance, part in DISTANCES.items() for row in self._kept(distance, part)]

    def _kept(self, distance: str, part: str) -> list[Row]:
        made = []
        systems = phrases.table("systems")["plain", self.lang, "test"]
        for place, question in enumerate(phrases.questions(self.lang, part)):
            values = self._with_strangers()
            expect = [self.values[each] for each in EXPECTED.get(question.intent, ("name",))]
            wordings = self._wordings(question, "plain" if self.wish.tone != "concise" else "concise")
            fitting = [
                text
                for text in wordings
                if all(f"{{{each}}}" in text for each in EXPECTED.get(question.intent, ("name",)))
            ]
            answer = fill(self.rng.choice(fitting), values, self.lang)
            # Every fifth stands under a system prompt that was not taught with either.
            system: list[Message] = []
            if place % 5 == 4:
                system = [{"role": "system", "content": systems[(place // 5) % len(systems)]}]
            asked = fill(question.wording, values, self.lang)
            lineage = self._lineage(question, "system" if system else "alone") | {
                "distance": distance,
                "expect": expect,
            }
            made.append(row([*system, *exchange(asked, answer)], lineage, "test"))
        return made

    def _row(self, question: Question, context: str) -> Row:
        before: list[Message] = []
        if context in ("system", "own system"):
            kind = "plain" if context == "system" else "own"
            template = self.rng.choice(phrases.table("systems")[kind, self.lang, "train"])
            before = [{"role": "system", "content": fill(template, self.values, self.lang)}]
        elif context == "later":
            for pair in self.rng.sample(phrases.neutral(self.lang), self.rng.choice((1, 1, 2))):
                before += exchange(*pair)
        elif context == "in a row":
            others = [q for q in phrases.questions(self.lang, "train") if q.intent != question.intent]
            before = self._asked(self.rng.choice(others), first=True)
        return row([*before, *self._asked(question, first=not before)], self._lineage(question, context))

    def _asked(self, question: Question, first: bool) -> list[Message]:
        values = self._with_strangers()
        return exchange(fill(question.wording, values, self.lang), self._answer(question, values, first))

    def _lineage(self, question: Question, context: str) -> dict[str, Any]:
        return {"intent": question.intent, "language": self.lang, "context": context, "wording": question.wording}

    def _with_strangers(self) -> dict[str, str]:
        return self.values | {place: self.rng.choice(names) for place, names in self._strangers.items()}

    def _answer(self, question: Question, values: dict[str, str], first: bool) -> str:
        tone = self.wish.tone
        key = (question.intent, question.yes_or_no)
        if key not in self._answers:
            self._answers[key] = self._in_turn(question)
        wording = next(self._answers[key])
        plain = wording in phrases.table("answers")[question.intent, self.lang, "plain"]
        if self.lang == "en" and tone in ("friendly", "playful"):
            wording = contracted(wording)
        parts = [fill(wording, values, self.lang)]
        openers = phrases.table("answers").get(("opener", self.lang, tone), ())
        closers = phrases.table("answers").get(("closer", self.lang, tone), ())
        # A greeting in the middle of a conversation, or before "No", would be odd.
        if (
            openers
            and plain
            and first
            and question.intent in ("name", "intro", "maker", "nature", "can", "base")
            and self.rng.random() < 0.35
        ):
            parts.insert(0, self.rng.choice(openers))
        if closers and self.rng.random() < 0.35:
            parts.append(self.rng.choice(closers))
        return (" " if self.lang == "en" else "").join(parts)

    def _in_turn(self, question: Question) -> Iterator[str]:
        """The wordings of an answer in an order that changes: half of the time a usual one, else each as often as the others."""
        tones = ("concise",) if self.wish.tone == "concise" else (self.wish.tone, "plain")
        found = [self._wordings(question, tone) for tone in tones]
        wordings = [text for of_tone in found for text in of_tone]
        usual = [of_tone[0] for of_tone in found if of_tone]
        # A small model that hears every wording equally often mixes them up, and loses other knowledge over them.
        wordings += usual * (len(wordings) // len(usual) - 2)
        while True:
            self.rng.shuffle(wordings)
            yield from wordings

    def _wordings(self, question: Question, tone: str) -> list[str]:
        found = phrases.table("answers")[question.intent, self.lang, tone]
        if question.yes_or_no:
            return list(found)
        return [text for text in found if not text.startswith(YES_OR_NO)]


YES_OR_NO = ("No,", "No.", "Yes,", "Yes.", "不是", "是的", "没错", "That is correct", "That is right")


def _strangers(wish: IdentityWish, lang: Lang, place: str, of: str) -> tuple[str, ...]:
    """Names that are not its own: nothing that holds the taught one, or is held by it."""
    own = [wish.values(each)[of].casefold() for each in LANGUAGES]
    every = phrases.table("others")[place, lang, "all"]
    left = tuple(name for name in every if not any(name.casefold() in one or one in name.casefold() for one in own))
    return left or every  # a name of one letter is in all of them
