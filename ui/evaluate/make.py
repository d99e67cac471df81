"""A set of questions from a dataset of one's own: which part of it, how answers are marked, three questions as they will be asked; then a name."""

from __future__ import annotations

import streamlit as st

from backend.data.store import Datasets
from backend.errors import PanelError
from backend.evaluate import own_rows, sets
from backend.evaluate.own_rows import RULES, Gathered
from backend.evaluate.questions import Rule
from backend.i18n import _
from backend.workspace import ROOT
from ui import context, errors
from ui.evaluate import asked as evaluate_asked
from ui.evaluate import bring as evaluate_bring
from ui.evaluate import remarks as evaluate_remarks
from ui.evaluate import state as evaluate_state
from ui.evaluate import words as evaluate_words

DATASETS_PAGE = ROOT / "pages" / "datasets.py"
DATASET = "dataset"
"""The address's parameter with the dataset that becomes a set."""
SPLITS = ("", "test", "validation", "train")
_KEPT = "evaluate_gathered"


def chosen() -> str:
    """The dataset that the address names; empty: none."""
    return str(st.query_params.get(DATASET, ""))


def way_in() -> None:
    """The choice of a dataset."""
    st.markdown(":material/dataset: **" + _("From one of your datasets") + "**")
    st.caption(
        _(
            "The question of each row is asked, and its answer is the solution. Take rows that no model has learned from."
        )
    )
    names = [info.name for info in Datasets(context.workspace()).list()]
    if not names:
        st.markdown(_("There is no dataset yet."))
        st.page_link(DATASETS_PAGE, label=_("Open Datasets"), icon=":material/dataset:")
        return
    name = st.selectbox(_("Dataset"), names, key="evaluate_dataset", filter_mode="fuzzy" if len(names) > 10 else None)
    st.button(
        _("Make questions of it"),
        key="evaluate_make",
        icon=":material/quiz:",
        on_click=evaluate_state.go,
        args=({"view": "sets", DATASET: name},),
    )


def draw() -> None:
    """What the chosen dataset becomes, and the button that makes it."""
    name = chosen()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(errors.plain(name), anchor=False, width="content")
        st.button(
            _("Another one"),
            key="evaluate_another",
            icon=":material/arrow_back:",
            type="tertiary",
            on_click=evaluate_state.go,
            args=({"view": "sets"},),
        )
    try:
        versions = Datasets(context.workspace()).versions(name)
        current = Datasets(context.workspace()).get(name).current
    except PanelError as error:
        errors.show(error, key="evaluate_make")
        return
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch", key="evaluate_make_choices"):
        ids = [info.id for info in versions]
        version = current.id
        if len(ids) > 1:
            version = st.selectbox(
                _("Version"),
                ids,
                index=ids.index(current.id) if current.id in ids else 0,
                key="evaluate_version",
                format_func=lambda each: each[:6] + (f" · {_('current')}" if each == current.id else ""),
                filter_mode=None,
            )
        split = str(_split(current.counts))
        rule: Rule = st.radio(_("How an answer is marked"), RULES, key="evaluate_rule", format_func=evaluate_words.rule)
    found = _gathered(f"{name}@{version}", rule, split)
    with right, st.container(border=True, height="stretch", key="evaluate_make_becomes"):
        st.markdown("**" + _("What it becomes") + "**")
        if isinstance(found, PanelError):
            message, hint = found.localized()
            st.markdown(f":red[:material/error:] {errors.plain(message)} {errors.plain(hint)}")
        else:
            _becomes(name, version, rule, split, found)
    if isinstance(found, Gathered):
        st.subheader(_("The first questions, as they are asked"), anchor=False)
        evaluate_asked.draw(found.questions[:3], key="evaluate_first")


def _split(counts: object) -> str:
    there = [name for name in SPLITS[1:] if isinstance(counts, dict) and counts.get(name)]
    if len(there) < 2:
        return ""
    names = {"": _("All rows"), "test": _("test"), "validation": _("validation"), "train": _("train")}
    return str(
        st.segmented_control(
            _("Which rows"),
            ["", *there],
            default=there[0],
            required=True,
            key="evaluate_split",
            format_func=names.__getitem__,
            help=_("What a model learned from proves nothing: take a part that was held out."),
        )
    )


def _becomes(name: str, version: str, rule: Rule, split: str, found: Gathered) -> None:
    st.markdown(errors.plain(evaluate_words.questions(len(found.questions))))
    left = found.told()
    if left:
        st.markdown(_("Rows that are left out:"))
        evaluate_remarks.draw(left)
    else:
        st.markdown(f":green[:material/check_circle:] {_('Every row is a question.')}")
    key = f"{evaluate_bring.NAME}_{evaluate_state.key_of(name)}"
    if key not in st.session_state:
        st.session_state[key] = evaluate_bring.free_name(name)
    typed = st.text_input(_("Name of the set"), key=key, max_chars=evaluate_bring.MOST_NAME).strip()
    st.button(
        _("Add '{name}'").format(name=errors.plain(typed or "…")),
        key="evaluate_add",
        type="primary",
        icon=":material/add:",
        disabled=not typed,
        on_click=_add,
        args=(f"{name}@{version}", typed, rule, split),
    )


def _gathered(dataset: str, rule: Rule, split: str) -> Gathered | PanelError:
    """The questions, read once while nothing else is chosen."""
    asked = (dataset, rule, split)
    kept = st.session_state.get(_KEPT)
    if kept is None or kept[0] != asked:
        with st.spinner(_("Looking at the questions …"), show_time=True):
            kept = (asked, _read(dataset, rule, split))
        st.session_state[_KEPT] = kept
    found: Gathered | PanelError = kept[1]
    return found


def _read(dataset: str, rule: Rule, split: str) -> Gathered | PanelError:
    try:
        return own_rows.from_dataset(context.workspace(), dataset, rule, split)
    except PanelError as error:
        return error


def _add(dataset: str, name: str, rule: Rule, split: str) -> None:
    """Callback: make the set, and show all."""
    with evaluate_state.problems():
        found = sets.from_rows(context.workspace(), dataset, name, rule, split=split)
        evaluate_state.say(
            _("{questions} are in '{name}'.").format(
                questions=evaluate_words.questions(found.questions), name=found.name
            )
        )
        st.session_state.pop(_KEPT, None)
        evaluate_state.go({"view": "sets"})
