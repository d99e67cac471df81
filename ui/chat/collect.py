"""From an answer to a row of a dataset: the answer, corrected where it has to be, and the collection that it goes to."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from backend.chat import attachments
from backend.chat.answers import MAX_PROMPT_CHARS
from backend.chat.history import turns_of
from backend.chat.records import Message
from backend.data.collected import MAX_NAME_CHARS, Added, Collected
from backend.i18n import _, ngettext
from ui import collected_added, context, errors
from ui.chat import state as chat_state

_ADDED = "chat_collected"


def begin(message: Message) -> None:
    """Open the panel under ``message``."""
    st.session_state[chat_state.COLLECTING] = message.id
    st.session_state.pop(_ADDED, None)


def panel(message: Message) -> None:
    """What goes into the dataset, while somebody is choosing it; afterwards, where it is."""
    if st.session_state.get(chat_state.COLLECTING) != message.id:
        return
    with st.container(border=True, key="chat_collect"):
        problem = chat_state.problem(at=message.id)
        if problem is not None:
            errors.show(problem, key="chat_collect")
        added: Added | None = st.session_state.get(_ADDED)
        if added is not None:
            _done(added)
        else:
            _form(message)


def _form(message: Message) -> None:
    keys = {name: f"chat_collect_{name}_{message.id}" for name in ("answer", "name", "earlier")}
    known = [collection.name for collection in Collected(context.workspace()).list()]
    earlier = len(chat_state.conversations().leading_to(message)) - 1
    with st.form(f"chat_collect_form_{message.id}", border=False):
        st.text_area(
            _("The answer that the model should give"),
            message.content,
            key=keys["answer"],
            height="content",
            max_chars=MAX_PROMPT_CHARS,
            help=_("Correct it here. What the model really said is kept beside it."),
        )
        st.selectbox(
            _("Dataset"),
            known or [_("From chat")],
            key=keys["name"],
            accept_new_options=True,
            help=_("Choose one, or type the name of a new one."),
        )
        if earlier > 0:
            text = ngettext("With the {n} earlier message", "With the {n} earlier messages", earlier)
            help_text = _("A follow-up question is understood only with what was said before.")
            st.toggle(text.format(n=earlier), True, key=keys["earlier"], help=help_text)
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button(
                _("Add to dataset"),
                key="chat_collect_add",
                type="primary",
                icon=":material/dataset:",
                on_click=_add,
                args=(message, keys),
            )
            st.form_submit_button(_("Cancel"), key="chat_collect_cancel", on_click=_close)


def _done(added: Added) -> None:
    collected_added.draw(added)
    st.button(_("Close"), key="chat_collect_close", on_click=_close)


def _add(message: Message, keys: dict[str, str]) -> None:
    answer = str(st.session_state[keys["answer"]])
    name = str(st.session_state[keys["name"]] or "")[: 2 * MAX_NAME_CHARS]
    with chat_state.problems(at=message.id):
        before = chat_state.conversations().leading_to(message)
        # As the model read it: the words of text files; of a picture only the name, because rows are text.
        texts = {
            a.digest: attachments.read(context.workspace(), a)
            for m in before
            for a in m.attachments
            if a.kind == "text"
        }
        trim = bool(message.params.get("trim_blanks"))
        turns = [turn for pair in turns_of(before, trim=trim, files=texts) for turn in pair]
        if not st.session_state.get(keys["earlier"], True):
            turns = turns[-1:]
        system = str(message.params.get("system", ""))
        head = [{"role": "system", "content": system}] if system.strip() else []
        lineage = {
            "source": "chat",
            "conversation": message.conversation,
            "message": message.id,
            "model": message.model,
            "collected": datetime.now(UTC).isoformat(timespec="seconds"),
            "corrected": answer != message.content,
            "original": message.content,
        }
        row = [*head, *turns, {"role": "assistant", "content": answer}]
        st.session_state[_ADDED] = Collected(context.workspace()).add(name, row, lineage)


def _close() -> None:
    st.session_state.pop(chat_state.COLLECTING, None)
    st.session_state.pop(_ADDED, None)
