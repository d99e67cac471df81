"""The details of a model: everything its folder says, where it comes from, and the way off the list."""

from __future__ import annotations

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard, Removal
from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.workspace import ROOT
from ui import compare_link, context, errors, words
from ui.models import code as models_code
from ui.models import template as models_template

JOBS_PAGE = ROOT / "pages" / "jobs.py"


def draw(card: ModelCard, key: str) -> None:
    """Draw the details of ``card``; ``key`` is unique on the page."""
    st.table(_rows(card), border="horizontal", width="content", alt=_("Details of {model}").format(model=card.name))
    if card.pickled:
        st.markdown(
            ":material/info: "
            + errors.plain(
                _(
                    "Weights in pickle format lie beside it. They can run code when read, so they are never loaded: {files}."
                )
            ).format(files=errors.plain(", ".join(card.pickled)))
        )
    models_code.draw(card, key)
    models_template.draw(card, key)
    with st.container(horizontal=True, vertical_alignment="center"):
        if card.made_by:
            st.page_link(
                JOBS_PAGE,
                label=_("Job {job} made it").format(job=card.made_by),
                icon=":material/history:",
                query_params={"job": str(card.made_by)},
            )
        compare_link.draw(card.name)
        if not card.builtin:
            _removing(card, key)


def _rows(card: ModelCard) -> dict[str, str]:
    """What a table of two columns says."""
    unknown = _("unknown")
    rows = {
        _("Folder"): errors.plain(str(card.path)),
        _("Architecture"): errors.plain(card.architecture) or unknown,
        _("Parameters"): f"{card.parameters:,}" if card.parameters is not None else unknown,
        _("Weights on disk"): words.size(card.size_bytes),
        _("Whole folder"): words.size(card.folder_bytes),
        _("Memory for the weights"): _memory(card.served),
        _("Precision"): errors.plain(card.dtype) or unknown,
        _("Quantization"): _quantization(card),
    }
    if card.adapter_of:
        rows |= _adapter(card)
    if card.base or not card.adapter_of:
        whole = card.served
        rows |= {
            _("Context length"): _("{n} tokens").format(n=f"{whole.context_length:,}")
            if whole.context_length
            else unknown,
            _("Takes"): _takes(whole),
        }
    if card.chat_template or card.base or not card.adapter_of:
        rows[_("Chat template")] = _template(card)
    rows[_("Licence")] = errors.plain(card.license) or _("not said in its folder")
    adapters = [] if card.adapter_of else catalog.adapters(context.workspace(), card)
    if adapters:
        rows[_("Adapters of it")] = errors.plain(", ".join(adapter.name for adapter in adapters))
    return rows | _lineage(card)


def _memory(card: ModelCard) -> str:
    found = catalog.weights_bytes(card)
    if found is None:
        return _("unknown")
    return _("about {size} (estimate: as stored; the conversation and the libraries come on top)").format(
        size=words.gib(found.bytes) if found.bytes >= 2**30 else words.size(found.bytes)
    )


def _quantization(card: ModelCard) -> str:
    if not card.quantization:
        return _("none")
    named = errors.plain(card.quantization)
    if card.quantization_group_size:
        return _("{method}, in groups of {n}").format(method=named, n=card.quantization_group_size)
    return named


def _adapter(card: ModelCard) -> dict[str, str]:
    base = card.base
    named = errors.plain(card.adapter_of) if card.adapter_of != "?" else _("it does not say which")
    where = _("on the list as {model}").format(model=errors.plain(base.name)) if base else _("not on the list")
    if card.unfit and card.unfit.code == "adapter_base_ambiguous":
        where = _("several on the list could be meant")
    rows = {_("Adapter of"): f"{named} ({where})"}
    if card.adapter_rank:
        rows[_("Rank")] = str(card.adapter_rank)
    return rows


def _takes(card: ModelCard) -> str:
    taken = [_("text")]
    if card.vision:
        taken.append(_("images"))
    if card.audio:
        taken.append(_("sound"))
    if card.tools:
        taken.append(_("tools"))
    return ", ".join(taken)


def _template(card: ModelCard) -> str:
    if card.template_differs and card.base:
        return _("its own, {fingerprint}; that of its base is another one, {other}").format(
            fingerprint=card.template_fingerprint[:12], other=card.base.template_fingerprint[:12] or _("none")
        )
    if card.base and not (card.own_tokenizer and card.chat_template):
        return _("that of its base: {template}").format(template=_template(card.base))
    if not card.chat_template:
        return _("none: it completes text and cannot hold a conversation")
    if card.template_chosen:
        return _("{template}, chosen here, {fingerprint}").format(
            template=card.template_chosen, fingerprint=card.template_fingerprint[:12]
        )
    known = _("yes, {fingerprint}").format(fingerprint=card.template_fingerprint[:12])
    return known if len(card.templates) < 2 else f"{known} ({errors.plain(', '.join(card.templates))})"


def _lineage(card: ModelCard) -> dict[str, str]:
    """Which job made it from what; a job of another workspace is said to be one, for its number means nothing here."""
    made = card.lineage
    rows: dict[str, str] = {}
    if made is None:
        if card.made_by:
            rows[_("Made by")] = _("job {job}").format(job=card.made_by)
        return rows
    how = errors.plain(words.verb_word(made.verb)) if made.verb else ""
    job = _("job {job}").format(job=card.made_by) if card.made_by else ""
    if made.job and not card.made_by:
        job = _("job {job} of another workspace").format(job=made.job)
    if job or how:
        rows[_("Made by")] = " · ".join(filter(None, [job, how]))
    if made.base:
        rows[_("Made from")] = errors.plain(made.base)
    if made.dataset:
        rows[_("Data")] = errors.plain(made.dataset)
    if made.created:
        rows[_("Made on")] = words.stamp(made.created)
    return rows


def _removing(card: ModelCard, key: str) -> None:
    box = st.popover(
        _("Remove from the list"),
        icon=":material/playlist_remove:",
        key=f"removing_{key}",
        on_change="rerun",
    )
    if not box.open:
        return
    with box:
        try:
            goes = catalog.removal(context.workspace(), card.name)
        except PanelError as error:
            errors.show(error, key=f"removing_{key}")
            return
        _what_depends(goes)
        delete = goes.deletes_files and _delete_files(goes, key)
        st.button(
            _("Remove {model} and delete {size}").format(model=errors.plain(card.name), size=words.size(goes.bytes))
            if delete
            else _("Remove {model}").format(model=errors.plain(card.name)),
            key=f"remove_{key}",
            icon=":material/delete:" if delete else ":material/playlist_remove:",
            on_click=_remove,
            args=(card.name, delete),
        )


def _what_depends(goes: Removal) -> None:
    """What goes, and who needs it."""
    if goes.deletes_files:
        st.markdown(_("The entry goes. TuneDeck made its files, so they can go, too."))
    else:
        st.markdown(_("Only the entry goes. The folder and its files stay as they are."))
    notes = []
    if goes.servers:
        notes.append(
            _("It is being served: {names}. The server goes on until it is stopped.").format(
                names=", ".join(goes.servers)
            )
        )
    if goes.adapters:
        notes.append(_("These adapters need it: {names}.").format(names=", ".join(goes.adapters)))
    if goes.others:
        notes.append(_("The same folder is on the list as {names}, too.").format(names=", ".join(goes.others)))
    for note in notes:
        st.markdown(f":orange[:material/warning:] {errors.plain(note)}")


def _delete_files(goes: Removal, key: str) -> bool:
    """Whether the person wants the files deleted; they cannot while a job uses them."""
    wanted = st.checkbox(
        ngettext(
            "Delete its {n} file ({size}), too. This cannot be undone.",
            "Delete its {n} files ({size}), too. This cannot be undone.",
            goes.files,
        ).format(n=goes.files, size=words.size(goes.bytes)),
        key=f"delete_files_{key}",
        disabled=bool(goes.jobs),
    )
    st.caption(errors.plain(str(goes.path)))
    if goes.jobs:
        st.caption(
            ngettext("Job {jobs} uses them now.", "Jobs {jobs} use them now.", len(goes.jobs)).format(
                jobs=", ".join(map(str, goes.jobs))
            )
        )
    return wanted and not goes.jobs


def _remove(name: str, delete_files: bool) -> None:
    """Callback: take ``name`` off the list, with its files if that was asked for."""
    st.session_state.pop("models_problem", None)
    try:
        catalog.remove(context.workspace(), name, delete_files)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["models_said"] = _("{model} is off the list.").format(model=name)
