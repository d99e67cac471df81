"""Explain a log: paste it, upload it or name its file, and read the cause and what helps. Nothing is guessed."""

from __future__ import annotations

import io
from pathlib import Path

import streamlit as st

from backend.diagnosis import ROWS, Finding, diagnose, reading
from backend.diagnosis.matcher import find
from backend.errors import PanelError
from backend.i18n import N_, _, ngettext
from ui import errors

WAYS = {"paste": N_("Paste it"), "upload": N_("Upload it"), "path": N_("A file on this server")}


def draw() -> None:
    """Draw the box, and below it what the log says."""
    st.markdown(
        _("Something failed outside of TuneDeck, or a job's log is not clear? Give the log, and read the cause here.")
    )
    way = st.segmented_control(
        _("How the log comes here"),
        list(WAYS),
        key="diagnose_way",
        default="paste",
        required=True,
        format_func=lambda name: _(WAYS[name]),
    )
    with st.form("diagnose_form", enter_to_submit=False, border=False):
        text, upload, path = "", None, ""
        if way == "upload":
            upload = st.file_uploader(_("Log file"), key="diagnose_file")
        elif way == "path":
            path = st.text_input(_("Path on this server"), key="diagnose_path", placeholder="/…/attempt-1.log")
        else:
            text = st.text_area(
                _("Log"), key="diagnose_text", height=220, placeholder=_("The last lines are the most important ones.")
            )
        code = st.number_input(
            _("Exit code, if you know it"),
            value=None,
            step=1,
            min_value=-64,
            max_value=255,
            key="diagnose_code",
            width=260,
        )
        asked = st.form_submit_button(_("Find the cause"), type="primary", icon=":material/search:")
    if not asked:
        return
    if way == "paste" and not text.strip():
        st.info(_("Paste the log first."), icon=":material/info:")
        return
    if way == "upload" and upload is None:
        st.info(_("Choose a file first."), icon=":material/info:")
        return
    try:
        if way == "path":
            found = diagnose(Path(path.strip()).expanduser(), exit_code=code)
        else:
            data = io.BytesIO(upload.getvalue() if upload else text.encode())
            found = find(
                reading.read_stream(data, upload.name if upload else _("What you pasted")), ROWS, exit_code=code
            )
    except PanelError as error:
        errors.show(error, key="diagnose")
        return
    _result(found)


def _result(found: list[Finding]) -> None:
    if not found:
        with st.container(border=True, key="diagnose_unknown"):
            st.markdown(":material/help: **" + _("No known cause.") + "**")
            st.markdown(_("Read the end of the log; what stands above the last error often says more."))
        return
    _card(found[0], first=True)
    if found[1:]:
        title = ngettext("{n} more thing that the log reports", "{n} more things that the log reports", len(found) - 1)
        with st.expander(title.format(n=len(found) - 1), type="compact"):
            for finding in found[1:]:
                _card(finding, first=False)


def _card(finding: Finding, *, first: bool) -> None:
    with st.container(border=True, key=f"diagnose_{finding.code}", gap="small"):
        icon = ":red[:material/error:]" if first else ":material/subdirectory_arrow_right:"
        st.markdown(f"{icon} **{errors.plain(finding.cause())}**")
        st.caption(errors.where(finding.line))
        st.code(finding.text, language=None, wrap_lines=True)
        st.caption(_("What helps"))
        fixes = finding.fixes()
        st.markdown("\n".join(f"- {errors.plain(fix['text'])}" for fix in fixes if fix["kind"] != "command"))
        for fix in fixes:
            if fix["kind"] == "command":
                st.markdown(":material/terminal: " + errors.plain(fix["hint"]))
                st.code(fix["text"], language="bash", wrap_lines=True)
