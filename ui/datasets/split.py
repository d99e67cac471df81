"""Split, a view of one dataset: shares of training, validation and test rows, what comes of them, and whether a question stands
on two sides now."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.data import split, traits
from backend.data.rows import SPLITS
from backend.data.split import Leaks, Plan
from backend.data.store import AT_ONCE_BYTES
from backend.data.versions import Version
from backend.errors import DataError
from backend.i18n import N_, _, ngettext
from ui import errors
from ui.datasets import change as datasets_change
from ui.datasets import list as datasets_list
from ui.datasets import state as datasets_state
from ui.datasets import words as named

HELP = {
    "train": N_("What the model learns from."),
    "validation": N_("Rows that it does not learn; during the training they tell when it begins to learn by heart."),
    "test": N_("Rows that are kept for the proof at the end. Nothing may be decided by them before."),
}
LOOKED_AT = 300
EXAMPLES = 5


def draw(version: Version) -> None:
    """Draw how the rows are split now, the choices, and what would come of them."""
    if not len(version):
        st.caption(_("This version holds no rows."))
        return
    _now(version)
    left, right = st.columns([2, 3], gap="large")
    with left:
        step = _choices(version)
    with right:
        _outcome(version, step)


def _now(version: Version) -> None:
    """The parts as they are, and the leak check."""
    counts = version.info.counts
    said = named.splits(counts)
    if not said:
        st.caption(_("All rows are for training now."))
        return
    st.markdown(_("Now: {parts}.").format(parts=said))
    if version.info.bytes <= AT_ONCE_BYTES or st.session_state.get("split_check") == version.info.id:
        with st.spinner(_("Looking for questions that stand in two parts…")):
            _leaks(version, _leaks_of(str(version.folder), version))
    else:
        st.button(
            _("Check for leaks"),
            key="split_check_button",
            icon=":material/rule:",
            help=_("Looks for questions that stand in two parts. It reads all rows, which takes some seconds."),
            on_click=_check,
            args=(version.info.id,),
        )


def _check(version: str) -> None:
    st.session_state["split_check"] = version


def _leaks(version: Version, found: Leaks) -> None:
    if not found.groups:
        st.markdown(":green[:material/check_circle:] " + _("No question stands in two parts."))
        return
    text = ngettext(
        "{n} question stands in two parts: what is tested was learned.",
        "{n} questions stand in two parts: what is tested was learned.",
        found.groups,
    )
    st.markdown(":orange[:material/warning:] " + text.format(n=f"{found.groups:,}"))
    with st.container(horizontal=True, gap="small"):
        for place, rows in enumerate(found.examples[:EXAMPLES]):
            numbers = ", ".join(f"{row:,}" for row in rows[:4]) + (" …" if len(rows) > 4 else "")
            st.button(
                _("Rows {rows}").format(rows=numbers),
                key=f"split_leak_{place}",
                type="tertiary",
                icon=":material/visibility:",
                on_click=datasets_list.open_set,
                args=(version.dataset,),
                kwargs={"version": version.info.id, "row": rows[0]},
            )


@st.cache_data(show_spinner=False, max_entries=16)
def _leaks_of(folder: str, _version: Version) -> Leaks:
    return split.leaks(_version)


def _choices(version: Version) -> dict[str, Any]:
    """The form; returns the step that it asks for."""
    shares: dict[str, float] = {}
    for name in SPLITS:
        shares[name] = st.number_input(
            _("{part}, percent").format(part=named.word(named.SPLITS, name)),
            min_value=0,
            max_value=100,
            value=round(100 * split.DEFAULT[name]),
            step=5,
            key=f"split_{name}",
            help=_(HELP[name]),
            persist_state="session",
        )
    fields = ["", *_fields(str(version.folder), version)]
    stratify = ""
    if len(fields) > 1:
        stratify = st.selectbox(
            _("Spread evenly"),
            fields,
            key=f"split_by_{datasets_state.key_of(version.dataset)}",
            format_func=field_word,
            filter_mode=None,
            help=_("Each part gets its share of every kind of rows: of each language, source or topic."),
        )
    step: dict[str, Any] = {"do": "split", "shares": shares, "stratify": stratify or ""}
    if version.info.counts.get("test"):
        step["keep_test"] = st.checkbox(
            _("Keep the test rows that there are"),
            True,
            key="split_keep",
            help=_("They were set aside for the proof. What asks the same as one of them becomes a test row, too."),
        )
    with st.expander(_("More settings"), icon=":material/tune:", type="compact"):
        step["seed"] = st.number_input(
            _("Seed"),
            min_value=0,
            max_value=2**31 - 1,
            value=0,
            key="split_seed",
            help=_("The same seed makes the same split."),
        )
        step["near"] = st.checkbox(
            _("Nearly the same questions stay together"),
            True,
            key="split_near",
            help=_("Otherwise only questions that differ in nothing but case, blanks and punctuation do."),
        )
    return step


@st.cache_data(show_spinner=False, max_entries=64)
def _fields(folder: str, _version: Version) -> list[str]:
    return traits.fields(_version.rows(0, LOOKED_AT))


def field_word(field: str) -> str:
    """What rows are told apart by, in words; a field of theirs stands for itself."""
    known = {"": _("no"), traits.LANGUAGE: _("by language"), traits.SOURCE: _("by source")}
    return known.get(field) or _("by {field}").format(field=field)


def _outcome(version: Version, step: dict[str, Any]) -> None:
    """What would come of the choices, and the button."""
    try:
        shares = split.checked(step["shares"])
        small = version.info.bytes <= AT_ONCE_BYTES
        found = _plan(str(version.folder), version, _hashable(step)) if small else None
    except DataError as error:
        errors.show(error, key="split_outcome")
        return
    with st.container(border=True, key="split_outcome", gap="small"):
        counts = found.counts if found else {name: round(share * len(version)) for name, share in shares.items()}
        for name in SPLITS:
            if counts[name] or shares[name]:
                _bar(named.word(named.SPLITS, name), counts[name], len(version), exact=found is not None)
        if found:
            _blocks(found, len(version))
        else:
            st.caption(_("About so many: questions that are the same stay together. It is done as a job."))
    st.button(
        _("Split '{name}'").format(name=errors.plain(version.dataset)),
        key="split_make",
        type="primary",
        icon=":material/pie_chart:",
        on_click=datasets_change.run,
        args=(version, [step], _("Split. Version {version} is the current one now.")),
    )
    st.caption(_("It makes a new version; this one stays."))


def _hashable(step: dict[str, Any]) -> tuple[Any, ...]:
    return (tuple(step["shares"].items()), step["seed"], step["stratify"], bool(step.get("keep_test")), step["near"])


@st.cache_data(show_spinner=False, max_entries=32)
def _plan(folder: str, _version: Version, asked: tuple[Any, ...]) -> Plan:
    shares, seed, stratify, keep_test, near = asked
    return split.plan(_version, dict(shares), seed, stratify, keep_test=keep_test, near=near)


def _bar(name: str, rows: int, total: int, *, exact: bool) -> None:
    count = named.rows(rows) if exact else _("about {rows}").format(rows=named.rows(rows))
    st.progress(rows / total, f"**{name}** · {count} · {rows / total:.1%}")


def _blocks(found: Plan, total: int) -> None:
    alone = ngettext("{n} different question", "{n} different questions", found.groups).format(n=f"{found.groups:,}")
    if found.groups == total:
        st.caption(_("{questions}; none stands there twice.").format(questions=alone))
        return
    text = _("{questions} in {rows}. What asks the same stays on one side; the largest group has {largest}.")
    st.caption(text.format(questions=alone, rows=named.rows(total), largest=named.rows(found.largest)))
    if found.largest > total / 2:
        st.markdown(
            ":orange[:material/warning:] "
            + _(
                "More than half of the rows ask nearly the same, so the shares cannot be met. Look at near duplicates in the doctor."
            )
        )
    if found.kinds:
        _kinds(found)


def _kinds(found: Plan) -> None:
    lines = []
    for kind, counts in list(found.kinds.items())[:12]:
        parts = " / ".join(f"{counts[name]:,}" for name in SPLITS)
        lines.append(f"{errors.plain(kind) or _('none')}: {parts}")
    st.caption("  \n".join(lines))
