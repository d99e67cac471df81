"""What went wrong when a model was to call tools, as a banner: what it did, what was expected, the piece that shows it, and buttons for what helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from backend.agent import checks
from backend.agent.calls import PROTOCOLS, Problem
from backend.agent.own_tools import BY_NAME
from backend.agent.records import Turn
from backend.chat.params import MAX_ANSWER_TOKENS
from backend.i18n import N_, _
from backend.workspace import ROOT
from ui import errors
from ui.agent import state as agent_state
from ui.agent import words as agent_words

FINETUNE, MODELS, DEPLOY = (ROOT / "pages" / f"{name}.py" for name in ("finetune", "models", "deploy"))
LEARNS = N_("A model learns the form from examples: keep good answers as examples, then fine-tune with them.")
TEXTS = {
    "other_tool": N_("Switch tools on or off behind the button Tools."),
    "fewer_tools": N_("Switch off the tools that this question does not need, behind the button Tools."),
}


def small(problem: Problem, key: str) -> None:
    """Inside a step: in one line, the evidence folded."""
    text = f"{agent_words.did(problem)} {_('Expected')}: {agent_words.expected(problem)}"
    st.markdown(f":orange[:material/warning:] {errors.plain(text)}")
    _evidence(problem, key)


def banner(turn: Turn, *, last: bool) -> None:
    """The reason why there is no answer, or what is doubtful about it; ``last``: it can go on."""
    problem = turn.problem
    if problem is None:
        return
    with st.container(border=True, key=f"agent_problem_{turn.id}"):
        st.markdown(f":orange[:material/warning:] **{errors.plain(agent_words.did(problem))}**")
        st.markdown(_("Expected") + ": " + errors.plain(agent_words.expected(problem)))
        _evidence(problem, f"agent_evidence_{turn.id}")
        if last:
            _helps(turn, problem)


def _evidence(problem: Problem, key: str) -> None:
    if problem.evidence:
        with st.expander(_("What the model wrote"), icon=":material/format_quote:", key=key, type="compact"):
            st.code(problem.evidence, language=None, wrap_lines=True)


def _helps(turn: Turn, problem: Problem) -> None:
    buttons: list[_Button] = []
    for name in problem.helps:
        buttons += _BUTTONS[name](turn, problem) if name in _BUTTONS else []
    # Its answer stands where it has one: what is pressed holds for the next question then.
    act, tail = (_use, _("{what} from now on")) if turn.state == "done" else (agent_state.go_on, _("{what} and go on"))
    if turn.state == "done":
        buttons = [each for each in buttons if each[2]]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for place, (label, icon, changed) in enumerate(buttons):
            st.button(
                tail.format(what=label),
                key=f"agent_help_{turn.id}_{place}",
                icon=icon,
                type="primary" if place == 0 else "secondary",
                on_click=act,
                args=(turn,),
                kwargs=changed,
            )
        _links(problem)
    for name in problem.helps:
        if name in TEXTS:
            st.caption(":material/construction: " + _(TEXTS[name]))
    if {"more_examples", "finetune"} & set(problem.helps):
        st.caption(":material/school: " + _(LEARNS))


def _links(problem: Problem) -> None:
    helps = set(problem.helps)
    wanted = (
        (FINETUNE, _("Fine-tune"), ":material/school:", bool(helps & {"more_examples", "finetune"})),
        (MODELS, _("The model's template"), ":material/deployed_code:", "other_template" in helps),
        (DEPLOY, _("Serve it with a longer context"), ":material/dns:", "longer_context" in helps),
    )
    for page, label, icon, helpful in wanted:
        if helpful:
            link(page, label, icon)


def link(page: Path, label: str, icon: str) -> None:
    """To another page; nothing where it is not there."""
    if page.is_file():
        st.page_link(page, label=label, icon=icon)


_Button = tuple[str, str, dict[str, Any]]
"""Label, icon, and the options that are changed."""


def _repair(turn: Turn, _problem: Problem) -> list[_Button]:
    if turn.options.repair:
        return []
    return [(_("Switch repairs on"), ":material/healing:", {"repair": True})]


def _other_protocol(turn: Turn, problem: Problem) -> list[_Button]:
    named = problem.params.get("protocol")
    used = turn.protocol or turn.options.protocol
    forms = [named] if named in PROTOCOLS else [form for form in PROTOCOLS if form != used]
    return [
        (_("Use {form}").format(form=_(checks.TITLES[form])), ":material/swap_horiz:", {"protocol": form})
        for form in forms
    ]


def _longer(turn: Turn, _problem: Problem) -> list[_Button]:
    most = min(MAX_ANSWER_TOKENS, turn.options.max_tokens * 2)
    if most == turn.options.max_tokens:
        return []
    return [(_("Allow {n} tokens").format(n=f"{most:,}"), ":material/expand:", {"max_tokens": most})]


def _more_steps(turn: Turn, _problem: Problem) -> list[_Button]:
    most = min(200, turn.options.most_steps * 2)
    return [(_("Allow {n} steps").format(n=most), ":material/steps:", {"most_steps": most})]


def _more_time(turn: Turn, _problem: Problem) -> list[_Button]:
    most = min(86_400, turn.options.most_seconds * 2)
    return [(_("Allow {n} seconds").format(n=f"{most:,}"), ":material/timer:", {"most_seconds": most})]


def _other_tool(turn: Turn, problem: Problem) -> list[_Button]:
    name = str(problem.params.get("tool", ""))
    if problem.code != "tool_off" or name not in BY_NAME or name in turn.options.tools:
        return []
    label = _("Switch on {tool}").format(tool=agent_words.tool(name))
    return [(label, ":material/construction:", {"tools": (*turn.options.tools, name)})]


def _try_again(_turn: Turn, _problem: Problem) -> list[_Button]:
    return [(_("Try again"), ":material/refresh:", {})]


_BUTTONS: dict[str, Callable[[Turn, Problem], list[_Button]]] = {
    "repair": _repair,
    "other_protocol": _other_protocol,
    "longer_context": _longer,
    "more_steps": _more_steps,
    "more_time": _more_time,
    "other_tool": _other_tool,
    "try_again": _try_again,
}


def _use(_turn: Turn, **changed: object) -> None:
    agent_state.change(**changed)
    agent_state.load(agent_state.options())
