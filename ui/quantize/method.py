"""Second step: how the weights are rounded. What can be done here is offered; the rest is listed with the reason."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.quantize.methods import Choice
from backend.workspace import ROOT
from ui import errors
from ui.quantize import state as quantize_state
from ui.quantize.state import Draft

DEPLOY_PAGE = ROOT / "pages" / "deploy.py"


def settled(draft: Draft, offered: Sequence[Choice]) -> Draft:
    """``draft`` with a method: the one that is asked for, else the first that can be done here."""
    able = [choice.kind.method for choice in offered if choice.problem is None and choice.kind.makes_a_copy]
    return draft if draft.get("method") or not able else {**draft, "method": able[0]}


def draw(draft: Draft, offered: Sequence[Choice]) -> None:
    """Draw the methods that can be done here; one that was asked for and cannot stays chosen, and the plan says why."""
    shown = {
        choice.kind.method: choice
        for choice in offered
        if choice.kind.makes_a_copy and (choice.problem is None or choice.kind.method == draft.get("method"))
    }
    names = list(shown)
    st.session_state["quantize_method"] = draft["method"] if draft.get("method") in shown else names[0]
    st.radio(
        _("Method"),
        names,
        key="quantize_method",
        format_func=lambda name: f"**{errors.plain(_(shown[name].kind.title))}**",
        captions=[_about(choice) for choice in shown.values()],
        on_change=_chosen,
    )


def elsewhere(offered: Sequence[Choice]) -> None:
    """What cannot be done on this machine, and what happens while a model is served: each with why, or where."""
    others = [choice for choice in offered if choice.problem is not None and choice.kind.makes_a_copy]
    told = [choice for choice in offered if not choice.kind.makes_a_copy]
    if others:
        title = ngettext("{n} method cannot be used here", "{n} methods cannot be used here", len(others))
        with st.container(border=True, key="quantize_elsewhere", gap="small"):
            st.markdown(":material/block: **" + title.format(n=len(others)) + "**")
            for problem, names in _by_reason(others):
                st.markdown(f"**{errors.plain(' · '.join(names))}**  \n{errors.plain(' '.join(problem.localized()))}")
                errors.link(problem)
    if told:
        with st.container(border=True, key="quantize_while_served", gap="small"):
            st.markdown(":material/memory: **" + _("Without a copy: while a model is loaded or served") + "**")
            for choice in told:
                said = [part for part in (choice.kind.description, choice.kind.note) if part]
                st.markdown(
                    f"**{errors.plain(_(choice.kind.title))}**  \n"
                    + "  \n".join(errors.plain(_(part)) for part in said)
                )
            if DEPLOY_PAGE.is_file():
                st.page_link(DEPLOY_PAGE, label=_("Open Deploy"), icon=":material/dns:")


def _by_reason(others: Sequence[Choice]) -> list[tuple[PanelError, list[str]]]:
    """(why, the methods that it holds up); what is missing for several is said once."""
    found: dict[str, tuple[PanelError, list[str]]] = {}
    for choice in others:
        if choice.problem is not None:
            _problem, names = found.setdefault(" ".join(choice.problem.localized()), (choice.problem, []))
            names.append(_(choice.kind.title))
    return list(found.values())


def _about(choice: Choice) -> str:
    """What it does, and what can serve the copy."""
    icon = ":green[:material/check_circle:]" if choice.served_here else ":orange[:material/info:]"
    said = [errors.plain(_(part)) for part in (choice.kind.description, choice.kind.note) if part]
    if choice.served_note:
        said.append(f"{icon} {errors.plain(choice.served_note)}")
    return "  \n".join(said)


def _chosen() -> None:
    """Callback: another method."""
    chosen = st.session_state.get("quantize_method")
    if chosen:
        quantize_state.change({"method": str(chosen)})
