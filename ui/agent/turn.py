"""A question and what came of it: its steps under one line, then the answer, or why there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from backend.agent import working
from backend.agent.records import Step, Turn
from backend.engines import serving
from backend.errors import NotFoundError, PanelError
from backend.i18n import _
from ui import context, errors, prompt_box, words
from ui.agent import problem as agent_problem
from ui.agent import state as agent_state
from ui.agent import step as agent_step
from ui.agent import trace as agent_trace
from ui.agent import words as agent_words
from ui.chat import messages as chat_messages
from ui.chat import text as chat_text

EVERY_S = 0.4
PATIENCE_S = 1.0
"""A question that waits longer has nobody who works at it."""
LAST_STEPS = 12
"""Of a long turn; the earlier ones are a click away."""
LONG_QUESTION = 1_500
_AVATARS = {"user": ":material/person:", "assistant": ":material/smart_toy:"}


def draw(turn: Turn, steps: Sequence[Step], *, last: bool) -> None:
    """A turn that is over. ``last``: it is the newest, which can go on."""
    question(turn)
    with st.chat_message("assistant", avatar=_AVATARS["assistant"]):
        if steps:
            _steps(turn, steps, live=False)
        _notes(turn)
        if turn.answer:
            st.markdown(chat_text.safe(turn.answer))
        elif turn.state == "done":
            st.caption(_("The model answered nothing."))
        _ending(turn, last)
        _under(turn, steps)


def question(turn: Turn) -> None:
    with st.chat_message("user", avatar=_AVATARS["user"]):
        st.text(turn.text if len(turn.text) <= LONG_QUESTION else turn.text[:LONG_QUESTION] + " …")
        if len(turn.text) > LONG_QUESTION:
            label = _("Whole question ({count} characters)").format(count=f"{len(turn.text):,}")
            whole = st.expander(label, key=f"agent_question_{turn.id}", on_change="rerun")
            if whole.open:
                whole.code(turn.text, language=None, wrap_lines=True, height=400)


def follow(turn: Turn) -> None:
    """The turn that is worked at, redrawn by itself until it is over; then the page is drawn anew."""
    question(turn)
    key = f"agent_live_{turn.id}"
    with st.chat_message("assistant", avatar=_AVATARS["assistant"]):
        st.fragment(errors.guarded(lambda: _live(turn.id), key), run_every=EVERY_S)()


def _live(turn_id: int) -> None:
    try:
        turn = agent_state.store().turn(turn_id)
    except NotFoundError:
        st.rerun()
    if turn.over:
        prompt_box.answered()
        st.rerun()
    steps = agent_state.store().steps([turn.id])
    problem = agent_state.live_problem()
    if problem is not None:
        errors.show(problem, key="agent_live_problem")
    if turn.state == "waiting":
        if time.time() - turn.created > PATIENCE_S:
            working.ensure(context.workspace(), turn.conversation)
        failure = working.failure(context.workspace(), turn.conversation)
        if failure is not None:
            errors.show(failure, key="agent_not_started")
        st.caption(":material/hourglass_top: " + _("Your question waits for the program that works at it …"))
    if steps:
        _steps(turn, steps, live=True)
    elif turn.state == "running" and turn.protocol is None:
        row = serving.find(context.store(), turn.model)
        chat_messages.starting(row, turn.model, words.duration(max(0.0, time.time() - (turn.started or turn.created))))
        st.caption(_("Its work begins by itself as soon as the model is ready. You may close this page meanwhile."))
    elif turn.state == "running":
        st.caption(":material/hourglass_top: " + _("Getting its tools ready …"))
    _notes(turn)
    st.button(
        _("Stopping …") if turn.stop else _("Stop"),
        key=f"agent_stop_{turn.id}",
        icon=":material/stop_circle:",
        disabled=turn.stop,
        on_click=agent_state.stop,
        args=(turn.id,),
    )


def _steps(turn: Turn, steps: Sequence[Step], *, live: bool) -> None:
    """Under one line; those of a turn that is over are folded away, and draw nothing until they are asked for."""
    line = agent_words.summary(steps, agent_words.passed(turn, time.time()))
    if live:
        # Not folded: a fold is known by its words, and these change all the time.
        st.markdown(f":material/account_tree: {line}")
        _list(turn, steps)
        return
    box = st.expander(line, key=f"agent_steps_{turn.id}", icon=":material/account_tree:", on_change="rerun")
    if box.open:
        with box:
            _list(turn, steps)


def _list(turn: Turn, steps: Sequence[Step]) -> None:
    shown = steps
    if len(steps) > LAST_STEPS:
        label = _("Also the {n} earlier steps").format(n=f"{len(steps) - LAST_STEPS:,}")
        shown = steps if st.toggle(label, key=f"agent_all_{turn.id}") else steps[-LAST_STEPS:]
    for step in shown:
        agent_step.draw(step, turn, last=step is steps[-1])


def _notes(turn: Turn) -> None:
    """What was missing beside, such as a server of tools."""
    for note in turn.notes:
        message, hint = PanelError.from_dict(dict(note)).localized()
        st.caption(f":orange[:material/warning:] {errors.plain(message)} {errors.plain(hint)}")


def _ending(turn: Turn, last: bool) -> None:
    """Why there is no answer, or what is doubtful about it, and the way on."""
    if turn.error:
        actions = [errors.Action(_("Go on"), agent_state.go_on, (turn,), ":material/play_arrow:")] if last else []
        errors.show(dict(turn.error), key=f"agent_error_{turn.id}", actions=actions)
    agent_problem.banner(turn, last=last)
    if turn.state == "stopped":
        st.caption(":material/stop_circle: " + _("You stopped it here. What it had found is kept."))
    elif turn.state == "lost":
        text = _("The program that worked at this is gone. Nothing that it had found is lost.")
        st.warning(text, icon=":material/power_off:")
    if last and turn.state in ("stopped", "lost"):
        st.button(
            _("Go on"),
            key=f"agent_on_{turn.id}",
            icon=":material/play_arrow:",
            type="primary",
            on_click=agent_state.go_on,
            args=(turn,),
        )


def _under(turn: Turn, steps: Sequence[Step]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if turn.model:
            form = agent_words.FORMS.get(turn.protocol or "")
            parts = [errors.plain(turn.model), *([_(form)] if form else [])]
            st.caption(" · ".join(parts), width="content")
        if steps:
            st.button(
                _("Raw transcript"),
                key=f"agent_raw_{turn.id}",
                type="tertiary",
                icon=":material/data_object:",
                on_click=agent_state.raw,
                args=(turn.id,),
            )
        agent_trace.button(turn)
