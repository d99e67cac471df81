"""How a question is put to a model, and how a person reads it.

A choice ends with an instruction, in the language of its question. A solved example is a turn before it, answered with text and letter, ``Paris (B)``:
large models take either form, and the starter can say no bare letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.evaluate.questions import LETTERS, Question

INSTRUCTION = {"en": "Answer with the letter.", "zh": "请回答字母。"}
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]")
LATIN_TO_HAN = 5
"""A Chinese character says about as much as so many Latin letters; a Chinese question may quote English words, and the other way round."""


def messages(question: Question, examples: Sequence[Question] = ()) -> list[dict[str, str]]:
    """What is sent: a system prompt where there is one, ``examples`` with their solutions as earlier turns, the question."""
    sent = [{"role": "system", "content": question.system}] if question.system else []
    for example in examples:
        sent.append({"role": "user", "content": asked(example)})
        sent.append({"role": "assistant", "content": solution(example)})
    return [*sent, {"role": "user", "content": asked(question)}]


def asked(question: Question) -> str:
    """The text of one question; a choice with its options and the instruction."""
    if question.rule != "choice":
        return question.text
    return f"{shown(question)}\n{INSTRUCTION[language(question)]}"


def shown(question: Question) -> str:
    """The question as a person reads it, options included."""
    if not question.options:
        return question.text
    options = (f"{letter}. {text}" for letter, text in zip(LETTERS, question.options, strict=False))
    return "\n".join((question.text, *options))


def solution(question: Question) -> str:
    """The solution as a model would say it: of a choice text and letter."""
    text = option(question, question.answer)
    return f"{text} ({question.answer})" if text else question.answer


def option(question: Question, letter: str) -> str:
    """The text behind ``letter``, empty where there is no such option."""
    at = LETTERS.find(letter) if len(letter) == 1 else -1
    return question.options[at] if 0 <= at < len(question.options) else ""


def language(question: Question) -> str:
    """``en`` or ``zh``: what the question says of itself, else what it is written in."""
    return question.language if question.language in INSTRUCTION else language_of(question.text)


def language_of(text: str) -> str:
    """``zh`` where at least half of ``text`` is Chinese, by what it says and not by its length; else ``en``."""
    han = len(_HAN.findall(text))
    return "zh" if han and LATIN_TO_HAN * han >= len(_LATIN.findall(text)) else "en"
