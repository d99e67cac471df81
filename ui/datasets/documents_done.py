"""What came of asking about documents: how many pairs, how many were refused and why, and the way to review them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.data.documents.checking import REASONS
from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.queue.rows import JobRow
from ui import context, errors, words
from ui.datasets import documents_files as datasets_documents_files
from ui.datasets import list as datasets_list
from ui.datasets import state as datasets_state
from ui.jobs import card as job_card

SHOWN_LEFT_OUT, SHOWN_ANSWERS = 5, 3
ANSWERS = "answers.jsonl"
"""Where the job keeps what the model said; see jobs/documents/record.py."""


def draw(rows: Sequence[JobRow]) -> None:
    """Draw the jobs that ended lately: an account of those that went well, the card of others."""
    for row in rows:
        result = context.store().result(row.id) if row.state == "succeeded" else None
        if result and "pairs" in result:
            _account(row, result)
        else:
            job_card.draw(row, key=f"documents_ended_{row.id}", compact=row.state == "cancelled")
            reasons = (row.error.get("params") or {}).get("reasons")
            if isinstance(reasons, dict):
                with st.container(key=f"documents_why_{row.id}"):
                    _reasons(reasons)
                    _wrote(row)
                    st.button(
                        _("Choose these documents again"),
                        key=f"documents_again_{row.id}",
                        icon=":material/replay:",
                        help=_("With another model, prompt or size of the passages."),
                        on_click=_again,
                        args=(row.id,),
                    )


def _wrote(row: JobRow) -> None:
    """The first answers of a model of whose answers nothing could be kept, as it wrote them."""
    try:
        with (context.store().job_dir(row.id) / ANSWERS).open(encoding="utf-8") as file:
            said = [str(json.loads(line).get("said", "")) for line in itertools.islice(file, SHOWN_ANSWERS)]
    except (OSError, ValueError):
        return  # it was deleted just now
    with st.expander(
        _("What it wrote, word for word"), icon=":material/article:", key=f"documents_wrote_{row.id}", type="compact"
    ):
        for text in said:
            st.code(text[:2000] or " ", language=None, wrap_lines=True)


def _account(row: JobRow, result: Mapping[str, Any]) -> None:
    name, kept, refused = str(result["dataset"]), int(result["pairs"]), int(result["refused"])
    with st.container(border=True, key=f"documents_done_{row.id}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{errors.plain(row.title)}**", width="content")
            st.markdown(words.look(row).chip, width="content")
        st.caption(job_card.facts(row), help=words.stamp(row.ended))
        pairs = ngettext("{n} pair is in '{name}'", "{n} pairs are in '{name}'", kept).format(n=f"{kept:,}", name=name)
        passages = ngettext("{n} passage", "{n} passages", int(result["chunks"])).format(n=f"{int(result['chunks']):,}")
        st.markdown(f":green[:material/check_circle:] **{errors.plain(pairs)}** · {passages}")
        _reasons(result.get("reasons") or {}, refused)
        _left_out(result.get("left_out") or [])
        with st.container(horizontal=True):
            for part, label, icon in (
                ("review", _("Review the pairs"), ":material/rate_review:"),
                ("rows", _("Open {name}").format(name=errors.plain(name)), ":material/dataset:"),
            ):
                st.button(
                    label,
                    key=f"documents_{part}_{row.id}",
                    icon=icon,
                    type="primary" if part == "review" else "secondary",
                    on_click=_open,
                    args=(name, part),
                    disabled=not datasets_state.sets().exists(name),
                )


def _reasons(reasons: Mapping[str, int], refused: int | None = None) -> None:
    """Why pairs were refused, the most frequent reason first."""
    total = sum(reasons.values()) if refused is None else refused
    if not total:
        return
    text = ngettext("{n} was refused:", "{n} were refused:", total).format(n=f"{total:,}")
    lines = [f"- {count:,} × {errors.plain(_(REASONS.get(code, code)))}" for code, count in reasons.items()]
    st.markdown("\n".join([f":orange[:material/block:] {text}", "", *lines]))


def _left_out(files: Sequence[Mapping[str, Any]]) -> None:
    for each in files[:SHOWN_LEFT_OUT]:
        message, _hint = PanelError.from_dict(dict(each["error"])).localized()
        st.markdown(":orange[:material/warning:] " + errors.plain(_("Left out: {reason}").format(reason=message)))
    if len(files) > SHOWN_LEFT_OUT:
        st.caption(_("{n} more are not shown here.").format(n=len(files) - SHOWN_LEFT_OUT))


def _open(name: str, part: str) -> None:
    """Callback: the set, at the view ``part``."""
    datasets_list.open_set(name, part="" if part == "rows" else part)


def _again(job: int) -> None:
    """Callback: the documents of ``job`` are chosen, and the form asks the rest anew."""
    with datasets_state.problems():
        st.query_params[datasets_documents_files.DOCUMENT] = list(context.store().spec(job).get("files") or [])
