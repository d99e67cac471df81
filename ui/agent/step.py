"""One step of an agent: what the model thought, which tools it called with what, what came back, and what had to be mended. All of it literally."""

from __future__ import annotations

import contextlib
import time

import streamlit as st

from backend.agent.own_tools import BY_NAME
from backend.agent.records import Called, Step, Turn
from backend.errors import NotFoundError, PanelError
from backend.i18n import _
from ui import context, errors, words
from ui.agent import files as agent_files
from ui.agent import problem as agent_problem
from ui.agent import state as agent_state
from ui.agent import words as agent_words
from ui.chat import messages as chat_messages

FIRST_LINES, FIRST_CHARS = 8, 800
"""Of a result; the whole is a click away."""
LIVE_CHARS = 4_000
OTHER_ICON = ":material/hub:"


def draw(step: Step, turn: Turn, *, last: bool) -> None:
    """``last``: a call of it may wait for a person's word."""
    with st.container(border=True, key=f"agent_step_{step.id}", gap="small"):
        _head(step)
        if step.thought:
            st.text(step.thought)
        if step.state == "server":
            _server(step, turn)
        elif step.state == "writing":
            st.text(step.reply[-LIVE_CHARS:] or _("Reading …"))
        elif step.state == "failed" and step.reply and not step.calls and step.answer is None:
            _text(step.reply, f"agent_reply_{step.id}", _("Whole reply ({count} characters)"))
        for place, called in enumerate(step.calls):
            _call(step, place, called, turn, asking=last and not turn.over)
        _repairs(step)
        if step.problem is not None and step.problem != turn.problem:
            agent_problem.small(step.problem, f"agent_step_problem_{step.id}")
        if step.nudge:
            with st.expander(_("What the model was told after this"), icon=":material/reply:"):
                st.code(step.nudge, language=None, wrap_lines=True)
        if step.left_out:
            note = _("The context was too small for all of it: older results were shortened before this step.")
            st.caption(":material/history_toggle_off: " + note)


def _head(step: Step) -> None:
    parts = ["**" + _("Step {n}").format(n=step.number) + "**"]
    if step.model_s:
        parts.append(_("model {time}").format(time=agent_words.seconds(step.model_s)))
    tools = sum(called.seconds for called in step.calls)
    if tools:
        parts.append(_("tools {time}").format(time=agent_words.seconds(tools)))
    parts += [part for part in [agent_words.tokens([step])] if part]
    if step.answer is not None:
        parts.append(_("the answer"))
    badge = f" :orange-badge[:material/healing: {_('mended')}]" if step.repairs else ""
    st.markdown(" · ".join(parts) + badge)


def _server(step: Step, turn: Turn) -> None:
    row = None
    if step.job is not None:
        with contextlib.suppress(NotFoundError):
            row = context.store().get(step.job)
    chat_messages.starting(row, turn.model, words.duration(max(0.0, time.time() - step.started)))


def _call(step: Step, place: int, called: Called, turn: Turn, *, asking: bool) -> None:
    name, key = called.call.name, f"{step.id}_{place}"
    icon = BY_NAME[name].icon if name in BY_NAME else OTHER_ICON
    word, mark = agent_words.CALLS.get(called.state, agent_words.CALLS["unknown"])
    line = f"{icon} **{errors.plain(agent_words.tool(name))}** · {mark} {_(word)}"
    if called.seconds:
        line += " · " + agent_words.seconds(called.seconds)
    st.markdown(line)
    if called.state == "asking" and asking:
        _question(step, place, called, turn)
        return
    text, language = agent_words.code_of(name, called.call.arguments)
    if called.call.arguments:
        st.code(text, language=language, wrap_lines=True, height=240 if text.count("\n") > 14 else "content")
    if called.error:
        message, hint = PanelError.from_dict(dict(called.error)).localized()
        st.markdown(f":red[:material/error:] {errors.plain(message)} {errors.plain(hint)}")
    elif called.text:
        st.caption(_("Result"))
        _text(called.text, f"agent_result_{key}", _("Whole result ({count} characters)"))
    if called.shortened:
        note = _("{n} characters at its end were left out: the model was told so.")
        st.caption(":material/content_cut: " + note.format(n=f"{called.shortened:,}"))
    agent_files.draw(turn.conversation, called.files, f"agent_file_{key}")


def _question(step: Step, place: int, called: Called, turn: Turn) -> None:
    """A call that acts outside: in full, with the person's choices."""
    with st.container(border=True, key=f"agent_asking_{step.id}_{place}"):
        st.markdown(":orange[:material/front_hand:] **" + _("May it make this call?") + "**")
        text, language = agent_words.code_of(called.call.name, called.call.arguments)
        st.code(text, language=language, wrap_lines=True)
        with st.container(horizontal=True, gap="small"):
            for word, icon, yes in ((_("Allow"), ":material/check:", True), (_("Refuse"), ":material/block:", False)):
                st.button(
                    word,
                    key=f"agent_{'allow' if yes else 'refuse'}_{step.id}_{place}",
                    icon=icon,
                    type="primary" if yes else "secondary",
                    on_click=agent_state.decide,
                    args=(step.id, place, yes),
                )
            st.button(
                _("Allow always in this conversation"),
                key=f"agent_always_{step.id}_{place}",
                icon=":material/done_all:",
                type="tertiary",
                on_click=agent_state.always,
                args=(turn.conversation, step.id, place, called.call.name),
            )


def _text(text: str, key: str, label: str) -> None:
    """The first lines; the whole is drawn when it is asked for."""
    first = "\n".join(text.splitlines()[:FIRST_LINES])[:FIRST_CHARS]
    short = len(first) >= len(text.rstrip())
    st.code(text if short else first + " …", language=None, wrap_lines=True)
    if short:
        return
    whole = st.expander(label.format(count=f"{len(text):,}"), key=key, on_change="rerun")
    if whole.open:
        whole.code(text, language=None, wrap_lines=True, height=400)


def _repairs(step: Step) -> None:
    """What was not as it should be, and what it was taken for."""
    for repair in step.repairs:
        st.markdown(f":orange[:material/healing:] {agent_words.repair(repair.code)}")
        st.code(f"{repair.before}\n→ {repair.after or _('nothing')}", language=None, wrap_lines=True)
