"""Pictures and text files in a conversation: taken from the input, and shown with the message they came with."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.typing import ChatInputValue

from backend.chat import attachments, uploads
from backend.chat.attachments import Attachment, Upload
from backend.chat.records import Message
from backend.errors import ConflictError
from backend.i18n import _, ngettext
from ui import context, errors

TYPES = [*uploads.IMAGE_TYPES, *uploads.TEXT_TYPES]
MAX_MIB = uploads.MAX_BYTES >> 20
THUMBNAIL_PX = 160
_KEPT = "chat_kept_files"


def taken(value: str | ChatInputValue) -> list[Upload]:
    """The files that go with what was typed, checked: those kept from a message that was refused, then those beside it.

    Raises:
        ConflictError: see :func:`backend.chat.uploads.check_all`.
    """
    return uploads.check_all([*kept(), *_beside(value)])


def kept() -> list[tuple[str, bytes]]:
    """Name and content of the files of a message that was refused: they wait for the next one."""
    found: list[tuple[str, bytes]] = st.session_state.get(_KEPT, [])
    return found


def keep(value: str | ChatInputValue) -> None:
    """The message with these files was refused: the browser's input has let go of them, so they are kept here."""
    st.session_state[_KEPT] = [*kept(), *_beside(value)]


def let_go(place: int | None = None) -> None:
    """Forget the kept file at ``place``; without one, all: they have been sent."""
    st.session_state[_KEPT] = [] if place is None else [f for at, f in enumerate(kept()) if at != place]


def waiting() -> None:
    """The kept files, each with a button that leaves it out."""
    if not kept():
        return
    st.caption(":material/attach_file: " + _("Kept for your next message; press a file to leave it out:"))
    with st.container(horizontal=True, gap="small", key="chat_kept"):
        for place, (name, _data) in enumerate(kept()):
            key = f"chat_kept_{place}_{name}"
            st.button(errors.plain(name), key=key, icon=":material/close:", on_click=let_go, args=(place,))


def _beside(value: str | ChatInputValue) -> list[tuple[str, bytes]]:
    return [] if isinstance(value, str) else [(file.name, file.getvalue()) for file in value.files]


def shown(message: Message) -> None:
    """The files of a message: pictures small (a click enlarges them), texts to unfold."""
    if not message.attachments:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for place, each in enumerate(message.attachments):
            try:
                data = attachments.read(context.workspace(), each)
            except ConflictError as error:
                st.caption(":material/broken_image: " + errors.plain(error.localized()[0]))
                continue
            if each.kind == "image":
                width = min(THUMBNAIL_PX, each.width)
                st.image(data, caption=errors.plain(each.name), width=width, alt=each.name)
            else:
                _text(each, data, f"chat_file_{message.id}_{place}")


def _text(each: Attachment, data: bytes, key: str) -> None:
    count = ngettext("{n} character", "{n} characters", each.chars).format(n=f"{each.chars:,}")
    popover = st.popover(
        errors.plain(each.name),
        icon=":material/description:",
        help=count,
        key=key,
        on_change="rerun",
    )
    # A folded text is not sent to the browser.
    if popover.open:
        with popover:
            st.caption(count)
            st.code(data.decode("utf-8"), language=None, wrap_lines=True, height=400)


def blind_note(messages: Sequence[Message], model: str | None) -> None:
    """Where the conversation holds pictures and the model that is asked next cannot see: it answers without them."""
    pictures = any(each.kind == "image" for message in messages for each in message.attachments)
    if pictures and model and attachments.can_see(context.workspace(), model) is False:
        text = _("{model} reads text only: it is told the names of the pictures above, and does not see them.")
        st.caption(":material/visibility_off: " + text.format(model=errors.plain(model)))
