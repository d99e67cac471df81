"""The steps of the course: those done with what there is to notice, the next one open, the others folded."""

from __future__ import annotations

import streamlit as st

from backend.course import noticing
from backend.course.lessons import LESSONS, STEPS, Learner, Step, number
from backend.course.progress import Done, Progress
from backend.i18n import _, ngettext
from ui import errors, words
from ui.course import links as course_links
from ui.course import state as course_state

EVERY_S = 3


def draw(progress: Progress, learner: Learner) -> None:
    """Draw them. Beside them looks, without a sign, what notices that a step was done: only then the page is drawn again."""
    _head(progress, learner)
    lesson = 0
    for step in STEPS:
        if step.lesson != lesson:
            lesson = step.lesson
            st.subheader(_("Lesson {n}: {title}").format(n=lesson, title=_(LESSONS[lesson])), anchor=False)
        _step(step, progress, learner)
    every = EVERY_S if progress.pending else None
    st.fragment(errors.guarded(lambda: _watch(progress), "course_watch"), run_every=every)()


def _watch(drawn: Progress) -> None:
    """Have the page drawn again where a step was done since, or another tab has changed the course."""
    now = course_state.watched()
    if (now.done.keys(), now.skipped, now.model) != (drawn.done.keys(), drawn.skipped, drawn.model):
        st.rerun()


def _head(progress: Progress, learner: Learner) -> None:
    """How far it is, and at the end what it has come to."""
    over = sum(step.id in progress.done or step.id in progress.skipped for step in STEPS)
    open_ = [step for step in STEPS if step.id not in progress.done and step.id not in progress.skipped]
    text = _("{done} of {all} steps").format(done=over, all=len(STEPS))
    if open_:
        seconds = 60 * sum(step.takes(learner) for step in open_)
        text += " · " + _("about {time} left").format(time=words.duration(seconds))
    st.progress(over / len(STEPS), text=text)
    if progress.next is not None:
        return
    with st.container(border=True, key="course_end"):
        st.markdown(":green[:material/workspace_premium:] **" + _("You have come through the whole course.") + "**")
        st.markdown("\n".join("- " + errors.plain(told) for told in noticing.summary(progress.done)))
        st.caption(
            _("All that you made stays. The same steps work with any other model: change it above, or begin again.")
        )


def _step(step: Step, progress: Progress, learner: Learner) -> None:
    done = progress.done.get(step.id)
    if done is not None:
        _done(step, done)
    elif step.id in progress.skipped:
        _skipped(step, learner)
    elif progress.next is not None and step.id == progress.next.id:
        with st.container(border=True, key=f"course_{step.id}"):
            st.markdown(f"{step.icon} **{_title(step)}**")
            _about(step, learner, primary=True)
    else:
        with st.expander(_title(step), icon=step.icon, key=f"course_{step.id}"):
            _about(step, learner, primary=False)


def _title(step: Step) -> str:
    return f"{number(step.id)}. {_(step.title)}"


def _about(step: Step, learner: Learner, *, primary: bool) -> None:
    """What it is for, what to do, and the way there."""
    st.markdown(_(step.purpose))
    st.markdown("\n".join(f"{place}. {_(todo)}" for place, todo in enumerate(step.todo, 1)))
    minutes = step.takes(learner)
    time = ngettext("about {n} minute", "about {n} minutes", minutes).format(n=minutes)
    st.caption(f":material/schedule: {time}")
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            _(step.button).format(model=errors.plain(step.about(learner))),
            key=f"course_open_{step.id}",
            type="primary" if primary else "secondary",
            icon=step.icon,
        )
        st.button(
            _("Skip this step"),
            key=f"course_skip_{step.id}",
            type="tertiary",
            on_click=course_state.skip,
            args=(step.id,),
        )
    if pressed:
        course_state.go(step, learner)


def _done(step: Step, done: Done) -> None:
    """What there is to notice, and the way to what shows it."""
    found = course_links.evidence(step.id, done)
    with st.container(gap="xsmall", key=f"course_{step.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":green[:material/check_circle:] **{_title(step)}**", width="content")
            st.markdown(f":green-badge[{_('done')}]", width="content", help=words.stamp(done.when))
            if found is not None:
                label, page, address = found
                st.page_link(
                    page, label=_(label), icon=":material/chevron_right:", query_params=address, width="content"
                )
        st.markdown(errors.plain(" ".join(noticing.said(step.id, done))))


def _skipped(step: Step, learner: Learner) -> None:
    with st.expander(f"{_title(step)} · {_('skipped')}", icon=":material/redo:", key=f"course_{step.id}"):
        _about_skipped(step, learner)


def _about_skipped(step: Step, learner: Learner) -> None:
    st.markdown(_(step.purpose))
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            _(step.button).format(model=errors.plain(step.about(learner))), key=f"course_open_{step.id}", icon=step.icon
        )
        st.button(
            _("Do this step after all"),
            key=f"course_want_{step.id}",
            type="tertiary",
            on_click=course_state.want,
            args=(step.id,),
        )
    if pressed:
        course_state.go(step, learner)
