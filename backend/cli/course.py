"""``python -m backend course …``: how far the guided course is, and what each step has shown."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backend.cli import output
from backend.course import noticing, watching
from backend.course import progress as kept
from backend.course.learner import learner as learner_of
from backend.course.lessons import LESSONS, STEPS, Step, number
from backend.course.progress import Progress
from backend.i18n import _
from backend.memory import machine
from backend.queue.store import open_store
from backend.workspace import open_workspace

app = typer.Typer(help=_("The guided course: how far it is."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


@app.callback()
def _course() -> None:
    """Several verbs, never one implied."""


@app.command(help=_("Show the steps, and what was seen of those that are done."))
def show(as_json: Json = False) -> None:
    workspace = open_workspace()
    store = open_store(workspace)
    now = kept.read(workspace)
    found = watching.look(workspace, store, now)
    if found:
        now = kept.note(workspace, found)
    model = learner_of(workspace, store, now, machine.snapshot()).base
    output(as_dict(now, model), as_json, "\n".join(_lines(now, model)))


def as_dict(progress: Progress, model: str) -> dict[str, Any]:
    """The course as JSON. Times are epoch seconds, None: never."""
    return {
        "began": progress.began or None,
        "model": model,
        "next": progress.next.id if progress.next else None,
        "steps": [_step_dict(step, progress) for step in STEPS],
    }


def _step_dict(step: Step, progress: Progress) -> dict[str, Any]:
    done = progress.done.get(step.id)
    state = "done" if done else "skipped" if step.id in progress.skipped else "open"
    return {
        "id": step.id,
        "lesson": step.lesson,
        "title": _(step.title),
        "state": state,
        "when": done.when if done else None,
        "facts": dict(done.facts) if done else {},
    }


def _lines(progress: Progress, model: str) -> list[str]:
    over = sum(step.id in progress.done or step.id in progress.skipped for step in STEPS)
    lines = [
        _("{done} of {all} steps").format(done=over, all=len(STEPS))
        + " · "
        + _("With the model {model}").format(model=model)
    ]
    lesson = 0
    for step in STEPS:
        if step.lesson != lesson:
            lesson = step.lesson
            lines.append(_("Lesson {n}: {title}").format(n=lesson, title=_(LESSONS[lesson])))
        done = progress.done.get(step.id)
        state = _("done") if done else _("skipped") if step.id in progress.skipped else _("still to do")
        lines.append(f"  {number(step.id):2}. {_(step.title)}: {state}")
        lines += [f"      {text}" for text in noticing.said(step.id, done)] if done else []
    if not progress.began:
        lines.append(_("It has not begun: open the page Course."))
    return lines
