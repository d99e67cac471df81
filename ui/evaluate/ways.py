"""What one does with a run that is over: hold it against another, talk to its model, name it, remove it; and the command that made it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend import catalog
from backend.compare import pairs
from backend.errors import PanelError
from backend.evaluate.records import Run
from backend.i18n import _
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import ROOT
from ui import context, errors, words
from ui.evaluate import command as evaluate_command
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import links as evaluate_links
from ui.evaluate import look as evaluate_look
from ui.evaluate import state as evaluate_state
from ui.models import choice as model_choice

CHAT_PAGE = ROOT / "pages" / "chat.py"
LOOKED = 200
"""So many of the newest runs are looked through for one to compare with."""


def draw(run: Run) -> None:
    """Draw the buttons below a run, and its command, folded."""
    with st.container(horizontal=True, vertical_alignment="center", key="evaluate_ways"):
        _compare(run)
        _chat(run)
        _again(run)
        _rename(run)
        if run.state != "running":
            _remove(run)
    if run.job is not None:
        with contextlib.suppress(PanelError):  # its job was removed
            evaluate_command.draw([_chosen(context.store().spec(run.job))])


def _chosen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``spec`` somebody chose: the rest goes without saying. A run whose gaps were filled is told as the run that it is."""
    usual = EvaluateSpec(model="any").model_dump(mode="json")
    return {
        name: value
        for name, value in spec.items()
        if name in ("model", "questions") or (name not in ("into", "trial") and value != usual.get(name, value))
    }


def _compare(run: Run) -> None:
    """The newest other run whose scores can be held against this one."""
    others = evaluate_kept.comparable(run, evaluate_kept.store().runs(limit=LOOKED, set_name=run.set_name))
    if not others:
        return
    other = _nearest(run, others)
    pair = (other.id, run.id) if other.began <= run.began else (run.id, other.id)
    st.button(
        _("Compare with {other}").format(
            other=errors.plain(other.model if other.model != run.model else evaluate_look.title(other))
        ),
        key="evaluate_compare_with",
        type="primary",
        icon=":material/compare_arrows:",
        help=f"{errors.plain(evaluate_look.title(other))} · {words.ago(other.began)}",
        on_click=evaluate_kept.compare,
        args=(pair,),
    )


def _nearest(run: Run, others: Sequence[Run]) -> Run:
    """The newest of the base of its model; else of what was made from its model; else of any other model."""
    pair = pairs.base_and_tuned(context.workspace(), run.model)
    base = pair[0] if pair else ""
    made = {
        each.name for each in catalog.models(context.workspace()) if each.lineage and each.lineage.base == run.model
    }
    for wanted in (
        lambda each: each.model == base,
        lambda each: each.model in made,
        lambda each: each.model != run.model,
    ):
        found = next(filter(wanted, others), None)
        if found is not None:
            return found
    return others[0]


def _chat(run: Run) -> None:
    if CHAT_PAGE.is_file() and run.model in model_choice.models(None):
        st.page_link(
            CHAT_PAGE, label=_("Chat with this model"), icon=":material/chat:", query_params={"model": run.model}
        )


def _again(run: Run) -> None:
    """The form, with the same model and set."""
    if run.source == "job":
        st.button(
            _("Evaluate again"),
            key="evaluate_again",
            icon=":material/replay:",
            help=_("The form with the same model and questions; this run stays as it is."),
            on_click=evaluate_state.go,
            args=(evaluate_links.form(run.model, questions=run.set_name),),
        )


def _rename(run: Run) -> None:
    with (
        st.popover(_("Rename"), icon=":material/edit:", key="evaluate_rename"),
        st.form("evaluate_rename_form", border=False),
    ):
        st.text_input(_("Name"), evaluate_look.title(run), key="evaluate_name", max_chars=120)
        st.form_submit_button(_("Keep this name"), key="evaluate_rename_keep", on_click=_renamed, args=(run.id,))


def _renamed(run: int) -> None:
    with evaluate_state.problems():
        evaluate_kept.store().rename(run, str(st.session_state.get("evaluate_name") or ""))


def _remove(run: Run) -> None:
    with st.popover(_("Remove"), icon=":material/delete:", key="evaluate_remove"):
        text = _("Remove this run with its scores and answers? Its job, or the files that it was imported from, stay.")
        st.markdown(text)
        st.button(
            _("Remove {name}").format(name=errors.plain(evaluate_look.title(run))),
            key="evaluate_remove_yes",
            icon=":material/delete:",
            on_click=_removed,
            args=(run.id,),
        )


def _removed(run: int) -> None:
    with evaluate_state.problems():
        evaluate_kept.store().remove(run)
        evaluate_state.say(_("The run was removed."))
        st.query_params.from_dict({"view": "results"})
