"""From my chats: what was collected, said, compared and traced becomes rows, with where each of them is from."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend.chat.conversations import Conversations
from backend.compare import votes
from backend.compare.comparisons import Comparisons
from backend.data import from_chat
from backend.data.collected import Collected
from backend.data.from_chat import Sources
from backend.data.rows import Row
from backend.data.store import AT_ONCE_BYTES
from backend.data.versions import VersionInfo
from backend.errors import DataError, PanelError
from backend.i18n import _, ngettext
from ui import context, errors, words
from ui.datasets import make_result as result

MOST = 500
"""Conversations to choose from, the last used first."""
SHOWN = 4
KEY = "chats"


def draw() -> None:
    """Draw the choice at the left, what it becomes at the right, and rows below."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        sources = _sources()
    with right, st.container(border=True, key="make_chats_becomes"):
        st.markdown("**" + _("What it becomes") + "**")
        rows, shown, refused, problem = _looked(sources)
        if sources and not problem:
            text = ngettext("{n} row, each with where it is from", "{n} rows, each with where they are from", rows)
            st.markdown(f":material/forum: {text.format(n=f'**{rows:,}**')}")
            if refused:
                text = ngettext("{n} is left out", "{n} are left out", refused).format(n=refused)
                why = _("Nothing in such a one is a finished answer.")
                st.markdown(f":orange[:material/warning:] {text}. {why}")
        dataset = result.name(_("From my chats"), key=KEY)
        why = problem or ("" if sources else _("Choose something at the left."))
        if sources and not why and not rows:
            why = _("There is no finished answer in what is chosen.")
        result.button(dataset, rows, key=KEY, why=why, make=lambda: _make(dataset, sources))
    if shown:
        st.subheader(_("Some of the rows"), anchor=False)
        a, b = st.columns(2, gap="medium")
        for place, row in enumerate(shown):
            with (a, b)[place % 2]:
                result.preview([row], key=f"chats_{place}")


def _sources() -> Sources:
    workspace = context.workspace()
    collections = [each for each in Collected(workspace).list() if each.rows]
    talks = {each.id: each for each in Conversations(workspace).list(limit=MOST)} if workspace.chat_db.exists() else {}
    judged = votes.count(Comparisons(workspace)) if workspace.compare_db.exists() else 0
    if not (collections or talks or judged):
        st.markdown(
            _("Nothing was said here yet: talk with a model on the Chat page, and its good answers can be taught.")
        )
    chosen: list[str] = []
    if collections:
        counts = {each.name: each.rows for each in collections}
        chosen = st.multiselect(
            _("Collected answers"),
            list(counts),
            key="make_chats_collections",
            default=list(counts)[:1],
            format_func=lambda name: f"{name} · {counts[name]:,}",
            placeholder=_("Choose some"),
            help=_("Answers that you added to a dataset on the Chat page, corrected where that was needed."),
            persist_state="session",
        )
    ids: list[str] = []
    if talks:
        every = st.toggle(
            ngettext("All {n} conversation", "All {n} conversations", len(talks)).format(n=f"{len(talks):,}"),
            key="make_chats_every",
            persist_state="session",
        )
        ids = list(talks) if every else []
        if not every:
            ids = st.multiselect(
                _("Whole conversations"),
                list(talks),
                key="make_chats_talks",
                format_func=lambda id_: f"{talks[id_].title or _('untitled')} · {words.ago(talks[id_].updated)}",
                placeholder=_("Choose some"),
                help=_(
                    "Every answer in them is learned, good or bad: read them first. One that was stopped is not learned."
                ),
                persist_state="session",
            )
    voted = False
    if judged:
        voted = st.toggle(
            ngettext("Winner of {n} comparison", "Winners of {n} comparisons", judged).format(n=f"{judged:,}"),
            key="make_chats_votes",
            help=_("The answer that was found better is learned; the others stand beside it. Ties teach nothing."),
            persist_state="session",
        )
    trace = st.text_input(
        _("Traces of an agent: a file on this server"),
        key="make_chats_traces",
        placeholder="/data/traces.jsonl",
        help=_("JSON Lines as Agent-FLAN has them: conversations with roles, loss flags and tool calls."),
        persist_state="session",
    )
    path = str(trace or "").strip()
    known = [name for name in chosen if name in {each.name for each in collections}]
    return Sources(
        tuple(known), tuple(id_ for id_ in ids if id_ in talks), voted, (Path(path).expanduser(),) if path else ()
    )


def _looked(sources: Sources) -> tuple[int, list[Row], int, str]:
    """How many rows there are, the first few, how many records can be none, and what goes wrong."""
    rows, refused, shown = 0, 0, list[Row]()
    if any(path.is_file() and path.stat().st_size > AT_ONCE_BYTES for path in sources.traces):
        return 0, [], 0, _("This file is large: bring it in under Import, which reads it as a job.")
    try:
        for _number, found, _text in from_chat.items(context.workspace(), sources):
            if isinstance(found, DataError):
                refused += 1
                continue
            rows += 1
            if len(shown) < SHOWN:
                shown.append(found)
    except PanelError as error:
        return 0, [], 0, errors.plain(" ".join(error.localized()))
    return rows, shown, refused, ""


def _make(dataset: str, sources: Sources) -> VersionInfo:
    info = from_chat.make(context.workspace(), dataset, sources)
    result.opened(dataset, info)
    return info
