"""Guessing from its name what a column of a table holds, in English and in Chinese."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from backend.data.schemas import about

_WORDS: dict[str, str] = {
    "output": "answer response output completion reply assistant target gpt chosen bestanswer correctanswer modelanswer a "
    "答案 回答 答 回复 答复 输出 助手 参考答案 标准答案 正确答案 应答 机器人",
    "instruction": "question instruction prompt query user human ask request q problem "
    "问题 提问 问 用户 指令 题目 问句 提示 提示词 请求 题干 提问内容 用户问题",
    "input": "input context passage background reference material 输入 背景 材料 上下文 补充 参考资料 原文",
    "system": "system systemprompt systemmessage persona 系统 系统提示 系统提示词 系统消息 人设 角色设定",
    "history": "history 历史 历史对话 对话历史",
    "images": "image images picture pictures photo img 图片 图像 图",
    "split": "split partition 划分 数据划分 集合",
    "id": "id uid uuid rowid 编号 序号",
    "source": "source origin 来源 出处",
}
_PART_OF = {word: part for part, words in _WORDS.items() for word in words.split()}
_BY_RANK = {word: rank for words in _WORDS.values() for rank, word in enumerate(words.split())}


def plain_name(name: str) -> str:
    """``name`` without case, spaces, punctuation and full-width forms."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


_LETTERS = {"q", "a"}
"""They say something only together."""


def means_something(name: str) -> bool:
    """Whether a column of this name would be taken for a part of a conversation."""
    return plain_name(name) in _PART_OF or name in about.RESERVED


def guess(names: Iterable[str]) -> dict[str, str]:
    """Part -> column, for the columns whose name says what they hold; the likeliest where several do.

    A lone ``input`` beside an answer is the question itself; a lone ``text`` is what is to be learned.
    """
    found: dict[str, tuple[int, str]] = {}
    listed = list(names)
    words = {plain_name(name) for name in listed}
    for name in listed:
        word = plain_name(name)
        if word in _LETTERS and not words >= _LETTERS:
            continue
        part = _PART_OF.get(word)
        if part is not None and (part not in found or _BY_RANK[word] < found[part][0]):
            found[part] = (_BY_RANK[word], name)
    mapped = {part: name for part, (_rank, name) in found.items()}
    if "instruction" not in mapped and "input" in mapped:
        mapped["instruction"] = mapped.pop("input")
    if "output" not in mapped and "instruction" not in mapped:
        learned = next(
            (name for name in listed if plain_name(name) in ("text", "content", "文本", "内容", "正文")), None
        )
        if learned is not None:
            mapped["output"] = learned
    return mapped
