"""Import: what a file seems to be and why, what its rows become, what is wrong with which; then a name, and the rows are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from backend.data import importing
from backend.data.collected import MAX_NAME_CHARS
from backend.data.importing import Inspection, Previewed
from backend.data.schemas import Mapping
from backend.data.store import AT_ONCE_BYTES
from backend.errors import PanelError
from backend.i18n import _, ngettext
from ui import context, errors, words
from ui.datasets import columns as datasets_columns
from ui.datasets import jobs as datasets_jobs
from ui.datasets import list as datasets_list
from ui.datasets import row as datasets_row
from ui.datasets import state as datasets_state
from ui.datasets import upload as datasets_upload
from ui.datasets import words as named

ENCODINGS = ("", "utf-8", "gb18030", "utf-16", "big5", "shift_jis", "cp1252")
SHOWN_BROKEN, SHOWN_ROWS = 8, 4
Options = dict[str, Any]
"""How a source is opened: ``encoding``, ``sheet``, ``member``, each a text or None."""
ARCHIVES = (".zip", ".gz")
"""Little on the disk may be much inside: these are always read by a job."""


def draw() -> None:
    """Draw the choice of a file, or what the chosen one is."""
    datasets_jobs.draw(("import_data",), None, "datasets_imports")
    path = datasets_upload.chosen()
    if not path:
        datasets_upload.draw()
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(errors.plain(Path(path).name or path), anchor=False, width="content")
        st.button(
            _("Another file"),
            key="datasets_another",
            icon=":material/arrow_back:",
            type="tertiary",
            on_click=datasets_upload.another,
        )
    boxes, choice, folded = st.container(), st.container(), st.container()
    with folded:
        options = _options(path)
    try:
        found = _inspected(path, options, None)
        with choice:
            mapping = datasets_columns.draw(found, key=_key(path))
        if mapping != found.detection.mapping:
            found = _inspected(path, options, mapping)
    except PanelError as error:
        with boxes:
            errors.show(error, key="datasets_import")
        return
    with boxes:
        left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch", key="datasets_is"):
        _what_it_is(path, found)
    with right, st.container(border=True, height="stretch", key="datasets_becomes"):
        _what_it_becomes(path, found, mapping, options)
    _preview(found)


def _key(path: str) -> str:
    return datasets_state.key_of(path)


def _options(path: str) -> Options:
    """How the file is opened, where it is not found out by itself; folded, because it nearly always is."""
    with st.expander(
        _("Reading options"), icon=":material/tune:", key=f"datasets_options_{_key(path)}", type="compact"
    ):
        columns = st.columns(3)
        encoding = columns[0].selectbox(
            _("Encoding"),
            ENCODINGS,
            key=f"datasets_encoding_{_key(path)}",
            format_func=lambda name: name.upper() if name else _("found out"),
            help=_("Choose one where signs look wrong in the preview. Files of Chinese Windows are often GB18030."),
            accept_new_options=True,
        )
        sheet = columns[1].text_input(
            _("Sheet"), key=f"datasets_sheet_{_key(path)}", placeholder=_("the first"), help=_("Of an Excel file")
        )
        member = columns[2].text_input(
            _("File in the archive"), key=f"datasets_member_{_key(path)}", placeholder=_("all of them")
        )
    return {"encoding": encoding or None, "sheet": sheet.strip() or None, "member": member.strip() or None}


def _inspected(path: str, options: Options, mapping: Mapping | None) -> Inspection:
    """The first records, read once for the same file, options and mapping."""
    try:
        stat = Path(path).expanduser().stat()
        seen = (stat.st_mtime_ns, stat.st_size)
    except OSError:
        seen = (0, 0)  # the inspection says why it cannot be read
    asked = (path, seen, tuple(options.items()), str(mapping.to_dict()) if mapping else "")
    kept: dict[Any, Inspection] = st.session_state.get("datasets_inspected") or {}
    if asked not in kept:
        with st.spinner(_("Looking at the first rows …"), show_time=True):
            found = importing.inspect(path, mapping=mapping, **options)
        kept = {**dict(list(kept.items())[-1:]), asked: found}
        st.session_state["datasets_inspected"] = kept
    return kept[asked]


def _what_it_is(path: str, found: Inspection) -> None:
    st.markdown("**" + _("What it is") + "**")
    kind = named.kind_word(found.kind)
    parts = [kind, found.encoding.upper() if found.encoding else "", words.size(found.bytes)]
    if len(found.parts) > 1:
        parts.append(ngettext("{n} file", "{n} files", len(found.parts)).format(n=f"{len(found.parts):,}"))
    st.markdown(errors.plain(" · ".join(filter(None, parts))))
    st.markdown(errors.plain(_("Rows as {format}").format(format=named.format_word(found.detection.schema))))
    reasons = named.reasons(found.detection)
    if reasons:
        st.caption("  \n".join(":material/subdirectory_arrow_right: " + errors.plain(reason) for reason in reasons))
    for notice in found.warnings[:6]:
        st.markdown(f":orange[:material/warning:] {errors.plain(_notice(notice))}")
    if len(found.warnings) > 6:
        st.caption(_("{n} more notices").format(n=len(found.warnings) - 6))
    if not datasets_upload.is_upload(path):
        st.caption(errors.plain(path))


def _notice(notice: Any) -> str:
    told = notice.localized()
    return told if isinstance(told, str) else " ".join(filter(None, told))


def _what_it_becomes(path: str, found: Inspection, mapping: Mapping, options: Options) -> None:
    st.markdown("**" + _("What it becomes") + "**")
    key = f"datasets_name_{_key(path)}"
    st.session_state.setdefault(key, _name(path))
    name = " ".join(
        str(st.text_input(_("Name of the dataset"), key=key, max_chars=MAX_NAME_CHARS, persist_state="session")).split()
    )
    if name and datasets_state.sets().exists(name):
        st.caption(":material/history: " + _("There is one of this name: it gets a new version, the others stay."))
    bad = sum(each.error is not None for each in found.preview)
    if bad:
        text = ngettext(
            "{n} of the first {total} records cannot be a row.", "{n} of the first {total} records cannot be rows.", bad
        )
        said = text.format(n=bad, total=len(found.preview))
        st.markdown(
            f":orange[:material/warning:] {said} "
            + _("They are left out and kept beside the rows, each with its reason.")
        )
    elif found.whole and len(found.preview) == found.looked_at:
        st.caption(_("All of its {n} records can be rows.").format(n=f"{found.looked_at:,}"))
    else:
        st.caption(
            _("The first {n} records were looked at; all are read when it is imported.").format(
                n=f"{found.looked_at:,}"
            )
        )
    at_once = _is_small(path, found)
    pressed = st.button(
        _("Import as '{name}'").format(name=errors.plain(name)) if name else _("Import"),
        key="datasets_import_go",
        type="primary",
        icon=":material/download_done:",
        disabled=not name,
    )
    if not name:
        st.caption(_("Give it a name."))
    elif not at_once:
        st.caption(_("It runs as a job: close this page, and it goes on."))
    if pressed:
        _import(path, name, mapping, options, at_once)


def _is_small(path: str, found: Inspection) -> bool:
    return found.bytes <= AT_ONCE_BYTES and len(found.parts) <= 1 and not path.lower().endswith(ARCHIVES)


def _name(path: str) -> str:
    """The file's name as a dataset's: without its ending, and without what a name cannot hold."""
    stem = Path(path).name
    for _time in range(2):  # rows.jsonl.gz
        stem = stem.rpartition(".")[0] or stem
    plain = "".join(c for c in stem if c.isprintable() and c not in "/\\").lstrip(".")
    return " ".join(plain.split())[:MAX_NAME_CHARS] or "rows"


def _import(path: str, name: str, mapping: Mapping, options: Options, at_once: bool) -> None:
    origin = Path(path).name if datasets_upload.is_upload(path) else ""
    with datasets_state.problems():
        if at_once:
            with st.spinner(_("Reading the rows …"), show_time=True):
                info = importing.run(context.workspace(), path, name, mapping, **options, origin=origin)
            datasets_upload.remove(path)
            datasets_state.say(_("{rows} are in '{name}'.").format(rows=named.rows(info.rows), name=name))
            datasets_list.open_set(name, part="doctor")
        else:
            values: Options = {key: value or "" for key, value in options.items()}
            values |= {"path": path, "name": name, "origin": origin}
            values |= {"mapping": mapping.to_dict(), "remove": bool(origin)}
            row = datasets_jobs.submit("import_data", values, name)
            datasets_state.say(_("Job {job} reads the rows into '{name}'.").format(job=row.id, name=name))
            st.query_params.from_dict({"view": "import"})
    st.session_state.pop("datasets_inspected", None)
    st.rerun()


def _preview(found: Inspection) -> None:
    """What cannot be read, with where and what helps; then rows as the conversations that they become."""
    bad = [each for each in found.preview if each.error is not None]
    good = [each for each in found.preview if each.row is not None]
    if bad:
        st.subheader(_("What cannot be read"), anchor=False)
        for each in bad[:SHOWN_BROKEN]:
            _broken(each)
        if len(bad) > SHOWN_BROKEN:
            st.caption(_("{n} more are not shown here.").format(n=len(bad) - SHOWN_BROKEN))
    if good:
        st.subheader(_("The first rows, as conversations"), anchor=False)
    for each in good[:SHOWN_ROWS]:
        assert each.row is not None
        with st.container(border=True, key=f"datasets_preview_{each.number}", gap="xsmall"):
            st.markdown(f"**{errors.plain(datasets_row.head(each.row, each.number))}**")
            datasets_row.draw(each.row, key=f"preview_{each.number}")


def _broken(each: Previewed) -> None:
    assert each.error is not None
    message, hint = each.error.localized()
    with st.container(border=True, key=f"datasets_broken_{each.number}", gap="xsmall"):
        number = _("Record {n}").format(n=f"{each.number:,}")
        st.markdown(f":red[:material/error:] **{number}** · {errors.plain(message)} {errors.plain(hint)}")
        if each.text:
            st.code(each.text[:300], language=None, wrap_lines=True)
