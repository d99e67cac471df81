"""A copy that is made: how much smaller it is, where it is used, and the next step with it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard
from backend.catalog.entries import entries
from backend.engines import refusal
from backend.i18n import _
from backend.queue.rows import JobRow
from backend.specs.finetune import short
from backend.workspace import ROOT
from ui import compare_link, context, errors, serving, words
from ui.evaluate import links as evaluate_links
from ui.quantize import links as quantize_links
from ui.quantize import look as quantize_look
from ui.quantize import submit as quantize_submit
from ui.quantize import words as quantize_words

BENCHMARK_PAGE, DEPLOY_PAGE, MODELS_PAGE = (ROOT / "pages" / f"{name}.py" for name in ("benchmark", "deploy", "models"))


def draw(row: JobRow, *, key: str) -> None:
    """Draw what ``row``, which ended well, came to."""
    measured = quantize_look.has_report(row)
    if row.verb == "report_card":
        st.markdown(":green[:material/check_circle:] " + _("All of it is measured."))
        _read(row, key)
        return
    copies = made(row)
    if not copies:
        st.markdown(_("Nothing of it is on the list of models. Its files lie in the folder of the run."))
    for card in copies:
        _copy(row, card, key)
    if measured:
        _read(row, key)
    if copies:
        next_steps(copies[0], key=key, primary=not measured)
        if not measured:
            base = str(context.store().spec(row.id).get("model", ""))
            st.button(
                _("Measure a report card"),
                key=f"{key}_measure",
                icon=":material/scoreboard:",
                help=_("Base and copy side by side: size, speed, memory, and how much of its quality the copy keeps."),
                on_click=quantize_submit.measure,
                args=([base, copies[0].name],),
            )


def kept(row: JobRow, *, key: str) -> None:
    """The copy of a job that ended before its report card was measured; nothing where it has none."""
    for card in made(row)[:1]:
        text = _("The copy {name} is whole and can be used; only its report card is missing.")
        st.markdown(":green[:material/check_circle:] " + text.format(name=f"**{errors.plain(card.name)}**"))
        next_steps(card, key=key, primary=False)


def made(row: JobRow) -> list[ModelCard]:
    """The models on the list whose files lie in the folder of ``row``."""
    folder = context.store().job_dir(row.id)
    names = {
        str(entry["name"]) for entry in entries(context.workspace()) if Path(str(entry["path"])).is_relative_to(folder)
    }
    return (
        [card for card in catalog.models(context.workspace(), catalog.TRUST_S) if card.name in names] if names else []
    )


def next_steps(card: ModelCard, *, key: str, primary: bool) -> None:
    """What can be done with the copy of ``card`` now."""
    serving.problem()
    reason = refusal(card)
    with st.container(horizontal=True, vertical_alignment="center"):
        if reason is None and st.button(
            _("Talk to {model}").format(model=errors.plain(card.name)),
            key=f"{key}_talk",
            type="primary" if primary else "secondary",
            icon=":material/forum:",
        ):
            serving.start_and_talk(card.name)
        if reason is None:
            compare_link.draw(card.name, _("Chat with both"))
            _page(DEPLOY_PAGE, _("Deploy it"), ":material/dns:", model=card.name)
            evaluate_links.with_base(card.name, _("Evaluate base and copy"))
        if BENCHMARK_PAGE.is_file():
            _page(BENCHMARK_PAGE, _("Benchmark it"), ":material/speed:", view="matrix", model=card.name)
        _page(MODELS_PAGE, _("Show it on the list of models"), ":material/deployed_code:", model=card.name)
    if reason is not None:
        st.caption(":material/cloud_off: " + errors.plain(" ".join(reason.localized())))
        errors.link(reason)


def _page(page: Path, label: str, icon: str, **query: str) -> None:
    st.page_link(page, label=label, icon=icon, query_params=query)


def _copy(row: JobRow, card: ModelCard, key: str) -> None:
    asked = str(context.store().spec(row.id).get("model", ""))
    base = next(
        (one for one in catalog.models(context.workspace(), catalog.TRUST_S) if asked in (one.name, str(one.path))),
        None,
    )
    st.markdown(
        ":green[:material/check_circle:] "
        + _("Made the model {name}.").format(name=f"**{errors.plain(card.name)}**")
        + " "
        + _("{model} is as it was.").format(model=errors.plain(short(asked)))
    )
    if base is None:
        st.caption(words.size(card.size_bytes))
        return
    less = quantize_words.smaller(base.size_bytes, card.size_bytes)
    with st.container(horizontal=True, gap="large", key=f"{key}_sizes"):
        for label, value, more in ((_("Before"), base.size_bytes, short(asked)), (_("Now"), card.size_bytes, less)):
            with st.container(gap=None, width="content"):
                st.metric(label, words.size(value), width="content")
                st.caption(errors.plain(more))


def _read(row: JobRow, key: str) -> None:
    st.button(
        _("Read its report card"),
        key=f"{key}_report",
        type="primary",
        icon=":material/scoreboard:",
        on_click=st.query_params.from_dict,
        args=(quantize_links.report(row.id),),
    )
