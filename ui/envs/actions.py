"""What the buttons on the Environments page do. What goes wrong is kept, and shown on the card of that engine."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.envs import jobs, removing
from backend.errors import PanelError
from backend.i18n import _
from backend.queue.rows import JobRow
from ui import context, errors, once, words

_PROBLEM = "environments_problem"
_SAID = "environments_said"


def install(engine: str, flavour: str = "auto", wheels: str = "", reinstall: bool = False) -> None:
    """Callback: make the environment of ``engine``, from the network or from the folder ``wheels``; ``reinstall``: anew."""
    _ask(jobs.INSTALL, {"engine": engine, "flavour": flavour, "wheels": wheels.strip(), "reinstall": reinstall})


def test(engine: str) -> None:
    """Callback: the self-test of the environment in use."""
    _ask(jobs.TEST, {"engine": engine})


def bundle(engine: str, flavour: str, folder: str) -> None:
    """Callback: fetch all packages of ``engine`` into ``folder``, for a machine without network."""
    _ask(jobs.BUNDLE, {"engine": engine, "flavour": flavour, "folder": folder.strip()})


def remove(engine: str, title: str) -> None:
    """Callback: delete the environment of ``engine``."""
    st.session_state.pop(_PROBLEM, None)
    try:
        freed = removing.remove(context.workspace(), engine)
    except PanelError as error:
        _failed(engine, error)
        return
    say(_("{engine} is removed; {size} are free again.").format(engine=title, size=words.size(freed)))


def forget(engine: str, row: JobRow) -> None:
    """Callback: delete the job ``row``, whose end nobody wants to see any more."""
    st.session_state.pop(_PROBLEM, None)
    try:
        context.store().delete(row.id)
    except PanelError as error:
        _failed(engine, error)


def resume(engine: str, row: JobRow) -> None:
    """Callback: another attempt of ``row``; it goes on from what is there."""
    st.session_state.pop(_PROBLEM, None)
    try:
        context.store().resume(row.id)
    except PanelError as error:
        _failed(engine, error)


def problem(engine: str) -> None:
    """The error card of the last press on the card of ``engine``, where there was one."""
    stored = st.session_state.get(_PROBLEM)
    if stored and stored["engine"] == engine:
        errors.show(stored["error"], key=f"environment_{engine}")


def say(text: str) -> None:
    """Say ``text`` at the next drawing of the page."""
    st.session_state[_SAID] = text


def said() -> None:
    """Show what :func:`say` was given."""
    text = st.session_state.pop(_SAID, None)
    if text:
        st.toast(errors.plain(text), icon=":material/check_circle:")


def _ask(verb: str, spec: dict[str, Any]) -> None:
    st.session_state.pop(_PROBLEM, None)
    try:
        row, new = jobs.ask(context.store(), verb, spec, once.submit_key(f"{verb}_{spec['engine']}"))
    except PanelError as error:
        _failed(str(spec["engine"]), error)
        return
    if not new:
        say(_("Job {job} does that already.").format(job=row.id))


def _failed(engine: str, error: PanelError) -> None:
    st.session_state[_PROBLEM] = {"engine": engine, "error": error.to_dict()}
