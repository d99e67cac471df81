"""Agent. Its user wants to: ask something that takes tools, see each step of the answer, and decide what may be done."""

from __future__ import annotations

import streamlit as st

from backend.i18n import N_, _
from ui import errors, prompt_box
from ui.agent import bar as agent_bar
from ui.agent import check as agent_check
from ui.agent import history as agent_history
from ui.agent import raw as agent_raw
from ui.agent import state as agent_state
from ui.agent import tools as agent_tools
from ui.agent import trace as agent_trace
from ui.agent import turn as agent_turn

SUGGESTIONS = (
    N_("What is 15 % of 2,340?"),
    N_("Draw a sine curve."),
    N_("What is running on this machine?"),
    N_("What do my own documents say about wheat?"),
)
READING_PX = 760
LEFT = ".st-key-agent_list button * { justify-content: flex-start; text-align: start; width: 100%; }"
# Right-to-left text starts at its own side.
DIRECTION = ".st-key-agent_log [data-testid='stChatMessageContent'] { unicode-bidi: plaintext; }"

conversation = agent_state.open_conversation()
here = conversation.id if conversation else ""
st.html(f"<style>{LEFT}{DIRECTION}</style>")

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title(_("Agent"), anchor=False, width="content")
    with st.container(horizontal=True, width="content", gap="small"):
        agent_history.popover(here)
        st.button(_("New conversation"), key="agent_new", icon=":material/add:", on_click=agent_state.new)

notice = agent_state.store().notice()
if notice is not None:
    read = errors.Action(_("I have read this"), agent_state.dismiss_notice)
    errors.show(notice, key="agent_notice", actions=[read])
problem = agent_state.problem()
if problem is not None:
    errors.show(problem, key="agent_problem_card")

store, limit = agent_state.store(), agent_state.shown()
turns = store.turns(here, limit=limit + 1) if here else []
older, turns = len(turns) > limit, turns[-limit:]
running = bool(turns) and not turns[-1].over

with st.container(width=READING_PX):
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        agent_bar.pick()
        agent_tools.popover()
        agent_bar.settings()
    model = st.session_state[agent_state.MODEL]
    if model:
        check = st.expander(
            _("Check this model"), icon=":material/fact_check:", key="agent_check", on_change="rerun", type="compact"
        )
        if check.open:
            with check:
                agent_check.draw(model)
    if conversation:
        agent_history.head(conversation)

prompt_box.draw(_("Ask something"), key=agent_state.PROMPT, send=agent_state.send, disabled=running or not model)

with st.container(width=READING_PX, key="agent_log"):
    if older:
        label = _("Show earlier questions")
        st.button(label, key="agent_older", icon=":material/expand_less:", on_click=agent_state.older)
    over = [turn for turn in turns if turn.over]
    steps = store.steps([turn.id for turn in over])
    for turn in over:
        agent_turn.draw(turn, [step for step in steps if step.turn == turn.id], last=turn is turns[-1])
    agent_raw.dialog()
    agent_trace.dialog()
    if running:
        agent_turn.follow(turns[-1])
    else:
        prompt_box.cursor()
    if not turns:
        st.caption(
            _("A model that can use tools works in steps; you see each of them. Begin with one of these, or ask below.")
        )
        with st.container(horizontal=True, gap="small"):
            for text in SUGGESTIONS:
                key, asked = f"agent_try_{text}", (_(text),)
                st.button(_(text), key=key, on_click=agent_state.send, args=asked, disabled=not model)
