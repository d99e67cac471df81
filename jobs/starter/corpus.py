"""The corpus: one table of skills, and an endless seeded stream of dialogues drawn from it.

Dialogue ``i`` of the stream depends on the seed and on ``i`` alone, so nothing has to be stored: a run that is resumed, or
made again elsewhere, sees the same data in the same order.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from jobs.starter import choice, context, facts, persona, practice, small_talk, tools, unknown
from jobs.starter.dialogue import Dialogue, Exchange, Lang, single

STAGES = (0, 500 * 4096, 1682 * 4096)
"""The dialogues with which the stages of the curriculum begin: what is learned quickly gives way to what comes slowly."""

Make = Callable[[random.Random, Lang, bool], Dialogue]
Say = Callable[[random.Random, Lang, bool], Exchange]


@dataclass(frozen=True)
class Skill:
    """One row of the table: its share of the corpus in each of the :data:`STAGES`, what it teaches, and who makes its
    dialogues."""

    name: str
    shares: tuple[float, ...]
    teaches: str
    say: Say | None = None
    make: Make | None = None

    @property
    def share(self) -> float:
        """Its share where training ends, which is also what is replayed beside something new."""
        return self.shares[-1]

    def dialogue(self, rng: random.Random, lang: Lang, held: bool) -> Dialogue:
        """A dialogue of this skill alone."""
        if self.make is not None:
            return self.make(rng, lang, held)
        assert self.say is not None
        return single(self.say(rng, lang, held))


def _greeting(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    return small_talk.exchange(rng, lang, held, names=(*small_talk.GREETINGS[:1] * 4, *small_talk.GREETINGS))


def _identity(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    return small_talk.exchange(rng, lang, held, names=("name", "name", *small_talk.IDENTITY))


SKILLS = (
    Skill("greetings", (0.02, 0.03, 0.03), "answers a greeting, at any time of day", say=_greeting),
    Skill("identity", (0.04, 0.05, 0.05), "says who it is, who made it, and that it is no person", say=_identity),
    Skill("small talk", (0.05, 0.06, 0.06), "thanks, goodbyes, help, jokes, praise, moods", say=small_talk.exchange),
    Skill("introductions", (0.01, 0.01, 0.01), "is told a name, a place, a liking", say=context.introduction),
    Skill(
        "facts",
        (0.15, 0.18, 0.14),
        "about 1,270 facts in each language, in dozens of wordings each",
        say=facts.exchange,
    ),
    Skill(
        "does not know",
        (0.06, 0.09, 0.08),
        "says so, in one sentence, also for noise, code and other languages",
        say=unknown.exchange,
    ),
    Skill(
        "repeats",
        (0.04, 0.03, 0.03),
        "says a word, a name, a number again, or finds it in a sentence",
        say=context.echo,
    ),
    Skill("remembers", (0.03, 0.03, 0.03), "what it was told some turns ago", make=context.memory),
    Skill(
        "persona", (0.04, 0.06, 0.06), "takes a name, a role or a rule from the system message", make=persona.persona
    ),
    Skill(
        "tool call",
        (0.05, 0.06, 0.06),
        "calls one of the functions offered, in JSON, and tells the result",
        make=tools.json_calls,
    ),
    Skill("ReAct", (0.05, 0.05, 0.05), "the same as Thought, Action, Observation, Final Answer", make=tools.react),
    Skill("choice", (0.06, 0.06, 0.14), "says the right answer and its letter", say=choice.exchange),
    Skill(
        "practice",
        (0.08, 0.04, 0.03),
        "reads lists, tables and lettered options that stand before the question",
        make=practice.drill,
    ),
    Skill("each", (0.06, 0.02, 0.01), "looks up one token after another", make=practice.each),
    Skill("letters", (0.06, 0.03, 0.03), "names the letter of each of several options", make=practice.letters),
    Skill("quiz", (0.05, 0.04, 0.08), "several multiple choices in a row", make=practice.quiz),
    Skill(
        "calls in a row",
        (0.04, 0.04, 0.03),
        "several calls, also of functions whose names say nothing",
        make=practice.calls,
    ),
    Skill("which tool", (0.04, 0.04, 0.02), "names the function for each of several questions", make=tools.which),
    Skill("ReAct in a row", (0.02, 0.02, 0.02), "the same in ReAct form", make=practice.react_calls),
    Skill(
        "persona over turns", (0.03, 0.04, 0.03), "stays who it must be, and keeps to a rule", make=persona.over_turns
    ),
    Skill("remembers over turns", (0.02, 0.02, 0.01), "several things that it was told", make=practice.memories),
)
"""The table of skills. The shares of each stage sum to one."""

_SHARES = tuple([skill.shares[stage] for skill in SKILLS] for stage in range(len(STAGES)))


def stage(index: int) -> int:
    """The stage of the curriculum, from 0, to which training dialogue ``index`` belongs."""
    return bisect.bisect_right(STAGES, index) - 1


_SAID = tuple(skill for skill in SKILLS if skill.say is not None and "choice" not in skill.name)


def dialogue(seed: int, index: int) -> Dialogue:
    """Training dialogue ``index`` of the stream ``seed``: one skill, or several exchanges in one conversation."""
    rng = random.Random(f"{seed}/{index}")  # noqa: S311 - data that must repeat
    lang: Lang = "en" if rng.random() < 0.5 else "zh"
    skill = rng.choices(SKILLS, _SHARES[stage(index)])[0]
    made = skill.dialogue(rng, lang, False)
    if skill in _SAID and rng.random() < 0.45:
        made = _conversation(rng, lang, made)
    if not made.system and not made.tools and rng.random() < 0.1:
        made = replace(made, system=rng.choice(persona.PLAIN_SYSTEMS[lang]))
    return made


def _conversation(rng: random.Random, lang: Lang, first: Dialogue) -> Dialogue:
    """``first`` followed by one to four more exchanges, sometimes in the other language."""
    turns = list(first.turns)
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        if rng.random() < 0.1:
            lang = "zh" if lang == "en" else "en"
        skill = rng.choices(_SAID, [s.shares[0] for s in _SAID])[0]
        assert skill.say is not None
        one = skill.say(rng, lang, False)
        turns += [("user", one.question), ("assistant", one.answer)]
    return replace(first, turns=tuple(turns))


def stream(seed: int, start: int = 0) -> Iterator[Dialogue]:
    """Training dialogues from ``start`` on, without end."""
    index = start
    while True:
        yield dialogue(seed, index)
        index += 1
