"""Course. Its user has never done this, and wants to be led from nothing to a model that knows its name, is smaller, and is proven so:
one real step at a time, to see how far that is, and to come back to it another day."""

from __future__ import annotations

import streamlit as st

from backend.course import learner as learners
from backend.i18n import _
from ui import context, errors
from ui.course import state as course_state
from ui.course import steps as course_steps

READING_PX = 760
MODEL = "course_model"
# What is told after a step is read as one block; the line of a lesson stands apart.
GAP = ".st-key-course_body h3 { padding-top: 1rem; }"

course_state.begin()
progress = course_state.watched()
learner = course_state.learner(progress)


def model() -> None:
    """With which model the course is taken, and another one."""
    names = [card.name for card in learners.usable(context.workspace())]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(_("With the model {model}").format(model=f"**{errors.plain(learner.base)}**"), width="content")
        with st.popover(_("Change it"), icon=":material/tune:", type="tertiary"):
            st.session_state[MODEL] = learner.base if learner.base in names else None
            st.selectbox(
                _("Model of this course"),
                names,
                key=MODEL,
                on_change=course_state.choose,
                args=(MODEL,),
                filter_mode="fuzzy" if len(names) > 10 else None,
                help=_(
                    "The starter takes minutes on any machine. A model of some billion weights wants a GPU, and more time."
                ),
            )
            st.caption(_("What is done stays done; the steps to come work with it."))
        with st.popover(_("Begin again"), icon=":material/restart_alt:", type="tertiary"):
            st.markdown(
                _(
                    "All steps are open again then. Only the progress is forgotten: models, datasets, jobs and conversations stay."
                )
            )
            st.button(_("Forget the progress"), key="course_restart", on_click=course_state.restart)


with st.container(width=READING_PX, key="course_body"):
    st.html(f"<style>{GAP}</style>")
    st.title(_("Course"), anchor=False)
    if not progress.done:
        st.markdown(
            _(
                "Each step opens the real page, filled in, and this page notices when you have done it. Stop whenever you like; "
                "it goes on where you were, on any computer."
            )
        )
    course_state.notices(progress)
    model()
    course_steps.draw(progress, learner)
