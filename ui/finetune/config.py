"""What the engine is really told: XTuner's config file, which an expert may edit, or the training arguments of transformers;
and the whole run as a spec and a command, to take along."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.i18n import _
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT
from ui import errors
from ui.finetune import state as finetune_state
from ui.finetune import submit as finetune_submit

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

TEXT = "finetune_config_text"
SPEC, CONFIG = "finetune.json", "config.py"


def draw(made: Plan, asked: Mapping[str, Any]) -> None:
    """Draw both, folded, for the plan ``made`` of the settings ``asked``."""
    _engine(made)
    _command(made, asked)


def _engine(made: Plan) -> None:
    xtuner = made.spec.engine == "xtuner"
    label = _("XTuner config") if xtuner else _("Training arguments")
    folded = st.expander(label, icon=":material/code:", type="compact", key="finetune_config", on_change="rerun")
    if not folded.open:
        return
    with folded:
        if not made.config:
            st.caption(_("It is made as soon as the plan above is whole."))
            return
        if not xtuner:
            st.markdown(_("What transformers' Trainer is given."))
            st.code(made.config, language="json", wrap_lines=True, height=360)
            _download(made.config, "training_arguments.json")
        elif st.session_state.get(TEXT) is not None:
            _editor(made)
        else:
            _shown(made)


def _download(text: str, name: str) -> None:
    st.download_button(
        _("Download"),
        text,
        file_name=name,
        key="finetune_config_download",
        icon=":material/download:",
        on_click="ignore",
    )


def _shown(made: Plan) -> None:
    own = bool(made.spec.config_text)
    if own:
        st.markdown(":material/edit: " + _("This file was edited by hand; the settings above no longer change it."))
    else:
        st.markdown(_("The whole file that XTuner is given, made from the settings above."))
    st.code(made.config, language="python", height=360)
    with st.container(horizontal=True):
        st.button(
            _("Edit this file"),
            key="finetune_config_edit",
            icon=":material/edit:",
            help=_("For people who know XTuner. It is checked, and then used as it stands."),
            on_click=_begin,
            args=(made.config,),
        )
        _download(made.config, CONFIG)
        if own:
            st.button(
                _("Make it from the settings again"),
                key="finetune_config_undo",
                icon=":material/undo:",
                on_click=finetune_state.undo,
                args=("config_text",),
            )


def _editor(made: Plan) -> None:
    from backend.finetune import xtuner

    text = st.text_area(
        _("XTuner config"),
        key=TEXT,
        height=420,
        label_visibility="collapsed",
        help=_("Python, as XTuner reads it. Model, data and folder stay as they are."),
    )
    folder = Path(made.model_folder) if made.model_folder else None
    problems = xtuner.check_text(str(text or ""), folder, made.spec.device)
    for problem in problems:
        st.markdown(f":red[:material/error:] {errors.plain(problem.message)}")
    if not problems:
        st.markdown(":green[:material/check_circle:] " + _("XTuner can read this file."))
    with st.container(horizontal=True):
        st.button(
            _("Use this file"),
            key="finetune_config_use",
            icon=":material/check:",
            disabled=bool(problems),
            on_click=_use,
        )
        st.button(_("Discard"), key="finetune_config_discard", icon=":material/close:", on_click=_end)


def _begin(text: str) -> None:
    st.session_state[TEXT] = text


def _end() -> None:
    st.session_state.pop(TEXT, None)


def _use() -> None:
    """Callback: the file as it was edited."""
    finetune_state.change({"config_text": str(st.session_state.pop(TEXT, "") or "")})


def _command(made: Plan, asked: Mapping[str, Any]) -> None:
    folded = st.expander(
        _("Settings and command to take along"),
        icon=":material/terminal:",
        type="compact",
        key="finetune_command",
        on_change="rerun",
    )
    if not folded.open:
        return
    with folded:
        settled = FinetuneSpec.model_validate(finetune_submit.spec_of(made, asked))
        spec = settled.model_dump(mode="json", exclude_defaults=True)
        text = json.dumps(spec, ensure_ascii=False, indent=2)
        st.markdown(_("The job that the button makes. It also runs in a shell on the server, without this page."))
        st.code(f"cd {shlex.quote(str(ROOT))}\n{run_line()}", language="bash", wrap_lines=True)
        st.markdown(_("Its settings, {file}; what is not named is at its default.").format(file=errors.plain(SPEC)))
        st.code(text, language="json", wrap_lines=True)
        st.download_button(
            _("Download the settings"),
            text,
            file_name=SPEC,
            mime="application/json",
            key="finetune_spec_download",
            icon=":material/download:",
            on_click="ignore",
        )
        if made.command:
            st.markdown(_("What that job runs then."))
            st.code(shlex.join(made.command), language="bash", wrap_lines=True)


def run_line() -> str:
    """The line that makes the same job."""
    return f".venv/bin/python -m backend finetune run {SPEC} --wait"
