"""The turns of a comparison: the question, an answer a column with its figures, and the answers being written now.

While names are hidden, so is what gives them away: speeds, reasons of a failure, and how a server comes up.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.chat.live import Live
from backend.chat.records import Message
from backend.compare.records import LETTERS, Comparison, Turn
from backend.errors import NotFoundError
from backend.i18n import _, ngettext
from ui import context, errors, prompt_box, words
from ui.chat import compare_diff as chat_compare_diff
from ui.chat import compare_setup as chat_compare_setup
from ui.chat import compare_state as state
from ui.chat import compare_votes as chat_compare_votes
from ui.chat import messages as chat_messages
from ui.chat import text as chat_text

FRAME_S, LOOK_S = 0.1, 0.25
LONG_PROMPT = 1_500
"""Characters of a question that are drawn; the rest is a click away."""


@dataclass(frozen=True)
class _Written:
    """An answer being written, and its places: its Stop, its text, and what is said under it."""

    message: Message
    stop: DeltaGenerator
    text: DeltaGenerator
    under: DeltaGenerator


def draw(comparison: Comparison, turn: Turn, names: Sequence[str], *, last: bool) -> None:
    """One turn. ``names`` stand over the columns. ``last``: an answer that failed can be asked for again."""
    _prompt(turn)
    written: list[_Written] = []
    # Its place stays when it goes: else the columns below it would move up, and every answer stand twice until all is drawn.
    stop_all = st.empty()
    if turn.running:
        stop_all.button(
            _("Stop all"),
            key=f"compare_stop_all_{turn.id}",
            icon=":material/stop_circle:",
            shortcut="Escape",
            on_click=state.stop_all,
            args=(comparison.id,),
        )
    for place, column in enumerate(st.columns(len(turn.answers), gap="small")):
        with column, st.container(border=True, key=f"compare_answer_{turn.id}_{place}"):
            summary = chat_compare_setup.summary(comparison.contenders[place].params)
            answer = turn.answers[place]
            # Stop stands above the text: below, it would move away from the pointer as the text grows.
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.markdown(names[place], help=None if comparison.hidden else summary, width="content")
                stop = st.empty()
            if answer is None or not answer.running:
                _answer(comparison, turn, place, last=last)
                continue
            stop.button(
                _("Stop {letter}").format(letter=LETTERS[place]),
                key=f"compare_stop_{answer.id}",
                icon=":material/stop_circle:",
                type="tertiary",
                on_click=state.stop,
                args=(answer.id,),
            )
            written.append(_Written(answer, stop, st.empty(), st.empty()))
    if written:
        _follow(comparison, written)
    chat_compare_diff.draw(turn, names, key=f"compare_diff_{turn.id}")
    chat_compare_votes.draw(comparison, turn)


def _prompt(turn: Turn) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.text(turn.prompt if len(turn.prompt) <= LONG_PROMPT else turn.prompt[:LONG_PROMPT] + " …")
        if len(turn.prompt) > LONG_PROMPT:
            with st.popover(_("Whole message ({count} characters)").format(count=f"{len(turn.prompt):,}")):
                st.code(turn.prompt, language=None, wrap_lines=True, height=400)
        st.caption(_("Seed {seed}").format(seed=turn.seed))


def _answer(comparison: Comparison, turn: Turn, place: int, *, last: bool) -> None:
    """An answer that has its end, or that never began."""
    answer = turn.answers[place]
    again = errors.Action(
        _("Ask {letter} again").format(letter=LETTERS[place]),
        state.again,
        (comparison.id, place),
        icon=":material/refresh:",
    )
    offered = [again] if last and turn.vote is None else []
    if answer is None:
        st.caption(":material/warning: " + _("Not asked: the panel ended before it came to this column."))
        for action in offered:
            action.draw(f"compare_again_{turn.id}_{place}", primary=False)
        return
    if answer.content:
        st.markdown(chat_text.safe(answer.content))
    elif answer.state == "done":
        st.caption(_("The model answered nothing."))
    _under(comparison, answer, offered)


def _under(comparison: Comparison, answer: Message, offered: Sequence[errors.Action]) -> None:
    """What is said under an answer that has its end: what it lacks, its figures, why it failed."""
    _remarks(answer)
    if comparison.hidden:
        if answer.state == "failed":
            st.caption(":material/error: " + _("It failed here. Why is shown when the names are."))
        return
    figures = chat_messages.figures(replace(answer, model=""))
    if figures:
        st.caption(figures)
    if answer.state == "failed":
        errors.show(answer.error, key=f"compare_{answer.id}", actions=offered)
    elif answer.partial:
        for action in offered:
            action.draw(f"compare_again_{answer.id}", primary=False)


def _remarks(answer: Message) -> None:
    """Everything that makes this answer less than the whole answer to the whole conversation."""
    if answer.state == "stopped":
        st.caption(":material/stop_circle: " + _("Stopped here. What was said is kept."))
    elif answer.state == "interrupted":
        text = _("Interrupted: the panel ended while this answer was being written. What was saved is kept.")
        st.caption(":material/warning: " + text)
    if answer.finish_reason == "length":
        limit = answer.completion_tokens or int(answer.params.get("max_tokens", 0))
        text = _("Cut off after {n} tokens: its length limit.").format(n=f"{limit:,}")
        st.caption(":material/content_cut: " + text)
    if answer.left_out:
        text = ngettext(
            "{n} earlier message did not fit into the model's context and was not sent.",
            "{n} earlier messages did not fit into the model's context and were not sent.",
            answer.left_out,
        ).format(n=answer.left_out)
        st.caption(":material/history_toggle_off: " + text)


def _follow(comparison: Comparison, written: Sequence[_Written]) -> None:
    """Draw the answers while they are written, until all have their end; then the view is drawn anew with the stored ones."""
    seen: dict[int, Live] = {}
    unsaved = False
    while True:
        length = 0
        for each in written:
            message = each.message
            before = seen.get(message.id)
            if before is not None and before.stage == "ended":
                continue
            live = seen[message.id] = _look(message)
            length += len(live.text)
            waiting = not live.text and live.stage != "ended"  # the time that has passed is drawn, too
            # Not by version: one that was read from the file counts differently from one that is written here.
            if waiting or before is None or (live.stage, live.text) != (before.stage, before.text):
                _frame(comparison, each.text, live, message)
            unsaved = unsaved or (live.stage == "ended" and live.unsaved is not None)
            if live.stage == "ended":
                _ended(comparison, each)
        if all(live.stage == "ended" for live in seen.values()):
            break
        # Texts are sent whole each time: fewer frames keep a slow line usable.
        time.sleep(max(FRAME_S, length / 100_000))
    if not unsaved:  # what cannot be stored now stays on the page as it is
        prompt_box.answered()
        st.rerun()


def _ended(comparison: Comparison, each: _Written) -> None:
    """How an answer ended, while others go on."""
    each.stop.empty()
    with contextlib.suppress(NotFoundError):
        stored = state.comparisons().columns.message(each.message.id)
        if not stored.running:
            with each.under.container():
                _under(comparison, stored, [])


def _look(message: Message) -> Live:
    """The answer as it stands; from the file where another panel writes it."""
    reply = state.asking().live(message.id)
    if reply is not None:
        return reply.live()
    try:
        stored = state.comparisons().columns.message(message.id)
    except NotFoundError:
        return Live("ended", "", 0, time.time())
    if stored.running:
        time.sleep(LOOK_S)
    stage = ("answer" if stored.content else "prompt") if stored.running else "ended"
    return Live(stage, stored.content, len(stored.content), stored.created)


def _frame(comparison: Comparison, slot: DeltaGenerator, live: Live, message: Message) -> None:
    passed = words.duration(time.time() - live.since)
    if live.text or live.stage == "ended":
        with slot.container():
            st.markdown(chat_text.safe(live.text))
            if live.unsaved is not None:
                errors.show(live.unsaved, key=f"compare_unsaved_{message.id}_{live.version}")
    elif live.stage == "prompt":
        slot.caption(_("Reading your message … {time}").format(time=passed))
    elif comparison.hidden:
        slot.caption(_("Getting ready … {time}").format(time=passed))
    else:
        row = None
        if live.job is not None:
            with contextlib.suppress(NotFoundError):
                row = context.store().get(live.job)
        with slot.container():
            chat_messages.starting(row, message.model, passed)
