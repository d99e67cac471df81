"""What was said before: the list of conversations with its search, and the name, file and end of the one that is open."""

from __future__ import annotations

import json

import streamlit as st

from backend.chat import export
from backend.chat.conversations import MAX_TITLE_CHARS
from backend.chat.records import Conversation
from backend.chat.search import Found, search
from backend.i18n import _, ngettext
from ui import errors, words
from ui.chat import state as chat_state

PAGE = 30


def listing(here: str, *, where: str) -> None:
    """The conversations, newest first. ``where`` tells the two places apart (beside the chat, and in a popover)."""
    wanted = st.text_input(
        _("Search conversations"),
        key=f"chat_search_{where}",
        placeholder=_("Search conversations"),
        label_visibility="collapsed",
        icon=":material/search:",
    )
    limit = int(st.session_state.get(f"chat_history_{where}", PAGE))
    store = chat_state.conversations()
    if (wanted or "").strip():
        found = search(store, wanted, limit=limit + 1)
    else:
        found = [Found(conversation, (), 0) for conversation in store.list(limit=limit + 1)]
    if not found:
        st.caption(_("Nothing found.") if wanted else _("Your conversations will be listed here."))
    with st.container(key=f"chat_list_{where}", gap="xxsmall"):
        for hit in found[:limit]:
            _entry(hit, here, where)
    if len(found) > limit:
        st.button(
            _("Show more"),
            key=f"chat_more_{where}",
            icon=":material/expand_more:",
            on_click=lambda: st.session_state.update({f"chat_history_{where}": limit + PAGE}),
        )


def _entry(hit: Found, here: str, where: str) -> None:
    """A conversation in the list, below it the places that were found in it."""
    conversation = hit.conversation
    st.button(
        errors.plain(conversation.title) or _("Untitled"),
        key=f"chat_open_{where}_{conversation.id}",
        type="secondary" if conversation.id == here else "tertiary",
        help=f"{words.ago(conversation.updated)} · {errors.plain(conversation.model)}",
        on_click=chat_state.show,
        args=(conversation.id,),
        width="stretch",
    )
    for place in hit.places:
        before, match, after = map(errors.plain, (place.before, place.match, place.after))
        st.button(
            f":small[{before}**{match}**{after}]",
            key=f"chat_place_{where}_{place.message}",
            type="tertiary",
            on_click=chat_state.show,
            args=(conversation.id, place.message),
            width="stretch",
            wrap=True,
        )
    more = hit.count - len(hit.places)
    if more > 0:
        text = ngettext("and in {n} earlier message", "and in {n} earlier messages", more)
        st.caption(text.format(n=f"{more:,}"))


def head(conversation: Conversation) -> None:
    """The name of the open conversation, with rename, export and delete."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chat_head"):
        st.markdown(f"**{errors.plain(conversation.title)}**", width="content")
        with st.popover(_("Rename or delete"), icon=":material/edit:", type="tertiary"):
            key = f"chat_title_{conversation.id}"
            st.text_input(_("Name"), conversation.title, key=key, max_chars=MAX_TITLE_CHARS)
            st.button(
                _("Rename"),
                key="chat_rename",
                icon=":material/edit:",
                on_click=chat_state.rename,
                args=(conversation.id, key),
            )
            st.divider()
            count = chat_state.conversations().count(conversation.id, everywhere=True)
            st.caption(_("Deleting forgets its {n} messages for good.").format(n=count))
            st.button(
                _("Delete conversation"),
                key="chat_delete",
                icon=":material/delete:",
                on_click=chat_state.delete,
                args=(conversation.id,),
            )
        _export(conversation)


def _export(conversation: Conversation) -> None:
    """Both files are written only when somebody asks for them."""
    store = chat_state.conversations()
    with st.popover(_("Export"), icon=":material/download:", type="tertiary"):
        st.download_button(
            _("Markdown, to read"),
            lambda: export.to_markdown(store, conversation.id),
            export.file_name(conversation, "md"),
            "text/markdown",
            key="chat_export_md",
            icon=":material/description:",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            _("JSON, with everything"),
            lambda: json.dumps(export.to_json(store, conversation.id), ensure_ascii=False, indent=1),
            export.file_name(conversation, "json"),
            "application/json",
            key="chat_export_json",
            icon=":material/data_object:",
            help=_("All branches, settings and figures."),
            on_click="ignore",
            width="stretch",
        )
