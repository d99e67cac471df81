"""Starting and stopping model servers from a page: what the buttons on Home, Models and Deploy do."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.engines import serving
from backend.errors import PanelError
from backend.queue.rows import JobRow
from backend.servers import Server, running_servers
from backend.workspace import ROOT
from ui import context, errors

CHAT_PAGE = ROOT / "pages" / "chat.py"
_PROBLEM = "serving_problem"


def start(model: str) -> None:
    """Callback: serve ``model`` as a job; a second press changes nothing. What goes wrong is kept for :func:`problem`."""
    start_with(model, {})


def start_with(model: str, options: dict[str, Any]) -> JobRow | None:
    """:func:`start` with more fields of the spec. Returns the job, or None where it could not be made."""
    st.session_state.pop(_PROBLEM, None)
    try:
        return serving.start(context.store(), context.workspace(), model, **options)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        return None


def start_and_talk(model: str) -> None:
    """Serve ``model`` and go to the Chat page, which shows how it comes up. Ends this run; not for callbacks."""
    start(model)
    if _PROBLEM in st.session_state or not CHAT_PAGE.is_file():
        st.rerun()
    st.switch_page(CHAT_PAGE, query_params={"model": model})


def stop(job_id: int) -> None:
    """Callback: stop the server that is job ``job_id``."""
    st.session_state.pop(_PROBLEM, None)
    try:
        context.store().cancel(job_id)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def again(job_id: int, settings: dict[str, Any] | None = None) -> None:
    """Callback: a new server with the settings of job ``job_id``, or with ``settings``; one that runs is stopped first.

    The new job waits with loading until its turn; the old one has ended before it needs what that one held.
    """
    st.session_state.pop(_PROBLEM, None)
    store = context.store()
    try:
        spec = dict(settings or store.spec(job_id))
        if not store.get(job_id).done:
            store.cancel(job_id)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        return
    start_with(str(spec.pop("model")), spec)


def sleep(model: str, *, wake: bool = False) -> None:
    """Let the server of ``model`` give its GPU memory back, or take it again. Takes as long as the engine needs for it."""
    st.session_state.pop(_PROBLEM, None)
    try:
        (serving.wake if wake else serving.sleep)(context.store(), model)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


def problem() -> None:
    """The error card of the last press, where there was one."""
    stored = st.session_state.get(_PROBLEM)
    if stored:
        errors.show(stored, key="serving")


def failed() -> bool:
    """Whether the last press went wrong."""
    return _PROBLEM in st.session_state


def jobs() -> dict[str, JobRow]:
    """model name -> the job that serves it or is about to."""
    rows = context.store().list(states=("queued", "starting", "running", "stopping"), verb="serve", limit=100)
    return {row.title: row for row in reversed(rows)}


def answering() -> dict[str, Server]:
    """model name -> its server, for those that answer now."""
    return {s.model: s for s in running_servers(context.store()) if s.ready and not s.asleep}


def changing() -> bool:
    """Whether a server comes up or goes down, so that the page should look again by itself."""
    up = {server.model for server in running_servers(context.store()) if server.ready}
    return any(model not in up or job.state == "stopping" for model, job in jobs().items())
