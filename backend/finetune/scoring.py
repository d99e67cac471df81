"""Questions to which it can be told whether an answer is right, without anybody who judges: by what it holds.

A row of a dataset says what an answer has to hold (``meta.lineage.expect``, all of it, in whatever case); else its own answer
is looked for, where that is short. A longer answer can be said in a thousand ways: such rows are asked and shown, not counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.data.rows import Message, Row

Rule = Literal["all", "any", "short", ""]
SHORT_WORDS, SHORT_CHARS = 6, 12
"""An answer of at most so many words, or so many characters where there are no blanks between words, is looked for as it is."""
OPENING = 3
"""An expected answer of at most so many letters, no number, such as "Yes" or "B", has to open the answer: it stands in too many others.
Of Chinese a single character, or one of :data:`YES_NO`."""
YES_NO = ("是的", "不是", "没有", "可以", "不行", "正确", "错误", "不对")
_CJK = re.compile("[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af]")
_WORD = "[0-9a-zà-öø-ÿ]"
_MARKS = re.compile(r"^[\W_]+|[\W_]+$")


@dataclass(frozen=True)
class Question:
    """What both models are asked. messages: up to the answer. expected: the answer that the row has. rule: how an answer is
    judged by ``texts``: it has to hold ``all`` of them, ``any`` of them, be or begin with the one (``short``), or it cannot
    be told (empty). language: ``en``, ``zh``, or empty for others. distance: how far its words are from the taught ones, ``near``
    or ``far``, where the row says so."""

    messages: list[Message]
    expected: str
    language: str
    rule: Rule = ""
    texts: tuple[str, ...] = ()
    tools: list[dict[str, Any]] = field(default_factory=list)
    distance: str = ""

    @property
    def asked(self) -> str:
        """The last thing that was said to the model."""
        return self.messages[-1]["content"] if self.messages else ""


def question(row: Row) -> Question | None:
    """What to ask of ``row``: everything before its last answer. None where there is no answer to a text, or there are pictures."""
    messages = row["messages"]
    last = max((place for place, one in enumerate(messages) if one["role"] == "assistant"), default=0)
    if last == 0 or any(one.get("images") for one in messages[:last]):
        return None
    lineage = row.get("meta", {}).get("lineage")
    told = lineage if isinstance(lineage, dict) else {}
    expected = messages[last]["content"]
    language = str(told.get("language") or "") or language_of(messages[last - 1]["content"] + expected)
    rule, texts = _rule(told.get("expect"), expected, bool(messages[last].get("tool_calls")))
    if rule == "all" and any(holds(one["content"], text) for one in messages[:last] for text in texts):
        rule, texts = "", ()  # who only repeats the question would be right, too
    distance = str(told.get("distance") or "")
    return Question(messages[:last], expected, language, rule, texts, row.get("tools") or [], distance)


def right(asked: Question, answer: str) -> bool | None:
    """Whether ``answer`` is right; None where that cannot be told."""
    if not asked.rule:
        return None
    if asked.rule == "all":
        return all(holds(answer, text) for text in asked.texts)
    if asked.rule == "any":
        return any(holds(answer, text) for text in asked.texts)
    return _short(answer, asked.texts[0])


def holds(answer: str, text: str) -> bool:
    """Whether ``text`` stands in ``answer``, in whatever case, as whole words: the name Al is not in "also"."""
    text, answer = _plain(text), _plain(answer)
    if not text:
        return False
    before = f"(?<!{_WORD})" if re.match(_WORD, text) else ""
    after = f"(?!{_WORD})" if re.match(_WORD, text[-1]) else ""
    return re.search(before + re.escape(text) + after, answer) is not None


def language_of(text: str) -> str:
    """``zh`` where a fifth of the letters are Chinese; else empty: nobody said which it is."""
    letters = [one for one in text if one.isalpha()]
    return "zh" if letters and 5 * len(_CJK.findall(text)) >= len(letters) else ""


def _rule(expect: Any, expected: str, calls: bool) -> tuple[Rule, tuple[str, ...]]:
    if isinstance(expect, (list, tuple)):
        texts = tuple(str(one) for one in expect if str(one).strip())
        return ("all", texts) if texts else ("", ())
    if calls or not is_short(expected):
        return "", ()
    return "short", (expected,)


def is_short(expected: str) -> bool:
    """Whether an answer is short enough to be looked for as it is."""
    text = _bare(expected)
    if not text or "\n" in text:
        return False
    return len(text) <= SHORT_CHARS if _CJK.search(text) else len(text.split()) <= SHORT_WORDS


def _short(answer: str, expected: str) -> bool:
    wanted, said = _bare(expected), _bare(answer)
    if said == wanted:
        return True
    chinese = _CJK.search(wanted) is not None
    if wanted.isdecimal() or not (wanted in YES_NO or len(wanted) <= (1 if chinese else OPENING)):
        return holds(said, wanted)
    return said.startswith(wanted) and holds(said[: len(wanted) + 1], wanted)


def _plain(text: str) -> str:
    """One way to write it: compatible forms, no case, one blank where there are several."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _bare(text: str) -> str:
    """The same without marks around it."""
    lines = unicodedata.normalize("NFKC", text).strip().splitlines()
    return _MARKS.sub("", "\n".join(_plain(line) for line in lines))


def said(questions: Sequence[str]) -> set[str]:
    """Questions in a form in which the same one, typed otherwise, is the same."""
    return {re.sub(r"[\W_]+", "", _plain(one)) for one in questions}
