"""Mix, a view of the Datasets page: several datasets in one, so much of each, with what comes of it while one chooses."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.data import mix, traits
from backend.data.store import DatasetInfo
from backend.data.versions import VersionInfo
from backend.errors import DataError
from backend.i18n import N_, _, ngettext
from ui import errors
from ui.datasets import change as datasets_change
from ui.datasets import list as datasets_list
from ui.datasets import state as datasets_state
from ui.datasets import words as named
from ui.datasets.split import field_word

SIZES = {"all": N_("As much as there is"), "size": N_("So many rows:")}
LOOKED_AT = 300
_NAME = "mix_name"


def draw() -> None:
    """Draw the choice of sets and weights, the outcome, and the button that makes the mix."""
    known = {info.name: info for info in datasets_state.sets().list()}
    if not known:
        st.caption(_("There is nothing to mix yet: import or make a dataset first."))
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        chosen = [
            known[name]
            for name in st.multiselect(
                _("Datasets to mix"),
                list(known),
                key="mix_sets",
                placeholder=_("Choose two or more"),
                persist_state="session",
            )
            if name in known
        ]
        weights = _weights(chosen)
        step = _settings(chosen)
    with right:
        _outcome(chosen, weights, step)


def _weights(chosen: list[DatasetInfo]) -> list[float]:
    if chosen:
        st.markdown(_("**Weights**: 2 beside 1 means twice as many rows."))
    return [
        st.number_input(
            f"{errors.plain(info.name)} · {named.rows(info.current.rows)}",
            min_value=0.0,
            max_value=1000.0,
            value=1.0,
            step=0.5,
            format="%g",
            key=f"mix_weight_{datasets_state.key_of(info.name)}",
            persist_state="session",
        )
        for info in chosen
    ]


def _settings(chosen: list[DatasetInfo]) -> dict[str, Any]:
    step: dict[str, Any] = {"do": "mix", "size": None, "repeat": False}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = st.segmented_control(
            _("Size of the mix"),
            list(SIZES),
            key="mix_how",
            default="all",
            required=True,
            format_func=lambda name: _(SIZES[name]),
            help=_("As much as there is: as large as the weights allow without taking a row twice."),
        )
        if how == "size":
            step["size"] = int(
                st.number_input(
                    _("Rows"), min_value=1, max_value=100_000_000, value=1000, step=100, key="mix_size", width=160
                )
            )
    if how == "size":
        step["repeat"] = st.checkbox(
            _("Take rows several times where a dataset is too small"),
            key="mix_repeat",
            help=_("Otherwise the size is limited by the smallest dataset and its weight."),
        )
    fields = ["", *_fields(tuple((info.name, info.current.id) for info in chosen))]
    with st.expander(_("More settings"), icon=":material/tune:", type="compact"):
        step["balance_by"] = (
            st.selectbox(
                _("As many of each kind"),
                fields,
                key="mix_balance",
                format_func=field_word,
                filter_mode=None,
                help=_(
                    "Of each dataset, as many rows of every language, source or topic. What there is more of is left out."
                ),
            )
            or ""
        )
        step["seed"] = st.number_input(
            _("Seed"),
            min_value=0,
            max_value=2**31 - 1,
            value=0,
            key="mix_seed",
            help=_("The same seed makes the same mix."),
        )
    return step


@st.cache_data(show_spinner=False, max_entries=64)
def _fields(chosen: tuple[tuple[str, str], ...]) -> list[str]:
    """What the rows of all chosen sets can be told apart by."""
    sets = datasets_state.sets()
    found = [traits.fields(sets.open(name, version).rows(0, LOOKED_AT)) for name, version in chosen]
    return list(dict.fromkeys(field for fields in found for field in fields))


@st.cache_data(show_spinner=False, max_entries=64)
def _balanced(name: str, version: str, by: str) -> int:
    """Rows that a set offers where each kind is to be as frequent as the rarest."""
    counts = mix.kind_counts(datasets_state.sets().open(name, version), by)
    return len(counts) * min(counts.values(), default=0)


def _outcome(chosen: list[DatasetInfo], weights: list[float], step: dict[str, Any]) -> None:
    """Rows of each set as the choices stand; the name; the button, or why there is none."""
    name = st.text_input(
        _("Name of the mix"),
        key=_NAME,
        max_chars=60,
        placeholder=_("Such as: persona and manual"),
        persist_state="session",
    )
    found = None
    with st.container(border=True, key="mix_outcome", gap="small"):
        if chosen:
            found = _shares(chosen, weights, step)
        else:
            st.caption(_("What would be in the mix is shown here."))
    name = " ".join(name.split())
    if name and datasets_state.sets().exists(name):
        st.caption(":material/info: " + _("There is a dataset of this name: the mix becomes a new version of it."))
    missing = _("Choose datasets first.") if not chosen else _("Give it a name.") if not name else ""
    step["parts"] = [
        {"dataset": info.name, "version": info.current.id, "weight": weight}
        for info, weight in zip(chosen, weights, strict=True)
        if weight > 0
    ]
    st.button(
        ngettext("Mix {n} dataset", "Mix {n} datasets", len(step["parts"])).format(n=len(step["parts"])),
        key="mix_make",
        type="primary",
        icon=":material/shuffle:",
        disabled=bool(missing) or found is None or not found.total,
        on_click=_make,
        args=(step, name, sum(info.current.bytes for info in chosen)),
    )
    if missing:
        st.caption(missing)


def _shares(chosen: list[DatasetInfo], weights: list[float], step: dict[str, Any]) -> mix.Shares | None:
    by, size = step["balance_by"], step["size"]
    there = [_balanced(info.name, info.current.id, by) if by and size is None else info.current.rows for info in chosen]
    try:
        found = mix.shares(there, weights, size, repeat=bool(step["repeat"]), names=[info.name for info in chosen])
    except DataError as error:
        message, hint = error.localized()
        st.markdown(f":orange[:material/warning:] {errors.plain(message)}")
        st.caption(errors.plain(hint))
        return None
    st.markdown(f"**{named.rows(found.total)}**")
    for info, rows, offered in zip(chosen, found.rows, found.there, strict=True):
        _bar(info, rows, offered, found.total)
    if not found.total:
        st.caption(_("A dataset without rows, or with far too few for its weight, leaves nothing to mix."))
    return found


def _bar(info: DatasetInfo, rows: int, offered: int, total: int) -> None:
    share = rows / total if total else 0.0
    text = f"{errors.plain(info.name)} · {named.rows(rows)} · {share:.0%}"
    if rows > offered:
        text += " · " + _("each about {n} times").format(n=f"{rows / offered:.1f}")
    elif rows < info.current.rows:
        text += " · " + _("of {n}").format(n=f"{info.current.rows:,}")
    st.progress(min(1.0, share), text)


def _make(step: dict[str, Any], name: str, size: int) -> None:
    def done(info: VersionInfo) -> None:
        st.session_state[_NAME] = ""
        datasets_list.open_set(name)

    datasets_change.run(
        None, [step], _("Mixed. Version {version} is the current one."), name=name, size=size, done=done
    )
