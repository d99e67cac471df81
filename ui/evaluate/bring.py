"""Questions from a folder, an archive or a file: looked at first, all that is wrong with them at once; then a name, and they are here."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from backend.errors import DataError, PanelError
from backend.evaluate import own_rows, sets
from backend.evaluate.layouts import TITLES, Examined
from backend.evaluate.own_rows import Gathered
from backend.i18n import N_, _, ngettext
from backend.workspace import explain_os_error
from ui import context, errors
from ui.datasets import upload as datasets_upload
from ui.evaluate import asked as evaluate_asked
from ui.evaluate import remarks as evaluate_remarks
from ui.evaluate import state as evaluate_state
from ui.evaluate import words as evaluate_words

PATH = "path"
"""The address's parameter with what is looked at, so that a reload looks at the same."""
UPLOAD_MIB = 50
TYPES = ("zip", "csv", "tsv", "json", "jsonl", "xlsx", "parquet")
TYPED, NAME = "evaluate_path", "evaluate_set_name"
_SEEN = "evaluate_examined"
MOST_NAME = 60
SHOWN_SUBJECTS = 80
Found = Examined | Gathered | PanelError


def chosen() -> str:
    """The path that is looked at; empty: none yet."""
    return str(st.query_params.get(PATH, "")).replace("\0", "\ufffd")


def ways_in() -> None:
    """The two ways in: a path on this server, and an upload."""
    st.markdown(":material/folder_open: **" + _("From a folder or a file") + "**")
    st.caption(
        _(
            "C-Eval or MMLU as OpenCompass has them (a folder or its zip), or your own questions as CSV, JSON Lines or Excel with the "
            "columns question, A, B, C, D, answer; or question and answer."
        )
    )
    with st.form("evaluate_path_form", border=False):
        st.text_input(_("Folder or file on this server"), key=TYPED, placeholder="/data/ceval/formal_ceval")
        st.form_submit_button(_("Look at it"), icon=":material/search:", on_click=_named)
    count = int(st.session_state.get("evaluate_uploads") or 0)
    file = st.file_uploader(
        _("Or from your computer, up to {n} MB").format(n=UPLOAD_MIB),
        type=list(TYPES),
        key=f"evaluate_file_{count}",
        max_upload_size=UPLOAD_MIB,
    )
    if file is not None:
        with evaluate_state.problems():
            st.query_params[PATH] = str(datasets_upload.keep(file.name, file.getbuffer()))
        # Another key: the browser's file leaves the memory.
        st.session_state["evaluate_uploads"] = count + 1
        st.rerun()


def draw() -> None:
    """What the chosen path holds, and the button that adds it."""
    path = chosen()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(errors.plain(Path(path).name or path), anchor=False, width="content")
        st.button(
            _("Another one"), key="evaluate_another", icon=":material/arrow_back:", type="tertiary", on_click=another
        )
    if not datasets_upload.is_upload(path):
        st.caption(errors.plain(path))
    found = _looked_at(path)
    if isinstance(found, PanelError):
        errors.show(found, key="evaluate_bring")
        return
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch", key="evaluate_found"):
        st.markdown("**" + _("What it is") + "**")
        if isinstance(found, Examined):
            _benchmark(found)
        else:
            _own(found)
    with right, st.container(border=True, height="stretch", key="evaluate_becomes"):
        st.markdown("**" + _("What it becomes") + "**")
        _name_it(path, found)
    if isinstance(found, Gathered):
        st.subheader(_("The first questions, as they are asked"), anchor=False)
        evaluate_asked.draw(found.questions[:3], key="evaluate_first")


def another() -> None:
    """Callback: away from what is looked at; an upload is removed."""
    datasets_upload.remove(chosen())
    st.session_state.pop(_SEEN, None)
    st.query_params.from_dict({"view": "sets"})


def proposed(text: str) -> str:
    """A name for a set out of ``text``: without slashes and dots at its beginning."""
    plain = "".join(c for c in text if c.isprintable() and c not in "/\\")
    return re.sub(r"^[.\s]+", "", " ".join(plain.split()))[:MOST_NAME] or "questions"


def free_name(text: str) -> str:
    """:func:`proposed`, with a number where there is a set of that name."""
    wanted = proposed(text)
    taken = {found.name for found in sets.listed(context.workspace())}
    names = [wanted, *(f"{wanted[: MOST_NAME - 4]}-{number}" for number in range(2, 100))]
    return next((name for name in names if name not in taken), wanted)


def _named() -> None:
    """Callback of the form: look at the path that was typed."""
    path = str(st.session_state.get(TYPED) or "").strip()
    if path:
        st.query_params[PATH] = path


def _looked_at(path: str) -> Found:
    """What lies there, read once while it stays the same."""
    try:
        place = Path(path).expanduser()
        status = place.stat()
    except OSError as error:
        return explain_os_error(error, Path(path))
    except RuntimeError:  # no such person
        return DataError("set_path_bad", N_("This is no path: {path}"), N_("Type it again."), path=path[:200])
    asked = (path, status.st_mtime_ns, status.st_size)
    kept = st.session_state.get(_SEEN)
    if kept is None or kept[0] != asked:
        with st.spinner(_("Looking at the questions …"), show_time=True):
            kept = (asked, _examine(place))
        # A folder may change in its depth: whoever presses reload looks again.
        st.session_state[_SEEN] = kept
    found: Found = kept[1]
    return found


def _examine(place: Path) -> Found:
    try:
        return own_rows.from_file(place) if sets.is_file_of_questions(place) else sets.examine(place)
    except PanelError as error:
        return error


def _benchmark(found: Examined) -> None:
    count = sum(1 for one in found.subjects if not one.problem)
    facts = [TITLES[found.kind], evaluate_words.questions(found.questions), evaluate_words.subjects(count)]
    if found.encoding.upper() != "UTF-8":
        facts.append(found.encoding.upper())
    st.markdown(errors.plain(" · ".join(facts)))
    if found.problems:
        text = ngettext("{n} problem", "{n} problems", len(found.problems)).format(n=len(found.problems))
        with st.expander(text, icon=":material/error:", expanded=True, key="evaluate_problems"):
            evaluate_remarks.draw(found.problems, most=20)
    elif not found.notices:
        st.markdown(f":green[:material/check_circle:] {_('Nothing is missing.')}")
    evaluate_remarks.draw(found.notices)
    with st.expander(_("Subjects"), icon=":material/category:", type="compact", key="evaluate_bring_subjects"):
        lines = [
            f"- {errors.plain(one.title or one.name)} · {evaluate_words.questions(one.questions)}"
            + (f" · :red[{_('cannot be asked')}]" if one.problem else "")
            for one in found.subjects[:SHOWN_SUBJECTS]
        ]
        st.markdown("\n".join(lines))


def _own(found: Gathered) -> None:
    subjects = {question.subject for question in found.questions}
    facts = [evaluate_words.questions(len(found.questions)), evaluate_words.subjects(len(subjects))]
    st.markdown(errors.plain(" · ".join(facts)))
    rules = sorted({question.rule for question in found.questions})
    st.caption("  \n".join(errors.plain(evaluate_words.rule(rule)) for rule in rules))
    left = found.told()
    if left:
        st.markdown(_("Rows that are left out:"))
        evaluate_remarks.draw(left, most=12)
    else:
        st.markdown(f":green[:material/check_circle:] {_('Every row is a question.')}")


def _name_it(path: str, found: Examined | Gathered) -> None:
    key = f"{NAME}_{evaluate_state.key_of(path)}"
    if key not in st.session_state:
        stem = found.kind if isinstance(found, Examined) else Path(path).stem
        st.session_state[key] = free_name(stem)
    name = st.text_input(_("Name of the set"), key=key, max_chars=MOST_NAME).strip()
    usable = bool(found.questions)
    if isinstance(found, Examined):
        inside = found.path.is_file()
        st.caption(
            _("The archive is unpacked into the workspace.")
            if inside
            else _("The folder stays where it is and is read from there.")
        )
    st.button(
        _("Add '{name}'").format(name=errors.plain(name or "…")),
        key="evaluate_add",
        type="primary",
        icon=":material/add:",
        disabled=not name or not usable,
        on_click=_add,
        args=(path, name, isinstance(found, Examined)),
    )
    if not usable:
        st.caption(_("Nothing in it can be asked, so it cannot be added."))


def _add(path: str, name: str, benchmark: bool) -> None:
    """Callback: take it in, and show the sets."""
    with evaluate_state.problems():
        place = Path(path).expanduser()
        if benchmark:
            found = sets.add(context.workspace(), place, name)
        else:
            found = sets.from_file(context.workspace(), place, name)
        evaluate_state.say(
            _("{questions} are in '{name}'.").format(
                questions=evaluate_words.questions(found.questions), name=found.name
            )
        )
        another()
