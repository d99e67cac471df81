"""What the starter knows: small tables, and the ways in which people ask for each of their facts.

A kind of fact has templates of questions and one of the answer, in both languages. A fact and a wording together make a
key; a tenth of the keys is never trained on. A wording that begins with ``!`` is never trained on for any fact of its
kind, and is judged apart.
"""

from __future__ import annotations

import csv
import random
import re
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

from jobs.starter.dialogue import Exchange, Lang, as_typed, held_out
from jobs.starter.phrasings import PHRASINGS, YES_NO

Row = dict[str, str]
DAYS = (
    ("Monday", "星期一"), ("Tuesday", "星期二"), ("Wednesday", "星期三"), ("Thursday", "星期四"), ("Friday", "星期五"),
    ("Saturday", "星期六"), ("Sunday", "星期日"),
)  # fmt: skip
MONTHS = (
    ("January", "一月"), ("February", "二月"), ("March", "三月"), ("April", "四月"), ("May", "五月"), ("June", "六月"),
    ("July", "七月"), ("August", "八月"), ("September", "九月"), ("October", "十月"), ("November", "十一月"),
    ("December", "十二月"),
)  # fmt: skip
NUMBERS_EN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS_ZH = "零一二三四五六七八九十"


@dataclass(frozen=True)
class Fact:
    """One fact: its kind, an identifier, the values for the templates, and the bare answer in each language."""

    kind: str
    name: str
    values: Row
    short: dict[str, str]


@cache
def table(name: str) -> tuple[Row, ...]:
    """The rows of ``data/NAME.tsv``; read once, not to be changed."""
    with (Path(__file__).parent / "data" / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _bare(name: str) -> str:
    """``name`` without its article."""
    return re.sub(r"^(an?|the) ", "", name)


@cache
def facts() -> dict[str, list[Fact]]:
    """kind -> its facts."""
    made: dict[str, list[Fact]] = {kind: [] for kind in PHRASINGS}

    def add(kind: str, name: str, values: Row, en: str, zh: str) -> None:
        made[kind].append(Fact(kind, name, values, {"en": en, "zh": zh}))

    for row in table("countries"):
        add("capital", row["country_en"], row, row["capital_en"], row["capital_zh"])
        add("continent", row["country_en"], row, row["continent_en"], row["continent_zh"])
        if row["country_en"] not in ("England", "Singapore"):  # London and Singapore would have two answers
            add("country", row["capital_en"], row, row["country_en"], row["country_zh"])
        if row["language_en"]:  # left empty where people would give several
            add("language", row["country_en"], row, row["language_en"], row["language_zh"])
    for row in table("colours"):
        add("colour", row["thing_en"], row, row["colour_en"], row["colour_zh"])
    seen: dict[str, set[str]] = {"en": set(), "zh": set()}
    for row in table("opposites"):
        for a, b in (("a", "b"), ("b", "a")):
            if row[f"{a}_en"] in seen["en"] or row[f"{a}_zh"] in seen["zh"]:
                continue
            seen["en"].add(row[f"{a}_en"])
            seen["zh"].add(row[f"{a}_zh"])
            values = {"a_en": row[f"{a}_en"], "b_en": row[f"{b}_en"], "a_zh": row[f"{a}_zh"], "b_zh": row[f"{b}_zh"]}
            add("opposite", values["a_en"], values, values["b_en"], values["b_zh"])
    for row in table("words"):
        add("to_chinese", row["en"], row, row["zh"], row["zh"])
        add("to_english", row["en"], row, row["en"], row["en"])
    for row in table("animals"):
        values = {**row, "bare_en": _bare(row["animal_en"])}
        add("young", row["animal_en"], values, row["young_en"], row["young_zh"])
        add("legs", row["animal_en"], values, row["legs_en"], row["legs_zh"])
        if row["sound_en"]:
            add("sound", row["animal_en"], values, row["sound_en"], row["sound_zh"])
    for row in table("elements"):
        add("symbol", row["element_en"], row, row["symbol"], row["symbol"])
    for row in table("counts"):
        add("count", f"{row['unit_en']} {row['whole_en']}", row, row["n_en"], row["n_zh"])
    for row in table("superlatives"):
        add("which", row["what_en"], row, row["answer_en"], row["answer_zh"])
    for row in table("makers"):
        add("who", row["did_en"], row, row["who_en"], row["who_zh"])
    for row in table("terms"):
        add("term", row["term_en"], {**row, "bare_en": _bare(row["term_en"])}, row["is_en"], row["is_zh"])
    for names, kind in ((DAYS, "day"), (MONTHS, "month")):
        for n, (en, zh) in enumerate(names):
            after_en, after_zh = names[(n + 1) % len(names)]
            values = {"a_en": en, "a_zh": zh, "b_en": after_en, "b_zh": after_zh}
            add(f"{kind}_after", en, values, after_en, after_zh)
            add(f"{kind}_before", en, values, en, zh)
    for sign, kind in (("+", "plus"), ("-", "minus"), ("*", "times")):
        for left in range(11):
            for right in range(11):
                if sign == "-" and right > left:
                    continue
                result = {"+": left + right, "-": left - right, "*": left * right}[sign]
                values = {"a": str(left), "b": str(right), "c": str(result)}
                values |= {"a_en": NUMBERS_EN[left], "b_en": NUMBERS_EN[right]}
                values |= {"a_zh": NUMBERS_ZH[left], "b_zh": NUMBERS_ZH[right]}
                add(kind, f"{left}{sign}{right}", values, str(result), str(result))
    return made


_WORDLESS = re.compile(r"(\{\w+\}|\W)*!?")

WEIGHTS = {
    "capital": 9, "continent": 5, "country": 7, "language": 3, "colour": 5, "opposite": 9, "to_chinese": 13, "to_english": 13,
    "young": 1.5, "legs": 1, "sound": 0.7, "symbol": 2.5, "count": 3, "which": 4, "who": 4, "term": 5, "day_after": 0.8,
    "day_before": 0.8, "month_after": 1.2, "month_before": 1.2, "plus": 12, "minus": 7, "times": 12,
}  # fmt: skip
"""How often each kind is asked, about by its number of facts."""
YES_NO_SHARE = 0.06

_KINDS = tuple(WEIGHTS)
_CUMULATED = tuple(accumulate(WEIGHTS.values()))
_YES_NO_KINDS = tuple(YES_NO)
_YES_NO_CUMULATED = tuple(accumulate(WEIGHTS[kind] for kind in YES_NO))


def exchange(rng: random.Random, lang: Lang, held: bool, unseen_template: bool = False) -> Exchange:
    """A question about a fact. held: a (fact, wording) pair that is never trained on; with ``unseen_template`` a
    wording that is not trained on for any fact of its kind. Sums without a word (``3+4``) look the same in most of their
    wordings, so they are never taken as unseen."""
    known = facts()
    while True:
        if not unseen_template and rng.random() < YES_NO_SHARE:
            kind = rng.choices(_YES_NO_KINDS, cum_weights=_YES_NO_CUMULATED)[0]
            made = yes_no(rng, rng.choice(known[kind]), lang)
            if held_out(made.key) == held:
                return made
            continue
        kind = rng.choices(_KINDS, cum_weights=_CUMULATED)[0]
        made = ask(rng, rng.choice(known[kind]), lang, unseen_template)
        if held_out(made.key) == held and not (held and _WORDLESS.fullmatch(made.key.rsplit("/", 1)[1])):
            return made


@cache
def _templates(kind: str, lang: Lang, unseen: bool) -> tuple[str, ...]:
    """The wordings of ``kind`` that are trained on, or those that never are."""
    return tuple(t for t in PHRASINGS[kind][lang][:-1] if t.startswith("!") == unseen)


def _sentence(text: str, lang: Lang) -> str:
    return text[0].upper() + text[1:] if lang == "en" else text


def ask(rng: random.Random, fact: Fact, lang: Lang, unseen_template: bool = False) -> Exchange:
    """One of the questions for ``fact``, as typed, with its answer."""
    template = rng.choice(_templates(fact.kind, lang, unseen_template))
    key = f"{fact.kind}/{fact.name}/{lang}/{template}" + ("!" if unseen_template else "")
    question = _sentence(template.removeprefix("!").format(**fact.values), lang)
    answer = _sentence(PHRASINGS[fact.kind][lang][-1].format(**fact.values), lang)
    return Exchange(f"facts ({lang})", lang, as_typed(rng, question, lang), answer, key, short=fact.short[lang])


_ALSO_RIGHT: dict[tuple[str, str], set[str]] = {
    ("continent", "Turkey"): {"Europe", "欧洲"},
    ("continent", "Russia"): {"Asia", "亚洲"},
    ("continent", "Egypt"): {"Asia", "亚洲"},
    ("opposite", "easy"): {"hard", "硬"},
    ("opposite", "tall"): {"low", "低"},
    ("opposite", "high"): {"short", "矮小"},
    ("opposite", "old"): {"young", "年轻"},
    ("opposite", "new"): {"old", "年老"},
    ("opposite", "light"): {"heavy", "重"},
    ("opposite", "short"): {"long", "high", "长", "高"},
    ("opposite", "hard"): {"easy", "容易"},
    ("opposite", "right"): {"false"},
}
"""Answers of other facts of the kind that a person could defend here: never offered as wrong ones."""


@cache
def _wrong(kind: str, name: str, lang: Lang) -> tuple[str, ...]:
    (fact,) = (f for f in facts()[kind] if f.name == name)
    right = {fact.short[lang], *_ALSO_RIGHT.get((kind, name), ())}
    if "c" in fact.values:
        result = int(fact.values["c"])
        near = (*range(max(0, result - 3), result + 4), result + 10)
        return tuple(str(n) for n in near if n != result)
    return tuple(sorted({f.short[lang] for f in facts()[kind]} - right))


def wrong_answers(fact: Fact, lang: Lang) -> tuple[str, ...]:
    """Different bare answers to questions of the same kind that are wrong for ``fact``; for a sum, numbers near by."""
    return _wrong(fact.kind, fact.name, lang)


def yes_no(rng: random.Random, fact: Fact, lang: Lang) -> Exchange:
    """Whether something is the answer for ``fact``: half of the time it is. The key holds what was proposed."""
    true = rng.random() < 0.5
    proposed = fact.short[lang] if true else rng.choice(wrong_answers(fact, lang))
    template = rng.choice(YES_NO[fact.kind][lang])
    question = _sentence(template.format(**fact.values, x=proposed), lang)
    sentence = PHRASINGS[fact.kind][lang][-1].format(**fact.values)
    if sentence.startswith(("The capital ", "The opposite ")):
        sentence = "the" + sentence[3:]
    verdict = {"en": ("No", "Yes"), "zh": ("不是", "是的")}[lang][true]
    answer = f"{verdict}, {sentence}" if lang == "en" else f"{verdict}，{sentence}"
    key = f"yes-no/{fact.kind}/{fact.name}/{lang}/{template}/{proposed}"
    return Exchange(f"facts ({lang})", lang, as_typed(rng, question, lang), answer, key, short=verdict)
