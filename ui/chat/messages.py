"""Messages of a conversation: what was said, with the figures under each answer; and the answer being written now."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.chat.live import Live
from backend.chat.records import Message
from backend.errors import NotFoundError
from backend.i18n import _, ngettext
from backend.queue.rows import JobRow
from backend.servers import asleep
from ui import context, errors, prompt_box, wait_words, words
from ui.chat import attach as chat_attach
from ui.chat import branches as chat_branches
from ui.chat import collect as chat_collect
from ui.chat import keys as chat_keys
from ui.chat import sent as chat_sent
from ui.chat import state as chat_state
from ui.chat import text as chat_text

LONG_PROMPT = 1_500
"""Characters of a prompt that are drawn; the rest is a click away."""
FRAME_S = 0.06
LOOK_S = 0.25


def draw(message: Message, *, last: bool = False, busy: bool = False, versions: Sequence[int] = ()) -> None:
    """One message that has its end.

    Args:
        last: it is the newest; another answer is offered.
        busy: an answer is being written further down, so nothing can be asked now.
        versions: ids of all messages in its place, oldest first.
    """
    if message.state == "failed" and not message.content:
        _failure(message, last)
        chat_branches.switch(message, versions, busy)
        return
    with st.chat_message(message.role, avatar=_AVATARS[message.role]):
        if message.role == "user":
            if chat_state.editing() == message.id and not busy:
                chat_branches.editor(message)
            else:
                _prompt(message, busy)
                chat_branches.switch(message, versions, busy)
            return
        if message.content:
            st.markdown(chat_text.safe(message.content))
        elif message.state == "done":
            st.caption(_("The model answered nothing."))
        _remarks(message)
        _under(message, last, busy, versions)
        chat_collect.panel(message)
    if message.state == "failed":
        _failure(message, last)


def follow(message: Message) -> None:
    """Draw the answer while it is written, until its end; then the page is drawn anew with the stored one."""
    with st.chat_message("assistant", avatar=_AVATARS["assistant"]):
        slot, note = st.empty(), st.empty()
        st.button(
            _("Stop"),
            key=f"chat_stop_{message.id}",
            icon=":material/stop_circle:",
            shortcut=chat_keys.STOP,
            on_click=chat_state.stop,
            args=(message.id,),
        )
        if chat_state.just_sent():
            st.html(_TO_THE_END, unsafe_allow_javascript=True, width="content")
        seen = -1
        while True:
            live = _look(message, seen)
            _frame(slot, live, message)
            if live.unsaved is not None:
                with note:
                    errors.show(live.unsaved, key=f"unsaved_{message.id}")
                if live.stage == "ended":
                    return  # it cannot be stored now: it stays on the page as it is
            if live.stage == "ended":
                break
            seen = live.version
            # Long texts are sent whole each time: fewer frames keep a slow line usable.
            time.sleep(max(FRAME_S, len(live.text) / 100_000))
    prompt_box.answered()
    st.rerun()


# Streamlit follows the end of a page only for those who are there already; whoever sends something wants to see it.
_TO_THE_END = """<script>
for (const e of document.querySelectorAll('[data-testid="stAppScrollToBottomContainer"], [data-testid="stMain"]'))
  setTimeout(() => e.scrollTo({top: e.scrollHeight}), 100);
</script>"""
_AVATARS = {"user": ":material/person:", "assistant": ":material/smart_toy:", "system": ":material/settings:"}


def _look(message: Message, seen: int) -> Live:
    """The answer as it stands; from the file where another panel writes it."""
    reply = chat_state.replies().reply(message.id)
    if reply is not None:
        return reply.live(seen, LOOK_S)
    try:
        stored = chat_state.conversations().message(message.id)
    except NotFoundError:
        return Live("ended", "", seen + 1, time.time())
    if stored.running:
        time.sleep(LOOK_S)
    stage = ("answer" if stored.content else "prompt") if stored.running else "ended"
    return Live(stage, stored.content, seen + 1, stored.created)


def _frame(slot: DeltaGenerator, live: Live, message: Message) -> None:
    passed = words.duration(time.time() - live.since)
    if live.text or live.stage == "ended":
        slot.markdown(chat_text.safe(live.text))
    elif live.stage == "prompt":
        slot.caption(_("Reading your message … {time}").format(time=passed))
    else:
        with slot.container():
            _waiting(live, message.model, passed)


def starting(row: JobRow | None, model: str, passed: str) -> None:
    """How the server of ``model`` comes up: why it waits, or its phase."""
    line, share = _("looking for its server"), None
    title = _("Starting {model}").format(model=errors.plain(model))
    if row is not None:
        phase = str(row.progress.get("phase") or "")
        line = words.phase_word(phase) if phase else words.look(row).word
        if row.state == "queued":
            line = wait_words.sentence(row).rstrip(".。")
        share = words.progress_of(row)
    if asleep(context.store(), model):
        title, line = _("Waking {model}").format(model=errors.plain(model)), _("its weights go back to the GPU")
    st.markdown(f":material/hourglass_top: **{title}** · {errors.plain(line)} · {passed}")
    if share is not None:
        st.progress(share)


def _waiting(live: Live, model: str, passed: str) -> None:
    row = None
    if live.job is not None:
        with contextlib.suppress(NotFoundError):
            row = context.store().get(live.job)
    starting(row, model, passed)
    st.caption(_("Your answer begins by itself as soon as the model is ready. You may close this page meanwhile."))


def _prompt(message: Message, busy: bool) -> None:
    text = message.content
    chat_attach.shown(message)
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        with st.container():
            st.text(text if len(text) <= LONG_PROMPT else text[:LONG_PROMPT] + " …")
        st.button(
            _("Edit"),
            key=f"chat_edit_{message.id}",
            type="tertiary",
            icon=":material/edit:",
            help=_("Change this message and send it again. What was said before is kept as another branch."),
            disabled=busy,
            on_click=chat_state.edit,
            args=(message.id,),
        )
    if len(text) > LONG_PROMPT:
        with st.popover(_("Whole message ({count} characters)").format(count=f"{len(text):,}")):
            st.code(text, language=None, wrap_lines=True, height=400)
    chat_sent.blanks(message)


def _remarks(message: Message) -> None:
    """Everything that makes this answer less than the whole answer to the whole conversation."""
    if message.state == "stopped":
        st.caption(":material/stop_circle: " + _("Stopped here. What was said is kept."))
    elif message.state == "interrupted":
        text = _("Interrupted: the panel ended while this answer was being written. What was saved is kept.")
        st.caption(":material/warning: " + text)
    if message.finish_reason == "length":
        limit = message.completion_tokens or int(message.params.get("max_tokens", 0))
        text = _("Cut off after {n} tokens: its length limit. The chat settings can give it more room.").format(
            n=f"{limit:,}"
        )
        st.caption(":material/content_cut: " + text)
    if message.left_out:
        text = ngettext(
            "{n} earlier message did not fit into the model's context and was not sent.",
            "{n} earlier messages did not fit into the model's context and were not sent.",
            message.left_out,
        ).format(n=message.left_out)
        st.caption(":material/history_toggle_off: " + text)


def _under(message: Message, last: bool, busy: bool, versions: Sequence[int]) -> None:
    """The figures of an answer, and what can be done with it: often used things as buttons, the rest in one menu."""
    line = figures(message)
    if line and last:
        st.caption(line)  # the newest answer has more buttons than fit beside it
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if line and not last:
            st.caption(line, width="content")
        chat_branches.switch(message, versions, busy)
        if last and message.state != "failed":
            st.button(
                _("Regenerate"),
                key=f"chat_again_{message.id}",
                type="tertiary",
                icon=":material/refresh:",
                help=_("Ask for another answer to the same message. This one is kept as another branch."),
                on_click=chat_state.again,
                args=(message.id,),
            )
        if last and message.content:
            st.button(
                _("Send to dataset"),
                key=f"chat_keep_{message.id}",
                type="tertiary",
                icon=":material/dataset:",
                help=_("Keep this answer, corrected where it has to be, as a row that a model can be taught with."),
                on_click=chat_collect.begin,
                args=(message,),
            )
        actions = _more(message, last, busy)
        if actions:
            key = f"chat_more_{message.id}"
            st.menu_button(
                _("More"),
                list(actions),
                key=key,
                type="tertiary",
                icon=":material/more_horiz:",
                format_func=lambda name: actions[name][0],
                on_click=_chosen,
                args=(key, actions),
            )


_Actions = dict[str, tuple[str, Callable[[], None]]]


def _more(message: Message, last: bool, busy: bool) -> _Actions:
    """What stands in the menu under an answer: a name for each, its words, and what it does."""
    actions: _Actions = {}
    if message.content:
        label = ":material/dataset: " + _("Send to dataset")
        actions["collect"] = (label, lambda: chat_collect.begin(message))
    actions["sent"] = (":material/data_object: " + _("What was really sent"), lambda: chat_sent.ask_for(message.id))
    if not last and not busy:
        actions["again"] = (":material/refresh: " + _("Regenerate"), lambda: chat_state.again(message.id))
    return actions


def _chosen(key: str, actions: _Actions) -> None:
    actions[st.session_state[key]][1]()


def figures(message: Message) -> str:
    """Tokens, time to the first one, and speed of an answer, in one line; estimates say so."""
    parts = []
    if message.completion_tokens:
        about = "" if message.counted else "≈ "
        count = ngettext("{n} token", "{n} tokens", message.completion_tokens)
        parts.append(about + count.format(n=f"{message.completion_tokens:,}"))
    if message.ttft_s is not None:
        parts.append(_("first token after {s} s").format(s=f"{message.ttft_s:.2f}"))
    if message.tokens_s is not None:
        parts.append(_("{rate} tokens/s").format(rate=words.rate(message.tokens_s)))
    if message.model and message.state != "failed":
        parts.append(errors.plain(message.model))
    return " · ".join(parts)


def _failure(message: Message, last: bool) -> None:
    code = message.error.get("code", "")
    actions = []
    if last and code not in ("prompt_too_long_for_model", "model_unknown"):
        model = st.session_state[chat_state.MODEL]
        label = _("Ask again") if chat_state.models().get(model) else _("Start {model} and ask again")
        actions = [errors.Action(label.format(model=model), chat_state.again, icon=":material/play_arrow:")]
    if not message.content:  # else it stands in the menu under what was said
        look = errors.Action(
            _("What was really sent"), lambda: chat_sent.ask_for(message.id), icon=":material/data_object:"
        )
        actions.append(look)
    errors.show(message.error, key=f"chat_{message.id}", actions=actions)
