"""First question of the form: which models are asked, of the list, of running servers, or behind another address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard
from backend.compare import pairs
from backend.engines import refusal
from backend.errors import PanelError
from backend.i18n import N_, _, ngettext
from backend.servers import running_servers
from backend.workspace import ROOT
from ui import context, errors
from ui.benchmark import keys as benchmark_keys
from ui.evaluate import state as evaluate_state

MODELS_PAGE = ROOT / "pages" / "models.py"
MOST = 8
SHOWN = 50
ADDRESS, NAME_THERE = "evaluate_address", "evaluate_address_model"


@dataclass(frozen=True)
class Offered:
    """Who can be asked. running: names of models that answer now. cards: models of the list that can talk and be served, by name. refused: the
    other models of the list, each with why."""

    running: tuple[str, ...] = ()
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    refused: Mapping[str, PanelError] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Those that answer now come first."""
        return list(dict.fromkeys((*self.running, *self.cards)))


def offered() -> Offered:
    """Who can be asked now."""
    running = [name for server in running_servers(context.store()) if server.ready for name in server.names()]
    cards: dict[str, ModelCard] = {}
    refused: dict[str, PanelError] = {}
    for card in catalog.models(context.workspace(), catalog.TRUST_S):
        reason = _refused(card)
        if reason is None:
            cards[card.name] = card
        elif card.name not in running:
            refused[card.name] = reason
    return Offered(tuple(dict.fromkeys(running)), cards, refused)


def _refused(card: ModelCard) -> PanelError | None:
    if card.problem is not None:
        return card.problem
    if not card.served.chat_template:
        return PanelError(
            "model_no_chat_template",
            N_("It has no chat template, so nobody can ask it."),
            N_("The Models page shows how to give it one."),
        )
    return refusal(card)


def draw(found: Offered) -> tuple[list[str], dict[str, str]]:
    """The choice; returns the names, and ``base_url``, ``model``, ``key_name`` of the server at another address, empty without one."""
    names = found.names
    kept = [name for name in st.session_state.get(evaluate_state.MODELS) or [] if name in names]
    if evaluate_state.MODELS not in st.session_state and names:
        kept = names[:1]
    st.session_state[evaluate_state.MODELS] = kept[:MOST]
    chosen = st.multiselect(
        _("Models"),
        names,
        key=evaluate_state.MODELS,
        max_selections=MOST,
        format_func=lambda name: f"{name} · {_('running')}" if name in found.running else name,
        placeholder=_("Choose one, or several to compare"),
        help=_("Each is asked the same questions, in a job of its own. What is not running is started for it."),
        on_change=evaluate_state.own,
        persist_state="session",
    )
    _base_too(chosen, names)
    return chosen, _elsewhere()


def refused(found: Offered) -> None:
    """The models that cannot be asked, each with why; folded."""
    if not found.refused:
        return
    title = ngettext("{n} model cannot be asked", "{n} models cannot be asked", len(found.refused))
    fold = st.expander(
        title.format(n=len(found.refused)),
        icon=":material/block:",
        type="compact",
        key="evaluate_refused",
        on_change="rerun",
    )
    if not fold.open:
        return
    with fold:
        for name, reason in list(found.refused.items())[:SHOWN]:
            st.markdown(f"**{errors.plain(name)}** · {errors.plain(' '.join(reason.localized()))}")
        if len(found.refused) > SHOWN:
            st.caption(_("The Models page lists them all."))


def nobody() -> None:
    """Said where no model can be asked."""
    with st.container(border=True, key="evaluate_no_model"):
        st.markdown(":material/deployed_code: **" + _("No model here can be asked yet") + "**")
        st.markdown(_("Get one on the Models page, or give the address of any other server below."))
        st.page_link(MODELS_PAGE, label=_("Open Models"), icon=":material/deployed_code:")


@st.cache_data(ttl=10, show_spinner=False, max_entries=32)
def _base_of(root: str, name: str) -> str:
    pair = pairs.base_and_tuned(context.workspace(), name)
    return pair[0] if pair else ""


def _base_too(chosen: list[str], names: list[str]) -> None:
    """Whoever asks a tuned model mostly wants to know whether it is better than what it was made from."""
    if len(chosen) != 1:
        return
    base = _base_of(str(context.workspace().root), chosen[0])
    if base and base in names:
        st.button(
            _("Ask its base {model} too").format(model=errors.plain(base)),
            key="evaluate_base_too",
            icon=":material/compare_arrows:",
            type="tertiary",
            help=_("Only then can be said whether it has become better."),
            on_click=_add,
            args=([base, chosen[0]],),
        )


def _add(names: list[str]) -> None:
    """Callback: these models."""
    evaluate_state.own()
    evaluate_state.fill({"models": names})


def _elsewhere() -> dict[str, str]:
    with st.expander(_("A server at another address"), icon=":material/lan:", type="compact", key="evaluate_elsewhere"):
        address = st.text_input(
            _("Address"),
            key=ADDRESS,
            placeholder="http://127.0.0.1:23333/v1",
            help=_("Any server with the OpenAI API."),
            persist_state="session",
        ).strip()
        name = st.text_input(
            _("Model there"),
            key=NAME_THERE,
            placeholder=_("the first that it serves"),
            persist_state="session",
        ).strip()
        key = benchmark_keys.draw(evaluate_state.problems)
    if not address:
        return {}
    return {"base_url": address, **({"model": name} if name else {}), **({"key_name": key} if key else {})}
