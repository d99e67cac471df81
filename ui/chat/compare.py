"""Side by side: the part of the Chat page where several contenders answer the same question at once.

Its user wants to: see what training, another model or another setting changed; say which answer is better; and find both
again.
"""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.chat.conversations import MAX_TITLE_CHARS
from backend.compare import votes
from backend.compare.records import Comparison, labels
from backend.i18n import _, ngettext
from ui import errors, prompt_box, sub_views, words
from ui.chat import compare_setup as chat_compare_setup
from ui.chat import compare_state as state
from ui.chat import compare_turns as chat_compare_turns
from ui.chat import compare_votes as chat_compare_votes

HISTORY = 30
LEFT = "[class*='st-key-compare_list'] button * { justify-content: flex-start; text-align: start; width: 100%; }"
# Right-to-left text starts at its own side.
DIRECTION = "[class*='st-key-compare_answer'] [data-testid='stMarkdownContainer'] { unicode-bidi: plaintext; }"


def chosen() -> bool:
    """Draw the menu of the Chat page's two parts; whether this one was chosen."""
    parts = [
        ("talk", _("One model"), ":material/chat_bubble:"),
        ("compare", _("Side by side"), ":material/splitscreen_right:"),
    ]
    return sub_views.sub_views(parts, current="talk", key="view") == "compare"


def draw(head: DeltaGenerator) -> None:
    """Draw the view; its title and its buttons go into ``head``, above the menu."""
    comparison = state.opened()
    st.html(f"<style>{LEFT}{DIRECTION}</style>")
    with head:
        _head(comparison)
    notice = state.comparisons().columns.notice()
    if notice is not None:
        errors.show(notice, key="compare_notice", actions=[errors.Action(_("I have read this"), state.dismiss_notice)])
    problem = state.problem()
    if problem is not None:
        errors.show(problem, key="compare")
    if comparison is None:
        st.caption(_("Ask two to four models, or one model in several ways, the same question at once."))
        ready = chat_compare_setup.draw()
        _input(_("Ask all columns"), disabled=not ready)
        chat_compare_setup.seed()
        return
    turns = state.comparisons().turns(comparison)
    running = any(turn.running for turn in turns)
    _input(_("Ask all columns, after what was said"), disabled=running)
    _title(comparison)
    names = chat_compare_setup.names(labels(comparison.contenders), comparison.hidden)
    for turn in turns:
        chat_compare_turns.draw(comparison, turn, names, last=turn is turns[-1])
    if not running:
        chat_compare_setup.seed()
        prompt_box.cursor()


def _input(words_: str, *, disabled: bool) -> None:
    prompt_box.draw(words_, key=state.PROMPT, send=state.send, disabled=disabled)


def _head(comparison: Comparison | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(_("Chat"), anchor=False, width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            with st.popover(_("History"), icon=":material/history:", key="compare_history"):
                _history(comparison)
            with st.popover(_("Votes"), icon=":material/how_to_vote:", key="compare_votes"):
                chat_compare_votes.tally()
            st.button(
                _("New comparison"),
                key="compare_new",
                icon=":material/add:",
                on_click=state.new,
                disabled=comparison is None,
            )


def _history(here: Comparison | None) -> None:
    found = state.comparisons().list(limit=HISTORY)
    if not found:
        st.caption(_("Your comparisons will be listed here."))
    with st.container(key="compare_list", gap="xxsmall"):
        for each in found:
            who = _("blind") if each.hidden else ", ".join(dict.fromkeys(c.model for c in each.contenders))
            st.button(
                errors.plain(each.title) or _("Untitled"),
                key=f"compare_open_{each.id}",
                type="secondary" if here and each.id == here.id else "tertiary",
                help=f"{words.ago(each.updated)} · {errors.plain(who)}",
                on_click=state.show,
                args=(each.id,),
                width="stretch",
            )


def _title(comparison: Comparison) -> None:
    """The name of the open comparison, and what can be done with it as a whole."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="compare_head"):
        st.markdown(f"**{errors.plain(comparison.title)}**", width="content")
        with st.popover(_("Rename or delete"), icon=":material/edit:", type="tertiary", key="compare_edit"):
            key = f"compare_title_{comparison.id}"
            st.text_input(_("Name"), comparison.title, key=key, max_chars=MAX_TITLE_CHARS)
            st.button(
                _("Rename"),
                key="compare_rename",
                icon=":material/edit:",
                on_click=state.rename,
                args=(comparison.id, key),
            )
            st.divider()
            count = votes.count(state.comparisons(), comparison.id)
            text = ngettext(
                "Deleting forgets its answers and {n} vote for good.",
                "Deleting forgets its answers and {n} votes for good.",
                count,
            )
            st.caption(text.format(n=count) if count else _("Deleting forgets its answers for good."))
            st.button(
                _("Delete comparison"),
                key="compare_delete",
                icon=":material/delete:",
                on_click=state.delete,
                args=(comparison.id,),
            )
        if comparison.hidden:
            st.button(
                _("Show the names"),
                key="compare_reveal",
                icon=":material/visibility:",
                type="tertiary",
                help=_("Votes from then on are not blind."),
                on_click=state.reveal,
                args=(comparison.id,),
            )
        else:
            st.button(
                _("Change the columns"),
                key="compare_like",
                icon=":material/tune:",
                type="tertiary",
                help=_("Begins a new comparison with these columns, to be changed before you ask."),
                on_click=state.new,
                args=(comparison,),
            )
