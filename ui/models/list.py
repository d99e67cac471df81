"""The models on this server as cards: narrowed, sorted, and redrawn by themselves while a server comes up or goes down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard
from backend.catalog.entries import entries
from backend.engines import refusal
from backend.i18n import N_, _, ngettext
from ui import context, errors, serving, words
from ui.models import card as model_card
from ui.models import convert as models_convert

MODEL = "model"
"""The address's parameter with the model that the list is narrowed to."""

FILTERS_FROM = 3
SHOWN = 12
"""Cards that are drawn at first; more come on request, so that a long list opens as fast as a short one."""
MORE = 24
TRUST_S = 30.0
"""What is not drawn may be this old, where somebody wrote into a file in place."""
_DRAWN = "models_drawn"

KINDS: dict[str, tuple[str, Callable[[ModelCard], bool]]] = {
    "all": (N_("All"), lambda card: True),
    "usable": (N_("Usable"), lambda card: card.problem is None and card.unfit is None),
    "adapters": (N_("Adapters"), lambda card: bool(card.adapter_of)),
    "broken": (N_("Broken"), lambda card: card.problem is not None),
}
ORDERS = {"name": N_("Name"), "size": N_("Largest first"), "added": N_("Newest first")}


def draw() -> None:
    """Draw the filters and the cards that they leave."""
    cards = catalog.models(context.workspace(), TRUST_S)
    wanted = st.query_params.pop(MODEL, "")
    if wanted:  # another page leads to this one: the list begins with it, and stays the person's to change
        st.session_state["models_search"], st.session_state["models_kind"] = wanted, "all"
    shown = _narrowed(cards) if len(cards) >= FILTERS_FROM else cards
    moving, around = _moving(), _around()

    def listing() -> None:
        if around != _around():
            st.rerun()  # a button in the list did something that shows outside of it, or in which models there are
        _downloads()
        _cards(shown)
        if moving != _moving():
            st.rerun()  # the timer of this list starts when something comes up or goes down, and ends with it

    st.fragment(errors.guarded(listing, "listing"), run_every=2 if any(moving) else None)()


def _moving() -> tuple[bool, int]:
    """(a server comes up or goes down, downloads under way): while there is one of them, the page looks again."""
    return serving.changing(), len(_downloading())


def _around() -> list[Any]:
    """What the page shows beside the list: a press of a button in it draws the list alone again."""
    return [st.session_state.get(name) for name in ("models_problem", "models_said", "serving_problem")]


def _downloading() -> list[Any]:
    """What brings a model: downloads and conversions."""
    states = ("queued", "starting", "running", "stopping")
    return [*context.store().list(states=states, verb="download", limit=100), *models_convert.under_way()]


def _narrowed(cards: list[ModelCard]) -> list[ModelCard]:
    """The cards that the person asked for, in the order asked for."""
    counts = {kind: sum(map(belongs, cards)) for kind, (_name, belongs) in KINDS.items()}
    with st.container(horizontal=True, vertical_alignment="center", key="models_filters"):
        wanted = st.text_input(
            _("Search models"),
            key="models_search",
            placeholder=_("Name, architecture, folder, licence"),
            icon=":material/search:",
            width=280,
            label_visibility="collapsed",
            persist_state="session",
        )
        kind = st.segmented_control(
            _("Show"),
            list(KINDS),
            key="models_kind",
            default="all",
            required=True,
            format_func=lambda kind: f"{_(KINDS[kind][0])} {counts[kind]:,}",
            label_visibility="collapsed",
            persist_state="session",
        )
        order = st.selectbox(
            _("Order"),
            list(ORDERS),
            key="models_order",
            format_func=lambda order: _(ORDERS[order]),
            width=160,
            label_visibility="collapsed",
            filter_mode=None,
            persist_state="session",
        )
    belongs = KINDS[kind or "all"][1]
    pieces = wanted.casefold().split()
    found = [card for card in cards if belongs(card) and all(piece in _searched(card) for piece in pieces)]
    named = wanted.strip().casefold()
    found.sort(key=lambda card: card.name.casefold() != named)  # a whole name means that one; stable for the others
    if order == "size":
        return sorted(found, key=lambda card: -card.size_bytes)
    if order == "added":
        added = {str(entry["name"]): float(entry.get("added") or 0) for entry in entries(context.workspace())}
        return sorted(found, key=lambda card: -added.get(card.name, 0.0))
    return found


def _searched(card: ModelCard) -> str:
    facts = (card.name, card.architecture, str(card.path), card.license, card.quantization, card.adapter_of)
    return " ".join(facts).casefold()


def _downloads() -> None:
    """One line for what is on its way; the whole of it stands where it was started."""
    for row in _downloading()[:3]:
        share = words.progress_of(row)
        state = f"{share:.0%}" if share is not None else words.look(row).word
        st.caption(f"{words.VERBS[row.verb][1]} {errors.plain(row.title)} · {state}")


def _cards(cards: list[ModelCard]) -> None:
    jobs, servers = serving.jobs(), serving.answering()
    # One primary button a screen: talk to what runs, else start the first that can be started.
    first = next((card.name for card in cards if card.name in servers), "" if jobs else _startable(cards))
    asked = "\0".join(str(st.session_state.get(name)) for name in ("models_search", "models_kind", "models_order"))
    kept, drawn = st.session_state.get(_DRAWN, ("", SHOWN))
    if kept != asked:  # another search begins at the top
        drawn = SHOWN
    for card in catalog.fresh(context.workspace(), cards[:drawn]):
        # Any text can be a name; a widget's key becomes a CSS class.
        key = hashlib.sha256(card.name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        model_card.draw(card, jobs.get(card.name), servers.get(card.name), key=key, primary=card.name == first)
    left = len(cards) - drawn
    if left > 0:
        st.button(
            ngettext("Show {n} more", "Show {n} more", min(left, MORE)).format(n=min(left, MORE)),
            key="models_more",
            icon=":material/expand_more:",
            help=_("{n} are not shown. The search narrows the list.").format(n=f"{left:,}"),
            on_click=_more,
            args=(asked, drawn + MORE),
        )
    if not cards:
        st.caption(_("No model here is like that. Change the search, or show all."))


def _more(asked: str, drawn: int) -> None:
    st.session_state[_DRAWN] = (asked, drawn)


def _startable(cards: list[ModelCard]) -> str:
    return next((card.name for card in cards if refusal(card) is None), "")
