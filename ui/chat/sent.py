"""What was really sent: the prompt as the model read it, the request and the response, for one answer."""

from __future__ import annotations

import json
from typing import Any, Literal

import streamlit as st

from backend.chat import sent
from backend.chat.records import Message
from backend.chat.sent import Sent
from backend.i18n import N_, _, ngettext
from ui import errors
from ui.chat import marks as chat_marks
from ui.chat import state as chat_state

HEIGHT = 380
LONG = 600
"""Characters of a prompt beyond which it is scrolled."""
NO_MEANING = N_("The server gave a reason that is not known here.")
FINISH = {
    "stop": N_("The model ended its answer by itself."),
    "length": N_("The answer was cut off: it reached its length limit or the end of the context."),
    "tool_calls": N_("The model asked for a tool instead of answering."),
    "content_filter": N_("The server held the answer back: a filter took offence."),
    "abort": N_("The server broke the answer off."),
}
STATES = {
    "stopped": N_("You stopped the answer, so the server never said that it was complete."),
    "failed": N_("The server failed before the answer was complete."),
    "interrupted": N_("The panel ended while the answer was being written."),
}
UNKNOWN = {
    sent.CANNOT: N_(
        "The engine '{engine}' does not say which text it made of the request, so the prompt itself cannot be shown. The "
        "request as it was sent is in the next tab; the model's chat template turns it into text."
    ),
    sent.UNREACHED: N_(
        "The server could not say which text it made of the request: it had gone, or it refused the request. The request "
        "as it was sent is in the next tab."
    ),
}


_ASKED = "chat_sent_asked"


def ask_for(message_id: int) -> None:
    """Open the view of what was sent for that answer; for a button's callback, in which nothing can be drawn yet."""
    st.session_state[_ASKED] = message_id


def dialog() -> None:
    """The view that was asked for, over the page."""
    message_id = st.session_state.pop(_ASKED, None)
    if message_id is not None:
        body = st.dialog(_("What was really sent"), width="large", icon=":material/data_object:")(draw)
        body(chat_state.conversations().message(message_id))


def blanks(message: Message) -> None:
    """Under a prompt that begins or ends with blanks, which nobody sees and every model reads: what they are."""
    before, after = chat_marks.around(message.content)
    if not before and not after:
        return
    parts = []
    if before:
        parts.append(_("begins with {marks}").format(marks=before))
    if after:
        parts.append(_("ends with {marks}").format(marks=after))
    if message.params.get("trim_blanks"):
        text = _("Your message {what}. That was cut off before it was sent.")
    else:
        text = _("Your message {what}, and was sent so. Blanks can change an answer; the chat settings can trim them.")
    st.caption(":material/space_bar: " + text.format(what=", ".join(parts)))


def draw(message: Message) -> None:
    """Prompt, request and response of ``message``, an answer."""
    found = sent.find(chat_state.conversations(), message.id)
    if found is None:
        st.info(
            _(
                "Nothing is recorded for this answer: no server was reached, or an earlier version of TuneDeck wrote it."
            ),
            icon=":material/info:",
        )
        return
    st.markdown(facts(message, found))
    if message.left_out:
        text = ngettext(
            "{n} earlier message did not fit into the model's context and was not sent.",
            "{n} earlier messages did not fit into the model's context and were not sent.",
            message.left_out,
        )
        st.caption(":material/history_toggle_off: " + text.format(n=message.left_out))
    prompt, request, response = st.tabs([_("Prompt"), _("Request"), _("Response")])
    with prompt:
        _prompt(found)
    with request:
        st.caption(
            _("As it was posted to {path}; pictures are named by their size.").format(path="/v1/chat/completions")
        )
        _json(found.request)
    with response:
        st.caption(_("Put together from the stream that the server sent."))
        _json(found.response)


def facts(message: Message, found: Sent) -> str:
    """Tokens of the prompt, and how the answer ended, in one line of Markdown."""
    count = found.count or (message.prompt_tokens if message.counted else None)
    parts = []
    if count:
        parts.append(ngettext("**{n}** token read", "**{n}** tokens read", count).format(n=f"{count:,}"))
    if message.finish_reason:
        meaning = _(FINISH.get(message.finish_reason, NO_MEANING))
        parts.append(f"`{message.finish_reason}` {meaning}")
    elif message.state in STATES:
        parts.append(_(STATES[message.state]))
    return " · ".join(parts)


def _prompt(found: Sent) -> None:
    if not found.prompt:
        st.info(
            _(UNKNOWN[found.why or sent.UNREACHED]).format(engine=errors.plain(found.engine)), icon=":material/info:"
        )
        return
    st.caption(
        _(
            "The text that the model read. {blank} is a blank, {line} a line break; framed are special tokens; the shading "
            "changes with each token."
        ).format(blank=chat_marks.BLANK, line=chat_marks.BREAK)
    )
    height: int | Literal["content"] = (
        HEIGHT if len(found.prompt) > LONG or found.prompt.count("\n") > 12 else "content"
    )
    with st.container(height=height, border=True, key="chat_sent_prompt"):
        inner = chat_marks.tokens(found.pieces, found.special) if found.pieces else chat_marks.visible(found.prompt)
        st.html(chat_marks.block(inner))
    with st.expander(_("As a string, to copy")):
        # Code is drawn without the blanks around it, and they matter here: quoted, nothing is lost.
        st.code(json.dumps(found.prompt, ensure_ascii=False), language="json", wrap_lines=True, height=240)


def _json(data: dict[str, Any]) -> None:
    st.code(json.dumps(data, ensure_ascii=False, indent=2), language="json", wrap_lines=True, height=HEIGHT)
