"""One engine on the Environments page: what it is for, how it stands, what it can do here, and the one button that fits."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from backend.engines import Engine
from backend.envs import jobs, places
from backend.envs.jobs import EngineJobs
from backend.envs.status import Status
from backend.i18n import N_, _
from backend.workspace import ROOT
from ui import context, errors, words
from ui.envs import actions as envs_actions
from ui.envs import fixes as envs_fixes
from ui.envs import more as envs_more
from ui.envs import plan as envs_plan
from ui.envs import report as envs_report
from ui.envs import words as envs_words
from ui.envs import work as envs_work

PAGES = {
    "serve": ("deploy", N_("Deploy a model"), ":material/dns:"),
    "finetune": ("finetune", N_("Fine-tune a model"), ":material/model_training:"),
    "quantize": ("quantize", N_("Quantize a model"), ":material/compress:"),
    "evaluate": ("evaluate", N_("Evaluate a model"), ":material/fact_check:"),
    "agent": ("agent", N_("Use an agent"), ":material/smart_toy:"),
}
"""Role of an engine -> the page that offers it, and how that is called."""
INSTALL = {
    "missing": (N_("Install {engine}"), ":material/download:"),
    "outdated": (N_("Update {engine}"), ":material/upgrade:"),
    "damaged": (N_("Repair {engine}"), ":material/build:"),
}
"""State -> what the button says that makes the environment."""


def draw(engine: Engine, status: Status, work: EngineJobs, *, primary: bool) -> None:
    """The card. ``primary``: its button is the page's primary one."""
    alive, ended = work.alive, envs_work.worth_showing(work.ended, status)
    with st.container(border=True, key=f"engine_{engine.name}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{errors.plain(engine.title)}**", width="content")
            look = words.look(alive) if alive else envs_words.look(status)
            meaning = None if alive else _(envs_words.MEANINGS[status.state])
            st.markdown(look.chip, width="content", help=meaning)
        st.markdown(_(engine.purpose))
        facts = envs_words.facts(status)
        if facts:
            st.caption(facts, help=words.stamp(status.installed_at) if status.installed_at else None)
        if status.problem is not None:
            st.markdown(":orange[:material/warning:] " + errors.plain(" ".join(status.problem.localized())))
            envs_fixes.link(status.problem.code)
        if alive:
            envs_work.draw(alive, engine)
        elif ended:
            envs_work.ended(ended, engine)
        envs_actions.problem(engine.name)
        button = not alive and not envs_work.goes_on(ended)
        able = engine.capabilities()
        if status.usable or button:
            left, right = st.columns(2, gap="medium")
            with left:
                if status.usable:
                    envs_report.draw(status.report)
                _buttons(engine, status, button, primary)
            with right:
                envs_report.capabilities(able, installed=status.usable)
        else:
            envs_report.capabilities(able, installed=False)
        more = st.expander(
            _("More"), icon=":material/more_horiz:", key=f"engine_more_{engine.name}", on_change="rerun", type="compact"
        )
        if more.open:
            with more:
                envs_more.draw(engine, status, busy=alive is not None)


def _buttons(engine: Engine, status: Status, button: bool, primary: bool) -> None:
    """The one button, unless a job has it (``button``), and the ways to the pages that use this engine."""
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    tested = status.state in ("ready", "unproven", "builtin", "own")
    plan = envs_plan.now(engine.name) if button and not tested else None
    elsewhere = plan is not None and places.installing(context.workspace(), engine.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        if plan is not None:
            label, icon = INSTALL[status.state]
            st.button(
                _(label).format(engine=errors.plain(engine.title)),
                key=f"engine_install_{engine.name}",
                type=kind,
                icon=icon,
                disabled=bool(plan.problems) or elsewhere,
                on_click=envs_actions.install,
                args=(engine.name,),
                kwargs={"reinstall": status.state == "damaged"},
            )
        elif button:
            title = _("Test {engine}").format(engine=errors.plain(engine.title))
            st.button(
                _("Test again") if status.report else title,
                key=f"engine_test_{engine.name}",
                type=kind,
                icon=":material/fact_check:",
                help=_("Does the real thing on a small model, in about a minute. What runs is not disturbed."),
                on_click=envs_actions.test,
                args=(engine.name,),
            )
        if status.usable and engine.unavailable() is None:
            _next(engine)
    if elsewhere:
        st.caption(":material/sync: " + _("It is being installed from another panel or a shell."))
    if plan is not None:
        envs_plan.draw(plan, jobs.last_seconds(context.store(), engine.name))


def _next(engine: Engine) -> None:
    """The ways to the pages that use it, those that are there."""
    for page, label, icon in (PAGES[role] for role in engine.roles if role in PAGES):
        path = ROOT / "pages" / f"{page}.py"
        if path.is_file():
            st.page_link(path, label=_(label), icon=icon)
