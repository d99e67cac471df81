"""The buttons under a plan: start the run, or rehearse it only; and the rehearsals that are under way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.finetune.plan import checked
from backend.i18n import _
from backend.queue.rows import LIVE, JobRow
from backend.specs.finetune import FinetuneSpec
from ui import context, errors, once, words
from ui.finetune import state as finetune_state
from ui.finetune import words as finetune_words
from ui.jobs import card as job_card

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

WAITING = ("queued", *LIVE)
ENDED = ("failed", "lost")
COUNTED = ("eval_every", "save_every", "sample_every")
"""Fields that follow from the number of steps, unless they are set."""
RUN, PRESSED = "job", "finetune_pressed"


def spec_of(made: Plan, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of the job: as the plan ``made`` settled it, but what follows from the number of steps stays open where ``asked``,
    what it was made of, left it so. Whoever continues the run with more steps gets as many evaluations."""
    return made.spec.model_dump(mode="json") | {name: 0 for name in COUNTED if not asked.get(name)}


def buttons(made: Plan, asked: Mapping[str, Any]) -> None:
    """Draw them for ``made``, the plan of the settings ``asked``; off where it cannot run, which stands above them."""
    spec = made.spec
    with st.container(horizontal=True, vertical_alignment="center", key="finetune_buttons"):
        st.button(
            label(made),
            key="finetune_start",
            type="primary",
            icon=words.verb_icon("finetune"),
            disabled=not made.runs,
            on_click=_start,
            args=(spec_of(made, asked),),
        )
        st.button(
            _("Rehearse only"),
            key="finetune_rehearse",
            icon=words.verb_icon("rehearse"),
            disabled=not made.runs,
            help=_(
                "Three real steps with the longest rows, one evaluation, one save, one load: about a minute. "
                "Then time and memory are measured, not estimated."
            ),
            on_click=_rehearse,
            args=(spec_of(made, asked),),
        )
    if not made.runs:
        st.caption(_("What is marked red above has to be mended first."))
        return
    said = []
    if made.seconds is not None:
        until = words.clock(time.time() + made.seconds.likely)
        said.append(_("Started now, it is done about {time}.").format(time=until))
    if spec.rehearse:
        said.append(_("It rehearses first, about a minute: what would fail after hours fails at once."))
    if said:
        st.caption(" ".join(said))


def label(made: Plan) -> str:
    """``Fine-tune starter on 'My persona'``."""
    text = _("Fine-tune {model} on '{dataset}'")
    return text.format(model=errors.plain(finetune_words.name_of(made.spec)), dataset=errors.plain(made.spec.dataset))


def rehearsals() -> None:
    """The rehearsals that wait or run, and the last one where it failed; redrawn by themselves."""
    live = under_way()

    def cards() -> None:
        for row in [*under_way(), *_failed()]:
            job_card.draw(row, key=f"finetune_rehearsal_{row.id}", compact=not row.done)
        if under_way() != live:
            st.rerun()  # what it measured changes the plan

    st.fragment(errors.guarded(cards, "finetune_rehearsals"), run_every=1 if live else None)()


def under_way() -> list[JobRow]:
    """Rehearsals that wait or run, the newest first."""
    return context.store().list(states=WAITING, verb="rehearse", limit=5)


def _failed() -> list[JobRow]:
    """The newest rehearsal, where it failed: a later one makes it old news."""
    newest = context.store().list(verb="rehearse", limit=1)
    return [row for row in newest if row.state in ENDED]


def _start(spec: dict[str, Any]) -> None:
    """Callback: make the job, and go where it can be watched."""
    row = _submit("finetune", spec)
    if row is not None:
        st.session_state[PRESSED] = True
        st.session_state[finetune_state.SAID] = _("Job {job} is on its way.").format(job=row.id)
        st.query_params.from_dict({"view": "runs", RUN: str(row.id)})


def _rehearse(spec: dict[str, Any]) -> None:
    """Callback: make the rehearsal; one with the same settings that waits or runs is not begun twice."""
    store = context.store()
    wanted = {**spec, "rehearse": True}
    same = next((row for row in under_way() if {**store.spec(row.id), "rehearse": True} == wanted), None)
    if same is None and _submit("rehearse", spec) is None:
        return
    st.session_state[PRESSED] = True


def _submit(verb: str, spec: dict[str, Any]) -> JobRow | None:
    """The job; None where it was refused, which the head of the page says then."""
    with finetune_state.problems():
        # What was true when the page was drawn may not be true any more.
        made = checked(context.workspace(), FinetuneSpec.model_validate(spec))
        return context.store().submit(verb, spec_of(made, spec), submit_key=once.submit_key(f"finetune-{verb}"))
    st.session_state[PRESSED] = True
    return None
