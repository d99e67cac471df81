"""What the Course page works on: the progress in the workspace, looked at anew each time, and what its buttons do."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

import streamlit as st

from backend.course import learner as learners
from backend.course import progress as kept
from backend.course import watching
from backend.course.lessons import Learner, Step
from backend.course.progress import Progress
from backend.errors import PanelError
from backend.i18n import _
from backend.workspace import ROOT
from ui import context, errors, machine_view

PAGE = ROOT / "pages" / "course.py"
PROBLEM = "course_problem"
_LEARNER = "course_learner"
TRUST_S = 30.0


def begin() -> None:
    """The course begins with the first look at its page."""
    if not kept.read(context.workspace()).began:
        with problems():
            kept.begin(context.workspace())


def watched(steps: Collection[str] | None = None) -> Progress:
    """The progress, with what can be seen done now. On a disk that cannot be written it is seen, not kept."""
    workspace, now = context.workspace(), kept.read(context.workspace())
    found = watching.look(workspace, context.store(), now, steps)
    if not found:
        return now
    with problems():
        return kept.note(workspace, found)
    return replace(now, done={**now.done, **found})


def learner(progress: Progress) -> Learner:
    """Who takes the course, and with what. Asked for again when a step was done, or after a while: the list of models is long."""
    key = (tuple(progress.done), progress.model)
    known: tuple[object, float, Learner] | None = st.session_state.get(_LEARNER)
    if known is not None and known[0] == key and time.monotonic() - known[1] < TRUST_S:
        return known[2]
    found = learners.learner(context.workspace(), context.store(), progress, machine_view.read())
    st.session_state[_LEARNER] = (key, time.monotonic(), found)
    return found


def go(step: Step, learner: Learner) -> None:
    """To the page of ``step``, its form filled in. Ends this run; not for callbacks."""
    with problems():
        kept.leave_for(context.workspace(), step.id)
    st.switch_page(ROOT / "pages" / f"{step.page}.py", query_params=step.address(learner))


# --- what the buttons do (callbacks: they run before the page is drawn)


def skip(step: str) -> None:
    """Pass ``step`` over."""
    _do(lambda: kept.skip(context.workspace(), step))


def want(step: str) -> None:
    """Do ``step`` after all."""
    _do(lambda: kept.skip(context.workspace(), step, again=True))


def choose(key: str) -> None:
    """The model that the widget ``key`` names."""
    _do(lambda: kept.choose(context.workspace(), str(st.session_state[key])))


def restart() -> None:
    """Forget the progress, and nothing else."""
    _do(lambda: kept.restart(context.workspace()))


def put_away() -> None:
    """Have no line about the course on other pages."""
    _do(lambda: kept.leave_for(context.workspace(), ""))


def dismiss() -> None:
    """The notice about the file was read."""
    _do(lambda: kept.dismiss(context.workspace()))


def _do(act: Callable[[], object]) -> None:
    with problems():
        act()


@contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the page."""
    try:
        yield
        st.session_state.pop(PROBLEM, None)
    except PanelError as error:
        st.session_state[PROBLEM] = error.to_dict()


def notices(progress: Progress) -> None:
    """Draw what went wrong at the last press, and what happened to the file."""
    stored = st.session_state.get(PROBLEM)
    if stored:
        errors.show(stored, key="course")
    if progress.notice:
        read = errors.Action(_("I have read this"), dismiss)
        errors.show(dict(progress.notice), key="course_notice", actions=[read])
