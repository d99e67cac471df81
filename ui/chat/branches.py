"""Branches of a conversation on the page: the editor of an earlier message, and the switch between several versions."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.chat.answers import MAX_PROMPT_CHARS
from backend.chat.records import Message
from backend.i18n import _
from ui import errors
from ui.chat import state as chat_state


def editor(message: Message) -> None:
    """The message as a text that can be changed and sent again."""
    problem = chat_state.problem(at=message.id)
    if problem is not None:
        errors.show(problem, key="chat_edit")
    key = f"chat_edit_text_{message.id}"
    with st.form(f"chat_edit_{message.id}", border=False):
        st.text_area(
            _("Edit your message"),
            message.content,
            key=key,
            height="content",
            max_chars=MAX_PROMPT_CHARS,
            help=_("A new branch begins here. What was said before stays, and you can switch back to it."),
        )
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button(
                _("Send"),
                key=f"chat_resend_{message.id}",
                type="primary",
                icon=":material/send:",
                on_click=chat_state.resend,
                args=(message.id, key),
            )
            st.form_submit_button(
                _("Cancel"), key=f"chat_edit_cancel_{message.id}", on_click=chat_state.edit, args=(None,)
            )


def switch(message: Message, versions: Sequence[int], busy: bool) -> None:
    """``‹ 2/3 ›``: which of the versions in this place is shown; nothing where there is only one.

    Args:
        versions: ids of all messages in the place of ``message``, oldest first.
        busy: an answer is being written, so another branch cannot be shown now.
    """
    if len(versions) < 2:
        return
    at = versions.index(message.id)
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", width="content"):
        _step("‹", _("Earlier version"), versions[at - 1] if at else None, f"chat_before_{message.id}", busy)
        st.caption(f"{at + 1}/{len(versions)}", width="content")
        later = versions[at + 1] if at + 1 < len(versions) else None
        _step("›", _("Later version"), later, f"chat_after_{message.id}", busy)


def _step(sign: str, name: str, target: int | None, key: str, busy: bool) -> None:
    st.button(
        sign,
        key=key,
        type="tertiary",
        help=name,
        disabled=busy or target is None,
        on_click=chat_state.switch,
        args=(target,),
    )
