"""What is known of an engine by trying it: the last self-test, check by check, and what the engine can do on this machine."""

from __future__ import annotations

import streamlit as st

from backend.engines import Capability
from backend.envs.status import Check, Report
from backend.i18n import _
from ui import errors, words

AFTER_INSTALL = "engine_missing_environment"
"""The one reason why something cannot be done that the card's own button removes."""
MARKS = {
    "passed": ":green[:material/check_circle:]",
    "failed": ":red[:material/error:]",
    "not_tested": ":gray[:material/do_not_disturb_on:]",
}


def draw(report: Report | None) -> None:
    """The self-test with its date and figures. What was not tested here is grey, never green."""
    st.markdown("**" + _("Self-test") + "**")
    if report is None:
        st.caption(_("None yet. It does the real thing on a small model, in about a minute."))
        return
    said = _("Passed {ago}, took {duration}.") if report.passed else _("Failed {ago}, after {duration}.")
    st.caption(
        said.format(ago=words.ago(report.at), duration=words.duration(report.seconds)), help=words.stamp(report.at)
    )
    st.markdown("  \n".join(map(_check, report.checks)))


def capabilities(found: list[Capability], *, installed: bool) -> None:
    """What the engine can be used for here, and what not; one reason for several things is given once. Of one that is not
    here: what it will be able to do, so nothing is green."""
    if not found:
        return
    title = _("On this machine") if installed else _("On this machine, once it is installed")
    st.markdown(f"**{title}**")
    lines: list[str] = []
    reasons: dict[str, list[str]] = {}
    for one in found:
        name = errors.plain(_(one.name))
        if one.problem is None or (one.problem.code == AFTER_INSTALL and not installed):
            lines.append(f":{'green' if installed else 'gray'}[:material/check:] {name}")
        else:
            reasons.setdefault(" ".join(one.problem.localized()), []).append(name)
    lines += [
        f":gray[:material/block:] {' · '.join(names)} :gray[· {errors.plain(reason)}]"
        for reason, names in reasons.items()
    ]
    st.markdown("  \n".join(lines))


def _check(check: Check) -> str:
    """One line of Markdown: how it ended, what it was, and in grey what was measured or why not."""
    told = [_("not tested here")] if check.outcome == "not_tested" else []
    told += [f"{_(name)} {value}" for name, value in check.figures.items()]
    if check.problem is not None:
        told.append(" ".join(part for part in check.problem.localized() if part))
    elif check.seconds >= 1:
        told.append(words.duration(check.seconds))
    line = f"{MARKS[check.outcome]} {errors.plain(_(check.name))}"
    if not told:
        return line
    colour = "red" if check.outcome == "failed" else "gray"
    return f"{line} :{colour}[· {errors.plain(' · '.join(told))}]"
