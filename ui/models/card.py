"""One model of the catalogue as the Models page shows it: what it is, whether it answers, and what can be done."""

from __future__ import annotations

import time
from typing import Literal

import streamlit as st

from backend.catalog import ModelCard
from backend.engines import refusal
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.servers import Server
from ui import connect, errors, serving, wait_words, words
from ui.evaluate import links as evaluate_links
from ui.finetune import ways_in as finetune_ways_in
from ui.models import contract as model_contract
from ui.models import convert as models_convert
from ui.models import details as models_details
from ui.models import fit as model_fit
from ui.quantize import links as quantize_links

IDLE = words.Look(N_("not running"), ":material/radio_button_unchecked:", "gray")
BROKEN = words.Look(N_("not usable"), ":material/error:", "red")
ADAPTER = words.Look(N_("adapter"), ":material/extension:", "gray")
CONSENT = words.Look(N_("needs your consent"), ":material/code:", "orange")
REFUSED = words.Look(N_("cannot be started here"), ":material/block:", "orange")


def draw(card: ModelCard, job: JobRow | None, server: Server | None, *, key: str, primary: bool = False) -> None:
    """The card; ``job`` serves the model or is about to, ``server`` answers now. ``key`` is unique on the page.

    ``primary``: its first button is the page's primary one.
    """
    with st.container(border=True, key=f"model_{key}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{errors.plain(card.name)}**", width="content")
            kind = f"{ADAPTER.chip} " if card.adapter_of else ""
            st.markdown(f"{kind}{_state(card, job, server).chip}", width="content")
        st.caption(facts(card))
        if card.problem is not None:
            message, hint = card.problem.localized()
            st.markdown(f":red[:material/error:] {errors.plain(message)} {errors.plain(hint)}")
            models_convert.button(card.problem, f"{card.name}-safetensors", key)
        elif job is not None and server is None:
            _coming_up(job)
        elif job is None and (reason := refusal(card)) is not None and reason.code not in model_contract.CODES:
            message, hint = reason.localized()
            st.markdown(f"{_state(card, job, server).icon} {errors.plain(message)} {errors.plain(hint)}")
            if card.unfit is not None and card.base is None:
                _way_to_base(key)
            errors.link(reason)
        otherwise = model_contract.changed(card)
        if otherwise is not None:
            model_contract.draw(card, otherwise, key, running=job is not None or server is not None)
        model_fit.draw(card, job)
        _buttons(card, job, server, key, primary)
        if server is not None:
            how = st.expander(
                _("Connect a program"), icon=":material/cable:", key=f"connect_{key}", on_change="rerun", type="compact"
            )
            if how.open:
                with how:
                    connect.draw(server.model)
        more = st.expander(
            _("Details"), icon=":material/info:", key=f"details_{key}", on_change="rerun", type="compact"
        )
        if more.open:
            with more:
                models_details.draw(card, key)


def facts(card: ModelCard) -> str:
    """What it is, in one line of Markdown: size, parameters, context, precision, what it can see, whose adapter, licence."""
    parts = [words.size(card.size_bytes)] if card.size_bytes else []
    if card.parameters is not None:
        parts.append(_("{n} parameters").format(n=words.parameters(card.parameters)))
    whole = card.served
    if whole.context_length:
        parts.append(_("context {n} tokens").format(n=f"{whole.context_length:,}"))
    parts += [part for part in (card.quantization or card.dtype, card.architecture) if part]
    if whole.vision:
        parts.append(_("sees images"))
    if whole.audio:
        parts.append(_("hears sound"))
    if card.adapter_of:
        parts.append(_("adapter of {model}").format(model=card.base.name if card.base else card.adapter_of))
    if card.license:
        parts.append(_("licence {name}").format(name=card.license))
    if card.builtin:
        parts.append(_("ships with TuneDeck"))
    return errors.plain(" · ".join(parts)) or errors.plain(str(card.path))


def _state(card: ModelCard, job: JobRow | None, server: Server | None) -> words.Look:
    if server is not None:
        return words.SERVING
    if job is not None:
        return words.look(job) if job.state != "running" else words.STATES["starting"]
    if card.problem is not None:
        return BROKEN
    if card.served.needs_code and not card.served.code_allowed:
        return CONSENT
    return REFUSED if refusal(card) is not None else IDLE


def _way_to_base(key: str) -> None:
    if st.button(_("Add its base"), key=f"add_base_{key}", icon=":material/create_new_folder:"):
        st.query_params.from_dict({"view": "add"})
        st.rerun()  # the whole page: this is a fragment


def _coming_up(job: JobRow) -> None:
    if job.state == "queued":
        st.markdown(":material/schedule: " + errors.plain(wait_words.sentence(job)))
        return
    phase = words.phase_word(str(job.progress.get("phase") or "")) or words.look(job).word
    share = words.progress_of(job)
    if share is not None:
        st.progress(share, text=errors.plain(phase))
        return
    since = words.duration(time.time() - (job.started or job.created))
    st.markdown(":material/hourglass_top: " + errors.plain(f"{phase} · {since}"))


def _buttons(card: ModelCard, job: JobRow | None, server: Server | None, key: str, primary: bool) -> None:
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    with st.container(horizontal=True, vertical_alignment="center"):
        if server is not None and st.button(
            _("Talk to {model}").format(model=errors.plain(card.name)),
            key=f"talk_{key}",
            type=kind,
            icon=":material/forum:",
        ):
            serving.start_and_talk(server.model)
        if job is not None:
            st.button(
                _("Stop server"),
                key=f"stop_{key}",
                icon=":material/stop_circle:",
                disabled=job.state == "stopping",
                help=_("Answers that are being written end. The model stays on the list."),
                on_click=serving.stop,
                args=(job.id,),
            )
        elif refusal(card) is None:
            st.button(
                _("Start server"),
                key=f"start_{key}",
                type=kind,
                icon=":material/play_arrow:",
                help=_("Loads the model as a job, so that it answers on the Chat page and to programs."),
                on_click=serving.start,
                args=(card.name,),
            )
            connect.deploy_link(card.name)
        finetune_ways_in.from_model(card)
        quantize_links.from_model(card)
        if server is not None or refusal(card) is None:
            evaluate_links.evaluate(card.name)
