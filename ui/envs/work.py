"""A job that installs, tests or bundles an engine, on the engine's card: while it works, and what came of it."""

from __future__ import annotations

import time

import streamlit as st

from backend.engines import Engine
from backend.envs import jobs
from backend.envs.status import Status
from backend.i18n import _
from backend.queue import folder, logs
from backend.queue.rows import JobRow
from ui import context, errors, words
from ui.envs import actions as envs_actions
from ui.envs import fixes as envs_fixes
from ui.jobs import card as job_card

STEPS = {
    jobs.INSTALL: ("check", "create", "download", "install", "patch", "selftest"),
    jobs.BUNDLE: ("check", "download"),
}
"""The phases of each kind of job, in their order."""
NEWS_S = 3600
"""So long an end that needs nothing more is worth a line."""


def worth_showing(row: JobRow | None, status: Status) -> JobRow | None:
    """``row``, the job that ended last, where a person should know how: not when it is old news, or mended since."""
    if row is None or row.ended is None:
        return None
    tested = status.report.at if status.report else 0.0
    if row.state in ("failed", "lost"):
        later = tested if row.verb == jobs.TEST else status.installed_at
        return None if later > row.ended else row
    if row.state == "cancelled":
        return row if row.verb == jobs.INSTALL and status.installed_at < row.ended else None
    return row if row.verb != jobs.TEST and time.time() - row.ended < NEWS_S else None


def goes_on(row: JobRow | None) -> bool:
    """Whether the way on stands with the ended job itself, so that the card needs no other button."""
    return row is not None and row.state != "succeeded" and row.verb != jobs.BUNDLE


def draw(row: JobRow, engine: Engine) -> None:
    """The job while it waits or works, with its steps."""
    job_card.draw(row, key=f"environment_{row.id}", compact=True)
    steps = STEPS.get(row.verb, ())
    phase = str(row.progress.get("phase") or "")
    if row.live and phase in steps:
        at = steps.index(phase)
        st.markdown(" → ".join(_step(step, number - at) for number, step in enumerate(steps)))


def ended(row: JobRow, engine: Engine) -> None:
    """What came of it, and what to do next."""
    if row.state == "failed":
        log = logs.tail(folder.log_file(context.store().job_dir(row.id), row.attempt), lines=200).text
        errors.show(row.error, key=f"environment_{row.id}", log=log, actions=_fixes(row, engine))
    elif row.state != "succeeded":
        job_card.draw(row, key=f"environment_{row.id}", compact=True)
    elif row.verb == jobs.INSTALL:
        said = _("Installed and tested in {duration}.").format(duration=words.duration(row.elapsed))
        st.markdown(":green[:material/check_circle:] " + errors.plain(said))
    else:
        result = context.store().result(row.id) or {}
        said = _("The bundle is made. Copy this folder to the other machine, and install from it there, under More.")
        st.markdown(":green[:material/check_circle:] " + said)
        st.code(str(result.get("folder", "")), language=None, wrap_lines=True)


def _step(name: str, place: int) -> str:
    """A phase as a badge; ``place``: before (negative), at (0) or after the one at work."""
    word = errors.plain(words.phase_word(name))
    if place == 0:
        return f":violet-badge[:material/sync: {word}]"
    return f":green-badge[:material/check: {word}]" if place < 0 else f":gray-badge[{word}]"


def _fixes(row: JobRow, engine: Engine) -> list[errors.Action]:
    again = errors.Action(
        _("Test again") if row.verb == jobs.TEST else _("Try again"),
        envs_actions.resume,
        (engine.name, row),
        ":material/restart_alt:",
        help=_("A new attempt in the same folder: it goes on from what was saved."),
    )
    forget = errors.Action(
        _("Dismiss"),
        envs_actions.forget,
        (engine.name, row),
        ":material/close:",
        help=_("Deletes this job and its log. What it has downloaded stays for the next attempt."),
    )
    setting = envs_fixes.action(str(row.error.get("code", "")))
    return [again, setting, forget] if setting else [again, forget]
