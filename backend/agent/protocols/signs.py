"""What a reply looks like: thoughts before it, words without end, an announced call, a call in another form than
asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.agent.calls import Protocol
from backend.agent.protocols import checking
from backend.agent.tools import Tool

TAIL = 3000
"""Characters at the end of a reply in which repetition is looked for."""
TIMES, LEAST = 6, 120
ACTION_LINE = re.compile(r"^[ \t>*#-]{0,8}(?:Action|行动|动作)\*{0,2}[ \t]{0,4}[:：]", re.MULTILINE | re.IGNORECASE)
INPUT_LINE = re.compile(
    r"^[ \t>*#-]{0,8}(?:Action[ _]?Input|行动输入|动作输入)\*{0,2}[ \t]{0,4}[:：]", re.MULTILINE | re.IGNORECASE
)
ENDS = re.compile(r"(?:\s|<\|im_end\|>|</s>|<\|eot_id\|>|<\|endoftext\|>|<\|end\|>)+\Z")
ANNOUNCES = re.compile(
    r"\b(?:I(?:'ll| will| am going to|'m going to| need to| should)|let me|let's|going to|allow me to|now)\s+"
    r"(?:now\s+|first\s+)?(?:use|call|run|invoke|search|query|execute|calculate|look)\b"
    r"|\b(?:calling|using|invoking) the\b|我(?:将|会|要|来|需要|应该|现在)[^。！？\n]{0,12}(?:使用|调用|用|搜索|查询|查找|计算|运行)"
    r"|让我(?:来)?[^。！？\n]{0,8}(?:使用|调用|用|搜索|查询|查找|计算|运行|查)|正在(?:使用|调用|搜索|查询)",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"[。！？!?\n]|\.(?=\s|\Z)")
OFFERS = re.compile(r"\bif you\b|\bwould you\b|如果你|如果您|如需", re.IGNORECASE)


def without_thoughts(text: str) -> tuple[str, str, bool]:
    """(thoughts, the rest, whether the thoughts ended) of a reply that begins with <think>, or has only its end."""
    begin, end = "<think>", "</think>"
    stripped = text.lstrip()
    if stripped.startswith(begin):
        thought, closed, rest = stripped[len(begin) :].partition(end)
        return thought.strip(), rest.strip() if closed else "", bool(closed)
    thought, closed, rest = text.partition(end)
    if closed and begin not in thought:
        return thought.strip(), rest.strip(), True
    return "", text, True


def trimmed(text: str) -> str:
    """``text`` without the signs of its end, which some servers leave there."""
    tail = ENDS.search(text[-500:])
    return text[: len(text) - len(tail.group())] if tail else text


def repeated(text: str) -> str:
    """The words that stand again and again at the end of ``text``; empty where it ends like any other."""
    tail = text.rstrip()[-TAIL:][::-1]
    border = [0] * len(tail)
    best = ""
    for at in range(1, len(tail)):
        length = border[at - 1]
        while length and tail[at] != tail[length]:
            length = border[length - 1]
        border[at] = length + (tail[at] == tail[length])
        period = at + 1 - border[at]
        if at + 1 >= max(LEAST, TIMES * period):
            best = tail[:period][::-1]
    return (
        best
        if len({sign for sign in best if sign.isalpha()}) > 1 or (len(best.strip()) == 1 and best.isalpha())
        else ""
    )


def announced(text: str, tools: Sequence[Tool]) -> tuple[str, bool]:
    """The sentence in which a reply says that it uses a tool now, and whether it ends with that; empty where none
    does. An offer or a
    question says no such thing."""
    head, tail = text[:3000], text[-1500:] if len(text) > 3000 else ""
    for part in (tail, head):
        for found in ANNOUNCES.finditer(part):
            sentence = SENTENCE_END.split(part[found.start() : found.start() + 200], maxsplit=1)[0]
            after = part[found.start() + len(sentence) :].strip("。.!！:： \n…")
            offered = part[found.start() + len(sentence) :][:1] in ("?", "？") or OFFERS.search(sentence)
            if not offered and any(_mentions(sentence, tool.name) for tool in tools):
                return sentence, len(after) < 40 and (part is tail or not tail)
    last = text.rstrip()[-300:].rpartition("\n")[2]
    found_last = ANNOUNCES.search(last)
    return (last, True) if found_last and tools and last.endswith((":", "：", "...", "…")) else ("", False)


def _mentions(sentence: str, name: str) -> bool:
    low = sentence.lower()
    return name.lower() in low or name.lower().replace("_", " ") in low


def form_used(text: str, names: Sequence[str], asked: Protocol) -> tuple[Protocol, str] | None:
    """The form other than ``asked`` in which ``text`` calls a tool, and where that is seen."""
    if asked != "internlm2":
        at = next((at for at in (text.find("<|action_start|>"), text.find("<|plugin|>")) if at >= 0), -1)
        if at >= 0:
            return "internlm2", text[at : at + 400]
    if asked != "react":
        action = ACTION_LINE.search(text)
        if action and INPUT_LINE.search(text, action.end()):
            line = text[action.end() : action.end() + 200].partition("\n")[0]
            if checking.plain(line) in {checking.plain(name) for name in names}:
                return "react", text[action.start() : action.start() + 400]
    return None
