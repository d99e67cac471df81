"""The doctor of a set: what is wrong with which rows, in words, with what mends it; and some rows to read with one's own eyes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from backend.data import doctor
from backend.data.doctor import SEVERITIES, Check, Read, Report
from backend.data.doctor.findings import FILE, load
from backend.data.store import AT_ONCE_BYTES
from backend.data.versions import Version, VersionInfo
from backend.i18n import N_, _, ngettext
from ui import errors, words
from ui.datasets import change as datasets_change
from ui.datasets import findings as datasets_findings
from ui.datasets import jobs as datasets_jobs
from ui.datasets import list as datasets_list
from ui.datasets import rows as datasets_rows
from ui.datasets import state as datasets_state
from ui.datasets import versions as datasets_versions
from ui.datasets import words as named

JOBS = ("examine_data",)
SAMPLE_SHOWN = 5
WHY = {
    "longest": N_("one of the longest"),
    "shortest": N_("one of the shortest"),
    "typical": N_("as long as most are"),
    "language": N_("in a language that few rows have"),
    "random": N_("drawn by lot"),
}
"""Why a row was chosen to be read."""
NOT_EXAMINED = words.Look(N_("not examined"), ":material/radio_button_unchecked:", "gray")
SOUND = words.Look(N_("nothing found"), ":material/check_circle:", "green")


def state(version: Version) -> words.Look:
    """What the doctor said of ``version``, as a chip: the gravest severity with its count."""
    counted = _counted(str(version.folder), _written(version))
    if counted is None:
        return NOT_EXAMINED
    for severity in SEVERITIES[:2]:
        if counted[severity]:
            look = named.SEVERITIES[severity]
            return words.Look(_counts(severity, counted[severity]), look.icon, look.colour)
    return SOUND


def _counts(severity: str, n: int) -> str:
    texts = {
        "error": ngettext("{n} error", "{n} errors", n),
        "warning": ngettext("{n} warning", "{n} warnings", n),
        "note": ngettext("{n} note", "{n} notes", n),
    }
    return texts[severity].format(n=f"{n:,}")


def _written(version: Version) -> float:
    try:
        return (version.folder / FILE).stat().st_mtime
    except OSError:
        return 0.0


@st.cache_data(show_spinner=False, max_entries=1024)
def _counted(folder: str, written: float) -> dict[str, int] | None:
    """Findings of each severity; None where nobody has examined the version. The list of sets asks for many of them."""
    report = load(Path(folder)) if written else None
    return {severity: report.having(severity) for severity in SEVERITIES} if report else None


def draw(version: Version) -> None:
    """Draw the report on ``version``, made at once where it is small, else by a job; and the fixes."""
    datasets_jobs.draw(JOBS, version.dataset, "datasets_examining", ended=datasets_jobs.FAILED)
    report = doctor.read_report(version)
    if report is None and version.info.bytes <= AT_ONCE_BYTES:
        with st.spinner(_("Examining the rows …"), show_time=True):
            report = doctor.examine_version(version)
    if report is None:
        _offer(version)
        return
    _head(version, report)
    _made_by_a_fix(version)
    found = report.checks()
    if not found:
        st.markdown(
            ":green[:material/check_circle:] " + _("Nothing is wrong with these rows, as far as a program can see.")
        )
    fixable = [check for check, _count in found if check.fixable]
    if fixable:
        _fixes(version, fixable)
    for check, count in found:
        datasets_findings.draw(version, report, check, count)
    _other(version, report)
    _sample(version, report)


def _offer(version: Version) -> None:
    """A large set is examined by a job."""
    if datasets_jobs.of(JOBS, version.dataset):
        return
    st.markdown(_("These rows were not examined yet. The doctor names every row that would not work, and what helps."))
    st.button(
        _("Examine {rows}").format(rows=named.rows(len(version))),
        key="datasets_examine",
        type="primary",
        icon=":material/troubleshoot:",
        on_click=_examine,
        args=(version,),
    )
    st.caption(_("It runs as a job: close this page, and it goes on."))


def _examine(version: Version, against: str = "") -> None:
    """Callback: examine ``version`` anew, by a job where it is large. against: ``name@version`` whose rows it should not hold."""
    with datasets_state.problems():
        other = datasets_state.sets().resolve(against) if against else None
        if version.info.bytes + (other.info.bytes if other else 0) <= AT_ONCE_BYTES:
            doctor.examine_version(version, against=other, against_name=against)
            datasets_state.say(_("The rows were examined again."))
            return
        values = {"dataset": version.dataset, "version": version.info.id, "against": against}
        row = datasets_jobs.submit("examine_data", values, version.dataset)
        datasets_state.say(_("Job {job} examines the rows.").format(job=row.id))


def _head(version: Version, report: Report) -> None:
    counted = _counted(str(version.folder), _written(version)) or {}
    chips = [
        words.Look(
            _counts(severity, counted[severity]), named.SEVERITIES[severity].icon, named.SEVERITIES[severity].colour
        )
        for severity in SEVERITIES
        if counted.get(severity)
    ]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(" ".join(look.chip for look in chips or [SOUND]), width="content")
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            when = _("{rows}, examined {ago}")
            said = when.format(rows=named.rows(len(version)), ago=words.ago(_written(version)))
            st.caption(said, width="content", help=words.stamp(_written(version)))
            st.button(
                _("Examine again"),
                key="datasets_examine_again",
                type="tertiary",
                icon=":material/refresh:",
                on_click=_examine,
                args=(version, _known(report.against)),
            )


def _known(reference: str) -> str:
    """``reference`` where that dataset is still there, else nothing."""
    return reference if reference and datasets_state.sets().exists(reference.rpartition("@")[0]) else ""


def _other(version: Version, report: Report) -> None:
    """Rows may also stand in a dataset that is kept for the proof: the choice of one to look into."""
    names = [info.name for info in datasets_state.sets().list() if info.name != version.dataset]
    if not names:
        return
    with st.expander(
        _("Compare with another dataset"), icon=":material/compare:", key="datasets_against", type="compact"
    ):
        st.caption(_("A question that stands in your test set as well is no proof once the model was taught it."))
        if report.against:
            st.markdown(
                ":gray[:material/check:] "
                + _("These rows were compared with {dataset}.").format(dataset=errors.plain(report.against))
            )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(_("The other dataset"), names, key="datasets_against_name", width=320)
            st.button(
                _("Compare the rows"),
                key="datasets_against_go",
                icon=":material/compare:",
                on_click=_compare,
                args=(version, str(chosen)),
            )


def _compare(version: Version, name: str) -> None:
    """Callback: examine ``version`` with the current rows of the dataset ``name`` at hand."""
    with datasets_state.problems():
        other = datasets_state.sets().open(name)
        _examine(version, f"{name}@{other.info.id}")


def _made_by_a_fix(version: Version) -> None:
    """Where the version was made by fixing another one of the set: the way to what that changed."""
    before = next((v for v in version.info.made_from if v.get("dataset") == version.dataset and v.get("version")), None)
    if before is None or not any(step.get("do") == "fix" for step in version.info.steps):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="datasets_fixed"):
        text = _("This version was made by a fix of version {version}.").format(version=str(before["version"])[:6])
        st.markdown(":green[:material/healing:] " + text, width="content")
        st.button(
            _("Show what changed"),
            key="datasets_fixed_diff",
            icon=":material/difference:",
            on_click=datasets_versions.compare,
            args=(version.dataset, str(before["version"]), version.info.id),
        )


def _fixes(version: Version, fixable: Sequence[Check]) -> None:
    """The choice of what is to be fixed, and the one button that does it."""
    for check in fixable:
        # Errors are what a person came for; the rest is offered, not decided.
        st.session_state.setdefault(datasets_findings.box(version, check.code), check.severity == "error")
    chosen = [check.code for check in fixable if st.session_state[datasets_findings.box(version, check.code)]]
    working = datasets_jobs.of(("change_data",), version.dataset)
    codes = [check.code for check in fixable]
    with st.container(horizontal=True, vertical_alignment="center", key="datasets_fixes"):
        st.button(
            ngettext("Fix {n} kind", "Fix {n} kinds", len(chosen)).format(n=len(chosen)),
            key="datasets_fix",
            type="primary",
            icon=":material/healing:",
            disabled=not chosen or bool(working),
            help=_("Makes a new version; this one stays as it is."),
            on_click=_fix,
            args=(version, chosen),
        )
        st.button(_("Tick all"), key="datasets_fix_all", type="tertiary", on_click=_tick, args=(version, codes, True))
        st.button(
            _("Tick none"), key="datasets_fix_none", type="tertiary", on_click=_tick, args=(version, codes, False)
        )
        if not chosen:
            st.caption(_("Tick what is to be fixed."), width="content")


def _tick(version: Version, codes: Sequence[str], ticked: bool) -> None:
    for code in codes:
        st.session_state[datasets_findings.box(version, code)] = ticked


def _fix(version: Version, codes: Sequence[str]) -> None:
    """Callback: a new version without what was ticked; its report says what is left, and the diff what changed."""

    def done(_info: VersionInfo) -> None:
        datasets_list.open_set(version.dataset, part="doctor")

    report = doctor.read_report(version)
    # Rows that stand in another dataset can only be told with that one at hand.
    against = report.against if report is not None and "leak_other" in codes else ""
    step = {"do": "fix", "codes": list(codes), **({"against": against} if against else {})}
    datasets_change.run(version, [step], _("Version {version} is fixed and is the current one now."), done=done)


def _sample(version: Version, report: Report) -> None:
    """Rows to read: numbers do not say whether an answer is good."""
    if not report.sample:
        return
    st.subheader(_("Rows to read"), anchor=False)
    st.caption(_("Numbers do not say whether an answer is good. These rows were chosen to be read, each for a reason."))
    taken: Counter[str] = Counter()
    order: list[tuple[int, Read]] = []
    for each in report.sample:  # one of each reason before a second one of any
        order.append((taken[each.why], each))
        taken[each.why] += 1
    for _place, each in sorted(order, key=lambda pair: pair[0])[:SAMPLE_SHOWN]:
        datasets_rows.card(version[each.row - 1], each.row, version, _(WHY.get(each.why, each.why)))
