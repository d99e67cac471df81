"""The prompt library: choose a text, fill in its places, and have it in the input; keep texts of one's own."""

from __future__ import annotations

import streamlit as st

from backend.chat.prompts import MAX_NAME_CHARS, Prompt, Prompts, examples, fill, variables
from backend.errors import PanelError
from backend.i18n import _
from ui import errors
from ui.chat import state as chat_state

_BOX, _CHOSEN, _MODE, _PROBLEM = "chat_prompts", "chat_prompt_chosen", "chat_prompt_mode", "chat_prompt_problem"
_NEW = Prompt(0, "", "")
_LONG_VALUE = 68
"""Pixels: two lines, which grow with what is typed."""


def library() -> None:
    """The button that opens the library; what it holds is drawn only while it is open."""
    box = st.popover(_("Prompts"), icon=":material/bookmarks:", key=_BOX, on_change="rerun")
    if not box.open:
        st.session_state.pop(_MODE, None)
        return
    with box:
        problem = st.session_state.pop(_PROBLEM, None)
        if problem is not None:
            errors.show(problem, key="chat_prompts")
        mode: Prompt | None = st.session_state.get(_MODE)
        if mode is None:
            _choose()
        else:
            _edit(mode)


def _choose() -> None:
    own = _library().list()
    known = {**{f"own-{p.id}": p for p in own}, **{f"example-{n}": p for n, p in enumerate(examples())}}
    if st.session_state.get(_CHOSEN) not in known:
        st.session_state[_CHOSEN] = next(iter(known))
    name = st.selectbox(
        _("Prompt"),
        list(known),
        key=_CHOSEN,
        format_func=lambda n: known[n].name if known[n].id else _("Example: {name}").format(name=known[n].name),
    )
    prompt = known[name]
    st.code(prompt.text, language=None, wrap_lines=True)
    try:
        names = variables(prompt.text)
    except PanelError as error:
        errors.show(error, key="chat_prompt_bad")
        names = []
    with st.form("chat_prompt_form", border=False):
        keys = {variable: f"chat_prompt_value_{name}_{variable}" for variable in names}
        for variable, key in keys.items():
            st.text_area(errors.plain(variable), key=key, height=_LONG_VALUE)
        st.form_submit_button(
            _("Put into the message"),
            key="chat_prompt_insert",
            type="primary",
            icon=":material/input:",
            on_click=_insert,
            args=(prompt.text, keys),
        )
    with st.container(horizontal=True, gap="small"):
        if prompt.id:
            st.button(_("Change"), key="chat_prompt_edit", icon=":material/edit:", on_click=_open, args=(prompt,))
        else:
            copy = Prompt(0, prompt.name, prompt.text)
            label = _("Make it my own")
            st.button(label, key="chat_prompt_copy", icon=":material/content_copy:", on_click=_open, args=(copy,))
        st.button(_("New prompt"), key="chat_prompt_new", icon=":material/add:", on_click=_open, args=(_NEW,))


def _edit(prompt: Prompt) -> None:
    keys = {"name": f"chat_prompt_name_{prompt.id}", "text": f"chat_prompt_text_{prompt.id}"}
    with st.form("chat_prompt_editor", border=False):
        st.text_input(_("Name"), prompt.name, key=keys["name"], max_chars=MAX_NAME_CHARS)
        st.text_area(
            _("Text"),
            prompt.text,
            key=keys["text"],
            height=180,
            help=_("Write {example} where something is filled in each time.").format(example="`{{name}}`"),
        )
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button(
                _("Save prompt"), key="chat_prompt_save", type="primary", on_click=_save, args=(prompt.id, keys)
            )
            st.form_submit_button(_("Cancel"), key="chat_prompt_cancel", on_click=_open, args=(None,))
    if prompt.id:
        st.button(
            _("Delete prompt"),
            key="chat_prompt_delete",
            type="tertiary",
            icon=":material/delete:",
            on_click=_delete,
            args=(prompt.id,),
        )


def _library() -> Prompts:
    return Prompts(chat_state.conversations())


def _open(prompt: Prompt | None) -> None:
    st.session_state[_MODE] = prompt


def _insert(text: str, keys: dict[str, str]) -> None:
    values = {variable: str(st.session_state.get(key, "")) for variable, key in keys.items()}
    st.session_state[chat_state.PROMPT] = fill(text, values)
    st.session_state[_BOX] = False


def _save(prompt_id: int, keys: dict[str, str]) -> None:
    name, text = st.session_state[keys["name"]], st.session_state[keys["text"]]
    try:
        saved = _library().save(name, text, prompt_id)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        return
    st.session_state[_MODE] = None
    st.session_state[_CHOSEN] = f"own-{saved}"


def _delete(prompt_id: int) -> None:
    try:
        _library().delete(prompt_id)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        return
    st.session_state[_MODE] = None
