"""The tools that a protocol check offers: fixed answers and no network, so that what is right is known.

What they say can be guessed by nobody: a model that gives the right figure has called the tool, and called it rightly.
"""

from __future__ import annotations

import ast
import operator
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.agent.tools import Context, Result, Tool

MOST_EXPRESSION, MOST_POWER = 200, 100


@dataclass
class Fake:
    """A tool whose answers are fixed."""

    tool: Tool
    says: Callable[[Mapping[str, Any]], str | None] = field(repr=False)

    def call(self, arguments: Mapping[str, Any], context: Context) -> Result:
        """See :class:`backend.agent.tools.Runs`."""
        text = self.says(arguments)
        return Result(text if text is not None else f"Nothing is known for {dict(arguments)}."[:500])


def normal(text: object) -> str:
    """``text`` for comparing: one width, one case, single blanks, no sign of punctuation at its ends."""
    return " ".join(unicodedata.normalize("NFKC", str(text)).casefold().split()).strip(" .,;:!?。，'\"")


def worth(expression: str) -> float | None:
    """The value of an arithmetic expression, None where it is none. A bare number is none either."""
    text = unicodedata.normalize("NFKC", expression).replace("×", "*").replace("÷", "/").replace("−", "-")
    text = text.replace("^", "**").strip().rstrip("=?")
    if len(text) > MOST_EXPRESSION:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return None if isinstance(tree, ast.Constant) else _value(tree)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]  # its type is looked at
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) <= MOST_POWER:
            return float(left**right)
        if type(node.op) in _SIGNS:
            return float(_SIGNS[type(node.op)](left, right))
    raise ValueError(ast.dump(node))


_SIGNS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def _figure(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _of(table: Mapping[str, str], *names: str) -> Callable[[Mapping[str, Any]], str | None]:
    """What ``table`` says of these arguments, joined by ``>``; of a place also with its country behind a comma."""

    def says(arguments: Mapping[str, Any]) -> str | None:
        key = ">".join(normal(arguments.get(name, "")).split(",")[0] for name in names)
        return table.get(key)

    return says


def _search(arguments: Mapping[str, Any]) -> str:
    words = normal(arguments.get("query", ""))
    return "\n".join(f"{name}: {text}" for word, name, text in FILES if word in words) or "No file was found."


def _converted(arguments: Mapping[str, Any]) -> str | None:
    names = tuple(normal(arguments.get(name, "")) for name in ("from", "to"))
    try:
        value = float(arguments.get("value", ""))
    except (TypeError, ValueError):
        return None
    start, end = (next((unit for unit, words in UNITS.items() if name in words), "") for name in names)
    if (start, end) not in FACTORS:
        return None
    return f"{_figure(value)} {start} = {_figure(round(value * FACTORS[start, end], 2))} {end}"


def _calculated(arguments: Mapping[str, Any]) -> str:
    value = worth(str(arguments.get("expression", "")))
    return "This is no arithmetic expression." if value is None else _figure(value)


def _tool(name: str, about: str, **parameters: str | tuple[str, str]) -> Tool:
    """All parameters are required; a pair says the type beside what it is."""
    properties = {
        key.rstrip("_"): {"type": told[0], "description": told[1]}
        if isinstance(told, tuple)
        else {"type": "string", "description": told}
        for key, told in parameters.items()
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name, name, about, about, schema)


PLACES = {
    "lisbon": "Lisbon: 17 °C, light rain",
    "chengdu": "Chengdu: 22 °C, foggy",
    "成都": "成都：22 °C，有雾",
    "成都市": "成都：22 °C，有雾",
    "harbin": "Harbin: -9 °C, snow",
    "哈尔滨": "哈尔滨：-9 °C，有雪",
    "哈尔滨市": "哈尔滨：-9 °C，有雪",
}
RATES = {"chf>jpy": "1 CHF = 171.4 JPY", "eur>cny": "1 EUR = 7.83 CNY"}
SHARES = {"nwnd": "NWND (Northwind): 88.35 USD"}
DAYS = {
    "2026-05-04": "09:30 dentist, Dr. Okafor",
    "2026-06-12": "15:00 board meeting in room 4",
    "2026-09-18": "08:00 体检，市第二医院",
}
FILES = (
    ("budget", "travel-budget-2031.xlsx", "travel budget, by month"),
    ("landlord", "lease-kestrel.pdf", "lease; landlord: Ms. Kestrel"),
    ("lease", "lease-kestrel.pdf", "lease; landlord: Ms. Kestrel"),
)
UNITS = {
    "mile": ("mile", "miles", "mi", "英里"),
    "kilometre": ("kilometre", "kilometres", "kilometer", "kilometers", "km", "公里", "千米"),
    "pound": ("pound", "pounds", "lb", "lbs", "磅"),
    "kilogram": ("kilogram", "kilograms", "kg", "千克", "公斤"),
}
FACTORS = {
    ("mile", "kilometre"): 1.609344,
    ("kilometre", "mile"): 1 / 1.609344,
    ("pound", "kilogram"): 0.45359237,
    ("kilogram", "pound"): 1 / 0.45359237,
}
_DAY = "the day as YYYY-MM-DD"
_CITY = "name of the city"
_SYMBOL = "symbol of the share, such as ABCD"
TOOLS = {
    fake.tool.name: fake
    for fake in (
        Fake(_tool("weather", "Tell the weather in a city now.", city=_CITY), _of(PLACES, "city")),
        Fake(
            _tool("weather_history", "Tell the weather that a city had on a day in the past.", city=_CITY, day=_DAY),
            lambda arguments: "No record of that day.",
        ),
        Fake(
            _tool(
                "exchange_rate",
                "Tell today's exchange rate: how much one unit of a currency is in another.",
                from_="currency code, such as USD",
                to="currency code, such as EUR",
            ),
            _of(RATES, "from", "to"),
        ),
        Fake(
            _tool(
                "unit_convert",
                "Convert a length or a weight into another unit.",
                value=("number", "how much"),
                from_="unit: mile, kilometre, pound or kilogram",
                to="unit: mile, kilometre, pound or kilogram",
            ),
            _converted,
        ),
        Fake(_tool("file_search", "Find the user's files by what is in them.", query="words to look for"), _search),
        Fake(_tool("stock_price", "Tell the price of a share now.", symbol=_SYMBOL), _of(SHARES, "symbol")),
        Fake(
            _tool("calendar", "Read what is in the user's calendar on a day.", day=_DAY),
            lambda arguments: DAYS.get(normal(arguments.get("day", "")), "Nothing on that day."),
        ),
        Fake(
            _tool("calendar_add", "Write an entry into the user's calendar.", day=_DAY, title="what it is"),
            lambda arguments: "The entry was added.",
        ),
        Fake(_tool("calculate", "Work out an arithmetic expression.", expression="such as (3 + 4) * 5"), _calculated),
    )
}
