"""What an agent does, in words: repairs, forms of calling tools, the line over a turn's steps, and what helps against a problem."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from backend.agent.calls import Problem
from backend.agent.own_tools import BY_NAME
from backend.agent.records import Step, Turn
from backend.errors import fill
from backend.i18n import N_, _, ngettext

FORMS = {
    "auto": N_("Automatic"),
    "openai": N_("Server's own tools"),
    "react": N_("ReAct"),
    "internlm2": N_("InternLM2"),
}
REPAIRS = {
    "tool_name": N_("The tool's name was written a little differently."),
    "key_value": N_("name=value stood where JSON was asked for."),
    "bare_value": N_("The bare value stood there, without the argument's name."),
    "call_form": N_("It was written as a function is called, not as JSON."),
    "no_braces": N_("The braces around the arguments were missing."),
    "code_fence": N_("The arguments stood in a block of code."),
    "single_quotes": N_("Single quotes stood where JSON has double ones."),
    "smart_quotes": N_("Typographic quotes stood where JSON has straight ones."),
    "triple_quotes": N_("Three quotes stood around a text."),
    "inner_quotes": N_("Quotes inside a text were not marked as such."),
    "line_break": N_("A text had a real line break in it."),
    "bad_escape": N_("A backslash stood where JSON has none."),
    "trailing_comma": N_("A comma too much stood at the end."),
    "unquoted_key": N_("The name of an argument had no quotes."),
    "unquoted_value": N_("A text had no quotes."),
    "python_words": N_("True, False or None stood where JSON has true, false or null."),
    "fullwidth": N_("Full-width signs stood where JSON has plain ones."),
    "equals_sign": N_("An equals sign stood where JSON has a colon."),
    "unclosed": N_("A bracket or quote was not closed."),
    "extra_signs": N_("There were brackets or quotes too many."),
    "text_after": N_("Text followed after the call; it was left out."),
    "argument_name": N_("An argument's name was written differently."),
    "argument_type": N_("A value had another type than the tool takes."),
    "wrapped_arguments": N_("The arguments were wrapped once more."),
    "null_argument": N_("An argument that may be left out was null."),
    "needless_input": N_("The tool takes no arguments; those given were left out."),
    "no_input": N_("The arguments were missing; the tool needs none."),
    "label": N_("The label before the call was written differently."),
    "made_up_result": N_("The model wrote a result of its own; it was left out."),
    "json_in_json": N_("The arguments were JSON inside a text."),
    "call_in_text": N_("The call stood in the middle of a text."),
    "other_keys": N_("The call used other names for the tool and its arguments."),
    "token_missing": N_("A special token was missing."),
    "stripped_tokens": N_("The server had left the special tokens out."),
    "interpreter": N_("The program was written into the place for code."),
}
OTHER_REPAIR = N_("The call was nearly right.")
CALLS = {
    "waiting": (N_("waits"), ":material/schedule:"),
    "asking": (N_("asks for your yes"), ":material/front_hand:"),
    "running": (N_("runs"), ":material/sync:"),
    "done": (N_("done"), ":material/check:"),
    "failed": (N_("failed"), ":material/error:"),
    "refused": (N_("refused by you"), ":material/block:"),
    "unknown": (N_("not known"), ":material/help:"),
}


def repair(code: str) -> str:
    """What was mended, in a sentence."""
    return _(REPAIRS.get(code, OTHER_REPAIR))


def tool(name: str) -> str:
    """A tool's title; one that did not come with the panel stands for itself."""
    return _(BY_NAME[name].title) if name in BY_NAME else name


def seconds(value: float) -> str:
    """``0.04 s``, ``4.1 s``, ``75 s``."""
    return _("{s} s").format(s=f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 60 else f"{value:,.0f}")


def tokens(steps: Sequence[Step]) -> str:
    """What was written in these steps; estimates say so; empty where nothing is known."""
    counts = [step.completion_tokens for step in steps if step.completion_tokens]
    if not counts:
        return ""
    about = "" if all(step.counted for step in steps if step.completion_tokens) else "≈ "
    return about + ngettext("{n} token", "{n} tokens", sum(counts)).format(n=f"{sum(counts):,}")


def summary(steps: Sequence[Step], passed: float | None) -> str:
    """``3 steps · 2 tools · 4.1 s · 512 tokens``."""
    called = sum(len(step.calls) for step in steps)
    mended = sum(len(step.repairs) for step in steps)
    parts = [
        ngettext("{n} step", "{n} steps", len(steps)).format(n=f"{len(steps):,}"),
        ngettext("{n} tool call", "{n} tool calls", called).format(n=f"{called:,}") if called else _("no tool"),
    ]
    if mended:
        parts.append(ngettext("{n} repair", "{n} repairs", mended).format(n=f"{mended:,}"))
    if passed is not None:
        parts.append(seconds(passed))
    return " · ".join(part for part in (*parts, tokens(steps)) if part)


def passed(turn: Turn, now: float) -> float | None:
    """How long it took, or takes so far."""
    return max(0.0, (turn.ended or now) - turn.started) if turn.started else None


def did(problem: Problem) -> str:
    """What the model did, filled in."""
    return fill(_(problem.did), problem.params)


def expected(problem: Problem) -> str:
    """What was expected instead, filled in."""
    return fill(_(problem.expected), problem.params)


def code_of(name: str, arguments: Mapping[str, Any]) -> tuple[str, str]:
    """The arguments of a call as a person reads them best: (text, language)."""
    if name == "python" and set(arguments) == {"code"} and isinstance(arguments["code"], str):
        return arguments["code"], "python"
    return json.dumps(dict(arguments), ensure_ascii=False, indent=2), "json"
