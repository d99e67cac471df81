"""Why a score is missing, cell by cell: the cause in words, the lines that show it, and the button that runs only this again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.evaluate import triage
from backend.evaluate.records import Run, Score, Tally
from backend.i18n import _, ngettext
from ui import context, errors, once
from ui.evaluate import browser as evaluate_browser
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import links as evaluate_links
from ui.evaluate import state as evaluate_state
from ui.evaluate.figures import Headline

SHOWN = 6
"""So many cells of one cause at first; fifty with the same cause are one story."""
EXAMPLES = 3


def draw(run: Run, scores: Sequence[Score], tallies: Sequence[Tally]) -> None:
    """Draw all cells without a number, by cause; nothing where there is none, or where they only wait for their turn."""
    found = triage.missing(run, scores, tallies)
    if not found:
        return
    missing = [cell for trouble in found for cell in trouble.cells]
    total = sum(not score.group for score in scores)
    with st.container(border=True, key="evaluate_triage", gap="small"):
        text = ngettext("{n} of {total} subjects has no score", "{n} of {total} subjects have no score", len(missing))
        st.markdown(":orange[:material/warning:] **" + text.format(n=len(missing), total=total) + "**")
        again = run.state != "running" and _spec(run) is not None
        if again and len(missing) > 1:
            label = ngettext("Run only this {n} again", "Run only these {n} again", len(missing))
            st.button(
                label.format(n=len(missing)),
                key="evaluate_again_all",
                type="primary",
                icon=":material/replay:",
                on_click=run_again,
                args=(run, tuple(score.subject for score in missing)),
            )
        for number, trouble in enumerate(found):
            _cause(run, PanelError.from_dict(trouble.cause), trouble.cells, again, number)
        if not again and run.source == "import":
            st.caption(_("This run was imported: nothing of it can be run again from here. A new evaluation can."))


def _cause(run: Run, problem: PanelError, cells: Sequence[Score], again: bool, number: int) -> None:
    message, hint = problem.localized()
    st.markdown(f"**{errors.plain(message)}**" + (f"  \n{errors.plain(hint)}" if hint else ""))
    errors.link(problem)
    shown = cells
    if len(cells) > SHOWN:
        text = _("Show all {n} subjects with this cause").format(n=len(cells))
        shown = cells if st.toggle(text, key=f"evaluate_cause_{number}") else cells[:SHOWN]
    for cell in shown:
        key = evaluate_state.key_of(cell.subject)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"evaluate_cell_{key}"):
            st.markdown(errors.plain(cell.subject), width="content")
            if again:
                st.button(
                    _("Run only this again"),
                    key=f"evaluate_again_{key}",
                    type="tertiary",
                    icon=":material/replay:",
                    on_click=run_again,
                    args=(run, (cell.subject,)),
                )
        if cell.evidence:
            with st.expander(_("What shows it"), icon=":material/article:", type="compact", key=f"evaluate_why_{key}"):
                st.code(cell.evidence, language=None, wrap_lines=True)
    if len(shown) < len(cells):
        names = ", ".join(cell.subject for cell in cells[len(shown) :])
        st.caption(_("And: {names}").format(names=errors.plain(names)))


def run_again(run: Run, subjects: Sequence[str]) -> None:
    """Callback: a job that asks only those subjects, and puts what comes into this run; everything else of it stays."""
    spec = _spec(run)
    if spec is None:
        return
    names = list(dict.fromkeys(_plain_subject(run, subject) for subject in subjects))
    with evaluate_state.problems():
        row = context.store().submit(
            "evaluate",
            {**spec, "subjects": names, "into": run.id, "trial": 0},
            submit_key=once.submit_key("evaluate-again"),
        )
        evaluate_state.say(_("Job {job} runs only what is missing.").format(job=row.id))
        evaluate_state.go({**evaluate_links.address(run.id), "job": str(row.id)})


def _spec(run: Run) -> dict[str, Any] | None:
    """The spec that the run was made with; None for an import, or where its job was removed."""
    if run.job is None:
        return None
    try:
        return dict(context.store().spec(run.job))
    except PanelError:
        return None


def _plain_subject(run: Run, name: str) -> str:
    """The subject as its set names it; OpenCompass puts the name of the data set before it."""
    if run.evaluator != "opencompass":
        return name
    from backend.engines import opencompass_config

    return opencompass_config.subject_of(name)


def many_unread(found: Headline) -> bool:
    """Whether so many answers could not be read that it has to be said."""
    return bool(found.unread) and found.unread_share >= triage.MANY_UNREAD


def unread(run: Run, found: Headline) -> None:
    """Say that many answers could not be read, and show some beside what would have been right."""
    with st.container(border=True, key="evaluate_unread", gap="small"):
        text = _(
            "From {n} of {of} answers ({share}) no answer could be extracted. They count as not right, so the model may know more than its score says: look whether "
            "it answers in another form than it was asked for."
        )
        said = text.format(n=f"{found.unread:,}", of=f"{found.n or 0:,}", share=f"{found.unread_share:.0%}")
        st.markdown(":orange[:material/help:] " + said)
        some, _total = evaluate_kept.store().answers(run.id, outcome="unread", limit=EXAMPLES)
        if some:
            evaluate_browser.examples(some)
        st.button(
            _("Look at all of them"),
            key="evaluate_unread_all",
            icon=":material/search:",
            on_click=evaluate_browser.show_only,
            args=("unread",),
        )
