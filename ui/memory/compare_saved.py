"""Saving a comparison, sharing it as a file, and the list of those that were saved: open, rename, delete."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from itertools import count

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.memory import comparisons
from backend.memory.compare import Comparison
from backend.memory.comparisons import LONGEST, Saved
from backend.memory.report import to_html
from backend.memory.report_table import to_csv
from ui import context, errors, words

OPEN = "saved"
"""The address's parameter with the name of the saved comparison that is shown."""
MOST_PROPOSED = 50
"""Characters of a name that is proposed; those of three bytes fit, too."""
_PROBLEM, _SAID, _NAME = "memory_compare_problem", "memory_compare_said", "memory_compare_name"


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the view."""
    st.session_state.pop(_PROBLEM, None)
    try:
        yield
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def notices() -> None:
    """What went wrong, or well, at the last press."""
    stored = st.session_state.get(_PROBLEM)
    if stored:
        errors.show(stored, key="memory_compare")
    said = st.session_state.pop(_SAID, "")
    if said:
        st.toast(errors.plain(said), icon=":material/check_circle:")


def share(comparison: Comparison) -> None:
    """The two files to take along."""
    stem = comparison.name or _("memory comparison")
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in stem).strip("-")[:60] or "memory"
    st.download_button(
        _("Share as HTML"),
        lambda: to_html(comparison),
        f"{name}.html",
        "text/html",
        key="memory_compare_html",
        icon=":material/share:",
        help=_("One file with chart and table that opens in any browser, also without a network."),
        on_click="ignore",
    )
    st.download_button(
        _("Download CSV"),
        lambda: to_csv(comparison),
        f"{name}.csv",
        "text/csv",
        key="memory_compare_csv",
        icon=":material/table:",
        help=_("The table for a spreadsheet, each figure with its source."),
        on_click="ignore",
    )


def keep(comparison: Comparison) -> None:
    """The name to save under, and the button."""
    st.text_input(
        _("Name of the comparison"),
        key=_NAME,
        max_chars=LONGEST,
        placeholder=_by_runs(comparison),
        width=340,
        label_visibility="collapsed",
    )
    st.button(
        _("Save comparison"),
        key="memory_compare_save",
        type="primary",
        icon=":material/save:",
        help=_("It keeps its figures, also when the jobs are deleted. Without a name it gets that of its runs."),
        on_click=_save,
        args=(comparison,),
    )


def _by_runs(comparison: Comparison) -> str:
    """A name for who types none."""
    runs = ", ".join(f"#{row.run.id} {row.run.title}" for row in comparison.rows)
    return "".join(c if c.isprintable() and c not in "/\\" else "-" for c in runs)[:MOST_PROPOSED].strip()


def _free(name: str) -> str:
    """``name``, with a number where something was saved under it before."""
    taken = {each.name for each in comparisons.saved(context.workspace())}
    return next(each for n in count(1) if (each := name if n == 1 else f"{name} ({n})") not in taken)


def _save(comparison: Comparison) -> None:
    with problems():
        name = (st.session_state.get(_NAME) or "").strip() or _free(_by_runs(comparison))
        kept = comparisons.save(context.workspace(), comparison, name)
        st.session_state[_NAME] = ""
        st.session_state[_SAID] = _("Saved as '{name}'.").format(name=kept.name)


def listing(shown: str = "") -> None:
    """All that were saved, the newest first; ``shown``: the one that is open."""
    found = [each for each in comparisons.saved(context.workspace()) if each.name != shown]
    if not found:
        return
    st.subheader(_("Saved comparisons"), anchor=False)
    for each in found:
        # Any text can be a name; a widget's key becomes a CSS class.
        key = "memory_saved_" + hashlib.sha256(each.name.encode()).hexdigest()[:12]
        with st.container(border=True, key=key, gap="xxsmall"):
            st.markdown(f"**{errors.plain(each.name)}**")
            _about(each)
            with st.container(horizontal=True, vertical_alignment="center"):
                if each.readable:
                    st.button(
                        _("Open comparison"),
                        key=f"{key}_open",
                        icon=":material/open_in_full:",
                        on_click=_open,
                        args=(each.name,),
                    )
                actions(each.name, key)


def _about(each: Saved) -> None:
    if not each.readable:
        st.caption(":material/warning: " + _("Its file cannot be read: damaged, or of a newer TuneDeck."))
        return
    count = ngettext("{n} run", "{n} runs", len(each.runs)).format(n=len(each.runs))
    st.caption(f"{words.ago(each.when)} · {count}: {errors.plain(', '.join(each.runs))}", help=words.stamp(each.when))


def actions(name: str, key: str) -> None:
    """Rename and delete, each asking first."""
    with st.popover(_("Rename"), icon=":material/edit:", type="tertiary", key=f"{key}_rename"):
        st.text_input(_("New name"), name, key=f"{key}_new", max_chars=LONGEST)
        st.button(
            _("Rename it"),
            key=f"{key}_rename_yes",
            icon=":material/check:",
            on_click=_rename,
            args=(name, f"{key}_new"),
        )
    with st.popover(_("Delete"), icon=":material/delete:", type="tertiary", key=f"{key}_delete"):
        st.markdown(_("Delete the comparison **{name}**? This cannot be undone.").format(name=errors.plain(name)))
        st.button(
            _("Delete comparison"), key=f"{key}_delete_yes", icon=":material/delete:", on_click=_delete, args=(name,)
        )


def _open(name: str) -> None:
    st.session_state.pop(_PROBLEM, None)
    st.query_params[OPEN] = name


def close() -> None:
    """Back to choosing runs."""
    st.session_state.pop(_PROBLEM, None)
    st.query_params.pop(OPEN, None)


def _rename(name: str, key: str) -> None:
    with problems():
        new = comparisons.rename(context.workspace(), name, st.session_state.get(key) or "")
        if st.query_params.get(OPEN) == name:
            st.query_params[OPEN] = new


def _delete(name: str) -> None:
    with problems():
        comparisons.delete(context.workspace(), name)
        if st.query_params.get(OPEN) == name:
            close()
        st.session_state[_SAID] = _("'{name}' is deleted.").format(name=name)
