"""One run: how far it is while it runs; the number, how sure it is and whether every cell is there; the table; the questions behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib import import_module

import streamlit as st

from backend.errors import PanelError
from backend.evaluate import notices, triage
from backend.evaluate.records import Run, Score, Tally
from backend.i18n import N_, _, ngettext
from backend.queue.rows import LIVE, JobRow
from ui import context, errors, words
from ui.evaluate import browser as evaluate_browser
from ui.evaluate import collect as evaluate_collect
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import files as evaluate_files
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import look as evaluate_look
from ui.evaluate import table as evaluate_table
from ui.evaluate import triage as evaluate_triage
from ui.evaluate import ways as evaluate_ways
from ui.evaluate.figures import Headline

PARTS = {"scores": N_("Scores"), "questions": N_("Questions")}
LONG_TABLE = 24
"""Rows from which on a table first shows its averages alone."""


def draw() -> None:
    """Draw the run that the address names, or what its job is doing before it has one.

    Raises:
        NotFoundError: there is no such run, or no such job.
    """
    run, job = _asked()
    st.button(
        _("All evaluations"),
        key="evaluate_back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=evaluate_kept.close_run,
    )
    if job is not None:
        import_module("ui.evaluate.live").draw(job.id)
    if run is None:
        return
    first_time = job is not None and not job.done and job.id == run.job
    tallies = evaluate_kept.store().tallies(run.id)
    if first_time:  # what moves is drawn above, and draws itself anew
        if sum(tally.asked for tally in tallies):
            st.subheader(_("Answers so far"), anchor=False)
            evaluate_browser.draw(run, tallies)
    else:
        _over(run, tallies)
    evaluate_collect.dialog()


def _asked() -> tuple[Run | None, JobRow | None]:
    """The run that the address names, by its own number or by that of a job; and the job that works on it, or did so last."""
    store, queue = evaluate_kept.store(), context.store()
    number = evaluate_kept.job_asked()
    job = queue.get(number) if number else None
    run = store.run(evaluate_kept.run_asked()) if evaluate_kept.run_asked() else None
    if run is None and job is not None:
        into = int(queue.spec(job.id).get("into") or 0)  # a job that fills gaps of an earlier run
        run = store.run(into) if into else store.run_of_job(job.id)
    if run is not None and job is None:
        job = _working_on(run)
    return run, job


def _working_on(run: Run) -> JobRow | None:
    """The job that fills gaps of the run now, else the one that made it; None for an import, or where it was removed."""
    queue = context.store()
    for row in queue.list(verb="evaluate", states=("queued", *LIVE), limit=20):
        if int(queue.spec(row.id).get("into") or 0) == run.id:
            return row
    with contextlib.suppress(PanelError):
        return queue.get(run.job) if run.job else None
    return None


def _over(run: Run, tallies: Sequence[Tally]) -> None:
    """What came of a run, and what one does with it."""
    scores = triage.with_causes(run, evaluate_kept.store().scores(run.id), tallies)
    _head(run, scores, tallies)
    if _part() == "questions":
        evaluate_browser.draw(run, tallies)
    else:
        _scores(run, scores, tallies)
    evaluate_ways.draw(run)


def _head(run: Run, scores: Sequence[Score], tallies: Sequence[Tally]) -> None:
    """What it comes to, and what a person has to know of it."""
    found = evaluate_figures.headline(scores, tallies)
    _title(run)
    with st.container(horizontal=True, gap="medium", key="evaluate_headline"):
        _metrics(found)
    _whole(run, found)
    unread = evaluate_triage.many_unread(found)  # which says the same, with examples
    for text in notices.sentences(code for code in run.notices if not (unread and code == "answers_unread")):
        st.markdown(":material/info: " + errors.plain(text))
    evaluate_triage.draw(run, scores, tallies)
    if unread:
        evaluate_triage.unread(run, found)


def _title(run: Run) -> None:
    st.subheader(errors.plain(evaluate_look.title(run)), anchor=False)
    facts = [
        evaluate_look.state(run).chip,
        errors.plain(run.model),
        errors.plain(evaluate_look.set_title(run) or _("unknown set")),
        errors.plain(" ".join(filter(None, (evaluate_look.evaluator(run.evaluator), run.version)))),
        errors.plain(_("imported") if run.source == "import" else words.ago(run.began)),
    ]
    st.markdown(" · ".join(filter(None, facts)), help=_tooltip(run))


def _tooltip(run: Run) -> str:
    took = words.duration(run.ended - run.began) if run.ended and run.source == "job" else ""
    lines = [
        _("Run {n}").format(n=run.id),
        _("Began: {time}").format(time=words.stamp(run.began)),
        _("Took: {time}").format(time=took) if took else "",
        _("Version of the set: {version}").format(version=run.set_version) if run.set_version else "",
        errors.plain(run.path),
    ]
    return "  \n".join(filter(None, lines))


def _metrics(found: Headline) -> None:
    about = _(
        "Right answers of all that count, each question with the same weight. An answer that could not be read counts as not right, a question "
        "that was not answered does not count. The averages in the table weigh subjects, as OpenCompass does."
    )
    st.metric(_("Accuracy"), found.said(), help=about, width="content")
    if found.low is not None and found.high is not None:
        about = _(
            "If other questions of this kind were asked, the accuracy would be expected in here, in 95 of 100 cases (Wilson)."
        )
        st.metric(_("95 % interval"), f"{found.low:.1f}–{found.high:.1f} %", help=about, width="content")
    if found.n is not None and found.right is not None:
        st.metric(_("Right"), _("{n} of {of}").format(n=f"{found.right:,}", of=f"{found.n:,}"), width="content")
    if found.unread is not None and found.n:
        value = f"{found.unread:,} ({found.unread_share:.0%})" if found.unread else "0"
        st.metric(_("Not extracted"), value, help=evaluate_look.about("unread"), width="content")
    if found.failed:
        st.metric(_("Not answered"), f"{found.failed:,}", help=evaluate_look.about("failed"), width="content")


def _whole(run: Run, found: Headline) -> None:
    """Whether the number is whole, and whether it can be leant on."""
    if run.state == "done" and found.cells and not found.missing:
        text = ngettext("The {n} subject has a score.", "All {n} subjects have a score.", found.cells)
        st.markdown(":green[:material/check_circle:] " + text.format(n=found.cells))
    if found.share is not None and found.missing and run.state != "running":
        text = _("The accuracy is that of the {n} of {total} subjects that have a score.")
        st.markdown(":orange[:material/warning:] " + text.format(n=found.cells - found.missing, total=found.cells))
    if found.n is not None and found.n < evaluate_figures.SMALL and run.state != "running":
        text = ngettext(
            "{n} question is too few to lean on: look at the interval, not at the number.",
            "{n} questions are too few to lean on: look at the interval, not at the number.",
            found.n,
        )
        st.markdown(":orange[:material/warning:] " + text.format(n=found.n))


def _part() -> str:
    """Scores or questions: which of the two the address shows."""
    asked = evaluate_kept.asked(evaluate_kept.PART)
    st.session_state["evaluate_part"] = asked if asked in PARTS else "scores"
    chosen = st.segmented_control(
        _("Shown"),
        list(PARTS),
        key="evaluate_part",
        required=True,
        format_func=lambda name: _(PARTS[name]),
        label_visibility="collapsed",
        on_change=_part_changed,
    )
    return chosen or "scores"


def _part_changed() -> None:
    chosen = str(st.session_state.get("evaluate_part") or "scores")
    evaluate_kept.set_asked(evaluate_kept.PART, "" if chosen == "scores" else chosen)


def _scores(run: Run, scores: Sequence[Score], tallies: Sequence[Tally]) -> None:
    """The table, first its averages alone where it is long and has some."""
    counted = {tally.subject: tally for tally in tallies if tally.asked}
    rows: Sequence[Score] = evaluate_kept.with_averages(run, scores)
    if not rows:
        st.caption(_("There is no score yet."))
        return
    averages = [score for score in rows if score.group]
    if averages and len(rows) > LONG_TABLE:
        all_of_them = st.toggle(_("All {n} subjects").format(n=len(rows) - len(averages)), key="evaluate_table_all")
        rows = rows if all_of_them else averages
    st.html(evaluate_table.html(rows, counted))
    if averages:
        st.caption(_("Averages as OpenCompass computes them: of the scores of their subjects, each with the same weight, or weighted by questions where it says so. An average with a missing subject is left out."))  # fmt: skip
    evaluate_files.scores(run)
