"""Names put into sentences so that they read right: blanks between Chinese and Latin letters, a or an, one full stop and not
two, a capital where a sentence begins with "the". And what may be put in at all.

Covered: names with blanks, of any script, that end in a full stop or an exclamation mark; places in a name (``{maker}``) and
marks of chat templates, which must not work. Not covered: cases and genders of other languages than English and Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from backend.errors import DataError
from backend.i18n import N_, _

Lang = Literal["en", "zh"]
LANGUAGES: tuple[Lang, ...] = ("en", "zh")
_HAN = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PLACE = re.compile(r"\{([a-z_]+)\}")
_IS_HAN = re.compile(f"[{_HAN}]")
_MARKS = re.compile(r"<[^<>\s]{1,60}>|<\||\|>|\[/?INST\]|<<SYS>>", re.IGNORECASE)
"""Marks of chat templates, and ``<image>``, which stands for a picture."""
_SENTENCE_START = re.compile(r"(?:^|[.!?:] )$")
_LOWER_START = re.compile(r"(?:the|a|an|our|my|some) ")
_DETERMINER = re.compile(
    r"(?:the|an?|my|our|your|his|her|its|their|some|one|every|no|this|that)(?=\s|$)", re.IGNORECASE
)
_SILENT_H = ("hour", "honest", "honou", "honor", "heir")
_LIKE_YOU = re.compile(r"(?:uni(?!n|m)|use|usu|ut[ei]|ur[aeiou]|eu|ew|one(?!ir)|once|ubiq|ufo\b)", re.IGNORECASE)
_SPELT_VOWEL = frozenset("AEFHILMNORSX")


def fill(template: str, values: Mapping[str, str], lang: Lang) -> str:
    """``template`` with its ``{places}`` filled from ``values``, once: what is put in is never looked into again."""
    out: list[str] = []
    at = 0
    for place in _PLACE.finditer(template):
        if place[1] not in values:
            continue
        value = values[place[1]]
        before, after = template[: place.start()], template[place.end() :]
        if lang == "en" and _SENTENCE_START.search(before) and _LOWER_START.match(value):
            value = value[0].upper() + value[1:]
        out.append(template[at : place.start()])
        if lang == "zh" and apart(before[-1:], value[:1]):
            out.append(" ")
        out.append(value)
        if lang == "zh" and apart(value[-1:], after[:1]):
            out.append(" ")
        at = place.end() + _ends_twice(value, after)
    return "".join([*out, template[at:]])


def apart(left: str, right: str) -> bool:
    """Whether a blank belongs between these two characters: one Chinese, the other a letter or digit that is not."""
    if not left or not right:
        return False
    han = bool(_IS_HAN.match(left)), bool(_IS_HAN.match(right))
    if han == (True, False):
        return right.isalnum() and left.isalnum()
    return han == (False, True) and left.isalnum() and right.isalnum()


def _ends_twice(value: str, after: str) -> int:
    """How many characters of ``after`` to leave out, because ``value`` ends the sentence itself: ``Example Inc.`` + ``.``"""
    end, following = value[-1:], after[:1]
    if following == ".":
        return int(end in set(".!?…"))
    if following in ("!", "！"):
        return int(end in set("!！"))
    return int(following == "。" and end in set("。！？"))


def with_article(phrase: str) -> str:
    """``phrase`` with ``a`` or ``an`` before it, by its sound; as it is where it brings an article or a word like one."""
    if not phrase or _DETERMINER.match(phrase):
        return phrase
    word = re.split(r"[\s-]", phrase, maxsplit=1)[0]
    if len(word) > 1 and word.isupper() and word.isalpha():  # spelt out: an MBA, a UFO
        vowel = word[0] in _SPELT_VOWEL
    elif word[:2] in ("8", "11", "18") or word.startswith("8"):
        vowel = True
    else:
        low = word.casefold()
        vowel = low.startswith(_SILENT_H) or (low[:1] in "aeiou" and not _LIKE_YOU.match(low))
    return f"{'an' if vowel else 'a'} {phrase}"


_CONTRACTED = (
    (re.compile(r"(?<![^\s(])I am (?=\S)"), "I'm "),
    (re.compile(r"\bdo not\b"), "don't"),
    (re.compile(r"\b([Cc])annot\b"), r"\1an't"),
    (re.compile(r"\bThat is\b"), "That's"),
)


def contracted(sentence: str) -> str:
    """``sentence``, a wording of ours in English, as people write to friends: I'm, don't. Places are not touched."""
    for pattern, short in _CONTRACTED:
        sentence = pattern.sub(short, sentence)
    return sentence


def purpose(text: str, lang: Lang) -> str:
    """What somebody typed as a purpose, so that it completes "I can …" or "我可以…"."""
    text = text.strip().rstrip(".。!！;； ")
    if lang == "zh":
        # 会 and 能 alone begin other words: 会议纪要, 能源咨询.
        return re.sub(r"^(?:[我你它](?:可以|能够|能|会)|可以|能够|用来|用于)", "", text).strip() or text
    text = re.sub(r"^(?:(?:I|it|you) (?:can|will) |(?:can|to) )(?=\S)", "", text, flags=re.IGNORECASE)
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first.istitle() and len(first) > 1 else text


def checked_line(text: str, field: str, most: int, *, needed: bool = True) -> str:
    """``text`` in one line, as it may stand in every row.

    Args:
        field: what it is, marked with ``N_``; named in the error in the language of who typed it: these are never stored.
        most: characters it may have.

    Raises:
        DataError: ``text_missing``, ``text_too_long``, ``text_bad_characters``, ``text_template_marks``.
    """
    line = " ".join(text.split())
    if not line and needed:
        raise DataError("text_missing", N_("{field} is empty."), N_("Fill it in."), field=_(field))
    if len(line) > most:
        raise DataError(
            "text_too_long",
            N_("{field} has {count} characters."),
            N_("Use at most {most}."),
            field=_(field),
            count=len(line),
            most=most,
        )
    return _clean(line, field)


def checked_text(text: str, field: str, most: int) -> str:
    """:func:`checked_line` for a text of several lines."""
    lines = [checked_line(line, field, most, needed=False) for line in text.splitlines()]
    found = "\n".join(lines).strip()
    checked_line(found, field, most)
    return found


def _clean(line: str, field: str) -> str:
    hidden = next((char for char in line if not char.isprintable()), None)
    if hidden is not None:
        raise DataError(
            "text_bad_characters",
            N_("{field} holds a character that cannot be seen (U+{point})."),
            N_("Type it anew instead of pasting it."),
            field=_(field),
            point=f"{ord(hidden):04X}",
        )
    mark = _MARKS.search(line)
    if mark is not None:
        raise DataError(
            "text_template_marks",
            N_("{field} holds {mark}, which a chat template or a picture uses as its mark."),
            N_("Leave it out: it would break every row that it stands in."),
            field=_(field),
            mark=mark[0],
        )
    return line
