"""How runs and outcomes look: the same word, icon and colour wherever they stand."""

from __future__ import annotations

from dataclasses import replace

from backend.evaluate import bundled
from backend.evaluate.evaluators import TITLES
from backend.evaluate.records import EVALUATORS, Outcome, Run, State
from backend.i18n import N_, _
from ui.words import Look

STATES: dict[State, Look] = {
    "running": Look(N_("running"), ":material/sync:", "violet"),
    "done": Look(N_("done"), ":material/check_circle:", "green"),
    "partial": Look(N_("scores missing"), ":material/warning:", "orange"),
    "stopped": Look(N_("stopped"), ":material/pause_circle:", "gray"),
    "failed": Look(N_("failed"), ":material/error:", "red"),
}
OUTCOMES: dict[Outcome, Look] = {
    "right": Look(N_("right"), ":material/check:", "green"),
    "wrong": Look(N_("wrong"), ":material/close:", "red"),
    "unread": Look(N_("not extracted"), ":material/help:", "orange"),
    "failed": Look(N_("not answered"), ":material/error:", "gray"),
}
ABOUT: dict[Outcome, str] = {
    "right": N_("The answer that was read is the solution."),
    "wrong": N_("An answer was read, and it is another one than the solution."),
    "unread": N_("Something was said, but no answer could be read out of it. It counts as not right."),
    "failed": N_("Nothing was said: the question does not count, and a resumed run asks it again."),
}


def evaluator(name: str) -> str:
    """The name of an evaluator, for people."""
    return TITLES[name] if name in EVALUATORS else name


def state(run: Run) -> Look:
    """The state of ``run``; one that this version does not know stands for itself."""
    known = STATES.get(run.state)
    return known or replace(STATES["stopped"], message=str(run.state))


def outcome(name: Outcome) -> str:
    """Icon and word as Markdown, in the colour of the outcome."""
    look = OUTCOMES[name]
    return f":{look.colour}[{look.icon} {look.word}]"


def about(name: Outcome) -> str:
    """What the outcome means, in a sentence."""
    return _(ABOUT[name])


def title(run: Run) -> str:
    """What a run is called: its name, else its model and set."""
    return run.name or f"{run.model} · {set_title(run)}"


def set_title(run: Run) -> str:
    """What its questions are called, for people; empty where an import does not say."""
    return _(bundled.TITLE) if run.set_name == bundled.NAME else run.set_title or run.set_name
