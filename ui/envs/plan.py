"""What an install would take, beside its button: flavour, download, room and time; or why it cannot begin."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend.envs import planning
from backend.envs.planning import Plan
from backend.i18n import _
from ui import context, errors, words
from ui.envs import fixes as envs_fixes
from ui.envs import words as envs_words


def now(engine: str, flavour: str = "auto", wheels: str = "") -> Plan:
    """The plan as of now; asks no network."""
    folder = Path(wheels.strip()).expanduser() if wheels.strip() else None
    return planning.plan(context.workspace(), engine, flavour, folder)


def draw(plan: Plan, seconds: float | None = None) -> None:
    """The plan in one or two lines. seconds: how long the last install took here, where there was one."""
    for problem in plan.problems:
        st.markdown(":red[:material/error:] " + errors.plain(" ".join(problem.localized())))
        envs_fixes.link(problem.code)
    if plan.reuse:
        st.caption(_("The same is installed and proven already."))
        return
    if not plan.packages:
        return
    parts = [envs_words.flavour(plan.flavour)]
    if plan.download_bytes:
        parts.append(_("download {size}").format(size=words.size(plan.download_bytes)))
    if plan.needed_bytes:
        parts.append(
            _("needs {needed} of disk, {free} are free").format(
                needed=words.size(plan.needed_bytes), free=words.size(plan.free_bytes)
            )
        )
    if seconds:
        parts.append(_("took {duration} last time").format(duration=words.duration(seconds)))
    st.caption(errors.plain(" · ".join(parts)), help=_(plan.why_flavour) if plan.why_flavour else None)
