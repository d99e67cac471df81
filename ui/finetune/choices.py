"""The four questions of a fine-tune: which model, which dataset, what for, how long may it take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from backend.catalog import ModelCard
from backend.data.store import DatasetInfo
from backend.errors import DataError, PanelError
from backend.finetune import presets
from backend.i18n import _, ngettext
from backend.memory.machine import Machine
from ui import errors, words
from ui.datasets import state as datasets_state
from ui.datasets import words as named
from ui.finetune import state as finetune_state
from ui.finetune import words as finetune_words
from ui.finetune.state import Draft

SEARCHED_FROM = 10
"""Names from which on a list can be searched."""


def settled(draft: Draft, cards: Sequence[ModelCard], sets: Sequence[DatasetInfo], machine: Machine) -> Draft:
    """``draft`` with an answer to every question: what was asked for where there is that, else what is likely meant."""
    names, known = [card.name for card in cards], {info.name for info in sets}
    model = draft.model if draft.model in names else _by_path(draft.model, cards) or names[0]
    dataset = draft.dataset if draft.dataset in known else sets[0].name
    version = draft.version if dataset == draft.dataset else ""
    purpose = draft.purpose if draft.purpose in presets.PRESETS else likely(dataset)
    time = draft.time if draft.time in presets.TIMES else ("hour" if machine.gpus else "minutes")
    return replace(draft, model=model, dataset=dataset, version=version, purpose=purpose, time=time)


def likely(dataset: str) -> str:
    """What the dataset is likely meant for, from how it was made and what its rows are like."""
    try:
        return presets.purpose_of(datasets_state.sets().open(dataset))
    except DataError:
        return "own"


def draw(draft: Draft, cards: Sequence[ModelCard], sets: Sequence[DatasetInfo]) -> None:
    """Draw the questions with the answers of ``draft``; an answer is kept by a callback, before the next drawing."""
    _model(draft, cards)
    _dataset(draft, sets)
    _purpose(draft)
    _time(draft)


def changed(own: Mapping[str, Any]) -> None:
    """What is no longer as it follows from the answers: each a press to put it back."""
    if not own:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="finetune_changed", gap="xsmall"):
        st.caption(":material/edit: " + _("Changed by you:"), width="content")
        for name, value in own.items():
            said = f"{finetune_words.label(name)}: {finetune_words.value(name, value)}"
            st.button(
                errors.plain(said),
                key=f"finetune_undo_{name}",
                type="tertiary",
                icon=":material/close:",
                help=_("Put it back as it follows from the four answers."),
                on_click=finetune_state.undo,
                args=(name,),
            )
        if len(own) > 1:
            st.button(
                _("Put all back"),
                key="finetune_undo",
                type="tertiary",
                icon=":material/undo:",
                on_click=finetune_state.undo,
            )


def refused(reasons: dict[str, PanelError]) -> None:
    """The models that cannot be taught here, each with why."""
    if not reasons:
        return
    title = ngettext("{n} model cannot be taught here", "{n} models cannot be taught here", len(reasons))
    folded = st.expander(
        title.format(n=len(reasons)), icon=":material/block:", type="compact", key="finetune_refused", on_change="rerun"
    )
    if not folded.open:
        return
    with folded:
        for name, reason in list(reasons.items())[:50]:
            st.markdown(f"**{errors.plain(name)}** · {errors.plain(' '.join(reason.localized()))}")
        if len(reasons) > 50:
            st.caption(_("The Models page lists them all."))


def _model(draft: Draft, cards: Sequence[ModelCard]) -> None:
    names = [card.name for card in cards]
    st.session_state["finetune_model"] = draft.model
    st.selectbox(
        _("Model"),
        names,
        key="finetune_model",
        on_change=_answered,
        args=("model",),
        filter_mode="fuzzy" if len(names) >= SEARCHED_FROM else None,
    )
    card = next(card for card in cards if card.name == draft.model)
    st.caption(_facts(card))


def _facts(card: ModelCard) -> str:
    """How large it is and how much it reads; the rest stands on the Models page."""
    said = [_("{n} parameters").format(n=words.parameters(card.parameters))] if card.parameters is not None else []
    said += [words.size(card.size_bytes)] if card.size_bytes else []
    if card.context_length:
        said.append(_("context {n} tokens").format(n=f"{card.context_length:,}"))
    said += [card.quantization] if card.quantization else []
    said += [_("ships with TuneDeck")] if card.builtin else []
    return errors.plain(" · ".join(said))


def _dataset(draft: Draft, sets: Sequence[DatasetInfo]) -> None:
    infos = {info.name: info for info in sets}
    st.session_state["finetune_dataset"] = draft.dataset
    st.selectbox(
        _("Dataset"),
        list(infos),
        key="finetune_dataset",
        on_change=_answered,
        args=("dataset",),
        filter_mode="fuzzy" if len(infos) >= SEARCHED_FROM else None,
    )
    info = infos[draft.dataset]
    if draft.version and draft.version != info.current.id:
        st.caption(
            ":material/history: "
            + _("An earlier version of it, {version}, as the run had it that these settings are from.").format(
                version=draft.version[:6]
            )
        )
        st.button(
            _("Take the current version"),
            key="finetune_current",
            type="tertiary",
            icon=":material/update:",
            on_click=finetune_state.answer,
            kwargs={"version": ""},
        )
    else:
        origin = named.steps(info.current.steps, brief=True)
        st.caption(errors.plain(" · ".join(
            part for part in (named.rows(info.current.rows), named.splits(info.current.counts), origin) if part
        )))  # fmt: skip
    with st.container(horizontal=True, key="finetune_dataset_links"):
        st.page_link(
            datasets_state.PAGE,
            label=_("Look at the rows"),
            icon=":material/list:",
            query_params=datasets_state.address(draft.dataset, version=draft.version),
        )
        st.page_link(
            datasets_state.PAGE,
            label=_("Make another one"),
            icon=":material/auto_awesome:",
            query_params={"view": "make"},
        )


def _purpose(draft: Draft) -> None:
    st.session_state["finetune_purpose"] = draft.purpose
    st.pills(
        _("What is it to learn?"),
        list(presets.PRESETS),
        key="finetune_purpose",
        required=True,
        format_func=lambda name: _(presets.PRESETS[name].title),
        on_change=_answered,
        args=("purpose",),
    )
    preset = presets.PRESETS[draft.purpose]  # type: ignore[index]
    source = _("From: {source}.").format(source=_(preset.source))
    st.caption(f"{errors.plain(_(preset.description))}  \n:small[{errors.plain(source)}]")


def _time(draft: Draft) -> None:
    st.session_state["finetune_time"] = draft.time
    st.segmented_control(
        _("How long may it take?"),
        list(presets.TIMES),
        key="finetune_time",
        required=True,
        format_func=lambda name: _(finetune_words.TIMES[name]),
        on_change=_answered,
        args=("time",),
        help=_("Epochs and size are chosen so that it is done by then, as far as that can be foreseen."),
        width="stretch",
    )


def _answered(name: str) -> None:
    """Callback: what the widget of the question ``name`` says."""
    chosen = st.session_state.get(f"finetune_{name}")
    if chosen:
        finetune_state.answer(**{name: str(chosen)})


def _by_path(asked: str, cards: Sequence[ModelCard]) -> str:
    """The name of the model whose folder is ``asked``."""
    return next((card.name for card in cards if asked and str(card.path) == asked), "")
