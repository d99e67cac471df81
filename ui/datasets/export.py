"""Export: a version as other tools read it; what their format cannot hold is said before anything is written."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import streamlit as st

from backend.data import export as exporting
from backend.data import schemas
from backend.data.rows import SPLITS
from backend.data.store import AT_ONCE_BYTES, image_path
from backend.data.versions import Version
from backend.i18n import _
from ui import context, errors
from ui.datasets import jobs as datasets_jobs
from ui.datasets import state as datasets_state
from ui.datasets import words as named

JOBS = ("export_data",)
LOOKED_AT = 2_000
"""Rows that are looked at to tell what a format cannot hold, before anything is written."""


def draw(version: Version) -> None:
    """Draw the choices, what will happen, and the buttons; below, what was written lately."""
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch", key="datasets_export_choice"):
        to, container, split = _choices(version)
    with right, st.container(border=True, height="stretch", key="datasets_export_plan"):
        _plan(version, to, container, split)
    datasets_jobs.draw(JOBS, version.dataset, "datasets_exports")


def _choices(version: Version) -> tuple[str, str, str]:
    known = list(schemas.NAMES)
    first = version.info.schema if version.info.schema in known else "openai"
    to = st.selectbox(
        _("Format of the rows"),
        known,
        index=known.index(first),
        key="datasets_export_to",
        format_func=named.format_word,
        help=_("What the program that reads them expects."),
        filter_mode=None,
        persist_state="session",
    )
    kinds = list(exporting.CONTAINERS)
    container = st.selectbox(
        _("Kind of file"),
        kinds,
        index=kinds.index(exporting.USUAL[to]),
        key=f"datasets_export_container_{to}",
        format_func=named.kind_word,
        help=_("First comes the one in which other programs expect this format."),
        filter_mode=None,
        persist_state="session",
    )
    there = [split for split in SPLITS if version.info.counts.get(split)]
    split = ""
    if len(there) > 1:
        split = (
            st.segmented_control(
                _("Which rows"),
                ["", *there],
                key=f"datasets_export_split_{version.info.id}",
                default="",
                required=True,
                format_func=lambda name: named.word(named.SPLITS, name) if name else _("all"),
            )
            or ""
        )
    return to, container, split


def _plan(version: Version, to: str, container: str, split: str) -> None:
    count = version.info.counts.get(split, 0) if split else len(version)
    st.markdown(f"**{named.rows(count)}** · {errors.plain(_name(version, to, container, split))}")
    lost, pictures, looked = _losses(version.dataset, str(version.folder), to)
    for code, n in sorted(lost.items(), key=lambda item: -item[1]):
        said = exporting.note_text(code, n)
        st.markdown(f":orange[:material/warning:] {errors.plain(said)}")
    if not lost:
        st.markdown(":green[:material/check_circle:] " + _("This format holds all that is in these rows."))
    if looked < len(version):
        st.caption(_("Looked at: the first {n} rows.").format(n=f"{looked:,}"))
    small = version.info.bytes <= AT_ONCE_BYTES
    file = small and not pictures and container != "hf"
    with st.container(horizontal=True, vertical_alignment="center"):
        if file:
            st.download_button(
                _("Download file"),
                lambda: _bytes(version, to, container, split),
                _name(version, to, container, split),
                "application/octet-stream",
                key="datasets_export_download",
                type="primary",
                icon=":material/download:",
                on_click="ignore",
            )
        pressed = st.button(
            _("Write it on this server"),
            key="datasets_export_write",
            type="secondary" if file else "primary",
            icon=":material/save:",
            help=_("For programs that run here, such as a training. The folder: {folder}").format(
                folder=errors.plain(str(context.workspace().exports))
            ),
        )
    if pictures:
        st.caption(_("The pictures go into a folder beside the file, so it is written on the server."))
    if not small:
        st.caption(_("It runs as a job: close this page, and it goes on."))
    if pressed:
        _write(version, to, container, split, small)
    written = _target(version, to, container, split)
    if written.exists():
        st.caption(":green[:material/check_circle:] " + _("It is on this server:"))
        st.code(str(written), language=None, wrap_lines=True)


def _name(version: Version, to: str, container: str, split: str) -> str:
    plain = "".join(c if c.isalnum() or c in "-_. " else "-" for c in version.dataset).strip(" .-") or "dataset"
    parts = [plain, version.info.id[:6], to, split]
    return "-".join(filter(None, parts)) + exporting.CONTAINERS[container][1]


def _target(version: Version, to: str, container: str, split: str) -> Path:
    return context.workspace().exports / _name(version, to, container, split)


def _write(version: Version, to: str, container: str, split: str, small: bool) -> None:
    target = _target(version, to, container, split)
    with datasets_state.problems():
        if small:
            with st.spinner(_("Writing the rows …"), show_time=True):
                done = _export(version, target, to, container, split)
            datasets_state.say(_("{rows} are written.").format(rows=named.rows(done.rows)))
        else:
            values = {"dataset": version.dataset, "version": version.info.id, "to": to, "container": container}
            values |= {"split": split, "path": str(target)}
            row = datasets_jobs.submit("export_data", values, version.dataset)
            datasets_state.say(_("Job {job} writes the rows.").format(job=row.id))
    st.rerun()


def _export(version: Version, target: Path, to: str, container: str, split: str) -> exporting.Exported:
    target.parent.mkdir(parents=True, exist_ok=True)

    def picture(reference: str) -> Path:
        return image_path(context.workspace(), reference)

    return exporting.export(iter(version), target, to, container=container, split=split or None, pictures=picture)


def _bytes(version: Version, to: str, container: str, split: str) -> bytes:
    """The file for the browser; nothing of it stays on the server."""
    folder = context.workspace().uploads / f"download-{os.urandom(6).hex()}"
    try:
        target = folder / _name(version, to, container, split)
        _export(version, target, to, container, split)
        return target.read_bytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@st.cache_data(show_spinner=False, max_entries=64)
def _losses(dataset: str, folder: str, to: str) -> tuple[dict[str, int], bool, int]:
    """(code -> rows that the format cannot hold whole, whether there are pictures, rows that were looked at).

    A version never changes, so this is counted once.
    """
    rows = datasets_state.sets().open(dataset, Path(folder).name).rows(0, LOOKED_AT)
    lost = Counter(code for row in rows for code in schemas.losses(row, to))
    return dict(lost), any(message.get("images") for row in rows for message in row["messages"]), len(rows)
