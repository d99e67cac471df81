"""A calculator: what people and models type, worked out exactly where that can be done. Nothing is run as code.

The text is brought into Python's form of arithmetic (``15%``, ``1,200``, ``2×3^2``, fullwidth digits, ``5!``), parsed,
and the tree is walked. Whole numbers and decimals are fractions without error: 0.1 + 0.2 is 0.3. Roots that do not
come out, logarithms and angles are floating-point numbers, shown with 15 digits. Halves are rounded away from zero, as
people do it.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Mapping
from typing import Any

from backend.agent.own_tools import CALCULATOR
from backend.agent.tools import Context, Result, Tool
from backend.errors import PanelError
from jobs.agent.results import shaped
from jobs.agent.tools.arguments import refused
from jobs.agent.tools.calculator_errors import deep, large, outside, too_long, unclear, unknown, zero
from jobs.agent.tools.calculator_form import python_form
from jobs.agent.tools.calculator_numbers import (
    COMPARISONS,
    FUNCTIONS,
    NAMES,
    OPERATIONS,
    Number,
    bounded,
    literal,
    shown,
)

MOST_TYPED, MOST_NODES, DEEPEST = 2000, 3000, 60


def calculated(typed: str) -> str:
    """The result of what was typed, as text.

    Raises:
        PanelError: what is wrong with it, with a hint what to write instead.
    """
    if len(typed) > MOST_TYPED:
        raise too_long(len(typed), MOST_TYPED)
    text = python_form(typed)
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, SyntaxError) and "nested" not in str(error):
            at = max(0, (error.offset or 1) - 1)
            raise unclear(text[at : at + 30] or text[-30:]) from None
        raise deep() from None
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise deep()
    return shown(_Walk(text).value(tree.body))


class _Walk:
    """The tree of one expression, worked out from the leaves."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0

    def value(self, node: ast.expr) -> Number | bool:
        self.depth += 1
        if self.depth > DEEPEST:
            raise deep()
        try:
            return bounded(self._value(node))
        except ZeroDivisionError:
            raise zero() from None
        except OverflowError:
            raise large() from None
        except ValueError:
            raise outside(self._piece(node)) from None
        finally:
            self.depth -= 1

    def number(self, node: ast.expr) -> Number:
        value = self.value(node)
        if isinstance(value, bool):
            raise unclear(self._piece(node))
        return value

    def _value(self, node: ast.expr) -> Number | bool:
        match node:
            case ast.Constant():
                return literal(self._piece(node))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign):
                value = self.number(node.operand)
                return -value if isinstance(sign, ast.USub) else value
            case ast.BinOp() if type(node.op) in OPERATIONS:
                return self._chain(node)
            case ast.Compare() if all(type(each) in COMPARISONS for each in node.ops):
                values = [self.number(each) for each in (node.left, *node.comparators)]
                pairs = zip(node.ops, values, values[1:], strict=False)
                return all(COMPARISONS[type(each)](one, other) for each, one, other in pairs)
            case ast.Name():
                if node.id.lower() not in NAMES:
                    raise unknown(node.id, (*FUNCTIONS, *NAMES))
                return NAMES[node.id.lower()]
            case ast.Call(func=ast.Name(id=name)) if not node.keywords:
                return self._called(name, node)
        raise unclear(self._piece(node))

    def _chain(self, node: ast.BinOp) -> Number:
        """One operator after another from the left, however many: 1+2+3+… is no deep nesting."""
        chain, left = [], node
        while isinstance(left, ast.BinOp) and type(left.op) in OPERATIONS:
            chain.append(left)
            left = left.left  # type: ignore[assignment]
        value = self.number(left)
        for each in reversed(chain):
            value = bounded(OPERATIONS[type(each.op)](value, self.number(each.right)))
        return value

    def _called(self, name: str, node: ast.Call) -> Number:
        if name.lower() not in FUNCTIONS:
            raise unknown(name, (*FUNCTIONS, *NAMES))
        least, most, function = FUNCTIONS[name.lower()]
        given = [part for each in node.args for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
        if not least <= len(given) <= most:
            raise unclear(self._piece(node))
        return function(*(self.number(each) for each in given))

    def _piece(self, node: ast.expr) -> str:
        return self.text[node.col_offset : node.end_col_offset]


class Calculator:
    """The tool."""

    tool = Tool(
        name=CALCULATOR.name,
        title=CALCULATOR.title,
        purpose=CALCULATOR.purpose,
        description=(
            "Works out one arithmetic expression exactly. Operators: + - * / // % ** and comparisons; functions: "
            f"{', '.join(sorted(set(FUNCTIONS) - {'percent'}))}; constants pi and e. "
            "15% is 0.15. Angles are in radians. "
            "No variables, no units, no equations to solve."
        ),
        parameters={
            "type": "object",
            "properties": {"expression": {"type": "string", "description": "such as (1200 * 15%) / 7 or sqrt(2) ** 3"}},
            "required": ["expression"],
            "additionalProperties": False,
        },
    )

    def call(self, arguments: Mapping[str, Any], context: Context) -> Result:
        """The result as text, or what is wrong with the expression."""
        began = time.monotonic()
        typed = arguments.get("expression")
        try:
            if isinstance(typed, bool) or not isinstance(typed, str | int | float):
                raise unclear(str(typed)[:60])
            return shaped(calculated(str(typed)), context, self.tool.name, began=began)
        except PanelError as error:
            return refused(error, context, self.tool.name, began=began)
