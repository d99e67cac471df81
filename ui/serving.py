"""Starting and stopping model servers from a page: what the buttons on Home and Models do."""

from __future__ import annotations

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
    st.session_state.pop(_PROBLEM, None)
    try:
        serving.start(context.store(), context.workspace(), model)
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()


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


def problem() -> None:
    """The error card of the last press, where there was one."""
    stored = st.session_state.get(_PROBLEM)
    if stored:
        errors.show(stored, key="serving")


def jobs() -> dict[str, JobRow]:
    """model name -> the job that serves it or is about to."""
    rows = context.store().list(states=("queued", "starting", "running", "stopping"), verb="serve", limit=100)
    return {row.title: row for row in reversed(rows)}


def answering() -> dict[str, Server]:
    """model name -> its server, for those that answer now."""
    return {server.model: server for server in running_servers(context.store()) if server.ready}


def changing() -> bool:
    """Whether a server comes up or goes down, so that the page should look again by itself."""
    up = answering()
    return any(model not in up or job.state == "stopping" for model, job in jobs().items())
