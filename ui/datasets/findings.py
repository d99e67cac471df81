"""All that the doctor found of one kind: how grave, how many, what it means, which rows, and the tick that has it fixed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.data.doctor import Check, Finding, Report
from backend.data.versions import Version
from backend.i18n import _, ngettext
from ui import errors
from ui.datasets import list as datasets_list
from ui.datasets import rows as datasets_rows
from ui.datasets import state as datasets_state
from ui.datasets import words as named

SHOWN, MORE = 3, 20
"""Findings of one kind that are listed at first, and that come with one press."""
MALFORMED = "malformed"
"""The check whose numbers are records of the source, not rows: a fix does not reach them."""


def box(version: Version, code: str) -> str:
    """The key of the tick that has findings of ``code`` fixed."""
    return f"datasets_fix_{version.info.id}_{code}"


def draw(version: Version, report: Report, check: Check, count: int) -> None:
    """Draw the ``count`` findings of one check; some rows of them are listed, on request more."""
    look = named.SEVERITIES[check.severity]
    title, help_, fix = (errors.plain(text) for text in check.words())
    with st.container(border=True, key=f"datasets_group_{check.code}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            said = f":{look.colour}[{look.icon}] **{title}**"
            if check.fixable:
                st.checkbox(said, key=box(version, check.code), width="content")
            else:
                st.markdown(said, width="content")
            st.markdown(f":{look.colour}-badge[{look.word} · {count:,}]", width="content")
        st.caption(help_ + (f"  \n:material/healing: {fix}" if fix else ""))
        _list(version, check.code, report.of(check.code), count)


def _list(version: Version, code: str, found: Sequence[Finding], count: int) -> None:
    key = f"datasets_shown_{version.info.id}_{code}"
    shown = int(st.session_state.get(key) or SHOWN)
    with st.container(gap="xxsmall", key=f"datasets_findings_{code}"):
        for place, each in enumerate(found[:shown]):
            if each.row is not None and code != MALFORMED:
                _open(version, each, f"datasets_open_{code}_{place}")
            else:
                st.markdown(errors.plain(each.message()))
    if len(found) > shown:
        left = min(MORE, len(found) - shown)
        st.button(
            ngettext("Show {n} more", "Show {n} more", left).format(n=left),
            key=f"datasets_found_more_{code}",
            icon=":material/expand_more:",
            on_click=_more,
            args=(key, shown + MORE),
        )
    elif count > len(found):
        text = _("{n} more are counted and not listed one by one. A fix mends them, too.")
        st.caption(text.format(n=f"{count - len(found):,}"))
    if code == MALFORMED:
        st.button(
            _("Show these records"),
            key="datasets_show_rejected",
            icon=":material/visibility:",
            on_click=_show_rejected,
            args=(version.dataset,),
        )


def _open(version: Version, each: Finding, key: str) -> None:
    """The finding as the way to its row. Not a link: one to the page that it stands on changes nothing."""
    st.button(
        errors.plain(each.message()),
        key=key,
        type="tertiary",
        icon=":material/visibility:",
        wrap=True,
        on_click=datasets_list.open_set,
        args=(version.dataset,),
        kwargs={"version": st.query_params.get(datasets_state.VERSION, ""), "part": "rows", "row": each.row},
    )


def _more(key: str, count: int) -> None:
    st.session_state[key] = count


def _show_rejected(name: str) -> None:
    datasets_list.open_set(name, version=st.query_params.get(datasets_state.VERSION, ""))
    st.query_params[datasets_rows.SPLIT] = datasets_rows.REJECTED
