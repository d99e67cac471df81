"""The rows of a version: a page at a time, a jump to any of them, a search that never reads more than it may."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from backend.data.rows import Row, parse, split_of
from backend.data.store import image_path
from backend.data.versions import Version, rejected_error
from backend.errors import PanelError
from backend.i18n import _, ngettext
from ui import context, errors
from ui.datasets import row as datasets_row
from ui.datasets import state as datasets_state
from ui.datasets import words as named

PAGE = 10
SEARCH_S = 1.0
"""A search stops after this long and says how far it came; one press goes on from there."""
QUERY, SPLIT, REJECTED = "q", "split", "rejected"


def draw(version: Version) -> None:
    """Draw the controls and the rows that they ask for. The address holds all of it."""
    total = len(version)
    if not total and not version.info.rejected:
        st.caption(_("This version holds no rows."))
        return
    part = _parts(version)
    if part == REJECTED:
        _rejected(version)
        return
    wanted, split = _asked(QUERY), part if part in named.SPLITS else ""
    first = min(max(1, _number(_asked(datasets_state.ROW))), max(1, total))
    _controls(total, first)
    if wanted or split:
        _found(version, first, wanted, split)
    else:
        _page(version, first)


def pictures(name: str) -> Path | None:
    """The file of a picture of a row; None where there is none."""
    try:
        path = image_path(context.workspace(), name)
    except PanelError:
        return None
    return path if path.is_file() else None


def _asked(name: str) -> str:
    return str(st.query_params.get(name, ""))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 1


def _parts(version: Version) -> str:
    """All, one split, or the records that were not taken."""
    info = version.info
    counts = {"all": info.rows, **{split: info.counts.get(split, 0) for split in named.SPLITS}}
    names = {"all": _("All rows"), **{split: named.word(named.SPLITS, split) for split in named.SPLITS}}
    shown = ["all"] if not named.splits(info.counts) else ["all", *[s for s in named.SPLITS if counts[s]]]
    if info.rejected:
        shown.append(REJECTED)
        counts[REJECTED], names[REJECTED] = info.rejected, _("Not taken")
    if len(shown) == 1:
        return "all"
    key = f"datasets_part_{version.info.id}"
    st.session_state[key] = asked if (asked := _asked(SPLIT)) in shown else "all"
    chosen = st.segmented_control(
        _("Which rows"),
        shown,
        key=key,
        required=True,
        format_func=lambda part: f"{names[part]} {counts[part]:,}",
        label_visibility="collapsed",
        on_change=_choose_part,
        args=(key,),
    )
    return chosen or "all"


def _choose_part(key: str) -> None:
    _to(1)
    chosen = str(st.session_state.get(key) or "all")
    if chosen == "all":
        st.query_params.pop(SPLIT, None)
    else:
        st.query_params[SPLIT] = chosen


def _controls(total: int, first: int) -> None:
    """The search, and the jump to a row."""
    st.session_state["datasets_query"] = _asked(QUERY)
    st.session_state["datasets_jump"] = first
    with st.container(horizontal=True, vertical_alignment="bottom", key="datasets_rows_controls"):
        st.text_input(
            _("Search rows"),
            key="datasets_query",
            placeholder=_("Text in a row"),
            icon=":material/search:",
            width=280,
            on_change=_search,
        )
        st.number_input(
            _("Go to row"),
            min_value=1,
            max_value=max(1, total),
            step=PAGE,
            key="datasets_jump",
            width=150,
            on_change=_jump,
        )


def _search() -> None:
    text = str(st.session_state.get("datasets_query") or "").strip()
    if text:
        st.query_params[QUERY] = text
    else:
        st.query_params.pop(QUERY, None)
    _to(1)


def _jump() -> None:
    _to(int(st.session_state.get("datasets_jump") or 1))


def _to(row: int) -> None:
    """Callback: begin with ``row``."""
    if row > 1:
        st.query_params[datasets_state.ROW] = str(row)
    else:
        st.query_params.pop(datasets_state.ROW, None)


def _page(version: Version, first: int) -> None:
    total = len(version)
    rows = version.rows(first - 1, first - 1 + PAGE)
    last = first - 1 + len(rows)
    for number, row in enumerate(rows, first):
        card(row, number, version)
    with st.container(horizontal=True, vertical_alignment="center", key="datasets_paging"):
        _turn(_("First page"), ":material/first_page:", 1, first == 1)
        _turn(_("Previous page"), ":material/arrow_back:", max(1, first - PAGE), first == 1)
        text = _("Rows {first}–{last} of {total}").format(first=f"{first:,}", last=f"{last:,}", total=f"{total:,}")
        st.caption(text, width="content")
        _turn(_("Next page"), ":material/arrow_forward:", last + 1, last >= total)
        _turn(_("Last page"), ":material/last_page:", max(1, total - PAGE + 1), last >= total)


def _turn(label: str, icon: str, row: int, off: bool) -> None:
    st.button(label, key=f"datasets_turn_{icon[10:-1]}", icon=icon, disabled=off, on_click=_to, args=(row,))


def card(row: Row, number: int, version: Version, note: str = "") -> None:
    """One row of ``version`` in a box, under its number and, where there is one, a ``note``."""
    with st.container(border=True, key=f"datasets_row_{number}", gap="xsmall"):
        st.markdown(
            f"**{errors.plain(datasets_row.head(row, number))}**" + (f" · {errors.plain(note)}" if note else "")
        )
        datasets_row.draw(row, key=f"{version.info.id}_{number}", picture=pictures)


@dataclass(frozen=True)
class Found:
    """Rows that a search found, by number from 1, and the last row that it looked at."""

    rows: Sequence[tuple[int, Row]]
    looked: int


def find(
    version: Version, first: int, wanted: str, split: str, *, limit: int = PAGE, seconds: float = SEARCH_S
) -> Found:
    """Rows from ``first`` on (from 1) whose text holds ``wanted`` and that belong to ``split``; either may be empty.

    Stops at ``limit`` rows or after ``seconds``, whichever comes first.
    """
    needle, until = wanted.casefold(), time.monotonic() + seconds
    found: list[tuple[int, Row]] = []
    number = first - 1
    mark = f'"split":"{split}"'.encode() if split and split != "train" else b""
    for number, line in enumerate(version.lines(first - 1), first):
        if not mark or mark in line:
            row = parse(line)
            if (not split or split_of(row) == split) and (not needle or needle in _said(row)):
                found.append((number, row))
        if len(found) >= limit or (number % 256 == 0 and time.monotonic() > until):
            break
    return Found(found, number)


def _said(row: Row) -> str:
    return "\n".join(str(message.get("content") or "") for message in row["messages"]).casefold()


def _found(version: Version, first: int, wanted: str, split: str) -> None:
    total = len(version)
    result = find(version, first, wanted, split)
    for number, row in result.rows:
        card(row, number, version)
    text = ngettext(
        "{n} row found in rows {first} to {last}", "{n} rows found in rows {first} to {last}", len(result.rows)
    )
    said = text.format(n=len(result.rows), first=f"{first:,}", last=f"{result.looked:,}")
    with st.container(horizontal=True, vertical_alignment="center", key="datasets_searching"):
        st.caption(
            said + (" · " + _("all rows were looked at") if first == 1 and result.looked >= total else ""),
            width="content",
        )
        if first > 1:
            st.button(
                _("From the beginning"),
                key="datasets_search_first",
                icon=":material/first_page:",
                on_click=_to,
                args=(1,),
            )
        if result.looked < total:
            st.button(
                _("Search on"),
                key="datasets_search_on",
                icon=":material/arrow_forward:",
                help=_("{n} rows were not looked at yet.").format(n=f"{total - result.looked:,}"),
                on_click=_to,
                args=(result.looked + 1,),
            )


def rejected_words(record: dict[str, Any]) -> str:
    """Which record of the source could not be a row, why, and what helps, as Markdown."""
    message, hint = rejected_error(record).localized()
    number = _("Record {n}").format(n=f"{int(record.get('number') or 0):,}")
    return f":red[:material/error:] **{number}** · {errors.plain(message)} {errors.plain(hint)}"


def _rejected(version: Version) -> None:
    """Records of the source that could not be rows: which, why, what helps, and how they begin."""
    total = version.info.rejected
    first = min(max(1, _number(_asked(datasets_state.ROW))), total)
    st.caption(
        _("These records of the source could not be rows. They are kept as they were read; nothing learns from them.")
    )
    found = version.rejected(first - 1, first - 1 + PAGE)
    for place, record in enumerate(found, first):
        with st.container(border=True, key=f"datasets_rejected_{place}", gap="xsmall"):
            st.markdown(rejected_words(record))
            if record.get("text"):
                st.code(str(record["text"])[:500], language=None, wrap_lines=True)
    last = first - 1 + len(found)
    if total > PAGE:
        with st.container(horizontal=True, vertical_alignment="center", key="datasets_paging"):
            _turn(_("Previous page"), ":material/arrow_back:", max(1, first - PAGE), first == 1)
            text = _("{first}–{last} of {total}").format(first=f"{first:,}", last=f"{last:,}", total=f"{total:,}")
            st.caption(text, width="content")
            _turn(_("Next page"), ":material/arrow_forward:", last + 1, last >= total or not found)
