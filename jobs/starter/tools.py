"""Calling functions: as JSON for OpenAI's ``tools=``, and in ReAct form for agents that speak plain text.

Names of functions and of their parameters, descriptions and the shape of the schema vary, so that the model has to read
the offer instead of knowing it. Arguments are copied from the question as the user wrote them. All wordings stand in
``data/tools.txt``.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from backend.agent.protocols import prompts
from jobs.starter import facts, small_talk, unknown
from jobs.starter.dialogue import Dialogue, Exchange, Lang, Turn, as_typed, held_out
from jobs.starter.phrasings import PHRASINGS

FAILED = {"en": "Sorry, the tool failed: {e}.", "zh": "抱歉，工具出错了：{e}。"}
NUMERIC = ("number", "factor", "more", "less", "multiple", "divisor", "minutes", "amount", "low", "high")
"""Slots whose value is a number in the call."""
ARITHMETIC = ("add", "subtract", "multiply", "divide", "calculator")
SEARCHES = ("search", "documents", "papers", "definition")

_UNSEEN = 0.3
"""Share of the held-out questions whose wording is never trained on."""
_PLAIN, _OUT_OF_REACH, _ERROR, _SECOND = 0.12, 0.04, 0.08, 0.25
_DECIMAL = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True)
class Tool:
    """A kind of function: names it may bear, names of its parameters, how people ask for it, how its result is told.

    slots: what fills the parameters; without: kinds that could answer the same questions, so are not offered with it;
    kept: wordings that are only used in the evaluation.
    """

    kind: str
    names: tuple[str, ...]
    parameters: tuple[tuple[str, ...], ...]
    slots: tuple[str, ...]
    without: frozenset[str]
    about: dict[str, tuple[str, ...]]
    hints: dict[str, tuple[str, ...]]
    asked: dict[str, tuple[str, ...]]
    kept: dict[str, tuple[str, ...]]
    told: dict[str, str]


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(" | "))


@cache
def _data() -> tuple[tuple[dict[str, str], ...], dict[str, tuple[str, ...]]]:
    """The blocks of the data file as they stand, and its lists by name and language."""
    blocks: list[dict[str, str]] = []
    lists: dict[str, tuple[str, ...]] = {}
    text = (Path(__file__).parent / "data" / "tools.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        field, _, rest = line.partition(" ")
        if field == "list":
            name, lang, values = rest.split(" ", 2)
            lists[f"{name} {lang}"] = _split(values)
        elif field == "==":
            blocks.append({"kind": rest})
        else:
            blocks[-1][field] = rest
    return tuple(blocks), lists


def _kinds() -> tuple[Tool, ...]:
    blocks, _ = _data()
    apart = {(b["kind"], other) for b in blocks for other in b.get("without", "").split()}
    made = []
    for b in blocks:
        kind = b["kind"]
        slots = () if b["slots"] == "-" else tuple(b["slots"].split())
        said = {lang: _split(b[f"{lang}?"]) for lang in ("en", "zh")}
        made.append(
            Tool(
                kind,
                _split(b["name"]),
                tuple(tuple(names.split()) for names in _split(b["param"])) if slots else ((),),
                slots,
                frozenset({y for x, y in apart if x == kind} | {x for x, y in apart if y == kind}),
                {lang: _split(b[f"about-{lang}"]) for lang in said},
                {lang: _split(b[f"hint-{lang}"]) if slots else () for lang in said},
                {lang: tuple(w for w in said[lang] if not w.startswith("!")) for lang in said},
                {lang: tuple(w[1:] for w in said[lang] if w.startswith("!")) for lang in said},
                {lang: b[f"{lang}="] for lang in said},
            )
        )
    return tuple(made)


KINDS = _kinds()


@dataclass(frozen=True)
class Style:
    """How one client writes its schemas: all offers of a dialogue share it."""

    lang: Lang
    hints: bool
    keys: tuple[str, ...]
    body: tuple[str, ...]
    closed: bool


def _style(rng: random.Random, lang: Lang) -> Style:
    keys = rng.choices(
        (
            ("name", "description", "parameters"),
            ("name", "parameters", "description"),
            ("description", "name", "parameters"),
        ),
        (70, 20, 10),
    )[0]
    body = rng.choices(
        (
            ("type", "properties", "required"),
            ("type", "properties"),
            ("properties", "required", "type"),
            ("type", "required", "properties"),
        ),
        (66, 16, 10, 8),
    )[0]
    written: Lang = lang if rng.random() < 0.6 else "en"
    return Style(written, rng.random() < 0.35, keys, body, rng.random() < 0.06)


@dataclass(frozen=True)
class Offer:
    """A function as it is offered in one dialogue. number: what the schema calls a number; extra: an optional parameter
    that no call uses, and its type."""

    tool: Tool
    name: str
    parameters: tuple[str, ...]
    number: str
    about: str
    hints: tuple[str, ...]
    extra: tuple[str, str] | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """The JSON type of each parameter."""
        return tuple(self.number if slot in NUMERIC else "string" for slot in self.tool.slots)

    def schema(self, style: Style) -> dict[str, Any]:
        """In OpenAI's shape, without the outer ``{"type": "function"}``."""
        properties: dict[str, dict[str, str]] = {}
        for name, type_, hint in zip(self.parameters, self.types, self.hints, strict=True):
            properties[name] = {"type": type_, "description": hint} if style.hints else {"type": type_}
        body: dict[str, Any] = {"type": "object", "properties": properties, "required": list(self.parameters)}
        keys = style.body
        if self.extra:
            properties[self.extra[0]] = {"type": self.extra[1]}
            keys = ("type", "properties", "required")
        if not properties:
            keys = ("type", "properties")
        ordered = {key: body[key] for key in keys}
        if style.closed:
            ordered["additionalProperties"] = False
        whole = {"name": self.name, "description": self.about, "parameters": ordered}
        return {key: whole[key] for key in style.keys}

    def line(self) -> str:
        """In the form of the ReAct system message."""
        inner = ", ".join(f'"{p}": {t}' for p, t in zip(self.parameters, self.types, strict=True))
        return f"{self.name}: {self.about.rstrip('.。')}. Input: {{{inner}}}"

    def action(self) -> dict[str, Any]:
        """As an entry of Lagent's ``ActionExecutor.get_actions_info()``, for a ``run`` with type hints and docstring."""
        kinds = {"string": "STRING", "integer": "NUMBER", "number": "FLOAT"}
        return {
            "name": self.name,
            "description": self.about,
            "parameters": [
                {"name": p, "type": kinds[t], "description": hint}
                for p, t, hint in zip(self.parameters, self.types, self.hints, strict=True)
            ],
            "required": list(self.parameters),
            "parameter_description": prompts.ARGUMENTS,
        }

    def arguments(self, values: Sequence[str]) -> str:
        """``values`` as JSON for this function, in the order of its parameters."""
        typed = [_number(v) if slot in NUMERIC else v for v, slot in zip(values, self.tool.slots, strict=True)]
        return json.dumps(dict(zip(self.parameters, typed, strict=True)), ensure_ascii=False)


@dataclass(frozen=True)
class Task:
    """What is asked in one dialogue, and what is offered for it."""

    offers: tuple[Offer, ...]
    chosen: Offer
    values: tuple[str, ...]
    question: str
    result: str
    error: str
    answer: str
    key: str


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _offer(rng: random.Random, tool: Tool, style: Style) -> Offer:
    number = "integer" if rng.random() < 0.35 else "number"
    about = rng.choice(tool.about[style.lang])
    extra = rng.choice(_EXTRA) if tool.slots and rng.random() < 0.05 else None
    parameters = rng.choice(tool.parameters)
    if extra and extra[0] in parameters:
        extra = None
    return Offer(tool, rng.choice(tool.names), parameters, number, about, tool.hints[style.lang], extra)


_EXTRA = (
    ("verbose", "boolean"),
    ("format", "string"),
    ("limit", "integer"),
    ("timeout", "number"),
    ("locale", "string"),
)


def identifier(rng: random.Random) -> str:
    """A name as a programmer could have given it, that says nothing about what is named."""
    words = [
        rng.choice(_words("en")) if rng.random() < 0.5 else unknown.fake_name(rng) for _ in range(rng.choice((1, 2, 2)))
    ]
    joined = "_".join(word.lower().replace(" ", "_").replace("'", "") for word in words)
    return joined if rng.random() < 0.85 else _camel(joined)


def _renamed(rng: random.Random, offers: tuple[Offer, ...], share: float) -> tuple[Offer, ...]:
    """``offers`` of which ``share`` bear another name, and their parameters too: what they are for only the description
    says, and what they are called only the offer."""
    made = []
    for offer in offers:
        if rng.random() < share:
            names = tuple(identifier(rng) for _ in offer.parameters)
            if len(set(names)) == len(names):
                offer = replace(offer, parameters=names if rng.random() < 0.6 else offer.parameters, extra=None)
            offer = replace(offer, name=identifier(rng))
        made.append(offer)
    return tuple(made) if len({offer.name for offer in made}) == len(made) else offers


_COUNTS = ((1, 2, 3, 4, 5), (35, 25, 30, 6, 4))
_FEW = ((1, 2, 3), (55, 33, 12))
"""Lagent's prompt is long: fewer functions."""


def _offers(
    rng: random.Random, style: Style, offered: int | None, usual: tuple[tuple[int, ...], tuple[int, ...]]
) -> tuple[Offer, ...]:
    """``offered`` functions, or one of the ``usual`` numbers, of which no two could answer the same question."""
    wanted = offered or rng.choices(*usual)[0]
    while True:
        tools: list[Tool] = []
        for tool in rng.sample(KINDS, len(KINDS)):
            if not any(tool.kind in t.without for t in tools):
                tools.append(tool)
            if len(tools) == wanted:
                offers = tuple(_offer(rng, tool, style) for tool in tools)
                if len({offer.name for offer in offers}) == wanted:
                    return offers
                break


# Values


def _of(rng: random.Random, name: str, lang: Lang) -> str:
    return rng.choice(_data()[1][f"{name} {lang}"])


@cache
def _cities(lang: Lang) -> tuple[str, ...]:
    return tuple(row[f"capital_{lang}"] for row in facts.table("countries"))


@cache
def _words(lang: Lang) -> tuple[str, ...]:
    """Single words, without those of the questions that the model does not know."""
    topics = unknown.lines()[f"topic {lang}"]
    return tuple(row[lang] for row in facts.table("words") if row[lang] not in topics)


def _name(rng: random.Random, lang: Lang) -> str:
    return unknown.fake_name(rng) if lang == "en" else unknown.fake_han(rng)


def _some(rng: random.Random) -> int:
    """A whole number, mostly 0 to 9999, each length about as often."""
    digits = rng.choices((1, 2, 3, 4, 5, 6), (20, 30, 27, 20, 2, 1))[0]
    return rng.randint(0 if digits == 1 else 10 ** (digits - 1), 10**digits - 1)


def _odd(rng: random.Random, value: int, decimals: bool) -> str:
    """``value``, seldom negative or with one decimal."""
    roll = rng.random()
    if roll < 0.015:
        return str(-value)
    if roll < 0.04 and decimals:
        return f"{value % 1000}.{rng.randint(1, 9)}"
    return str(value)


def _join(rng: random.Random, lang: Lang, words: int) -> str:
    return (" " if lang == "en" else "").join(rng.choice(_words(lang)) for _ in range(words))


def _topic(rng: random.Random, lang: Lang) -> str:
    roll = rng.random()
    if roll < 0.4:
        return _of(rng, "topic", lang)
    if roll < 0.55:
        topic, city = _of(rng, "topic", lang), rng.choice(_cities(lang))
        return f"{topic} in {city}" if lang == "en" else f"{city}的{topic}"
    if roll < 0.75:
        return _join(rng, lang, rng.choice((1, 2, 2, 3)))
    name = _name(rng, lang)
    return f"{name} {_name(rng, lang)}" if lang == "en" and rng.random() < 0.3 else name


def _phrase(rng: random.Random, lang: Lang) -> str:
    roll = rng.random()
    if roll < 0.15:
        return _of(rng, "topic", lang)
    return _name(rng, lang) if roll < 0.25 else _join(rng, lang, rng.choice((1, 1, 1, 2, 2, 3)))


def _expression(rng: random.Random) -> str:
    a, b, c = (rng.randint(1, 10 ** rng.choice((1, 2, 2, 3)) - 1) for _ in range(3))
    plus, times = rng.choice("+-"), rng.choice("**+-/")
    if times == "/":
        a *= b
    form = rng.randrange(10)
    if form < 6:
        text = f"{a} {times} {b}"
    elif form == 6:
        text = f"({a} {plus} {b}) * {c}"
    elif form == 7:
        text = f"{a} {plus} {b} * {c}"
    elif form == 8:
        text = f"{a} * {b} {plus} {c}"
    else:
        text = f"{a} {plus} {b} {rng.choice('+-')} {c}"
    return text.replace(" ", "") if rng.random() < 0.35 else text


_MIXED: dict[str, Callable[[random.Random, Lang], str]] = {
    "city": lambda rng, lang: rng.choice(_cities(lang)) if rng.random() < 0.65 else _name(rng, lang),
    "topic": _topic,
    "phrase": _phrase,
    "product": lambda rng, lang: _join(rng, lang, rng.choice((1, 1, 2))) if rng.random() < 0.75 else _name(rng, lang),
    "word": lambda rng, lang: (
        _of(rng, "word", lang)
        if rng.random() < 0.5
        else rng.choice((rng.choice(_words(lang)), _name(rng, lang).lower()))
    ),
    "person": lambda rng, lang: (
        _name(rng, lang) if rng.random() < 0.85 else f"{unknown.fake_name(rng).lower()}@mail.com"
    ),
    "company": lambda rng, lang: _of(rng, "company", lang) if rng.random() < 0.65 else _name(rng, lang),
    "subject": lambda rng, lang: _of(rng, "subject", lang) if rng.random() < 0.6 else _topic(rng, lang),
    "chore": lambda rng, lang: _chore(rng, lang),
    "path": lambda rng, lang: _path(rng),
    "minutes": lambda rng, lang: str(rng.randint(1, rng.choice((20, 60, 60, 240)))),
    "amount": lambda rng, lang: _odd(rng, _some(rng) or 1, True),
    "low": lambda rng, lang: str(rng.choice((0, 1, 1, 10, 100, rng.randint(0, 500)))),
    "expression": lambda rng, lang: _expression(rng),
}


def _chore(rng: random.Random, lang: Lang) -> str:
    if rng.random() < 0.4:
        verb, thing = _of(rng, "verb", lang), _name(rng, lang)
    else:
        verb, thing = _of(rng, "chore", lang), _join(rng, lang, rng.choice((1, 1, 2)))
        thing = f"the {thing}" if lang == "en" and rng.random() < 0.5 else thing
    return f"{verb} {thing}" if lang == "en" else verb + thing


def _path(rng: random.Random) -> str:
    name = _of(rng, "file", "en") if rng.random() < 0.6 else unknown.fake_name(rng).lower()
    if rng.random() < 0.15:
        name += str(rng.randint(1, 99))
    folder = _of(rng, "file", "en") + "/" if rng.random() < 0.2 else ""
    return f"{folder}{name}.{rng.choice(('txt', 'txt', 'md', 'csv', 'json', 'py', 'log'))}"


def _values(rng: random.Random, tool: Tool, lang: Lang, decimals: bool) -> tuple[str, ...]:
    """What fills the slots; decimals: numbers may have them."""
    if tool.kind in ("add", "multiply"):
        b = _some(rng)
        if tool.kind == "multiply":
            b %= 1000
        return _odd(rng, _some(rng), decimals), _odd(rng, b, decimals)
    if tool.kind == "subtract":
        a, b = _some(rng), _some(rng)
        return (str(max(a, b)), str(min(a, b))) if rng.random() < 0.85 else (str(a), str(b))
    if tool.kind == "divide":
        divisor = rng.randint(2, rng.choice((9, 20, 99, 500)))
        return str(divisor * rng.randint(1, max(2, rng.choice((99, 999, 9999)) // divisor))), str(divisor)
    found: list[str] = []
    for slot in tool.slots:
        if slot == "high":
            found.append(str(int(found[0]) + rng.choice((5, 9, 10, 50, 99, 100, 900, rng.randint(1, 999)))))
        elif slot in ("currency", "unit", "unit2", "language"):
            found.append("")
        else:
            value = _MIXED[slot](rng, lang)
            if not decimals and slot in NUMERIC and _DECIMAL.fullmatch(value):
                value = value.split(".")[0]
            found.append(value)
    if tool.kind == "translate":
        found[1] = _of(rng, "language", lang)
        if lang == "zh" and rng.random() < 0.2:
            found[0] = _phrase(rng, "en")
    elif tool.kind in ("convert_currency", "convert_unit"):
        among = "currency" if tool.kind == "convert_currency" else f"unit{rng.randrange(3)}"
        found[1:] = rng.sample(_data()[1][f"{among} {lang}"], 2)
    return tuple(found)


def _plain_number(value: float) -> str:
    return str(round(value)) if value == round(value) else f"{value:.4f}".rstrip("0")


_SUMS: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
}


def _clock(rng: random.Random) -> str:
    return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02}"


def _result(rng: random.Random, tool: Tool, values: tuple[str, ...], lang: Lang) -> str:
    """What the function returns: computed for sums, made up for the rest."""
    kind, en = tool.kind, lang == "en"
    if kind in _SUMS:
        return _plain_number(_SUMS[kind](_number(values[0]), _number(values[1])))
    if kind == "calculator":
        return _plain_number(eval(values[0], {"__builtins__": {}}))  # noqa: S307 - our own digits and signs
    if kind == "weather":
        sky, degrees = _of(rng, "weather", lang), rng.randint(-9, 40)
        return rng.choice(
            (f"{sky}, {degrees}", f"{sky}, {degrees}°C", sky)
            if en
            else (f"{sky}，{degrees}度", f"{sky}，{degrees}°C", sky)
        )
    if kind == "time":
        return _clock(rng)
    if kind in ("timer", "reminder"):
        done = ("ok", "started", "saved") if en else ("好的", "成功", "ok")
        return rng.choice((*done, _clock(rng)))
    if kind == "email":
        return rng.choice(("sent", "ok", "queued") if en else ("已发送", "发送成功", "ok"))
    if kind == "price":
        price = f"{rng.randint(1, 999)}" + (f".{rng.randint(1, 99):02}" if rng.random() < 0.3 else "")
        return price + (rng.choice((" dollars", " euros", " USD")) if en else "元")
    if kind in ("convert_currency", "convert_unit", "stock"):
        return str(_some(rng)) if rng.random() < 0.4 else f"{rng.randint(0, 9999)}.{rng.randint(1, 99)}"
    if kind == "population":
        return str(rng.randint(1, 9999) * 10 ** rng.randint(0, 4) + rng.randint(0, 9))
    if kind == "random":
        return str(rng.randint(int(values[0]), int(values[1])))
    if kind == "gpu_status":
        used, free = rng.randint(0, 100), rng.randint(0, 140)
        return rng.choice(
            (f"{used}% used, {free} GB free", _of(rng, "state", lang))
            if en
            else (f"已用 {used}%，剩余 {free} GB", _of(rng, "state", lang))
        )
    if kind == "job_status":
        step, all_ = rng.randint(1, 500), rng.randint(500, 5000)
        return rng.choice(
            (f"step {step} of {all_}", _of(rng, "state", lang))
            if en
            else (f"第 {step} 步，共 {all_} 步", _of(rng, "state", lang))
        )
    if kind == "translate":
        return " ".join(unknown.fake_name(rng).lower() for _ in range(rng.choice((1, 1, 2))))
    return _join(rng, lang, rng.randint(1, 3)) + (" " if en else "") + _name(rng, lang)


# Tasks


def _bare(text: str) -> str:
    return re.sub(r"[\s?.!？。！]+", " ", text.lower()).strip()


@cache
def _kept_elsewhere() -> frozenset[str]:
    """Questions about facts that are kept for the evaluation: they are not trained on here either (``3 + 4``)."""
    found = set()
    for kind, known in facts.facts().items():
        for lang in ("en", "zh"):
            for template in PHRASINGS[kind][lang][:-1]:
                unseen = "!" if template.startswith("!") else ""
                for fact in known:
                    if held_out(f"{kind}/{fact.name}/{lang}/{template}{unseen}"):
                        found.add(_bare(template.removeprefix("!").format(**fact.values)))
    return frozenset(found)


def _typed(rng: random.Random, wording: str, values: tuple[str, ...], lang: Lang) -> tuple[str, tuple[str, ...]]:
    """The question as people type it, and the values as they stand in it: who writes no capitals writes none in names."""
    text = as_typed(rng, wording, lang)
    if lang == "en" and text == text.lower() != wording and rng.random() < 0.7:
        values = tuple(value.lower() for value in values)
    return text.format(*values), values


def _ask(rng: random.Random, lang: Lang, held: bool, offers: tuple[Offer, ...]) -> Task:
    wanted = held and rng.random() < _UNSEEN
    for attempt in count():
        chosen = rng.choice(offers)
        tool = chosen.tool
        # a function without parameters has few questions, perhaps none that the rule holds out
        unseen = wanted or (held and attempt > 20)
        wording = rng.choice((tool.kept if unseen else tool.asked)[lang])
        for _ in range(12):
            values = _values(rng, tool, lang, chosen.number == "number")
            key = f"tool/{tool.kind}/{wording}/{values}" + ("!" if unseen else "")
            if held_out(key) == held and (held or _bare(wording.format(*values)) not in _kept_elsewhere()):
                question, values = _typed(rng, wording, values, lang)
                result = _result(rng, tool, values, lang)
                error = _of(rng, "error", lang if rng.random() < 0.7 else "en") if rng.random() < _ERROR else ""
                answer = FAILED[lang].format(e=error) if error else tool.told[lang].format(*values, r=result)
                return Task(offers, chosen, values, question, result, error, answer, key)
    raise AssertionError  # count() has no end


def task(rng: random.Random, lang: Lang, held: bool, offered: int | None = None) -> Task:
    """A question for one of ``offered`` functions; keys are the kind, the wording and the operands."""
    return _ask(rng, lang, held, _offers(rng, _style(rng, lang), offered, _COUNTS))


_FACT_NEEDS = {
    "to_chinese": ("translate",), "to_english": ("translate",), "plus": ARITHMETIC, "minus": ARITHMETIC, "times": ARITHMETIC,
    "capital": ("population",), "continent": ("population",), "country": ("population",), "count": ("convert_unit", "time"),
    "day_after": ("time",), "day_before": ("time",), "month_after": ("time",), "month_before": ("time",), "who": ("stock",),
}  # fmt: skip
"""Kinds of facts that an offered function could be asked for."""


def _plain(rng: random.Random, lang: Lang, offers: tuple[Offer, ...]) -> Exchange:
    """A question that none of ``offers`` can help with, though the model can."""
    kinds = {offer.tool.kind for offer in offers}
    if rng.random() < 0.5 or kinds.intersection(SEARCHES):
        return small_talk.exchange(
            rng, lang, False, ("greet", "greet", "name", "maker", "nature", "thanks", "how", "can")
        )
    while True:
        one = facts.exchange(rng, lang, held=False)
        if not kinds.intersection(_FACT_NEEDS.get(one.key.split("/", 1)[0], ())):
            return one


def _out_of_reach(rng: random.Random, lang: Lang, offers: tuple[Offer, ...]) -> tuple[str, str] | None:
    """A question for a function that is not offered, and the answer that the model does not know."""
    kinds = {offer.tool.kind for offer in offers}
    if kinds.intersection(SEARCHES):
        return None
    taken = kinds.union(*(offer.tool.without for offer in offers))
    if kinds.intersection(ARITHMETIC):
        taken = taken.union(ARITHMETIC)
    others = [tool for tool in KINDS if tool.kind not in taken]
    other = _offer(rng, rng.choice(others), _style(rng, lang))
    return _ask(rng, lang, False, (other,)).question, unknown.ANSWERS[lang]


def _system(rng: random.Random, lang: Lang) -> str:
    """A plain system text in a third of the dialogues, else nothing."""
    if rng.random() > 0.33:
        return ""
    return _of(rng, "system", lang if rng.random() < 0.8 else "en")


Called = Callable[[Task], tuple[Turn, ...]]
"""How one form writes a task: the question, the call, the result, the answer."""
Said = Callable[[str, str], tuple[Turn, ...]]
"""How it writes a question and an answer without a call."""


def _turns(
    rng: random.Random, lang: Lang, first: Task, called: Called, said: Said, second: float, more: int = 0
) -> tuple[Turn, ...]:
    """The turns of a training dialogue that is made for ``first``. more: so many tasks follow, now and then a question
    that needs no function; without it one or none."""
    if more:
        turns = called(first)
        for _ in range(more):
            roll = rng.random()
            if roll < 0.15:
                plain = _plain(rng, lang, first.offers)
                turns += said(plain.question, plain.answer)
            elif roll < 0.2 and (other := _out_of_reach(rng, lang, first.offers)):
                turns += said(*other)
            else:
                turns += called(_ask(rng, lang, False, first.offers))
        return turns
    roll = rng.random()
    if roll < _PLAIN:
        plain = _plain(rng, lang, first.offers)
        return said(plain.question, plain.answer)
    if roll < _PLAIN + _OUT_OF_REACH and (beyond := _out_of_reach(rng, lang, first.offers)):
        return said(*beyond)
    turns = called(first)
    if rng.random() < second:
        if rng.random() < 0.8:
            return turns + called(_ask(rng, lang, False, first.offers))
        plain = _plain(rng, lang, first.offers)
        return turns + said(plain.question, plain.answer)
    return turns


def json_calls(
    rng: random.Random, lang: Lang, held: bool, offered: int | None = None, more: int = 0, rename: float = 0
) -> Dialogue:
    """A call in JSON, its result, and the answer; in training also questions that need no function, and two tasks in a
    row. more: tasks that follow (:func:`_turns`); rename: share of the functions with a name that says nothing."""
    style = _style(rng, lang)
    offers = _offers(rng, style, offered, _COUNTS)
    one = _ask(rng, lang, held, _renamed(rng, offers, rename) if rename else offers)
    schemas = tuple(offer.schema(style) for offer in one.offers)
    form = rng.randrange(9)

    def called(task: Task) -> tuple[Turn, ...]:
        call = f'{{"name": "{task.chosen.name}", "parameters": {task.chosen.arguments(task.values)}}}'
        return (
            ("user", task.question),
            ("assistant", call),
            ("ipython", _shown(rng, task, form)),
            ("assistant", task.answer),
        )

    def said(question: str, answer: str) -> tuple[Turn, ...]:
        return ("user", question), ("assistant", answer)

    turns = called(one) if held else _turns(rng, lang, one, called, said, _SECOND, more)
    return Dialogue("tool call", lang, turns, one.key, system=_system(rng, lang), tools=schemas)


def _shown(rng: random.Random, task: Task, form: int) -> str:
    """The result as a client sends it."""
    if task.error:
        if form < 3:
            return rng.choice(("Error: ", "error: ")) + task.error
        shown: dict[str, Any] = {"ok": False, "error": task.error} if form == 8 else {"error": task.error}
        return json.dumps(shown, ensure_ascii=False)
    if form < 3:
        return task.result
    number = re.fullmatch(r"-?\d{1,15}", task.result) is not None and form != 5
    value = int(task.result) if number else task.result
    keys = {
        3: "result",
        4: "result",
        5: "result",
        6: "output",
        7: rng.choice(("value", "answer", "data", task.chosen.name)),
    }
    reply = {"ok": True, "value": value} if form == 8 else {keys[form]: value}
    return json.dumps(reply, ensure_ascii=False)


# ReAct

REACT_LEAD = "Answer the question. You can use these tools:"
REACT_FORM = (
    "Use this format:\nThought: what to do\nAction: the tool's name\nAction Input: the input as JSON\n"
    "Observation: the tool's result, given to you\nThought: what you know now\nFinal Answer: the answer"
)
_LEADS = (
    "You have these tools:",
    "Answer the following question as best you can. You have access to the following tools:",
    "Tools:",
    "你可以使用以下工具回答问题：",
    "请回答问题，可用的工具有：",
)
_FORMS = (
    "Use the following format:\n\nThought: think about what to do\nAction: one of the tools\nAction Input: the input to the action\n"
    "Observation: the result of the action\nThought: I know the answer\nFinal Answer: the final answer",
    "Answer in this form:\nThought:\nAction:\nAction Input: JSON\nObservation:\nFinal Answer:",
    "请使用以下格式：\nThought: 思考\nAction: 工具名\nAction Input: JSON 格式的参数\nObservation: 工具返回的结果\nThought: 思考\nFinal Answer: 最终答案",
)
_THINK = {"en": ("I should use {0}.", "I know the answer."), "zh": ("我应该使用 {0}。", "我知道答案了。")}


def react_system(lines: list[str]) -> str:
    """The system message of an agent that speaks ReAct; ``lines`` are the tools, as :meth:`Offer.line` writes them."""
    return "\n".join([REACT_LEAD, *lines, REACT_FORM])


def react(rng: random.Random, lang: Lang, held: bool, offered: int | None = None) -> Dialogue:
    """The same in ReAct form: thought, action, observation (told by the user's side), final answer. In training, part
    of the dialogues is :func:`react_lagent`'s."""
    if not held and rng.random() < 0.4:
        return react_lagent(rng, lang, held, offered)
    return react_plain(rng, lang, held, offered)


def react_plain(
    rng: random.Random, lang: Lang, held: bool, offered: int | None = None, more: int = 0, rename: float = 0
) -> Dialogue:
    """:func:`react` in our own layout; more, rename: as in :func:`json_calls`."""
    style = _style(rng, lang)
    offers = _offers(rng, style, offered, _COUNTS)
    one = _ask(rng, lang, held, _renamed(rng, offers, rename) if rename else offers)
    lines = [offer.line() for offer in one.offers]
    system = react_system(lines)
    if not held:
        if rng.random() < 0.12:
            lines = [json.dumps(offer.schema(style), ensure_ascii=False) for offer in one.offers]
        elif rng.random() < 0.1:
            lines = [f"- {line}" for line in lines]
        lead = rng.choice(_LEADS) if rng.random() < 0.3 else REACT_LEAD
        form = rng.choice(_FORMS) if rng.random() < 0.3 else REACT_FORM
        system = "\n".join([lead, *lines, form])
        if before := _system(rng, lang):
            system = f"{before}\n{system}"

    def observed(task: Task) -> Turn:
        error = "error: " if held or rng.random() < 0.7 else "Error: "
        return "user", f"Observation: {error + task.error if task.error else _short(rng, task)}"

    turns = _react_turns(rng, lang, held, one, observed, _SECOND, more)
    return Dialogue("ReAct", lang, turns, one.key, system=system)


def _short(rng: random.Random, task: Task) -> str:
    """The result as a plain text, or seldom as JSON."""
    return task.result if rng.random() < 0.75 else _shown(rng, task, 4)


def _react_turns(
    rng: random.Random, lang: Lang, held: bool, one: Task, observed: Callable[[Task], Turn], second: float, more: int
) -> tuple[Turn, ...]:
    use, know = _THINK[lang]

    def called(task: Task) -> tuple[Turn, ...]:
        name = task.chosen.name
        action = f"Thought: {use.format(name)}\nAction: {name}\nAction Input: {task.chosen.arguments(task.values)}"
        return ("user", task.question), ("assistant", action), observed(task), final(task.answer)

    def said(question: str, answer: str) -> tuple[Turn, ...]:
        return ("user", question), final(answer)

    def final(answer: str) -> Turn:
        return "assistant", f"Thought: {know}\nFinal Answer: {answer}"

    return called(one) if held else _turns(rng, lang, one, called, said, second, more)


_WHICH = {
    "en": ("Which function is for each of these?", "Name the function for each question.", "Which tool would you use for each?"),
    "zh": ("下面每个问题该用哪个函数？", "写出每个问题对应的函数名。", "每个问题要用哪个工具？"),
}  # fmt: skip
_WHICH_ONE = {
    "en": ("Only the name of the function: {q}", "Which function is for this? {q}", "{q}\nWhich tool?"),
    "zh": ("只说函数名：{q}", "这个问题该用哪个函数？{q}", "{q}\n用哪个工具？"),
}


def which(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """Several questions, and for each the name of the function that is for it, at once or one by one: to choose is what is
    learned last, and a call has one choice among forty tokens. Only for training."""
    del held
    style = _style(rng, lang)
    offers = _renamed(
        rng, _offers(rng, style, rng.choice((2, 3, 3, 3, 4, 5)), _COUNTS), rng.choice((0.0, 0.0, 0.5, 1.0))
    )
    tasks = [_ask(rng, lang, False, offers) for _ in range(rng.randint(4, 9))]
    if rng.random() < 0.6:
        asked = [f"{number}. {task.question}" for number, task in enumerate(tasks, 1)]
        named = [f"{number}. {task.chosen.name}" for number, task in enumerate(tasks, 1)]
        turns: tuple[Turn, ...] = (
            ("user", "\n".join([rng.choice(_WHICH[lang]), *asked])),
            ("assistant", "\n".join(named)),
        )
    else:
        form = rng.choice(_WHICH_ONE[lang])
        turns = tuple(
            turn
            for task in tasks
            for turn in (("user", form.replace("{q}", task.question)), ("assistant", task.chosen.name))
        )
    if rng.random() < 0.3:
        return Dialogue(
            "which tool", lang, turns, tasks[0].key, system=react_system([offer.line() for offer in offers])
        )
    schemas = tuple(offer.schema(style) for offer in offers)
    return Dialogue("which tool", lang, turns, tasks[0].key, system=_system(rng, lang), tools=schemas)


def lagent_system(offers: Sequence[Offer], lang: Lang = "en") -> str:
    """The system message that Lagent's ``ReActProtocol.format`` writes for ``offers``."""
    tools, names = [offer.action() for offer in offers], [offer.name for offer in offers]
    template = prompts.REACT_ZH if lang == "zh" else prompts.REACT_EN
    return template.format(tool_description=tools, action_names=names)


def react_lagent(
    rng: random.Random, lang: Lang, held: bool, offered: int | None = None, more: int = 0, rename: float = 0
) -> Dialogue:
    """ReAct as Lagent 0.2.4 lays it out: its prompt, and the result as ``Response:`` of the system's side. A failed
    call's message comes without any word that it is an error."""
    style = _style(rng, lang)
    offers = _offers(rng, style, offered, _FEW)
    if rng.random() < 0.4:  # the name of a class, which is Lagent's default
        offers = tuple(replace(offer, name=_camel(offer.name)) for offer in offers)
    if rename:
        offers = _renamed(rng, offers, rename)
    one = _ask(rng, lang, held, offers)

    def observed(task: Task) -> Turn:
        return "system", "Response:" + (task.error or _short(rng, task))

    protocol: Lang = "zh" if lang == "zh" and rng.random() < 0.5 else "en"
    turns = _react_turns(rng, lang, held, one, observed, 0.08, more)
    return Dialogue("ReAct", lang, turns, one.key, system=lagent_system(offers, protocol))


def _camel(name: str) -> str:
    return "".join(part[0].upper() + part[1:] for part in name.split("_"))
