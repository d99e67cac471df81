"""What people type as arithmetic, in Python's form: ``15%``, ``1,200``, ``2×3^2``, ``5!``, fullwidth digits and
signs."""

from __future__ import annotations

import re
import unicodedata

from jobs.agent.tools.calculator_errors import unclear

SIGNS = str.maketrans({
    **dict.fromkeys("×·∙⋅✕✖", "*"), **dict.fromkeys("÷∕⁄", "/"), **dict.fromkeys("−–—﹣", "-"),
    "^": "**", "π": "pi", "√": "sqrt", "≤": "<=", "≥": ">=", "≠": "!=", "[": "(", "]": ")", "{": "(", "}": ")",
})  # fmt: skip
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
TOKEN = re.compile(
    r"\s*(\d+(?:_\d+)*\.?\d*(?:[eE][+-]?\d+)?(?![\w.])|\.\d+(?:[eE][+-]?\d+)?(?![\w.])|[A-Za-z_]\w*"
    r"|\*\*|//|<=|>=|==|!=|[-+*/%()<>=,!])"
)


def python_form(typed: str) -> str:
    """The text in Python's form of arithmetic; signs of percent and factorial become calls."""
    text = re.sub(r"[⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: f"**({found[0].translate(RAISED)})", typed.strip())
    text = unicodedata.normalize("NFKC", text.translate(SIGNS)).translate(SIGNS)
    text = re.sub(r"^\s*=|=\s*\??\s*$", "", text).strip()
    text = re.sub(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d,])", lambda found: found[0].replace(" ", ""), text)
    if not text:
        raise unclear(typed.strip() or "''")
    out: list[str] = []
    calls: list[bool] = []
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise unclear(text[at:])
        word, at = found[1], found.end()
        if word == "(":
            calls.append(bool(out) and out[-1].isidentifier())
        elif word == ")" and calls:
            calls.pop()
        if word[0].isdigit() and not any(calls):
            grouped = re.match(r"(?:,\d{3})+(?:\.\d+)?(?![\d,])", text[at:])
            if grouped and len(word) <= 3:  # between arguments of a function a comma is a comma
                word, at = word + grouped[0].replace(",", ""), at + grouped.end()
        _put(out, word, text, at, found.start(1))
    return " ".join(out)


def _put(out: list[str], word: str, text: str, at: int, began: int) -> None:
    rest = text[at:].lstrip()
    if word == "%" and out and _is_percent(rest, text[began - 1 : began]):
        _wrapped(out, "percent")
    elif word == "!" and out:
        _wrapped(out, "factorial")
    elif word == "=":
        out.append("==")
    elif word.lower() == "of" and out:
        out.append("*")
    else:
        out.append(word.lstrip("0") or "0" if word.isdigit() else word)


def _is_percent(rest: str, before: str) -> bool:
    """Whether % belongs to the number before it: no divisor follows, or it stands close to the number and a sign
    follows ("50%-3", not "7 % -3")."""
    if not rest or rest[0] in ")*/,<>=!%" or rest[:2].lower() == "of":
        return True
    return rest[0] in "+-" and before != " "


def _wrapped(out: list[str], function: str) -> None:
    """Make a call of ``function`` of the operand at the end."""
    start = len(out) - 1
    if out[start] == ")":
        depth = 1
        while depth and start > 0:
            start -= 1
            depth += {")": 1, "(": -1}.get(out[start], 0)
        if start > 0 and out[start - 1].isidentifier():
            start -= 1
    out[start:] = [function, "(", *out[start:], ")"]
