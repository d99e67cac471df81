"""What one row says about itself: its findings, and the few numbers that the whole set is judged by.

The hot path of the doctor: a million rows pass here, so it asks cheap questions first and works with plain values.
It takes any JSON value and never raises: what is no conversation is told as such.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from backend.data import pictures
from backend.data.doctor import personal
from backend.data.doctor.findings import Limits
from backend.data.doctor.language import LANGUAGES, differs, language
from backend.data.doctor.sketch import fold
from backend.data.rows import IMAGE, ROLES, SPLITS
from backend.errors import DataError

Told = tuple[str, dict[str, Any]]
"""A finding without its row: (code, values)."""
INVISIBLE = "\ufeff\u200b"
"""Not blanks for Python, and nothing to see: a byte order mark, a zero-width space."""
_ENDS = ("。".encode(), "？".encode(), "！".encode())
_NUMBERS = {name: number for number, name in enumerate(LANGUAGES)}
_SPLITS: dict[str, int] = {name: number for number, name in enumerate(SPLITS)}


class Looked(NamedTuple):
    """One row. asked, answered: folded, for the sketch. question: 64 bits of what was asked, pictures and system prompt with it,
    0 where nothing was; pictures: 64 bits that differ with the pictures, 0 without. language: of the answer, a place in
    :data:`LANGUAGES`. split: a place in :data:`SPLITS`."""

    told: list[Told]
    asked: bytes
    answered: bytes
    question: int
    pictures: int
    language: int
    chars: int
    split: int


def look(row: Any, data: bytes, limits: Limits, images: Path | None) -> Looked:
    """Look at ``row``. data: its line. images: the folder that pictures lie below; None: they are not looked at."""
    told: list[Told] = []
    messages = row.get("messages") if type(row) is dict else None
    if type(messages) is not list or not messages:
        return Looked([("malformed", {"problem": "no_row"})], b"", data, 0, 0, 0, 0, 0)
    system = user = answer = ""
    asked: list[str] = []
    before = 0  # how much of ``asked`` came before the last answer
    shown: list[str] = []
    chars = 0
    last_role = ""
    answers = False
    for turn, message in enumerate(messages, 1):
        if type(message) is not dict:
            told.append(("malformed", {"problem": "no_row"}))
            continue
        role, text = message.get("role"), message.get("content")
        if role not in ROLES:
            told.append(("role_missing", {"turn": turn}))
        if type(text) is not str:
            text = ""
        chars += len(text)
        if refs := message.get("images"):
            _pictures(told, turn, text, refs, images, shown)
        elif text.startswith(IMAGE) or (role == "user" and text.endswith(IMAGE)):
            told.append(("image_count", {"turn": turn, "places": text.count(IMAGE), "pictures": 0}))
        begins_blank = not text or text[0].isspace() or text[0] in INVISIBLE
        if role == "assistant":
            calls = message.get("tool_calls")
            counts = message.get("loss", True) is not False
            answers = answers or counts
            if begins_blank and not calls:
                blank = not trimmed(text)
                if counts or not blank:
                    told.append(("answer_empty" if blank else "leading_blanks", {"turn": turn}))
            before = len(asked)
            answer = f"{text}{calls}" if calls else text
            asked.append(answer)
        elif role == "system":
            if turn > 1:
                told.append(("system_late", {"turn": turn}))
            system += text
        else:
            if role == "user":
                if last_role == "user":
                    told.append(("two_users", {"turn": turn}))
                if begins_blank and not refs:
                    told.append(("leading_blanks" if trimmed(text) else "question_empty", {"turn": turn}))
                user = text
            asked.append(text)
        last_role = role if type(role) is str else ""
    if not answers and not any(code == "answer_empty" for code, _ in told):
        told.append(("no_answer", {}))
    if chars > limits.chars:
        told.append(("too_long", {"chars": chars, "limit": limits.chars}))
    if kinds := personal.suspects(data):
        _personal(told, messages, kinds)
    answered = language(answer)
    questioned = language(user) if answered else ""
    if answered != questioned and differs(user, answer, questioned, answered):
        told.append(("language_answer", {"asked": questioned, "answered": answered}))
    question = fold("\n".join(asked[:before]) if before > 1 else asked[0] if before else "")
    salt = xxhash.xxh3_64_intdigest("\n".join(shown).encode("utf-8", "replace")) if shown else 0
    folded = fold(answer)
    meta = row.get("meta")
    split = meta.get("split") if type(meta) is dict else None
    return Looked(
        told,
        question or folded,
        folded,
        _key(question, system, shown),
        salt,
        _NUMBERS[answered],
        chars,
        _SPLITS.get(split, 0) if type(split) is str else 0,
    )


def trimmed(text: str) -> str:
    """``text`` without blanks and invisible signs at its beginning."""
    while text and (text[0].isspace() or text[0] in INVISIBLE):
        text = text.lstrip().lstrip(INVISIBLE)
    return text


def _key(question: bytes, system: str, shown: list[str]) -> int:
    key = question.rstrip(b".?!")
    for end in _ENDS:
        key = key.removesuffix(end)
    if not key:
        return 0
    if system or shown:
        key = b"\0".join([key, fold(system), "\n".join(shown).encode("utf-8", "replace")])
    return xxhash.xxh3_64_intdigest(key) or 1


def _personal(told: list[Told], messages: list[Any], kinds: list[str]) -> None:
    for turn, message in enumerate(messages, 1):
        for kind in personal.find(said(message), kinds):
            told.append((personal.KINDS[kind].code, {"turn": turn, "what": kind}))


def said(message: Any) -> str:
    """All that a turn says, arguments of tool calls with it."""
    if type(message) is not dict:
        return ""
    text = message.get("content")
    parts = [text] if type(text) is str else []
    calls = message.get("tool_calls")
    for call in calls if type(calls) is list else ():
        function = call.get("function") if type(call) is dict else None
        arguments = function.get("arguments") if type(function) is dict else None
        if type(arguments) is str:
            parts.append(arguments)
    return "\n\n".join(parts)


def _pictures(told: list[Told], turn: int, text: str, references: Any, images: Path | None, shown: list[str]) -> None:
    references = references if type(references) is list else [references]
    shown += map(str, references)
    places = text.count(IMAGE)
    if places != len(references):
        told.append(("image_count", {"turn": turn, "places": places, "pictures": len(references)}))
    if images is not None and not all(type(one) is str and whole(images, one) for one in references):
        told.append(("image_broken", {"turn": turn}))


@lru_cache(maxsize=4096)
def whole(images: Path, reference: str) -> bool:
    """Whether the picture at this address is there and whole."""
    try:
        return decodes(pictures.path_of(images, reference))
    except DataError:
        return False


def decodes(picture: Path) -> bool:
    """Whether a picture can be decoded to its last line. JPEG is decoded small, which reads all of it and is quick."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes: a picture that is too large fails
            with Image.open(picture) as opened:
                opened.draft("RGB", (32, 32))
                opened.load()
    except Exception:  # noqa: BLE001 - a decoder meets bytes that anybody made: whatever it raises, the picture cannot be shown
        return False
    return True
