"""What the evaluators in environments of their own are told, folded: OpenCompass's config file, which can be edited, and lm-eval's task files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from backend.specs.evaluate import LONGEST_CONFIG, EvaluateSpec
from ui import context

EDIT, OWN = "evaluate_config_edit", "evaluate_config_text"
_KEPT, _WRITTEN = "evaluate_config_made", "evaluate_config_written"
Files = dict[str, str]
CONFIG = "config.py"
COURSE = {"ceval": "ceval_gen", "mmlu": "mmlu_gen"}
"""Name of a set -> what the command line of OpenCompass calls its data."""


def problem(spec: Mapping[str, Any]) -> PanelError | None:
    """Why nothing can be written for ``spec``; None where it can, or where nothing has to be."""
    made = _made(spec)
    return made if isinstance(made, PanelError) else None


def draw(spec: Mapping[str, Any]) -> None:
    """The fold for ``spec``; nothing for TuneDeck's own evaluator."""
    made = _made(spec)
    if isinstance(made, PanelError) or not made:
        return
    course = spec.get("evaluator") == "opencompass"
    title = _("Config file of OpenCompass") if course else _("Task files of lm-eval")
    fold = st.expander(title, icon=":material/description:", type="compact", key="evaluate_config", on_change="rerun")
    if not fold.open:
        if course and own(spec):
            st.caption(":material/edit: " + _("The config file was edited: it is used as it stands there."))
        return
    with fold:
        if course:
            _config(made[CONFIG])
            _in_one_line(spec)
        else:
            _files(made)


def own(spec: Mapping[str, Any]) -> dict[str, str]:
    """The field of the spec that holds the edited config; empty where it was left as it was written."""
    text = str(st.session_state.get(OWN) or "")
    if not text or spec.get("evaluator") != "opencompass" or not st.session_state.get(EDIT):
        return {}
    return {"config": text} if text != st.session_state.get(_WRITTEN) else {}


def _config(text: str) -> None:
    editing = st.toggle(
        _("Edit it"),
        key=EDIT,
        help=_("What you write is used instead. The settings above then change it no longer."),
        persist_state="session",
    )
    if editing:
        if not st.session_state.get(OWN) or st.session_state.get(OWN) == st.session_state.get(_WRITTEN):
            # Nobody has changed it yet: it follows the settings.
            st.session_state[OWN] = text
        st.text_area(
            _("Config file of OpenCompass"),
            key=OWN,
            height=420,
            max_chars=LONGEST_CONFIG,
            label_visibility="collapsed",
            persist_state="session",
        )
        if st.session_state.get(OWN) != text:
            st.button(
                _("Take the written one again"), key="evaluate_config_undo", icon=":material/undo:", on_click=_undo
            )
    else:
        st.code(text, language="python", height=420)
    st.session_state[_WRITTEN] = text
    shown = str(st.session_state.get(OWN) or text) if editing else text
    st.download_button(
        _("Download"), shown, CONFIG, "text/x-python", key="evaluate_config_get", icon=":material/download:", on_click="ignore"
    )  # fmt: skip


def _in_one_line(spec: Mapping[str, Any]) -> None:
    """The line of the course, where OpenCompass loads the model itself."""
    data = COURSE.get(str(spec.get("questions")))
    if spec.get("by") != "hf" or data is None:
        return
    from backend.engines import opencompass_config

    st.caption(_("The same in one line, as the course has it; it expects the questions below data/ of its folder."))
    st.code(opencompass_config.quick_command(str(spec.get("model")), data), language="bash", wrap_lines=True)


def _undo() -> None:
    """Callback: the config as it is written from the settings."""
    st.session_state[OWN] = ""


def _files(made: Files) -> None:
    name = str(
        st.selectbox(_("File"), sorted(made), key="evaluate_file", filter_mode=None, label_visibility="collapsed")
    )
    language = "yaml" if name.endswith((".yaml", ".yml")) else "json" if name.endswith("jsonl") else None
    st.code(made.get(name, "")[:20_000], language=language, height=320)
    from backend.engines import lm_eval_tasks

    st.caption(_("Run in the folder that holds these files:"))
    st.code(lm_eval_tasks.command_text(), language="bash", wrap_lines=True)
    st.download_button(
        _("Download all"),
        lambda: _zipped(made),
        "lm-eval-tasks.zip",
        "application/zip",
        key="evaluate_files_get",
        icon=":material/download:",
        on_click="ignore",
    )


def _zipped(made: Files) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in made.items():
            archive.writestr(name, text)
    return held.getvalue()


def _made(spec: Mapping[str, Any]) -> Files | PanelError:
    """What is written for ``spec``, kept while it stays the same: it takes reading the questions."""
    evaluator = spec.get("evaluator")
    if evaluator not in ("opencompass", "lm_eval"):
        return {}
    asked = json.dumps({name: value for name, value in spec.items() if name != "config"}, sort_keys=True)
    kept: tuple[str, Files | PanelError] | None = st.session_state.get(_KEPT)
    if kept is None or kept[0] != asked:
        kept = (asked, _write(spec))
        st.session_state[_KEPT] = kept
    return kept[1]


def _write(spec: Mapping[str, Any]) -> Files | PanelError:
    try:
        parsed = EvaluateSpec.model_validate({name: value for name, value in spec.items() if name != "config"})
        if spec.get("evaluator") == "opencompass":
            from backend.engines import opencompass_config

            return {CONFIG: opencompass_config.text_for(context.workspace(), parsed)}
        from backend.engines import lm_eval_tasks

        return dict(lm_eval_tasks.files_for(context.workspace(), parsed))
    except PanelError as error:
        return error
    except ValueError:
        return {}  # the plan says which setting is wrong
