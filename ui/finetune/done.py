"""A run that ended well: whether it worked, what it made, and the next step with it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend.catalog.entries import entries
from backend.finetune import files
from backend.finetune.record import Run
from backend.i18n import N_, _
from backend.workspace import ROOT
from ui import compare_link, context, errors, serving, words
from ui.evaluate import links as evaluate_links
from ui.finetune import links as finetune_links
from ui.quantize import links as quantize_links

CHAT_PAGE, DEPLOY_PAGE, MODELS_PAGE = (ROOT / "pages" / f"{name}.py" for name in ("chat", "deploy", "models"))
ENDED = {
    "asked": N_("It was stopped before the end on request, and kept the best."),
    "patience": N_("It stopped by itself: the validation loss had not become better for a while."),
}


def draw(run: Run, *, key: str) -> None:
    """Draw what ``run`` came to."""
    if run.row.verb == "rehearse":
        _rehearsed(run, key)
        return
    reason = ENDED.get(str(run.result.get("ended", "")))
    if reason:
        st.caption(":material/flag: " + _(reason))
    proven = (run.dir / files.PROOF).is_file()
    if proven:
        from ui.finetune import proof as finetune_proof

        finetune_proof.draw(run.row)
    _made(run, key, chat=not proven)


def names(run: Run) -> list[tuple[str, Path]]:
    """(name on the list of models, folder) of what lies in the folder of ``run``, the merged model first."""
    found = [
        (str(entry["name"]), Path(str(entry["path"])))
        for entry in entries(context.workspace())
        if Path(str(entry["path"])).is_relative_to(run.dir)
    ]
    return sorted(found, key=lambda one: one[1].name == files.ADAPTER)


def _made(run: Run, key: str, *, chat: bool) -> None:
    listed = names(run)
    with st.container(border=True, key=f"{key}_made", gap="small"):
        st.markdown("**" + _("What it made") + "**")
        if not listed:
            st.markdown(_("Nothing of it is on the list of models. Its files lie in the folder of the run."))
        for number, (name, folder) in enumerate(listed):
            kind = _("an adapter, served with its base") if folder.name == files.ADAPTER else _("a model of its own")
            st.markdown(f":green[:material/check_circle:] **{errors.plain(name)}** · {kind}")
            if number == 0:
                _next(name, key, chat=chat, whole=folder.name != files.ADAPTER)
        with st.container(horizontal=True, vertical_alignment="center"):
            for name, _folder in listed:
                st.page_link(
                    MODELS_PAGE,
                    label=_("Show {model} on the list of models").format(model=errors.plain(name)),
                    icon=":material/deployed_code:",
                    query_params={"model": name},
                )
        _files(run, key)


def _next(name: str, key: str, *, chat: bool, whole: bool) -> None:
    serving.problem()
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            _("Talk to {model}").format(model=errors.plain(name)),
            key=f"{key}_talk",
            type="primary",
            icon=":material/forum:",
        ):
            serving.start_and_talk(name)
        if chat:
            compare_link.draw(name)
        st.page_link(
            DEPLOY_PAGE,
            label=_("Deploy it"),
            icon=":material/dns:",
            query_params={"view": "new", "model": name},
        )
        evaluate_links.with_base(name, _("Evaluate base and tuned"))
        if whole:  # an adapter gains nothing from fewer bits
            quantize_links.smaller(name, _("Make it smaller"))


def _files(run: Run, key: str) -> None:
    """The capsule to take along, and the model card."""
    capsule = run.file
    if capsule is not None:
        st.download_button(
            _("Download the run capsule ({size})").format(size=words.size(capsule.stat().st_size)),
            # Read when it is asked for: a page that is redrawn must not hold it in memory.
            data=capsule.read_bytes,
            file_name=f"run-{run.row.id}.zip",
            mime="application/zip",
            key=f"{key}_capsule",
            icon=":material/archive:",
            help=_(
                "Everything needed to repeat this run, without secrets: settings, config, versions, log, figures, and a "
                "script that repeats it outside TuneDeck."
            ),
            on_click="ignore",
        )
    card = run.card
    if card:
        fold = st.expander(
            _("Model card"), icon=":material/description:", key=f"{key}_card", on_change="rerun", type="compact"
        )
        if fold.open:
            with fold:
                _card(card)


def _card(text: str) -> None:
    from ui.chat import text as chat_text

    # The front matter is for hubs, not for people.
    body = text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text
    st.markdown(chat_text.safe(body))


def _rehearsed(run: Run, key: str) -> None:
    """What a rehearsal found, and the way to the run that it was made for."""
    found = run.rehearsal
    if found is None:
        return
    st.markdown(
        ":green[:material/check_circle:] "
        + _("Rehearsed: the longest rows, three steps, one evaluation, one save, one load. All of it works here.")
    )
    st.markdown(
        _("A step takes {step} s. At most {memory} were held. A checkpoint is {size} large.").format(
            step=f"{found.step_s:.2g}",
            memory=words.gib(found.peak_bytes),
            size=words.size(found.checkpoint_bytes),
        )
    )
    st.button(
        _("Set up the run with these settings"),
        key=f"{key}_after_rehearsal",
        icon=":material/model_training:",
        type="primary",
        on_click=finetune_links.set_up,
        args=(run.row.id,),
    )
