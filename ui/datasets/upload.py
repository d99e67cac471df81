"""A file on its way into a dataset: from the browser into a folder of the workspace, or named by its path on this server."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import streamlit as st

from backend.i18n import _
from backend.workspace import explain_os_error
from ui import context
from ui.datasets import jobs as datasets_jobs
from ui.datasets import state as datasets_state

UPLOAD_MIB = 50
"""The browser's file is held in this server's memory while it is on its way, and a tunnel is slow."""
KEPT_S = 24 * 3600
"""An upload that nobody imported is removed after this time."""
BEING_MADE_S = 60
"""A folder may be empty this long: another session is just about to write into it."""
PATH = "path"
"""The address's parameter with the file, folder or archive that is looked at."""


def draw() -> None:
    """Draw the two ways in; what is chosen goes into the address, so that a reload looks at the same."""
    sweep()
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch", key="datasets_upload_box"):
        st.subheader(_("From your computer"), anchor=False)
        _uploader()
        st.caption(
            _(
                "Up to {n} MB pass through the browser. Copy larger files to this server and name their path. "
                "Put a file and its pictures together into a zip archive."
            ).format(n=UPLOAD_MIB)
        )
    with right, st.container(border=True, height="stretch", key="datasets_path_box"):
        st.subheader(_("From this server"), anchor=False)
        with st.form("datasets_path", border=False):
            st.text_input(
                _("File or folder on this server"),
                key="datasets_import_path",
                placeholder="/data/rows/train.jsonl",
                help=_("A file, a folder with such files, or an archive. It is only read: nothing there is changed."),
            )
            st.form_submit_button(_("Look at it"), icon=":material/search:", type="primary", on_click=_named)
    st.caption(
        ":material/info: "
        + _(
            "Read are JSON, JSON Lines, CSV, TSV, Excel, Parquet and Arrow, folders of them, Hugging Face datasets folders, "
            "zip and gz; rows of XTuner, Alpaca, ShareGPT, OpenAI, Agent-FLAN, LLaVA, or any table."
        )
    )


def chosen() -> str:
    """The path that is looked at; empty: none yet. No name of a file holds a NUL, and every look at one would fail with it."""
    return str(st.query_params.get(PATH, "")).replace("\0", "")


def is_upload(path: str | Path) -> bool:
    """Whether ``path`` is a copy that came through the browser, and so is removed after its import.

    It comes out of the address: ``..`` and links in it must not make another file look like an upload.
    """
    return Path(path).resolve().parent.parent == context.workspace().uploads.resolve()


def remove(path: str | Path) -> None:
    """Remove an uploaded copy with its folder; nothing else is ever touched."""
    if is_upload(path):
        shutil.rmtree(Path(path).resolve().parent, ignore_errors=True)


def sweep() -> None:
    """Remove uploads that nobody imported within a day, and folders whose file an import has removed."""
    needed = {str(context.store().spec(row.id).get("path", "")) for row in datasets_jobs.of(("import_data",), None)}
    try:
        folders = [folder for folder in context.workspace().uploads.iterdir() if folder.is_dir()]
    except OSError:
        return  # nothing was ever uploaded
    for folder in folders:
        try:
            files = [str(path) for path in folder.iterdir()]
            age = time.time() - folder.stat().st_mtime
        except OSError:
            continue  # another session removed it just now
        if needed.isdisjoint(files) and (age > KEPT_S or (not files and age > BEING_MADE_S)):
            shutil.rmtree(folder, ignore_errors=True)


def another() -> None:
    """Callback: away from the file that is looked at; an upload is removed."""
    remove(chosen())
    st.query_params.from_dict({"view": "import"})


def _uploader() -> None:
    count = int(st.session_state.get("datasets_uploads") or 0)
    file = st.file_uploader(_("File"), key=f"datasets_file_{count}", max_upload_size=UPLOAD_MIB)
    if file is None:
        return
    with datasets_state.problems():
        path = keep(file.name, file.getbuffer())
        st.query_params[PATH] = str(path)
    # Another key: the browser's file leaves the memory.
    st.session_state["datasets_uploads"] = count + 1
    st.rerun()


def keep(name: str, data: memoryview) -> Path:
    """The upload as a file of its own folder, where no other file lies beside it.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    plain = "".join(c for c in Path(name.replace("\\", "/")).name if c.isprintable()).lstrip(".")[-80:] or "upload"
    folder = context.workspace().uploads / os.urandom(6).hex()
    try:
        folder.mkdir(mode=0o700, parents=True)
        (folder / plain).write_bytes(data)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise explain_os_error(error, folder) from error
    return folder / plain


def _named() -> None:
    """Callback of the form: look at the path that was typed."""
    path = str(st.session_state.get("datasets_import_path") or "").strip()
    if path:
        st.query_params[PATH] = path
