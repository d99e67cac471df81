"""The unit of the corpus: a dialogue, and the rule that says which of them are kept for the evaluation."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import Any, Literal

Lang = Literal["en", "zh"]
Turn = tuple[str, str]
"""(role, text); roles: user, assistant, ipython (a tool's result)."""


@dataclass(frozen=True)
class Exchange:
    """One question and its answer.

    key says what is asked and how, such as ``capital/France/en/3``: the rule :func:`held_out` decides with it whether
    this wording belongs to the training data or to the evaluation. accept lists further answers that are right too.
    short is the bare answer (``Paris``), where there is one.
    """

    skill: str
    lang: Lang
    question: str
    answer: str
    key: str
    accept: tuple[str, ...] = ()
    short: str = ""


@dataclass(frozen=True)
class Dialogue:
    """What the model is trained on, or asked: system text, tools offered, and turns that end with an assistant's."""

    skill: str
    lang: Lang
    turns: tuple[Turn, ...]
    key: str
    system: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    accept: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """The last turn's text: what is judged in the evaluation."""
        return self.turns[-1][1]

    def messages(self, with_answer: bool = True) -> list[dict[str, str]]:
        """In the form that ``apply_chat_template`` takes."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        turns = self.turns if with_answer else self.turns[:-1]
        return system + [{"role": role, "content": text} for role, text in turns]


def held_out(key: str) -> bool:
    """True for the tenth of all keys that the model is never trained on. A key that ends in ``!`` is always held out."""
    return key.endswith("!") or zlib.crc32(key.encode()) % 10 == 0


def single(exchange: Exchange) -> Dialogue:
    """A dialogue of one exchange."""
    return Dialogue(
        exchange.skill,
        exchange.lang,
        (("user", exchange.question), ("assistant", exchange.answer)),
        exchange.key,
        accept=exchange.accept,
    )


_EN_LEADS = (
    "Hello, ", "Hi, ", "Hey, ", "Please tell me: ", "Quick question: ", "I have a question. ", "So ", "OK, ", "And ",
    "Excuse me, ", "Tell me, ", "Can you tell me: ", "Now ", "Please: ", "Well, ", "One question: ", "My question is: ",
)  # fmt: skip
_ZH_LEADS = (
    "请问，", "你好，", "请问", "我想知道，", "问一下，", "请告诉我，", "那么，", "我有一个问题：", "你知道吗，", "嗨，", "那", "好的，", "麻烦问一下，",
)  # fmt: skip


def as_typed(rng: random.Random, text: str, lang: Lang, lead: float = 0.12) -> str:
    """``text`` as people type it: sometimes without capitals or punctuation, sometimes with a polite lead."""
    if rng.random() < lead:
        if lang == "en":
            text = rng.choice(_EN_LEADS) + (text[0].lower() + text[1:] if not text.startswith("I ") else text)
        else:
            text = rng.choice(_ZH_LEADS) + text
    roll = rng.random()
    if lang == "en":
        # A word or two is what people type most carelessly: "hi", "yes", "help".
        bare = 0.5 if text.count(" ") < 2 else 0.22
        if roll < bare:
            text = text.lower()
        elif roll < bare + 0.02:
            text = text.upper()
        roll = rng.random()
        if roll < bare:
            text = text.rstrip("?.")
        elif roll < bare + 0.02:
            text = text.rstrip("?.") + "!"
        elif roll < bare + 0.05 and text.endswith("?"):
            text = text.rstrip("?") + rng.choice((" please", ", please", " please?", "??", " ?"))
    else:
        if roll < 0.2:
            text = text.rstrip("？。")
        elif roll < 0.42:
            text = text.replace("？", "?").replace("，", ",").replace("。", ".")
        elif roll < 0.45:
            asks = text.endswith("？")
            stem = text.rstrip("？。")
            ends: tuple[str, ...] = ("??", "？？", " ?")
            if not stem.endswith(("吗", "呢", "啊", "吧")):
                ends = ("呢？", "啊？", *ends)
            text = stem + (rng.choice(ends) if asks else "！")
    if rng.random() < 0.01:
        text = rng.choice((" ", "  ", "\n")) + text
    return text


_QUESTION_EN = (
    "what", "who", "how", "which", "where", "when", "why", "are", "is", "am", "do", "does", "did", "can", "could",
    "may", "were", "by", "have", "any", "would", "should", "know", "will",
)  # fmt: skip


def punctuated(text: str, lang: Lang) -> str:
    """A bare wording with a capital letter and its full stop or question mark."""
    if lang == "zh":
        asks = text.endswith(("吗", "呢")) or any(
            w in text for w in ("谁", "什么", "多大", "几", "多少", "怎么", "哪", "是不是")
        )
        return text + ("？" if asks else "。")
    words = text.replace(",", " ").lower().split()
    asks = bool(words) and (words[0].split("'")[0] in _QUESTION_EN or (len(words) > 2 and words[1] in _QUESTION_EN[:8]))
    return text[0].upper() + text[1:] + ("?" if asks else ".")
