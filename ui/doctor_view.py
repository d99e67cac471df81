"""*This machine*: what the doctor found, the troubles first and open, all that is fine behind one line, and the report.

A part of the Environments page. The doctor runs beside the panel (backend/doctor/keeper.py): the page never waits for it,
and all sessions see the same result.
"""

from __future__ import annotations

import json

import streamlit as st

from backend.doctor import report
from backend.doctor.findings import Finding, Fix, together
from backend.doctor.keeper import Keeper, keeper
from backend.doctor.run import Examination
from backend.i18n import N_, _, ngettext
from backend.workspace import ROOT
from ui import errors, words

LOOKS = {
    "bad": words.Look(N_("bad"), ":material/error:", "red"),
    "attention": words.Look(N_("needs attention"), ":material/warning:", "orange"),
    "unknown": words.Look(N_("not known"), ":material/help:", "gray"),
    "ok": words.Look(N_("fine"), ":material/check_circle:", "green"),
}
PLACES = {
    "environments": (N_("Open the engines"), "environments", {"view": "engines"}),
    "jobs": (N_("Open the jobs"), "jobs", {}),
    "settings": (N_("Open the settings"), "settings", {}),
}
"""Label, page and query of each place that a fix may name."""
REFRESH_S = 0.5


def draw() -> None:
    """The whole part; begins an examination when there has been none since the panel was started."""
    doctor = keeper()
    if doctor.latest is None and doctor.problem is None:
        doctor.start()
    _head(doctor)
    if doctor.problem is not None and not doctor.busy:
        errors.show(doctor.problem, key="doctor")
    if doctor.latest is not None:
        _troubles(doctor.latest)
        _fine(doctor.latest.having("ok"))
        _report(doctor.latest)


def _head(doctor: Keeper) -> None:
    busy, latest = doctor.busy, doctor.latest
    with st.container(horizontal=True, vertical_alignment="center", key="doctor_head"):
        if latest is not None:
            st.markdown(_summary(latest), width="stretch")
        elif busy:
            st.markdown(_("Looking at this machine. It takes a few seconds."), width="stretch")
        st.button(
            _("Check again"),
            key="doctor_again",
            icon=":material/refresh:",
            on_click=doctor.start,
            disabled=busy,
            help=_("A check is under way.") if busy else None,
        )
    if latest is not None:
        st.caption(
            _("Looked at {when}, for {seconds} s.").format(
                when=words.ago(latest.at), seconds=f"{max(latest.seconds, 0.1):.1f}"
            ),
            help=words.stamp(latest.at),
        )
    if busy:

        def watch() -> None:
            if doctor.busy:
                st.caption(":violet[:material/sync:] " + _("looking…"))
            else:
                st.rerun()

        st.fragment(watch, run_every=REFRESH_S)()


def _summary(found: Examination) -> str:
    counts = found.counts()
    parts = []
    if counts["bad"]:
        said = ngettext("{n} thing is bad", "{n} things are bad", counts["bad"]).format(n=counts["bad"])
        parts.append(f":red[:material/error:] **{said}**")
    if counts["attention"]:
        said = ngettext("{n} needs attention", "{n} need attention", counts["attention"]).format(n=counts["attention"])
        parts.append(f":orange[:material/warning:] **{said}**")
    if counts["unknown"]:
        said = ngettext("{n} is not known", "{n} are not known", counts["unknown"]).format(n=counts["unknown"])
        parts.append(f":gray[:material/help:] {said}")
    if not parts:
        parts.append(":green[:material/check_circle:] **" + _("Nothing here needs you.") + "**")
    return " &nbsp; ".join(parts)


def _troubles(found: Examination) -> None:
    for place, finding in enumerate(together(found.having("bad", "attention", "unknown"))):
        _card(finding, f"doctor_{place}_{finding.code}")


def _card(finding: Finding, key: str) -> None:
    look = LOOKS[finding.state]
    with st.container(border=True, key=key, gap="xsmall"):
        title = errors.plain(finding.title.localized())
        st.markdown(f"**{title}** &nbsp; {look.chip} &nbsp; :gray[:small[{_took(finding)}]]")
        if finding.meaning:
            st.markdown(errors.plain(finding.meaning.localized()))
        st.caption("  \n".join(errors.plain(line.localized()) for line in finding.evidence))
        for number, fix in enumerate(finding.fixes):
            _fix(fix, f"{key}_fix_{number}")


def _took(finding: Finding) -> str:
    """How long the check took."""
    return _("{ms} ms").format(ms=f"{finding.seconds * 1000:.0f}")


def _fix(fix: Fix, key: str) -> None:
    st.markdown(f":material/build: {errors.plain(fix.text.localized())}")
    if fix.command:
        st.code(fix.command, language="bash", wrap_lines=True)
    place = "settings" if fix.setting else fix.place
    if place in PLACES:
        label, name, query = PLACES[place]
        page = ROOT / "pages" / f"{name}.py"
        if page.is_file():
            errors.Action(_(label), page=page, query=query, icon=":material/arrow_forward:").draw(key, primary=False)


def _fine(found: list[Finding]) -> None:
    if not found:
        return
    title = ngettext("{n} check is fine", "{n} checks are fine", len(found)).format(n=len(found))
    with st.expander(title, icon=":material/check_circle:"):
        rows = []
        for finding in found:
            evidence = " ".join(line.localized() for line in finding.evidence)
            meaning = f" {finding.meaning.localized()}" if finding.meaning else ""
            rows.append(
                f"- **{errors.plain(finding.title.localized())}** &nbsp; {errors.plain(evidence + meaning)} "
                f":gray[({_took(finding)})]"
            )
        st.markdown("\n".join(rows))


def _report(found: Examination) -> None:
    with st.popover(_("Copy report"), icon=":material/content_copy:", type="tertiary"):
        st.caption(
            _("For your tutor or a colleague, in English. It holds no keys, no passwords and no names of people.")
        )
        host = st.toggle(_("With the name of this machine"), key="doctor_report_host")
        clean = report.cleaned(found, host=host)
        as_text, as_json = st.tabs([_("To read"), "JSON"])
        as_text.code(report.markdown(clean), language="markdown", wrap_lines=True, height=320)
        as_json.code(json.dumps(report.as_dict(clean), indent=1, ensure_ascii=False), language="json", height=320)
