"""Traces that a person has kept or put right, of the tools of the protocol check: other cities, days, sums and files than its tasks ask about.

None of the check's questions is among them, and none of its values; the ways of asking are partly the same, as they are in life.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backend.agent import traces
from backend.agent.calls import Call, Protocol
from backend.agent.checks_tasks import TASKS
from backend.agent.checks_tools import FACTORS, TOOLS, UNITS, worth
from backend.agent.options import Options
from backend.agent.records import Called, Step, Turn

CITIES = [
    "Oslo",
    "Madrid",
    "Prague",
    "Dublin",
    "Athens",
    "Vienna",
    "Warsaw",
    "Helsinki",
    "Nairobi",
    "Lima",
    "Quito",
    "Bogota",
    "Toronto",
    "Chicago",
    "Boston",
    "Denver",
    "Seoul",
    "Tokyo",
    "Osaka",
    "Hanoi",
    "Manila",
    "Jakarta",
    "Mumbai",
    "Delhi",
    "Cairo",
    "Tunis",
    "Rabat",
    "Accra",
    "Lagos",
    "Perth",
    "Sydney",
    "Auckland",
    "Zurich",
    "Geneva",
    "Munich",
    "Hamburg",
]
ZH_CITIES = [
    "北京",
    "上海",
    "广州",
    "深圳",
    "杭州",
    "南京",
    "武汉",
    "西安",
    "重庆",
    "天津",
    "苏州",
    "青岛",
    "大连",
    "厦门",
    "昆明",
    "长沙",
    "郑州",
    "济南",
    "合肥",
    "福州",
    "贵阳",
    "兰州",
    "长春",
    "沈阳",
]
CURRENCIES = (("US dollar", "美元", "USD"), ("British pound", "英镑", "GBP"), ("Canadian dollar", "加元", "CAD"),
              ("Swedish krona", "瑞典克朗", "SEK"), ("Indian rupee", "印度卢比", "INR"), ("Korean won", "韩元", "KRW"),
              ("Mexican peso", "墨西哥比索", "MXN"), ("Polish zloty", "波兰兹罗提", "PLN"), ("Turkish lira", "土耳其里拉", "TRY"))  # fmt: skip
SHARES = (("Alderway", "ALDW"), ("Brightmoor", "BRMR"), ("Cinderpeak", "CDPK"), ("Dovetail", "DVTL"), ("Eastgate", "EGTE"),
          ("Fernhill", "FNHL"), ("Glasswing", "GLSW"), ("Harbourline", "HBLN"), ("Ironbark", "IRNB"))  # fmt: skip
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
THINGS = (("insurance contract", "policy-2029.pdf", "insurance contract"), ("tax form", "tax-form-b.pdf", "tax form"),
          ("wedding guests", "guests-final.xlsx", "wedding guests"), ("garden plan", "garden-plan.pdf", "garden plan"),
          ("recipe for soup", "soup-recipe.txt", "soup recipe"), ("car repair", "car-repair-bill.pdf", "car repair"),
          ("school report", "school-report-7.pdf", "school report"), ("packing list", "packing-list.txt", "packing list"))  # fmt: skip
EVENTS = (("10:00 team meeting", "10:00 团队会议"), ("14:30 hairdresser", "14:30 理发"), ("08:15 train to Basel", "08:15 去巴塞尔的火车"),
          ("19:00 choir", "19:00 合唱团"), ("11:45 lunch with Anna", "11:45 和安娜吃午饭"), ("16:00 piano lesson", "16:00 钢琴课"))  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """A question, the calls with what they gave, and the answer."""

    lang: str
    text: str
    calls: tuple[tuple[Call, str], ...]
    answer: str


def rows(count: int, protocol: Protocol, seed: int = 7) -> list[dict[str, Any]]:
    """``count`` rows as *Keep as example* makes them."""
    rng = random.Random(seed)
    asked = {task.text for task in TASKS}
    made: list[dict[str, Any]] = []
    seen: set[str] = set()
    while len(made) < count:
        trace = rng.choice(KINDS)(rng)
        if trace.text in asked or trace.text in seen:
            continue
        seen.add(trace.text)
        made.append(_row(trace, protocol, rng))
    return made


def _row(trace: Trace, protocol: Protocol, rng: random.Random) -> dict[str, Any]:
    used = [call.name for call, _ in trace.calls]
    others = [name for name in TOOLS if name not in used]
    offered = list(dict.fromkeys([*used, *rng.sample(others, 3 - min(2, len(set(used))))]))
    rng.shuffle(offered)
    options = Options(protocol=protocol, lang="zh" if trace.lang == "zh" else "en")
    turn = Turn(1, "c", trace.text, "done", "m", options, 0.0, protocol=protocol, answer=trace.answer)
    steps = [
        Step(n, 1, n, "done", thought=_thought(call, protocol), calls=(Called(call, "done", result),))
        for n, (call, result) in enumerate(trace.calls, 1)
    ]
    steps.append(
        Step(9, 1, 9, "done", answer=trace.answer, thought="I know the answer." if protocol == "react" else "")
    )
    told = traces.told_by(protocol, [TOOLS[name].tool for name in offered], "", options.lang)
    return dict(traces.own(traces.messages([], turn, traces.parts(turn, steps), told), told.tools))


def _thought(call: Call, protocol: Protocol) -> str:
    return f"I should use {call.name}." if protocol == "react" else ""


def _weather(rng: random.Random) -> Trace:
    degrees, sky = (
        rng.randint(-15, 38),
        rng.choice((("sunny", "晴"), ("cloudy", "多云"), ("light rain", "小雨"), ("snow", "有雪"), ("foggy", "有雾"))),
    )
    if rng.random() < 0.45:
        city = rng.choice(ZH_CITIES)
        text = rng.choice(("{}现在的天气怎么样？", "{}现在多少度？", "{}今天天气如何？", "请告诉我{}的天气。")).format(
            city
        )
        return _one(
            "zh",
            text,
            "weather",
            {"city": city},
            f"{city}：{degrees} °C，{sky[1]}",
            f"{city}现在{degrees} °C，{sky[1]}。",
        )
    city = rng.choice(CITIES)
    text = rng.choice(
        (
            "What is the weather like in {} right now?",
            "How is the weather in {}?",
            "How warm is it in {} now?",
            "Tell me the weather in {}.",
        )
    ).format(city)
    return _one(
        "en",
        text,
        "weather",
        {"city": city},
        f"{city}: {degrees} °C, {sky[0]}",
        f"In {city} it is {degrees} °C, {sky[0]}.",
    )


def _rate(rng: random.Random) -> Trace:
    (name, zh, code), (to_name, to_zh, to) = rng.sample(CURRENCIES, 2)
    rate = round(rng.uniform(0.05, 200), 2)
    call, said = {"from": code, "to": to}, f"1 {code} = {rate} {to}"
    if rng.random() < 0.45:
        text = rng.choice(
            (
                "今天 1 {a}（{c}）能换多少{b}（{d}）？",
                "1 {a}（{c}）是多少{b}（{d}）？",
                "{a}（{c}）对{b}（{d}）的汇率是多少？",
            )
        )
        return _one(
            "zh", text.format(a=zh, c=code, b=to_zh, d=to), "exchange_rate", call, said, f"1 {code} = {rate} {to}。"
        )
    text = rng.choice(
        (
            "How many {b}s ({d}) is one {a} ({c}) today?",
            "What is one {a} ({c}) in {b} ({d})?",
            "Tell me the rate from {c} to {d}.",
        )
    )
    return _one(
        "en", text.format(a=name, c=code, b=to_name, d=to), "exchange_rate", call, said, f"1 {code} = {rate} {to}."
    )


def _units(rng: random.Random) -> Trace:
    start, end = rng.choice(list(FACTORS))
    value = rng.choice((rng.randint(2, 900), round(rng.uniform(1, 90), 1)))
    result = f"{value} {start} = {round(value * FACTORS[start, end], 2)} {end}"
    call = {"value": value, "from": start, "to": end}
    if rng.random() < 0.45:
        text = rng.choice(("{v} {a}是多少{b}？请保留两位小数。", "{v} {a}等于多少{b}？", "把 {v} {a}换算成{b}。"))
        return _one(
            "zh",
            text.format(v=value, a=UNITS[start][-1], b=UNITS[end][-1]),
            "unit_convert",
            call,
            result,
            f"{result}。",
        )
    text = rng.choice(
        ("How many {b} are {v} {a}? Give two decimals.", "Convert {v} {a} into {b}.", "What is {v} {a} in {b}?")
    )
    return _one(
        "en", text.format(v=value, a=UNITS[start][1], b=UNITS[end][1]), "unit_convert", call, result, f"{result}."
    )


def _file(rng: random.Random) -> Trace:
    thing, name, words = rng.choice(THINGS)
    number = rng.randint(2, 99)
    name = name.replace(".", f"-{number}.")
    text = rng.choice(
        (
            "Which of my files holds the {}? Give its name.",
            "Search my files: where is the {}?",
            f"Find the file number {number} with the {{}}.",
        )
    )
    return _one("en", text.format(thing), "file_search", {"query": words}, f"{name}: {thing}", f"It is {name}.")


def _share(rng: random.Random) -> Trace:
    name, symbol = rng.choice(SHARES)
    price = round(rng.uniform(3, 400), 2)
    said = f"{symbol} ({name}): {price} USD"
    if rng.random() < 0.4:
        text = rng.choice(("{}（代码 {}）现在的股价是多少？", "{}（{}）一股多少钱？")).format(name, symbol)
        return _one("zh", text, "stock_price", {"symbol": symbol}, said, f"{symbol} 现在是 {price} 美元。")
    text = rng.choice(
        ("What does one share of {} (symbol {}) cost at the moment?", "What is the price of {} ({}) now?")
    ).format(name, symbol)
    return _one("en", text, "stock_price", {"symbol": symbol}, said, f"One share of {symbol} costs {price} USD.")


def _day(rng: random.Random) -> Trace:
    year, month, day = rng.choice((2025, 2026, 2027)), rng.randint(1, 12), rng.randint(1, 28)
    en, zh = rng.choice(EVENTS)
    call = {"day": f"{year}-{month:02}-{day:02}"}
    if rng.random() < 0.45:
        text = rng.choice(("我 {y} 年 {m} 月 {d} 日有什么安排？", "{y} 年 {m} 月 {d} 日我的日程是什么？"))
        return _one("zh", text.format(y=year, m=month, d=day), "calendar", call, zh, f"你的安排：{zh}。")
    text = rng.choice(
        (
            "What is in my calendar on {d} {m} {y}?",
            "Do I have an appointment on {d} {m} {y}, and what is it?",
            "What do I have to do on {d} {m} {y}?",
        )
    )
    return _one("en", text.format(y=year, m=MONTHS[month - 1], d=day), "calendar", call, en, f"You have: {en}.")


def _sum(rng: random.Random) -> Trace:
    a, b, c = rng.randint(12, 9999), rng.randint(12, 999), rng.randint(2, 99)
    expression, en, zh = rng.choice((
        (f"{a} * {b}", f"What is {a} times {b}?", f"{a} 乘以 {b} 等于多少？"),
        (f"{a} + {b}", f"What is {a} plus {b}?", f"{a} 加 {b} 是多少？"),
        (f"({a} - {b}) * {c}", f"Work out ({a} - {b}) * {c}.", f"请计算 ({a} - {b}) × {c} 等于多少？"),
        (f"{a} - {b}", f"How much is {a} minus {b}?", f"请计算 {a} - {b}。"),
    ))  # fmt: skip
    value = worth(expression)
    assert value is not None
    result = f"{value:.6f}".rstrip("0").rstrip(".")
    if rng.random() < 0.45:
        return _one("zh", zh, "calculate", {"expression": expression}, result, f"结果是 {result}。")
    return _one("en", en, "calculate", {"expression": expression}, result, f"The result is {result}.")


def _two(rng: random.Random) -> Trace:
    count = rng.randint(3, 900)
    if rng.random() < 0.5:
        (name, zh, code), (to_name, to_zh, to) = rng.sample(CURRENCIES, 2)
        one = round(rng.uniform(0.1, 200), 1)
        first = (Call("exchange_rate", {"from": code, "to": to}), f"1 {code} = {one} {to}")
        en = f"How many {to_name}s ({to}) are {count} {name}s ({code})? First look up today's rate, then multiply with the calculator."
        cn, unit = f"先查今天{zh}（{code}）对{to_zh}（{to}）的汇率，再用计算器算出 {count} {zh}是多少。", to
    else:
        name, symbol = rng.choice(SHARES)
        one = round(rng.uniform(3, 400), 2)
        first = (Call("stock_price", {"symbol": symbol}), f"{symbol} ({name}): {one} USD")
        en = f"Look up the price of {name} (symbol {symbol}), then work out with the calculator what {count} shares cost."
        cn, unit = f"先查 {name}（代码 {symbol}）现在的股价，再用计算器算出买 {count} 股要多少美元。", "USD"
    expression = f"{count} * {one}"
    value = worth(expression)
    assert value is not None
    result = f"{value:.6f}".rstrip("0").rstrip(".")
    calls = (first, (Call("calculate", {"expression": expression}), result))
    if rng.random() < 0.45:
        return Trace("zh", cn, calls, f"一共是 {result} {unit}。")
    return Trace("en", en, calls, f"That is {result} {unit}.")


KNOWN = (
    ("en", "What is the capital of Italy?", "The capital of Italy is Rome."), ("en", "Good morning.", "Hello. How can I help you?"),
    ("en", "What is the opposite of hot?", "The opposite of hot is cold."), ("en", "Hi there!", "Hello. How can I help you?"),
    ("zh", "你好！", "你好。我能帮你什么？"), ("zh", "一周有几天？", "一周有7天。"), ("zh", "意大利的首都是哪里？", "意大利的首都是罗马。"),
)  # fmt: skip


def _plain(rng: random.Random) -> Trace:
    lang, text, answer = rng.choice(KNOWN)
    return Trace(lang, text, (), answer)


def _one(lang: str, text: str, name: str, arguments: dict[str, Any], result: str, answer: str) -> Trace:
    return Trace(lang, text, ((Call(name, arguments), result),), answer)


KINDS: Sequence[Callable[[random.Random], Trace]] = (
    _weather, _weather, _rate, _rate, _units, _units, _file, _share, _share, _day, _day, _sum, _sum, _two, _two, _plain,
)  # fmt: skip


def each(count: int, protocol: Protocol) -> Iterator[dict[str, Any]]:
    """:func:`rows`, one by one."""
    yield from rows(count, protocol)
