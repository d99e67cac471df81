"""Numbers of the calculator: exact as long as they can be, never larger than can be written out."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from jobs.agent.tools.calculator_errors import large

MOST_BITS = 14_000
"""Of a number: about 4,200 digits, which is as many as Python writes out."""

MOST_FACTORIAL, MOST_EXPONENT, MOST_VALUES = 1500, 4000, 500
TINY = 1e-15
"""What is left of zero after a sine or a cosine."""

Number = Fraction | float

NAMES: dict[str, Number] = {"pi": math.pi, "e": math.e}


def bounded(value: Number | bool) -> Number | bool:
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError
    if isinstance(value, Fraction) and max(abs(value.numerator), value.denominator).bit_length() > MOST_BITS:
        raise OverflowError
    return value


def literal(text: str) -> Number:
    digits = text.replace("_", "").lower()
    _mantissa, _sign, exponent = digits.partition("e")
    if exponent and (len(exponent) > 6 or abs(int(exponent)) > MOST_EXPONENT):
        raise OverflowError
    return Fraction(digits)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            bits = max(abs(base.numerator), base.denominator).bit_length()
            if abs(base) != 1 and (bits - 1) * abs(exponent.numerator) > MOST_BITS:
                raise OverflowError
            return Fraction(base**exponent.numerator)
        if exponent == Fraction(1, 2):
            return _root(base)
    return math.pow(base, exponent)


def _root(value: Number) -> Number:
    if value < 0:
        raise ValueError
    if isinstance(value, Fraction):
        root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        return root if root * root == value else math.sqrt(value)
    return math.sqrt(value)


def _rounded(value: Number, places: Number = Fraction(0)) -> Number:
    if places != int(places) or not -100 <= places <= 100:
        raise ValueError
    scale = Fraction(10 ** abs(int(places)))
    scale = scale if places >= 0 else 1 / scale
    exact: Fraction = Fraction(repr(value)) if isinstance(value, float) else value
    whole = math.floor(abs(exact) * scale + Fraction(1, 2))
    return (-1 if exact < 0 else 1) * Fraction(whole) / scale


def _whole(value: Number) -> int:
    if value != int(value):
        raise ValueError
    return int(value)


def _factorial(value: Number) -> Number:
    if _whole(value) > MOST_FACTORIAL:
        raise OverflowError
    return Fraction(math.factorial(_whole(value)))


def _log(value: Number, base: Number | None = None) -> Number:
    if base == 1:
        raise ValueError
    if base in (2, 10):
        return _neat(math.log2(value) if base == 2 else math.log10(value))
    whole = value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value
    return math.log(whole) if base is None else _neat(math.log(whole) / math.log(base))


def _neat(value: float) -> Number:
    return Fraction(round(value)) if abs(value - round(value)) < TINY * max(1.0, abs(value)) else value


def _tangent(value: Number) -> Number:
    if abs(math.cos(value)) < TINY:
        raise ValueError
    return _neat(math.tan(value))


def _sum(*values: Number) -> Number:
    return sum(values[1:], values[0])


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Number]]] = {
    "abs": (1, 1, abs),
    "round": (1, 2, _rounded),
    "floor": (1, 1, lambda value: Fraction(math.floor(value))),
    "ceil": (1, 1, lambda value: Fraction(math.ceil(value))),
    "min": (1, MOST_VALUES, lambda *values: min(values)),
    "max": (1, MOST_VALUES, lambda *values: max(values)),
    "sum": (1, MOST_VALUES, _sum),
    "sqrt": (1, 1, _root),
    "log": (1, 2, _log),
    "ln": (1, 1, _log),
    "log2": (1, 1, lambda value: _log(value, Fraction(2))),
    "log10": (1, 1, lambda value: _log(value, Fraction(10))),
    "exp": (1, 1, lambda value: Fraction(1) if value == 0 else math.exp(value)),
    "sin": (1, 1, lambda value: _neat(math.sin(value))),
    "cos": (1, 1, lambda value: _neat(math.cos(value))),
    "tan": (1, 1, _tangent),
    "factorial": (1, 1, _factorial),
    "percent": (1, 1, lambda value: value / 100),
}
OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda one, other: Fraction(one // other),
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def shown(value: Number | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    if value.denominator == 1:
        digits = str(value.numerator)
        return f"{digits} ({len(digits.lstrip('-'))} digits)" if len(digits) > 40 else digits
    if (exact := _decimal(value)) is not None:
        return exact
    try:
        about = f"{float(value):.15g}"
    except OverflowError:
        raise large() from None
    return f"{about} (exactly {value})" if len(str(value)) <= 25 else about


def _decimal(value: Fraction) -> str | None:
    """Its decimals, all of them; None where there are more than 25."""
    for places in range(1, 26):
        scaled = value * 10**places
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
            return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return None
