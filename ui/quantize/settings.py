"""Fourth step: the few settings that are left, and the whole job as a spec and a command, to take along."""

from __future__ import annotations

import json
import shlex

import streamlit as st

from backend.i18n import _
from backend.quantize.plan import Plan
from backend.workspace import ROOT
from ui import errors
from ui.quantize import fields as quantize_fields
from ui.quantize import submit as quantize_submit
from ui.quantize.state import Draft

SPEC = "quantize.json"


def draw(draft: Draft, made: Plan) -> None:
    """Draw the settings for the plan ``made`` of ``draft``."""
    spec, kind = made.spec, made.kind
    st.markdown("**" + _("Settings") + "**")
    # The name as it was typed: what was made by itself would stay when the method changes.
    quantize_fields.draw("name", draft.get("name", ""), placeholder=spec.name or _("made by itself"))
    if kind is not None and kind.grouped:
        left, right = st.columns(2, vertical_alignment="bottom")
        with left:
            quantize_fields.draw("group_size", spec.group_size)
        with right:
            quantize_fields.draw("symmetric", spec.symmetric)
    quantize_fields.draw("device", draft.get("device", "auto"))
    quantize_fields.draw("report", spec.report)
    if spec.report:
        st.caption(_("It takes a few minutes more, and can also be measured later."))


def command(made: Plan) -> None:
    """The command line and the spec of the plan ``made``, folded."""
    folded = st.expander(
        _("Settings and command to take along"),
        icon=":material/terminal:",
        type="compact",
        key="quantize_command",
        on_change="rerun",
    )
    if not folded.open:
        return
    with folded:
        text = json.dumps(quantize_submit.spec_of(made), ensure_ascii=False, indent=2)
        st.markdown(_("The job that the button makes. It also runs in a shell on the server, without this page."))
        st.code(f"cd {shlex.quote(str(ROOT))}\n{run_line()}", language="bash", wrap_lines=True)
        st.markdown(_("Its settings, {file}; what is not named is at its default.").format(file=errors.plain(SPEC)))
        st.code(text, language="json", wrap_lines=True)
        st.download_button(
            _("Download the settings"),
            text,
            file_name=SPEC,
            mime="application/json",
            key="quantize_spec_download",
            icon=":material/download:",
            on_click="ignore",
        )
        if made.command:
            st.markdown(_("What that job runs then."))
            st.code(shlex.join(made.command), language="bash", wrap_lines=True)


def run_line() -> str:
    """The line that makes the same job."""
    return f".venv/bin/python -m backend quantize run {SPEC} --wait"
