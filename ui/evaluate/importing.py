"""Past results brought in: an output folder of OpenCompass, a summary, results of lm-eval. Shown as they were read before anything is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.evaluate import imports
from backend.evaluate.imports import Imported
from backend.i18n import N_, _, ngettext
from ui import errors
from ui.datasets import upload as datasets_upload
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import links as evaluate_links
from ui.evaluate import look as evaluate_look
from ui.evaluate import state as evaluate_state
from ui.evaluate import table as evaluate_table

UPLOAD_MIB = 50
WAYS = {"path": N_("From this server"), "upload": N_("From your computer"), "paste": N_("Paste a table")}
ENDINGS = ["zip", "csv", "txt", "json"]
PASTED = "summary.txt"
SHOWN = 8
"""Runs of one import whose table is shown; a folder of fifty models is kept all the same."""
_PATH, _READ, _PROBLEM, _UPLOADS = (f"evaluate_import_{name}" for name in ("path", "read", "problem", "uploads"))


def draw() -> None:
    """Draw the fold."""
    looked = str(st.session_state.get(_PATH) or "")
    fold = st.expander(
        _("Bring in past results"),
        expanded=bool(looked),
        icon=":material/move_to_inbox:",
        key="evaluate_import",
        on_change="rerun",
    )
    if not (fold.open or looked):
        return
    with fold:
        problem: dict[str, Any] | None = st.session_state.get(_PROBLEM)
        if problem:
            errors.show(problem, key="evaluate_import")
        found = _found(looked) if looked else []
        if found:
            _look(looked, found)
        else:
            _ways()


def _ways() -> None:
    st.caption(
        _(
            "An output folder of OpenCompass (whole, half-finished, or one time of it), its summary as .csv or .txt, or the results of lm-evaluation-harness. "
            "Nothing is kept before you have seen what was read."
        )
    )
    way = st.segmented_control(
        _("Where it is"),
        list(WAYS),
        key="evaluate_import_way",
        default="path",
        required=True,
        format_func=lambda name: _(WAYS[name]),
        label_visibility="collapsed",
    )
    if way == "upload":
        _upload()
    elif way == "paste":
        with st.form("evaluate_import_paste", border=False):
            st.text_area(
                _("The table, as OpenCompass printed it"),
                key="evaluate_import_text",
                height=180,
                placeholder="dataset    version    metric    mode    my-model\n---------  ---------  --------  ------  ----------",
            )
            st.form_submit_button(_("Look at it"), icon=":material/search:", type="primary", on_click=_pasted)
    else:
        with st.form("evaluate_import_path_form", border=False):
            st.text_input(
                _("File or folder on this server"),
                key="evaluate_import_where",
                placeholder="/data/opencompass/outputs/default/20261120_101500",
                help=_("It is only read: nothing there is changed."),
            )
            st.form_submit_button(_("Look at it"), icon=":material/search:", type="primary", on_click=_named)


def _upload() -> None:
    count = int(st.session_state.get(_UPLOADS) or 0)
    file = st.file_uploader(
        _("A zip of an output folder, or a summary file"),
        ENDINGS,
        key=f"evaluate_import_file_{count}",
        max_upload_size=UPLOAD_MIB,
    )
    if file is None:
        return
    st.session_state[_UPLOADS] = count + 1  # another key: the browser's file leaves the memory
    try:
        _look_at(str(datasets_upload.keep(file.name, file.getbuffer())))
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
    st.rerun()


def _named() -> None:
    """Callback: look at the path that was typed."""
    _look_at(str(st.session_state.get("evaluate_import_where") or "").strip())


def _pasted() -> None:
    """Callback: look at the text that was pasted, as a file."""
    text = str(st.session_state.get("evaluate_import_text") or "")
    if not text.strip():
        return
    try:
        _look_at(str(datasets_upload.keep(PASTED, memoryview(text.encode("utf-8", "replace")))))
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def _look_at(path: str) -> None:
    for name in (_PROBLEM, _READ):
        st.session_state.pop(name, None)
    if path:
        st.session_state[_PATH] = path


def _found(path: str) -> list[Imported]:
    """What was read of ``path``, once; nothing where it cannot be read, which is then told."""
    known = st.session_state.get(_READ)
    if isinstance(known, tuple) and known[0] == path:
        found: list[Imported] = known[1]
        return found
    try:
        with st.spinner(_("Reading …")):
            found = imports.read(Path(path).expanduser())
    except PanelError as error:
        _away()
        st.session_state[_PROBLEM] = error.to_dict()
        errors.show(error, key="evaluate_import")
        return []
    st.session_state[_READ] = (path, found)
    return found


def _look(path: str, found: Sequence[Imported]) -> None:
    """What would be kept: each run with its table, cells without a number with their cause."""
    runs = ngettext("{n} run was read.", "{n} runs were read.", len(found)).format(n=len(found))
    st.markdown(":material/task_alt: **" + runs + "**")
    if not datasets_upload.is_upload(path):
        st.caption(errors.plain(path))
    for each in found[:SHOWN]:
        _one(each)
    if len(found) > SHOWN:
        st.caption(_("And {n} more.").format(n=len(found) - SHOWN))
    with st.container(horizontal=True):
        label = _("Keep this run") if len(found) == 1 else _("Keep these {n} runs").format(n=len(found))
        st.button(label, key="evaluate_import_keep", type="primary", icon=":material/check:", on_click=_keep)
        st.button(_("Look at something else"), key="evaluate_import_away", icon=":material/close:", on_click=_away)


def _one(each: Imported) -> None:
    rows = evaluate_kept.with_averages(each.run, each.scores)
    single = [score for score in each.scores if not score.group]
    headline = evaluate_figures.headline(each.scores)
    facts = [
        errors.plain(each.run.model),
        evaluate_look.evaluator(each.run.evaluator),
        ngettext("{n} subject", "{n} subjects", len(single)).format(n=len(single)),
        ngettext("{n} answer", "{n} answers", len(each.answers)).format(n=f"{len(each.answers):,}")
        if each.answers
        else "",
        _("mean {score}").format(score=headline.said()) if headline.share is not None else "",
    ]
    st.markdown(f"**{errors.plain(evaluate_look.title(each.run))}** · " + " · ".join(filter(None, facts)))
    missing = sum(score.value is None for score in single)
    if missing:
        text = ngettext("{n} subject has no score; its cause stands beside it.", "{n} subjects have no score; their cause stands beside them.", missing)  # fmt: skip
        st.markdown(":orange[:material/warning:] " + text.format(n=missing))
    name = evaluate_state.key_of(f"{each.run.name} {each.run.model} {each.run.path}")
    with st.container(height=340 if len(rows) > 9 else "content", border=True, key=f"evaluate_import_{name}"):
        st.html(evaluate_table.html(rows, {}))


def _keep() -> None:
    """Callback: keep what was read; what is there already is said and not doubled."""
    path, found = st.session_state.get(_READ) or ("", [])
    uploaded = datasets_upload.is_upload(path)
    with evaluate_state.problems():
        # The copy that came through the browser is removed: only its name says where a run comes from.
        named = [replace(each, run=replace(each.run, path=Path(path).name)) if uploaded else each for each in found]
        kept = imports.keep(evaluate_kept.store(), named)
        _away()
        new = [each.run for each in kept if each.new]
        said = ngettext("{n} run was kept.", "{n} runs were kept.", len(new)).format(n=len(new)) if new else ""
        known = len(kept) - len(new)
        if known:
            text = ngettext("{n} run was here already and is not doubled.", "{n} runs were here already and are not doubled.", known)  # fmt: skip
            said = " ".join(filter(None, (said, text.format(n=known))))
        evaluate_state.say(said)
        if len({each.run for each in kept}) == 1:
            evaluate_state.go(evaluate_links.address(kept[0].run))


def _away() -> None:
    """Callback: forget what was looked at."""
    path = str(st.session_state.pop(_PATH, "") or "")
    for name in (_READ, _PROBLEM):
        st.session_state.pop(name, None)
    if path and datasets_upload.is_upload(path):
        datasets_upload.remove(path)
