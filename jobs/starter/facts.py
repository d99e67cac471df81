"""What the starter knows: small tables, and the ways in which people ask for each of their facts.

A kind of fact has templates of questions and one of the answer, in both languages. A fact and a wording together make a
key; a tenth of the keys is never trained on. The last wording of each kind (it begins with ``!``) is never trained on
for any fact of the kind, and is judged apart.
"""

from __future__ import annotations

import csv
import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.starter.dialogue import Exchange, Lang, as_typed, held_out
from jobs.starter.phrasings import PHRASINGS

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


@dataclass(frozen=True)
class Fact:
    """One fact: its kind, an identifier, the values for the templates, and the bare answer in each language."""

    kind: str
    name: str
    values: Row
    short: dict[str, str]


def table(name: str) -> list[Row]:
    """The rows of ``data/NAME.tsv``."""
    with (Path(__file__).parent / "data" / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


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
        add("young", row["animal_en"], row, row["young_en"], row["young_zh"])
        add("legs", row["animal_en"], row, row["legs_en"], row["legs_zh"])
    for row in table("elements"):
        add("symbol", row["element_en"], row, row["symbol"], row["symbol"])
    for row in table("counts"):
        add("count", f"{row['unit_en']} {row['whole_en']}", row, row["n_en"], row["n_zh"])
    for row in table("superlatives"):
        add("which", row["what_en"], row, row["answer_en"], row["answer_zh"])
    for row in table("makers"):
        add("who", row["did_en"], row, row["who_en"], row["who_zh"])
    for row in table("terms"):
        add("term", row["term_en"], row, row["is_en"], row["is_zh"])
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
                add(kind, f"{left}{sign}{right}", values, str(result), str(result))
    return made


_WORDLESS = re.compile(r"(\{\w+\}|\W)*!?")

WEIGHTS = {
    "capital": 10, "continent": 4, "country": 6, "colour": 5, "opposite": 6, "to_chinese": 8, "to_english": 8,
    "young": 2, "legs": 1, "symbol": 2, "count": 3, "which": 4, "who": 4, "term": 4, "day_after": 1, "day_before": 1,
    "month_after": 1, "month_before": 1, "plus": 5, "minus": 3, "times": 5,
}  # fmt: skip
"""How often each kind is asked, about by its number of facts."""


def exchange(rng: random.Random, lang: Lang, held: bool, unseen_template: bool = False) -> Exchange:
    """A question about a fact. held: a (fact, wording) pair that is never trained on; with ``unseen_template`` a
    wording that is not trained on for any fact of its kind. Sums without a word (``3+4``) are the same in both languages,
    so they are never taken as unseen."""
    kinds = facts()
    while True:
        kind = rng.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()))[0]
        made = ask(rng, rng.choice(kinds[kind]), lang, unseen_template)
        if held_out(made.key) == held and not (held and _WORDLESS.fullmatch(made.key.rsplit("/", 1)[1])):
            return made


def ask(rng: random.Random, fact: Fact, lang: Lang, unseen_template: bool = False) -> Exchange:
    """One of the questions for ``fact``, as typed, with its answer."""
    phrasing = PHRASINGS[fact.kind][lang]
    questions = [q for q in phrasing[:-1] if q.startswith("!") == unseen_template]
    template = rng.choice(questions)
    key = f"{fact.kind}/{fact.name}/{lang}/{template}" + ("!" if unseen_template else "")
    question = template.removeprefix("!").format(**fact.values)
    answer = phrasing[-1].format(**fact.values)
    if lang == "en":
        question, answer = question[0].upper() + question[1:], answer[0].upper() + answer[1:]
    return Exchange(f"facts ({lang})", lang, as_typed(rng, question, lang), answer, key, short=fact.short[lang])
