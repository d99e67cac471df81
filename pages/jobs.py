"""Everything that runs, waits or has ended: a live list, the queue, and one job in full (``/jobs?job=12``)."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from ui import errors, words
from ui.jobs import details as job_details
from ui.jobs import list as jobs_list

asked = st.query_params.get("job", "")

with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    st.title(_("Jobs"), anchor=False)
    if not asked and jobs_list.job_counts():
        st.button(
            _("Try a practice job"),
            key="jobs_practice_again",
            type="tertiary",
            icon=words.verb_icon("drill"),
            help=_("Counts for half a minute and changes nothing: to see how a job runs, is cancelled and resumed."),
            on_click=jobs_list.practice,
        )

said = st.session_state.pop("jobs_said", "")
if said:
    st.toast(said, icon=":material/check_circle:")
problem = st.session_state.pop("jobs_problem", None)
if problem:
    errors.show(problem, key="jobs")

if asked:
    st.button(
        _("All jobs"), key="jobs_back", icon=":material/arrow_back:", type="tertiary", on_click=st.query_params.clear
    )
    job_details.draw(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 16 else 0)
else:
    if not jobs_list.job_counts().get("succeeded"):
        st.caption(_("Closing this page stops nothing: jobs run on their own, and this page only shows them."))
    jobs_list.draw()
