"""The rows under review as a table in which one writes: a page at a time, changes kept as they are made, rows added and removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import streamlit as st

from backend.data.rows import SPLITS, Message, Row, split_of
from backend.data.traits import with_meta
from backend.i18n import _
from ui.datasets import review_state as state
from ui.datasets import state as datasets_state
from ui.datasets import words as named
from ui.datasets.review_state import Item, Places, Seen

PAGES = (25, 50, 100)
_BASE, _PAGE, _COUNT, _NEW = "review_table_base", "review_table_page", "review_table_rows", "review_new"
_STEADY = "review_table_places"
COLUMNS = ("part", "system", "question", "answer")
"""What can be written in the table; the texts of a longer conversation are those of its last exchange."""


def draw(all_: Seen, shown: Places) -> None:
    """Draw one page of ``shown`` and what leads to the others; below it the form for a new row."""
    shown = _steady(all_, shown)
    size = int(st.session_state.get(_COUNT) or PAGES[0])
    pages = max(1, -(-len(shown) // size))
    page = min(int(st.session_state.get(_PAGE) or 1), pages)
    if len(shown):
        _table(all_, shown[(page - 1) * size : page * size])
        _paging(page, pages, len(shown))
    elif len(all_):
        st.caption(_("No row is like that. Change what is shown."))
    _new_row(all_)


def _steady(all_: Seen, shown: Places) -> Places:
    """The rows that were asked for when the filters were set: a row that is edited stays in its place, although it is no longer
    one that is to do, and none is passed over on the next page."""
    asked = [st.session_state.get(name) for name in ("review_state", "review_finding", "review_text")]
    signature = (all_.version.info.id, *asked, len(all_.added))
    known: tuple[Any, Places] | None = st.session_state.get(_STEADY)
    if known is None or known[0] != signature:
        st.session_state[_STEADY] = known = (signature, shown)
    return known[1]


def _table(all_: Seen, places: Places) -> None:
    """The editor starts from the rows as they were when this page was opened: what is written in it, it keeps by itself, and
    we keep it on the disk. So nothing jumps while one writes, and a reload shows the same."""
    signature = (st.session_state[_STEADY][0], tuple(places.tolist()))
    base: tuple[Any, list[Item], int] | None = st.session_state.get(_BASE)
    if base is None or base[0] != signature:
        items = [item for item in all_.items(places) if item.decision.state != "rejected" or _wants_rejected()]
        base = (signature, items, (base[2] + 1) if base else 1)
        st.session_state[_BASE] = base
    items = base[1]
    key = f"review_table_{base[2]}"
    st.data_editor(
        [_cells(item) for item in items],
        key=key,
        hide_index=True,
        num_rows="delete",
        height=min(620, 38 + 35 * (len(items) + 1)),
        column_order=["row", "state", *COLUMNS, "turns"],
        column_config={
            "row": st.column_config.TextColumn(_("Row"), disabled=True, width=50, pinned=True),
            "state": st.column_config.TextColumn(_("Review"), disabled=True, width=80),
            "part": st.column_config.SelectboxColumn(
                _("Part"), options=list(SPLITS), required=True, width=90, format_func=_part
            ),
            "system": st.column_config.TextColumn(_("System prompt"), width=105),
            "question": st.column_config.TextColumn(_("Question"), width=235),
            "answer": st.column_config.TextColumn(_("Answer"), width=275),
            "turns": st.column_config.NumberColumn(_("Turns"), disabled=True, width=60),
        },
        on_change=_changed,
        args=(all_, items, key),
    )
    st.caption(
        _(
            "Double-click a cell to write in it; it is kept at once. Choose rows at the left and press Delete to reject them. "
            "Of a longer conversation the last question and answer are shown."
        )
    )


def _wants_rejected() -> bool:
    return st.session_state.get("review_state") == "rejected"


def _part(part: object) -> str:
    return named.word(named.SPLITS, str(part))


def _cells(item: Item) -> dict[str, Any]:
    turns = item.shown["messages"]
    return {
        "row": f"{item.place + 1:,}" if not item.added else "+",
        "state": state.LOOKS[item.decision.state].word,
        "part": split_of(item.shown),
        "system": next((turn["content"] for turn in turns if turn["role"] == "system"), ""),
        "question": _last(turns, "user"),
        "answer": _last(turns, "assistant"),
        "turns": len(turns),
    }


def _last(turns: Sequence[Message], role: str) -> str:
    return next((turn["content"] for turn in reversed(turns) if turn["role"] == role), "")


def _changed(all_: Seen, items: list[Item], key: str) -> None:
    """Callback: keep what was written or removed. The editor tells all of it each time; what was kept before is not kept again,
    or it would undo what somebody else decided since."""
    told: Any = st.session_state[key]
    kept: dict[int, Row | None] = st.session_state.setdefault(f"{key}_kept", {})
    wanted: dict[int, Row | None] = {
        int(place): with_cells(items[int(place)].shown, cells) for place, cells in dict(told["edited_rows"]).items()
    }
    wanted |= dict.fromkeys(told["deleted_rows"])
    for place, row in wanted.items():
        if place in kept and kept[place] == row:
            continue
        kept[place] = row
        state.decide(all_, items[place], "edited" if row is not None else "rejected", row)


def with_cells(row: Row, cells: dict[str, Any]) -> Row:
    """``row`` with what was written in the table."""
    turns: list[Message] = [cast("Message", dict(turn)) for turn in row["messages"]]
    for role, column in (("system", "system"), ("user", "question"), ("assistant", "answer")):
        if column in cells:
            _write(turns, role, str(cells[column] or ""))
    new: Row = {**row, "messages": turns}
    return with_meta(new, "split", cells["part"]) if cells.get("part") in SPLITS else new


def _write(turns: list[Message], role: str, text: str) -> None:
    at = next((at for at in reversed(range(len(turns))) if turns[at]["role"] == role), None)
    if role == "system":
        at = next((at for at, turn in enumerate(turns) if turn["role"] == "system"), None)
        if at is not None and not text and len(turns) > 1:
            del turns[at]
            return
    if at is not None:
        turns[at]["content"] = text
    elif text:
        new = cast("Message", {"role": role, "content": text})
        turns.insert(
            {"system": 0, "assistant": len(turns)}.get(role, sum(turn["role"] == "system" for turn in turns)), new
        )


def _paging(page: int, pages: int, total: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="review_table_paging"):
        _turn(_("Earlier"), ":material/arrow_back:", page - 1, page <= 1)
        st.caption(
            _("Page {page} of {pages}, {n} rows").format(page=f"{page:,}", pages=f"{pages:,}", n=f"{total:,}"),
            width="content",
        )
        _turn(_("Later"), ":material/arrow_forward:", page + 1, page >= pages)
        if total > PAGES[0]:
            st.selectbox(
                _("Rows on a page"),
                PAGES,
                key=_COUNT,
                width=110,
                label_visibility="collapsed",
                filter_mode=None,
                persist_state="session",
            )


def _turn(label: str, icon: str, page: int, off: bool) -> None:
    st.button(label, key=f"review_table_{icon[10:-1]}", icon=icon, disabled=off, on_click=_to, args=(page,))


def _to(page: int) -> None:
    st.session_state[_PAGE] = page


def _new_row(all_: Seen) -> None:
    with (
        st.expander(_("Write a row"), icon=":material/add:", expanded=not len(all_.version)),
        st.form("review_new", border=False),
    ):
        st.text_area(_("System prompt (optional)"), key=f"{_NEW}_system", height=68)
        st.text_area(_("Question"), key=f"{_NEW}_question", height=90)
        st.text_area(_("Answer"), key=f"{_NEW}_answer", height=120)
        st.selectbox(_("Part"), SPLITS, key=f"{_NEW}_part", format_func=_part, width=160, filter_mode=None)
        st.form_submit_button(_("Add the row"), icon=":material/add:", on_click=_add, args=(all_,))
        if st.session_state.pop(f"{_NEW}_incomplete", False):
            st.warning(_("A row needs a question and an answer."), icon=":material/warning:")


def _add(all_: Seen) -> None:
    """Callback: keep the row that was written, and make room for the next one."""
    system, question, answer = (str(st.session_state[f"{_NEW}_{name}"]) for name in ("system", "question", "answer"))
    if not question.strip() or not answer.strip():
        st.session_state[f"{_NEW}_incomplete"] = True
        return
    turns: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
    turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    with datasets_state.problems():
        all_.review.add(with_meta({"messages": turns}, "split", st.session_state[f"{_NEW}_part"]))
        for name in ("question", "answer"):  # the system prompt is likely to be the same for the next one
            st.session_state[f"{_NEW}_{name}"] = ""
        st.session_state[_PAGE] = 10**9  # the last page, where it stands now
