"""The documents that questions are asked about: uploaded or named by their path, and their passages to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from backend.data import documents
from backend.data.documents import Chunk, preview, uploads
from backend.data.documents.preview import Count, Look
from backend.errors import PanelError
from backend.i18n import N_, _, ngettext
from ui import context, errors, words
from ui.datasets import state as datasets_state

DOCUMENT = "document"
"""The address's parameter, once for each file or folder: a reload looks at the same."""
UPLOAD_MIB = 50
LOOKED_AT = 8
"""Of many documents, so many are read for the preview; the others count by their size."""
KINDS = {
    "pdf": N_("PDF"),
    "docx": N_("Word"),
    "markdown": N_("Markdown"),
    "html": N_("web page"),
    "text": N_("plain text"),
}


def chosen() -> list[str]:
    """The paths in the address, each once."""
    return list(dict.fromkeys(st.query_params.get_all(DOCUMENT)))


def ask(*, narrow: bool = False) -> None:
    """Draw the two ways in; ``narrow``: one below the other."""
    if not st.session_state.get("documents_swept"):
        st.session_state["documents_swept"] = True  # once a session: it reads the spec of each job
        needed = {path for row in context.store().list(verb="ask_documents", limit=500) for path in _files_of(row.id)}
        uploads.sweep(context.workspace(), needed)
    left, right = (st.container(), st.container()) if narrow else st.columns(2, gap="medium")
    with left, st.container(border=not narrow, height="content" if narrow else "stretch", key="documents_upload_box"):
        st.subheader(_("From your computer"), anchor=False)
        _uploader()
        st.caption(_("PDF, Word, Markdown, HTML and plain text, up to {n} MB each.").format(n=UPLOAD_MIB))
    with right, st.container(border=not narrow, height="content" if narrow else "stretch", key="documents_path_box"):
        st.subheader(_("From this server"), anchor=False)
        with st.form("documents_path", border=False):
            st.text_input(
                _("File or folder on this server"),
                key="documents_path_text",
                placeholder="/data/handbook.pdf",
                help=_("Of a folder, all documents in it and below it. They are only read."),
            )
            st.form_submit_button(_("Add these documents"), icon=":material/add:", on_click=_named)


def _files_of(job: int) -> list[str]:
    try:
        return list(context.store().spec(job).get("files") or [])
    except PanelError:
        return []  # it was deleted just now


def _uploader() -> None:
    count = int(st.session_state.get("documents_uploads") or 0)
    files = st.file_uploader(
        _("Documents"),
        type=list(documents.TYPES),
        accept_multiple_files=True,
        key=f"documents_files_{count}",
        max_upload_size=UPLOAD_MIB,
    )
    if not files:
        return
    with datasets_state.problems():
        kept = [str(uploads.keep(context.workspace(), file.name, file.getbuffer())) for file in files]
        _set([*chosen(), *kept])
    # Another key: the browser's files leave the memory.
    st.session_state["documents_uploads"] = count + 1
    st.rerun()


def _named() -> None:
    """Callback of the form: what was typed is looked for at once, so that a wrong path is told beside its field."""
    path = str(st.session_state.get("documents_path_text") or "").strip()
    if not path:
        return
    with datasets_state.problems():
        documents.gather([path])
        _set([*chosen(), path])
        st.session_state["documents_path_text"] = ""


def _set(paths: Sequence[str]) -> None:
    st.query_params[DOCUMENT] = list(dict.fromkeys(paths))


def _without(path: str) -> None:
    """Callback: leave ``path`` out."""
    rest = [each for each in chosen() if each != path]
    if rest:
        _set(rest)
    else:
        st.query_params.pop(DOCUMENT, None)


def draw(paths: Sequence[str], size: int, overlap: int) -> tuple[list[Look], Count]:
    """Draw the documents with what is to be known of each; returns what was seen, and how many passages there are.

    Raises:
        DataError: a path is not there any more, or there are too many.
    """
    files = documents.gather(paths)
    with st.spinner(_("Reading the documents …"), show_time=True):
        looks = [_look(str(path), path.stat().st_mtime_ns, size, overlap) for path in files[:LOOKED_AT]]
    by_path = {each.path: each for each in looks}
    for path in paths:
        below = sum(file.is_relative_to(Path(path).expanduser()) for file in files)
        _line(path, by_path.get(str(Path(path).expanduser())), below)
    for each in looks:
        if each.path not in paths and (each.problem or each.notices):
            _line(each.path, each, removable=False)
    if len(files) > LOOKED_AT:
        st.caption(_("{n} of {total} documents were looked at.").format(n=LOOKED_AT, total=f"{len(files):,}"))
    with st.expander(_("Add more documents"), icon=":material/add:", key="documents_more"):
        ask(narrow=True)
    return looks, preview.count(looks, files[LOOKED_AT:])


@st.cache_data(max_entries=64, show_spinner=False)
def _look(path: str, changed_ns: int, size: int, overlap: int) -> Look:
    return preview.look(path, size, overlap)


def _line(path: str, look: Look | None, below: int = 0, *, removable: bool = True) -> None:
    key = datasets_state.key_of(path)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"documents_line_{key}"):
        name = Path(path).name or path
        st.markdown(
            f":material/{'description' if look else 'folder'}: **{errors.plain(name)}**",
            width="content",
            help=_where(path),
        )
        if look is not None and look.problem is None:
            st.caption(_facts(look), width="content")
        elif look is None:
            st.caption(ngettext("{n} document", "{n} documents", below).format(n=f"{below:,}"), width="content")
        if removable:
            st.button(
                _("Leave out"),
                key=f"documents_out_{key}",
                icon=":material/close:",
                type="tertiary",
                on_click=_without,
                args=(path,),
            )
    if look is None:
        return
    if look.problem is not None:
        message, hint = PanelError.from_dict(look.problem).localized()
        st.markdown(f":red[:material/error:] {errors.plain(message)} {errors.plain(hint)}")
    for notice in look.notices:
        message, hint = PanelError.from_dict(notice).localized()
        st.markdown(f":orange[:material/warning:] {errors.plain(message)} {errors.plain(hint)}")


def _where(path: str) -> str | None:
    return None if uploads.is_upload(context.workspace(), path) else errors.plain(path)


def _facts(look: Look) -> str:
    parts = [_(KINDS[look.kind])]
    if look.pages:
        parts.append(ngettext("{n} page", "{n} pages", look.pages).format(n=f"{look.pages:,}"))
    parts.append(words.size(look.bytes))
    parts.append(passages(look.count, look.exact))
    return " · ".join(parts)


def passages(count: int, exact: bool) -> str:
    """``12 passages``, ``about 1,200 passages``."""
    text = ngettext("{n} passage", "{n} passages", count) if exact else _("about {n} passages")
    return text.format(n=f"{count:,}")


def pick(looks: Sequence[Look]) -> Chunk | None:
    """Draw the passages, one at a time; returns the one that is shown."""
    good = [each for each in looks if each.chunks]
    if not good:
        return None
    columns = st.columns([3, 1], vertical_alignment="bottom")
    with columns[0]:
        number = st.selectbox(
            _("Document"),
            range(len(good)),
            format_func=lambda n: good[n].name,
            key="documents_shown",
            filter_mode=None,
        )
    look = good[number or 0]
    with columns[1]:
        place = st.number_input(
            _("Passage"),
            1,
            len(look.chunks),
            key=f"documents_passage_{datasets_state.key_of(look.path)}_{len(look.chunks)}",
            help=_("The first {n} can be looked at here.").format(n=len(look.chunks)),
        )
    chunk = look.chunks[int(place) - 1]
    st.caption(errors.plain(standing(chunk)))
    st.code(chunk.text, language=None, wrap_lines=True, height=260)
    return chunk


def standing(chunk: Chunk) -> str:
    """Where ``chunk`` stands: page, headings, characters."""
    parts = []
    if chunk.pages:
        first, last = chunk.pages[0][0], chunk.pages[-1][0]
        parts.append(
            _("page {n}").format(n=first)
            if first == last
            else _("pages {first} to {last}").format(first=first, last=last)
        )
    if chunk.heading:
        parts.append(" › ".join(chunk.heading))
    parts.append(_("characters {start} to {end}").format(start=f"{chunk.start + 1:,}", end=f"{chunk.end:,}"))
    return " · ".join(parts)
