"""Small talk: greetings, identity, thanks, jokes. All wordings and answers stand in ``data/small_talk.txt``.

A wording is trained on as it stands, or dressed up: a clause in a frame ("can you tell me {who you are}"), an opener before
it, a closer after it, a slip of the keyboard in it. What is kept for the evaluation never comes out of this.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.starter.dialogue import Exchange, Lang, as_typed, punctuated

IDENTITY = ("name", "maker", "nature", "other")
"""Intents that ask who the model is."""
COMMON = 5
GREETINGS = ("greet", "morning", "afternoon", "evening", "how")
_ASKS = frozenset(
    ("name", "maker", "nature", "other", "can", "size", "age", "languages", "joke", "story", "poem", "fun", "like", "tunedeck", "learn",
     "online", "recall", "teach", "senses", "better", "works", "data", "sing", "free")
)  # fmt: skip
"""Intents that ask for something, and so may follow an opener."""
_FRAMES: dict[str, tuple[str, ...]] = {
    "en": ("can you tell me {c}", "could you tell me {c}", "please tell me {c}", "tell me {c}", "I want to know {c}", "I would like to know {c}",
           "I'd like to know {c}", "do you know {c}", "can you say {c}", "I wonder {c}", "may I ask {c}", "can I ask {c}", "would you tell me {c}",
           "could you please tell me {c}", "I am curious {c}", "let me know {c}", "please explain {c}", "just tell me {c}", "I'm wondering {c}",
           "are you able to tell me {c}", "I don't know {c}", "I want to find out {c}", "do you mind telling me {c}", "I need to know {c}",
           "any idea {c}", "explain to me {c}", "will you tell me {c}", "I have to ask {c}", "I was wondering {c}", "hi, can you tell me {c}"),
    "zh": ("请问{c}", "能告诉我{c}吗", "你能告诉我{c}吗", "告诉我{c}", "请告诉我{c}", "我想知道{c}", "想知道{c}", "说说{c}", "可以告诉我{c}吗", "麻烦告诉我{c}",
           "你能说说{c}吗", "能不能告诉我{c}", "可不可以说说{c}", "我想问{c}", "想问一下{c}", "我想问一下{c}", "请说说{c}", "您能告诉我{c}吗", "我不知道{c}",
           "我很好奇{c}", "你知道{c}吗", "跟我说说{c}", "能问一下{c}吗", "麻烦说一下{c}", "我还不知道{c}", "快说{c}", "请你告诉我{c}", "不好意思，{c}", "那{c}"),
}  # fmt: skip
_OPENERS: dict[str, tuple[str, ...]] = {
    "en": ("Hi, ", "Hey, ", "Hello, ", "So ", "So, ", "Hey there, ", "Hello there, ", "OK, ", "OK so ", "Well, ", "Now, ", "And ", "But ",
           "Please, ", "Sorry, ", "By the way, ", "Hmm, ", "First, ", "Hey TuneDeck, ", "Tell me, ", "Hi there! ", "Good day, ", "Um, "),
    "zh": ("你好，", "您好，", "嗨，", "嘿，", "那", "那么，", "哎，", "请问，", "话说，", "对了，", "顺便问一下，", "喂，", "嗯，", "不好意思，", "哈喽，", "所以，", "先问一下，"),
}  # fmt: skip
_CLOSERS: dict[str, tuple[str, ...]] = {
    "en": (
        " please",
        ", please",
        ", my friend",
        ", TuneDeck",
        " then",
        " now",
        " by the way",
        " exactly",
        ", buddy",
        ", thanks",
    ),
    "zh": ("啊", "呀", "，谢谢", "，朋友", "，好吗", "，可以吗"),
}


@dataclass(frozen=True)
class Intent:
    """One thing people say: wordings to train on, wordings kept for the evaluation, answers, clauses for frames."""

    name: str
    said: dict[str, tuple[str, ...]]
    kept: dict[str, tuple[str, ...]]
    answers: dict[str, tuple[str, ...]]
    clauses: dict[str, tuple[str, ...]]


@cache
def intents() -> dict[str, Intent]:
    """name -> intent, from the data file."""
    found: dict[str, Intent] = {}
    name = ""
    text = (Path(__file__).parent / "data" / "small_talk.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:].strip()
            found[name] = Intent(name, {}, {}, {}, {})
        elif line[:2] in ("en", "zh"):
            lang, kind, rest = line[:2], line[2], line[3:]
            one = found[name]
            into = {"?": one.said, "!": one.kept, "=": one.answers, "~": one.clauses}[kind]
            into[lang] = into.get(lang, ()) + tuple(part.strip() for part in rest.split("|"))
    return found


def exchange(rng: random.Random, lang: Lang, held: bool, names: tuple[str, ...] = ()) -> Exchange:
    """Something of one of the intents ``names`` (default: all but greetings and identity, by number of wordings)."""
    everything = intents()
    chosen = everything[rng.choice(names or _others())]
    while True:
        pool = chosen.kept[lang] if held else chosen.said[lang]
        # The first wordings are the commonest ones, and come up more often: "hello", "hi", "yes".
        wording = rng.choice(pool[:COMMON] if not held and rng.random() < 0.2 else pool)
        text = punctuated(wording, lang)
        if not held:
            text = _dressed(rng, chosen, text, lang)
        question = as_typed(rng, text, lang, lead=0.06)
        if held or not _ends_as_kept(question, wording, lang):
            break
    answers = chosen.answers[lang]
    skill = "greetings" if chosen.name in GREETINGS else "identity" if chosen.name in IDENTITY else "small talk"
    answer = rng.choice(answers)
    key = f"talk/{chosen.name}/{lang}/{wording}" + ("!" if held else "")
    return Exchange(skill, lang, question, answer, key, accept=answers)


def _dressed(rng: random.Random, intent: Intent, text: str, lang: Lang) -> str:
    """``text`` or one of the intent's clauses, perhaps with a frame, an opener, a closer, a slip."""
    clauses = intent.clauses.get(lang, ())
    if clauses and rng.random() < 0.2:
        text = punctuated(rng.choice(_FRAMES[lang]).format(c=rng.choice(clauses)), lang)
    if intent.name in _ASKS:
        if rng.random() < 0.08:
            keep = text.startswith(("I ", "I'", "ChatGPT", "TuneDeck", "AI "))
            text = rng.choice(_OPENERS[lang]) + (text if keep else text[0].lower() + text[1:])
        if rng.random() < 0.05:
            text = text[:-1] + rng.choice(_CLOSERS[lang]) + text[-1]
    if lang == "en" and len(text) > 7 and rng.random() < 0.04:
        text = _slip(rng, text)
    return text


def _slip(rng: random.Random, text: str) -> str:
    """``text`` with one letter left out, doubled, or swapped with the next one."""
    at = rng.randrange(1, len(text) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


_SEPARATORS = re.compile(r"[\W_]+")


@cache
def _all_kept(lang: Lang) -> frozenset[str]:
    """All wordings kept in ``lang``, with single spaces (English) or none (Chinese) between the words."""
    between = " " if lang == "en" else ""
    return frozenset(_SEPARATORS.sub(between, w.lower()).strip() for i in intents().values() for w in i.kept[lang])


def _ends_as_kept(question: str, wording: str, lang: Lang) -> bool:
    """True where ``question`` is a kept wording, or a kept one behind an opener that ``wording`` itself does not have."""
    between = " " if lang == "en" else ""
    text = _SEPARATORS.sub(between, question.lower()).strip()
    kept = _all_kept(lang)
    if text in kept or text.rstrip("啊呀呢") in kept:
        return True
    if text == _SEPARATORS.sub(between, wording.lower()).strip():
        return False
    starts = [m.end() for m in re.finditer(" ", text)] if lang == "en" else range(1, len(text) - 1)
    return any(text[start:] in kept for start in starts)


@cache
def _others() -> tuple[str, ...]:
    """The intents other than greetings and identity, the larger ones more often, none more than four times as often."""
    weighted: list[str] = []
    for name, intent in intents().items():
        if name not in GREETINGS and name not in IDENTITY:
            weighted += [name] * min(8, max(2, len(intent.said["en"]) // 20))
    return tuple(weighted)
