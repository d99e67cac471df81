"""The twenty tasks of a protocol check: twelve English, eight Chinese; three need no tool, two need one call after the other, two
offer a tool that nearly fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from backend.agent.checks_tools import UNITS


@dataclass(frozen=True)
class Words:
    """An argument in which all of these words stand."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Worth:
    """An expression with this value; the bare value is none, because then the model has worked it out itself."""

    value: float


Wanted = tuple[str | float, ...] | Words | Worth
"""Of an argument: one of several, or what one of them says."""


@dataclass(frozen=True)
class Expected:
    """A call as it should be."""

    name: str
    arguments: Mapping[str, Wanted]


@dataclass(frozen=True)
class Task:
    """text: the question. tools: what is offered. calls: what is expected, in this order; none: without a tool. answer: what the answer
    has to hold, one of each group; figures are compared as numbers. near: the offered tool that nearly fits."""

    id: str
    lang: Literal["en", "zh"]
    text: str
    tools: tuple[str, ...]
    calls: tuple[Expected, ...]
    answer: tuple[tuple[str, ...], ...]
    near: str = ""


def _rate(start: str, end: str) -> Expected:
    return Expected("exchange_rate", {"from": (start,), "to": (end,)})


def _units(value: float, start: str, end: str) -> Expected:
    return Expected("unit_convert", {"value": (value,), "from": UNITS[start], "to": UNITS[end]})


def _sum(value: float) -> Expected:
    return Expected("calculate", {"expression": Worth(value)})


def _day(day: str) -> Expected:
    return Expected("calendar", {"day": (day,)})


_SHARE = Expected("stock_price", {"symbol": ("NWND",)})
TASKS = (
    Task(
        "en_weather", "en", "What is the weather like in Lisbon right now?", ("weather", "calculate", "calendar"),
        (Expected("weather", {"city": ("Lisbon",)}),), (("17",),),
    ),
    Task(
        "en_rate", "en", "How many Japanese yen (JPY) is one Swiss franc (CHF) today?",
        ("unit_convert", "exchange_rate", "weather"), (_rate("CHF", "JPY"),), (("171.4",),),
    ),
    Task(
        "en_units", "en", "How many kilometres are 26.2 miles? Give two decimals.",
        ("unit_convert", "file_search", "calendar"), (_units(26.2, "mile", "kilometre"),), (("42.16", "42.165"),),
    ),
    Task(
        "en_files", "en", "Which of my files holds the travel budget? Give its name.",
        ("file_search", "weather", "stock_price"), (Expected("file_search", {"query": Words(("budget",))}),),
        (("travel-budget-2031",),),
    ),
    Task(
        "en_share", "en", "What does one share of Northwind (symbol NWND) cost at the moment?",
        ("stock_price", "exchange_rate", "calendar"), (_SHARE,), (("88.35",),),
    ),
    Task(
        "en_calendar", "en", "What is in my calendar on 4 May 2026?", ("calendar", "file_search", "calculate"),
        (_day("2026-05-04"),), (("dentist",),),
    ),
    Task(
        "en_sum", "en", "What is 4817 times 236?", ("calculate", "weather", "file_search"), (_sum(4817 * 236),),
        (("1136812",),),
    ),
    Task(
        "en_landlord", "en", "Search my files: what is the name of my landlord?",
        ("calendar", "file_search", "exchange_rate"), (Expected("file_search", {"query": Words(("landlord",))}),),
        (("kestrel",),),
    ),
    Task(
        "en_two", "en",
        "How many Japanese yen (JPY) are 350 Swiss francs (CHF)? First look up today's rate, then multiply with the calculator.",
        ("exchange_rate", "calculate", "weather"), (_rate("CHF", "JPY"), _sum(350 * 171.4)), (("59990",),),
    ),
    Task(
        "en_near", "en", "Do I have an appointment on 12 June 2026, and what is it?",
        ("calendar_add", "calendar", "weather"), (_day("2026-06-12"),), (("board",), ("meeting",)), "calendar_add",
    ),
    Task("en_none", "en", "What is the capital of France?", ("weather", "stock_price"), (), (("paris",),)),
    Task("en_hello", "en", "Say hello to me.", ("calendar", "file_search"), (), (("hello", "hi"),)),
    Task(
        "zh_weather", "zh", "成都现在的天气怎么样？", ("weather", "calculate", "calendar"),
        (Expected("weather", {"city": ("成都", "成都市", "Chengdu")}),), (("22",),),
    ),
    Task(
        "zh_rate", "zh", "今天 1 欧元（EUR）能换多少人民币（CNY）？", ("exchange_rate", "weather", "file_search"),
        (_rate("EUR", "CNY"),), (("7.83",),),
    ),
    Task(
        "zh_units", "zh", "150 磅是多少千克？请保留两位小数。", ("calendar", "unit_convert", "stock_price"),
        (_units(150, "pound", "kilogram"),), (("68.04",),),
    ),
    Task(
        "zh_calendar", "zh", "我 2026 年 9 月 18 日有什么安排？", ("calendar", "weather", "exchange_rate"),
        (_day("2026-09-18"),), (("体检",),),
    ),
    Task(
        "zh_sum", "zh", "请计算 (1250 - 386) × 47 等于多少？", ("calculate", "calendar", "stock_price"),
        (_sum((1250 - 386) * 47),), (("40608",),),
    ),
    Task(
        "zh_two", "zh", "先查 Northwind（代码 NWND）现在的股价，再用计算器算出买 120 股要多少美元。",
        ("stock_price", "calculate", "calendar"), (_SHARE, _sum(120 * 88.35)), (("10602",),),
    ),
    Task(
        "zh_near", "zh", "哈尔滨现在多少度？", ("weather_history", "weather", "calculate"),
        (Expected("weather", {"city": ("哈尔滨", "哈尔滨市", "Harbin")}),), (("-9",),), "weather_history",
    ),
    Task("zh_none", "zh", "一年有几个月？", ("calculate", "calendar"), (), (("12", "十二"),)),
)  # fmt: skip
BY_ID = {task.id: task for task in TASKS}
