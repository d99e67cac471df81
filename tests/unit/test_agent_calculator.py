"""The calculator: what people type, worked out as they mean it; and what it refuses, in words that help."""

from __future__ import annotations

import ast
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.agent.tools import MOST_CHARS, Context, Result
from backend.errors import PanelError
from backend.workspace import Workspace
from jobs.agent.tools.calculator import Calculator, calculated


@pytest.fixture
def context(workspace: Workspace, tmp_path: Path) -> Context:
    return Context(workspace, tmp_path / "conversation")


def called(expression: object, context: Context) -> Result:
    return Calculator().call({"expression": expression}, context)


@pytest.mark.parametrize(
    ("typed", "result"),
    [
        ("1+1", "2"),
        ("0.1 + 0.2", "0.3"),
        ("1.10 - 1", "0.1"),
        ("2 * (3 + 4)", "14"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("7 % 3", "1"),
        ("7%3", "1"),
        ("7 % -3", "-2"),
        ("2 ** 10", "1024"),
        ("2^10", "1024"),
        ("2³ + 2⁻¹", "8.5"),
        ("-2 ** 2", "-4"),
        ("2 ** -1", "0.5"),
        ("1/3", "0.333333333333333 (exactly 1/3)"),
        ("1/8", "0.125"),
        ("2/4", "0.5"),
        ("100 / 7 * 7", "100"),
        ("15%", "0.15"),
        ("200 * 15%", "30"),
        ("15% * 200", "30"),
        ("15% of 80", "12"),
        ("50% - 20%", "0.3"),
        ("(3+4)%", "0.07"),
        ("100 * (1 + 5%)^2", "110.25"),
        ("1,234,567.5 * 2", "2469135"),
        ("1 000 000 + 1", "1000001"),
        ("1_000", "1000"),
        ("max(1,200)", "200"),
        ("sum(1, 2, 3.5)", "6.5"),
        ("sum([1, 2, 3])", "6"),
        ("min(3, -2)", "-2"),
        ("５＋３×２", "11"),
        ("１５％", "0.15"),
        ("（１＋２）÷４", "0.75"),
        ("６−２", "4"),
        ("sqrt(16)", "4"),
        ("√(2.25)", "1.5"),
        ("sqrt(2)", "1.4142135623731"),
        ("4 ** 0.5", "2"),
        ("abs(-3.5)", "3.5"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(2.675, 2)", "2.68"),
        ("round(1234, -2)", "1200"),
        ("floor(-1.5) + ceil(1.2)", "0"),
        ("sin(pi)", "0"),
        ("cos(π)", "-1"),
        ("tan(0)", "0"),
        ("exp(0)", "1"),
        ("ln(e)", "1"),
        ("log(100, 10)", "2"),
        ("log2(8)", "3"),
        ("log10(1000)", "3"),
        ("5!", "120"),
        ("factorial(20)", "2432902008176640000"),
        ("1 < 2 < 3", "true"),
        ("2 + 2 = 5", "false"),
        ("0.1 + 0.2 == 0.3", "true"),
        ("3 ≥ 3", "true"),
        ("= 3*4 =", "12"),
        ("3*4=?", "12"),
        ("007", "7"),
        ("1e3", "1000"),
        ("1.5e-3", "0.0015"),
        ("PI > 3", "true"),
        ("+".join(["1"] * 500), "500"),
    ],
)
def test_what_people_type_is_worked_out_as_they_mean_it(typed: str, result: str) -> None:
    assert calculated(typed) == result


def test_a_long_number_is_exact_and_counted() -> None:
    assert calculated("2**200") == f"{2**200} (61 digits)"
    assert calculated("factorial(1500)").endswith("(4115 digits)")


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "calc_unclear"),
        ("   ", "calc_unclear"),
        ("=", "calc_unclear"),
        ("3 +", "calc_unclear"),
        ("(1", "calc_unclear"),
        ("1)", "calc_unclear"),
        ("%", "calc_unclear"),
        ("!", "calc_unclear"),
        ("1,5", "calc_unclear"),
        ("2(3)", "calc_unclear"),
        ("2 pi", "calc_unclear"),
        ("1 2", "calc_unclear"),
        ("'a' * 3", "calc_unclear"),
        ("[1][0]", "calc_unclear"),
        ("1 if 1 else 2", "calc_unclear"),
        ("lambda: 1", "calc_unclear"),
        ("(1).real", "calc_unclear"),
        ("1 and 2", "calc_unclear"),
        ("~1", "calc_unclear"),
        ("1 << 9", "calc_unclear"),
        ("0x10", "calc_unclear"),
        ("1j", "calc_unclear"),
        ("(1 < 2) + 1", "calc_unclear"),
        ("round(x=1)", "calc_unknown_name"),
        ("round(1, 2, 3)", "calc_unclear"),
        ("max()", "calc_unclear"),
        ("*(1)", "calc_unclear"),
        ("中文", "calc_unclear"),
        ("1\x00", "calc_unclear"),
        ("\ud800", "calc_unclear"),
        ("x + 1", "calc_unknown_name"),
        ("a = 5", "calc_unknown_name"),
        ("eval(1)", "calc_unknown_name"),
        ("__import__(1)", "calc_unknown_name"),
        ("1/0", "calc_zero_division"),
        ("1 // 0", "calc_zero_division"),
        ("1 % 0", "calc_zero_division"),
        ("0 ** -1", "calc_zero_division"),
        ("1 / (0.1 + 0.2 - 0.3)", "calc_zero_division"),
        ("9**9**9", "calc_too_large"),
        ("9.5**99999", "calc_too_large"),
        ("(1/3)**99999", "calc_too_large"),
        ("2**-99999", "calc_too_large"),
        ("1e999999999", "calc_too_large"),
        ("1e-999999999", "calc_too_large"),
        ("1e" + "9" * 900, "calc_too_large"),
        ("factorial(1501)", "calc_too_large"),
        ("10!!", "calc_too_large"),
        ("exp(1000)", "calc_too_large"),
        ("2.5**0.1**-5", "calc_too_large"),
        ("sqrt(-1)", "calc_no_number"),
        ("log(0)", "calc_no_number"),
        ("log(5, 1)", "calc_no_number"),
        ("log10(0)", "calc_no_number"),
        ("(-8) ** (1/3)", "calc_no_number"),
        ("factorial(1.5)", "calc_no_number"),
        ("factorial(-1)", "calc_no_number"),
        ("tan(pi/2)", "calc_no_number"),
        ("round(1, 0.5)", "calc_no_number"),
        ("True", "calc_no_number"),
        ("(" * 900 + "1" + ")" * 900, "calc_too_deep"),
        ("-" * 1500 + "1", "calc_too_deep"),
        ("abs(" * 100 + "1" + ")" * 100, "calc_too_deep"),
        ("2**" * 600 + "1", "calc_too_deep"),
        ("1+" * 500_000 + "1", "calc_too_long"),
    ],
)
def test_what_cannot_be_worked_out_is_refused_soon_with_what_to_write_instead(
    typed: str, code: str, context: Context
) -> None:
    began = time.process_time()
    result = called(typed, context)

    assert result.error is not None
    assert result.error.code == code
    assert result.error.hint
    assert str(result.error) in result.text
    assert len(result.text) < 1500
    assert time.process_time() - began < 1


@pytest.mark.parametrize("given", [None, True, ["1+1"], {"a": 1}])
def test_an_argument_that_is_no_text_is_refused(given: object, context: Context) -> None:
    result = called(given, context)

    assert result.error is not None
    assert result.error.code == "calc_unclear"


def test_a_number_as_argument_is_its_own_result(context: Context) -> None:
    assert called(5, context).text == "5"
    assert called(0.5, context).text == "0.5"


def test_a_result_for_the_model_is_the_bare_number(context: Context) -> None:
    result = called("1200 * 15%", context)

    assert (result.text, result.error, result.files) == ("180", None, ())


def test_the_name_that_is_not_known_is_told_with_those_that_are(context: Context) -> None:
    text = called("area * 2", context).text

    assert "does not know area" in text
    assert "sqrt" in text
    assert "Write the numbers themselves" in text


numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.decimals(0, 1000, places=3).map(str),
)
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda one: f"(-{one})"),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_any_arithmetic_agrees_with_fractions(typed: str) -> None:
    try:
        expected = _by_fractions(ast.parse(typed, mode="eval").body, typed)
    except ZeroDivisionError:
        with pytest.raises(PanelError, match="divides by zero"):
            calculated(typed)
        return
    shown = calculated(typed)
    plain, _bracket, exactly = shown.partition(" (exactly ")
    if exactly:
        assert Fraction(exactly.rstrip(")")) == expected
    elif "digits" not in shown:
        assert float(Fraction(plain)) == pytest.approx(float(expected), rel=1e-13)


def _by_fractions(node: ast.expr, typed: str) -> Fraction:
    match node:
        case ast.Constant():
            return Fraction(typed[node.col_offset : node.end_col_offset])
        case ast.UnaryOp():
            return -_by_fractions(node.operand, typed)
        case ast.BinOp():
            one, other = _by_fractions(node.left, typed), _by_fractions(node.right, typed)
            match node.op:
                case ast.Add():
                    return one + other
                case ast.Sub():
                    return one - other
                case ast.Mult():
                    return one * other
            return one / other
    raise AssertionError(node)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789+-*/%^!().,= eπ√×÷²sqrtmax１％_<>", max_size=60) | st.text(max_size=40))
def test_whatever_is_typed_there_is_a_result_or_words(typed: str) -> None:
    assert 0 < len(_words_of(typed)) <= MOST_CHARS


def _words_of(typed: str) -> str:
    try:
        return calculated(typed)
    except PanelError as error:
        return str(error)
