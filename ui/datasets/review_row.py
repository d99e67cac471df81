"""One row under review: its turns as texts that can be changed, what it rests on, and the decision, by button or by key."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from backend.data.rows import SPLITS, Message, Row, row_hash, split_of, trained
from backend.data.traits import with_meta
from backend.i18n import _
from ui import errors, words
from ui.datasets import review_about as datasets_review_about
from ui.datasets import review_keys as keys
from ui.datasets import review_state as state
from ui.datasets import state as datasets_state
from ui.datasets import words as named
from ui.datasets.review_state import Item, Places, Seen

TURNS = 12
"""Turns that are in sight; the rest is folded."""
MOST_CHARS = 20_000
"""A longer text is shown and not changed here: a browser is no place for a book."""
_SHOWN = "review_shown"


def draw(all_: Seen, shown: Places) -> None:
    """Draw the row that the address names, and what leads from it to others of ``shown``."""
    place = current(all_, shown)
    if place is None:
        _none_left(all_)
        return
    item = all_.item(place)
    before, after = _neighbours(shown, place)
    keys.listen()
    with st.container(border=True, key=keys.CARD, gap="small"):
        _head(all_, item, shown)
        _turns(all_, item)
        datasets_review_about.draw(item)
        _more_turns(all_, item)
    _actions(all_, item, before, after)
    st.caption(_(keys.HELP))


def current(all_: Seen, shown: Places) -> int | None:
    """The place of the row that is on the page: the one in the address, else the first one that is asked for."""
    asked = str(st.query_params.get(datasets_state.ROW, ""))
    if asked.isascii() and asked.isdigit() and len(asked) < 12 and 1 <= int(asked) <= len(all_):
        return int(asked) - 1
    return int(shown[0]) if len(shown) else None


def _none_left(all_: Seen) -> None:
    done = len(all_) and not all_.counts()["todo"]
    text = _("Every row is reviewed.") if done else _("No row is like that. Change what is shown.")
    st.markdown((":material/task_alt: " if done else ":material/search_off: ") + text)


def _neighbours(shown: Places, place: int) -> tuple[int | None, int | None]:
    """The rows before and after ``place`` among ``shown``, which need not hold it."""
    at = int(shown.searchsorted(place))
    here = at < len(shown) and shown[at] == place
    after = at + here
    return (int(shown[at - 1]) if at else None), (int(shown[after]) if after < len(shown) else None)


def _head(all_: Seen, item: Item, shown: Places) -> None:
    decided = state.LOOKS[item.decision.state]
    at = int(shown.searchsorted(item.place))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = _("Row {n}").format(n=f"{item.place + 1:,}") if not item.added else _("Written by hand")
        st.markdown(f"**{name}**", width="content")
        st.markdown(decided.chip, width="content")
        if at < len(shown) and shown[at] == item.place:
            st.caption(_("{n} of {total} shown").format(n=f"{at + 1:,}", total=f"{len(shown):,}"), width="content")
        if item.decision.by:
            text = _("by {user}, {when}").format(user=errors.plain(item.decision.by), when=words.ago(item.decision.at))
            st.caption(text, width="content", help=words.stamp(item.decision.at))
        _part(all_, item)


def _part(all_: Seen, item: Item) -> None:
    """Which part of the dataset the row belongs to."""
    key = f"{_key(item)}_part"
    st.session_state[key] = split_of(item.shown)
    st.selectbox(
        _("Part"),
        SPLITS,
        key=key,
        format_func=lambda part: named.word(named.SPLITS, part),
        label_visibility="collapsed",
        width=140,
        filter_mode=None,
        on_change=_change_part,
        args=(all_, item, key),
    )


def _change_part(all_: Seen, item: Item, key: str) -> None:
    _keep(all_, item, with_meta(item.shown, "split", str(st.session_state[key])))


def _key(item: Item) -> str:
    """What the texts of a row are called after: the same while this tab alone changes it, another when it was changed elsewhere."""
    memory: dict[str, tuple[int, int]] = st.session_state.setdefault(_SHOWN, {})
    now = row_hash(item.shown)
    known, times = memory.get(item.key, (now, 0))
    if known != now:
        times += 1
    memory.clear()
    memory[item.key] = (now, times)
    return f"review_{item.key}_{times}"


def _turns(all_: Seen, item: Item) -> None:
    key = _key(item)
    turns = item.shown["messages"]
    answer = next(
        (at for at, turn in enumerate(turns) if trained(turn) and turn["role"] == "assistant"), len(turns) - 1
    )
    for at, turn in enumerate(turns[:TURNS]):
        _turn(all_, item, turn, at, key, answer=at == answer)
    if len(turns) > TURNS:
        with st.expander(_("{n} more turns").format(n=len(turns) - TURNS)):
            for at, turn in enumerate(turns[TURNS:], TURNS):
                _turn(all_, item, turn, at, key, answer=at == answer)


def _turn(all_: Seen, item: Item, turn: Message, at: int, key: str, *, answer: bool) -> None:
    role = named.word(named.ROLES, turn["role"])
    said = role if trained(turn) or turn["role"] != "assistant" else f"{role} · {_('not learned')}"
    if turn.get("name"):
        said += f" · {turn['name']}"
    with st.container(key=keys.ANSWER if answer else f"review_turn_{at}", gap="xxsmall"):
        text = turn["content"]
        if len(text) > MOST_CHARS:
            st.markdown(f"**{errors.plain(said)}**")
            st.text(text[:MOST_CHARS] + " …")
            st.caption(_("Too long to be changed here: {n} characters.").format(n=f"{len(text):,}"))
        else:
            widget = f"{key}_{at}"
            st.text_area(
                errors.plain(said),
                text,
                key=widget,
                height="content",
                on_change=_change_text,
                args=(all_, item, at, widget),
            )
        for call in turn.get("tool_calls") or []:
            st.caption(":material/build: " + _("calls"))
            st.code(
                json.dumps(call.get("function", call), ensure_ascii=False, indent=1), language="json", wrap_lines=True
            )
        datasets_review_about.pictures(turn.get("images") or [])


def _more_turns(all_: Seen, item: Item) -> None:
    with st.container(horizontal=True):
        st.button(
            _("Add a turn"),
            key="review_add_turn",
            type="tertiary",
            icon=":material/add:",
            help=_("A question of the user after an answer; an answer after anything else."),
            on_click=_add_turn,
            args=(all_, item),
        )
        if len(item.shown["messages"]) > 1:
            st.button(
                _("Remove the last turn"),
                key="review_remove_turn",
                type="tertiary",
                icon=":material/remove:",
                on_click=_remove_turn,
                args=(all_, item),
            )


def _add_turn(all_: Seen, item: Item) -> None:
    turns = item.shown["messages"]
    new: Message = {"role": "user" if turns[-1]["role"] == "assistant" else "assistant", "content": ""}
    _keep(all_, item, {**item.shown, "messages": [*turns, new]})


def _remove_turn(all_: Seen, item: Item) -> None:
    _keep(all_, item, {**item.shown, "messages": item.shown["messages"][:-1]})


def _change_text(all_: Seen, item: Item, at: int, widget: str) -> None:
    """A text was left, or Ctrl+Enter pressed: it is kept at once."""
    fresh = all_.item(item.place) if not item.added else item
    turns = [dict(turn) for turn in fresh.shown["messages"]]
    if at >= len(turns):
        return  # somebody took that turn away meanwhile
    turns[at]["content"] = str(st.session_state[widget])
    new: Any = {**fresh.shown, "messages": turns}
    memory: dict[str, tuple[int, int]] = st.session_state.setdefault(_SHOWN, {})
    if item.key in memory:  # our own change: the texts on the page stay the same ones, with what has the focus
        memory[item.key] = (row_hash(new), memory[item.key][1])
    _keep(all_, fresh, new)


def _keep(all_: Seen, item: Item, row: Row) -> None:
    state.decide(all_, item, "edited", row)
    st.query_params[datasets_state.ROW] = str(item.place + 1)  # it stays on the page, whatever is shown


def _actions(all_: Seen, item: Item, before: int | None, after: int | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="review_actions"):
        st.button(
            _("Accept"),
            key="review_accept",
            type="primary",
            icon=":material/check:",
            on_click=_accept,
            args=(all_, item, after),
        )
        st.button(_("Reject"), key="review_reject", icon=":material/close:", on_click=_reject, args=(all_, item, after))
        st.button(
            _("Undo"),
            key="review_undo",
            icon=":material/undo:",
            disabled=not state.can_undo(all_.version) and item.decision.state == "todo",
            help=_("Takes back the last decision of this tab, then the one about this row."),
            on_click=_undo,
            args=(all_, item),
        )
        st.button(
            _("Previous"),
            key="review_previous",
            icon=":material/arrow_back:",
            disabled=before is None,
            on_click=_go,
            args=(before,),
        )
        st.button(
            _("Next"),
            key="review_next",
            icon=":material/arrow_forward:",
            disabled=after is None,
            on_click=_go,
            args=(after,),
        )


def _accept(all_: Seen, item: Item, after: int | None) -> None:
    fresh = all_.item(item.place) if not item.added else item
    if fresh.decision.row is None and not item.added:
        state.decide(all_, fresh, "accepted")
    _on(all_, item, after)


def _reject(all_: Seen, item: Item, after: int | None) -> None:
    state.decide(all_, item, "rejected")
    if item.added and after is not None:
        after -= 1  # it is gone, and what was behind it moves up
    _on(all_, item, after)


def _on(all_: Seen, item: Item, after: int | None) -> None:
    """To the row ``after``; at the end to the first one that is still to do, and where there is none, nowhere."""
    if after is None:
        todo = state.narrowed(state.seen(all_.version), "todo", "", "")
        after = int(todo[0]) if len(todo) else item.place
    _go(after)


def _undo(all_: Seen, item: Item) -> None:
    place = state.take_back(all_)
    if place is None and not item.added and item.decision.state != "todo":
        state.decide(all_, item, "todo", undo=False)
        place = item.place
    if place is not None:
        _go(place)


def _go(place: int | None) -> None:
    if place is None:
        st.query_params.pop(datasets_state.ROW, None)
    else:
        st.query_params[datasets_state.ROW] = str(place + 1)
