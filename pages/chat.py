"""Chat. Its user wants to: talk now; know which model answers and whether it is up; get back what was said before."""

from __future__ import annotations

import streamlit as st

from backend.i18n import N_, _
from ui import errors, prompt_box
from ui.chat import attach as chat_attach
from ui.chat import compare as chat_compare
from ui.chat import history as chat_history
from ui.chat import keys as chat_keys
from ui.chat import messages as chat_messages
from ui.chat import model as chat_model
from ui.chat import prompts as chat_prompts
from ui.chat import sent as chat_sent
from ui.chat import state as chat_state
from ui.chat import window as chat_window

SUGGESTIONS = (
    N_("Hello, who are you?"),
    N_("What is the capital of France?"),
    N_("What is the opposite of cold?"),
    N_("What can you do?"),
)
READING_PX = 760
# Two places for one list: beside the conversation where there is room, else behind a button.
WIDE = "@media (max-width: 1099px) { .st-key-chat_beside { display: none; } }"
NARROW = "@media (min-width: 1100px) { .st-key-chat_popover { display: none; } }"
LEFT = "[class*='st-key-chat_list'] button * { justify-content: flex-start; text-align: start; width: 100%; }"
# On a phone the menu under an answer is enough.
SPARE = "@media (max-width: 640px) { [class*='st-key-chat_keep_'] { display: none; } }"
# Right-to-left text starts at its own side.
DIRECTION = ".st-key-chat_log [data-testid='stChatMessageContent'] { unicode-bidi: plaintext; }"

head = st.container()
if chat_compare.chosen():
    chat_compare.draw(head)
    st.stop()

conversation = chat_state.open_conversation()
here = conversation.id if conversation else ""
st.html(f"<style>{WIDE}{NARROW}{SPARE}{LEFT}{DIRECTION}</style>")
chat_keys.listen()

with head, st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title(_("Chat"), anchor=False, width="content")
    with st.container(horizontal=True, width="content", gap="small"):
        with st.container(key="chat_popover", width="content"), st.popover(_("History"), icon=":material/history:"):
            chat_history.listing(here, where="popover")
        st.button(
            _("New conversation"),
            key="chat_new",
            icon=":material/add:",
            shortcut=chat_keys.NEW,
            help=_(chat_keys.HELP),
            on_click=chat_state.new,
        )

notice = chat_state.conversations().notice()
if notice is not None:
    read = errors.Action(_("I have read this"), chat_state.dismiss_notice)
    errors.show(notice, key="chat_notice", actions=[read])
problem = chat_state.problem()
if problem is not None:
    errors.show(problem, key="chat_problem")

talk, beside = st.columns([0.74, 0.26], gap="large")
with beside, st.container(key="chat_beside"):
    st.subheader(_("History"), anchor=False)
    chat_history.listing(here, where="beside")

part = chat_window.window(here)
messages, running = part.messages, part.running

with talk, st.container(width=READING_PX):
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        up = chat_model.pick()
        chat_model.settings()
        chat_prompts.library()
    if conversation:
        chat_history.head(conversation)

prompt_box.draw(
    _("Write a message"),
    key=chat_state.PROMPT,
    send=chat_state.send,
    disabled=running or not st.session_state[chat_state.MODEL],
    accept_file="multiple",
    file_type=chat_attach.TYPES,
    max_upload_size=chat_attach.MAX_MIB,
)

with talk, st.container(width=READING_PX, key="chat_log"):
    nothing = st.empty()
    following = running and not part.newer
    if part.older:
        chat_window.older()
    versions = chat_state.versions(messages)
    for message in messages[:-1] if following else messages:
        last = message is messages[-1] and not part.newer
        with chat_window.marked(message.id == part.found):
            chat_messages.draw(message, last=last, busy=running, versions=versions.get(message.id, ()))
    chat_attach.blind_note(messages, st.session_state[chat_state.MODEL])
    chat_sent.dialog()
    if messages:
        chat_state.drawn_to(messages[-1].id)
    if part.newer:
        chat_window.newer()
    if following:
        nothing.empty()  # now, not when the answer has ended
        chat_messages.follow(messages[-1])
    elif not messages and st.session_state[chat_state.MODEL]:
        with nothing.container():
            chat_model.ready_card(up)
            st.caption(_("Begin with one of these, or write your own below."))
            with st.container(horizontal=True, gap="small"):
                for text in SUGGESTIONS:
                    st.button(_(text), key=f"chat_try_{text}", on_click=chat_state.send, args=(_(text),))
    if not running:
        chat_attach.waiting()
        prompt_box.cursor()
