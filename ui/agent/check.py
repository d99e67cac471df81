"""How well a model calls tools: the button that checks it, the job meanwhile, then which form to use, and what came of each task."""

from __future__ import annotations

import hashlib

import streamlit as st

from backend.agent import checks, checks_judging
from backend.agent.calls import Protocol
from backend.agent.checks import Checked, Score
from backend.agent.checks_judging import Came
from backend.agent.checks_tasks import BY_ID
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.specs import parse
from ui import context, errors, once, words
from ui.jobs import card as job_card

VERB = "agent_check"
LIVE = ("queued", "starting", "running", "stopping")
MARKS = {True: ":green[:material/check_circle:]", False: ":red[:material/cancel:]"}
HEADS: dict[Protocol, str] = {"openai": N_("Server's own tools"), "react": N_("ReAct"), "internlm2": N_("InternLM2")}


def draw(model: str) -> None:
    """Draw what is known of ``model``, and the way to know more."""
    key = f"agent_check_{hashlib.sha256(model.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    jobs = _jobs(model)
    moving = bool(jobs) and not jobs[0].done
    with st.container(key=key, gap="small"):
        record = checks.read(context.workspace(), model)
        if record is not None:
            _found(record)
        if not moving:
            _button(model, key, again=record is not None)
        job_card.problem(key)
        if jobs and (moving or jobs[0].state not in ("succeeded", "cancelled")):
            st.fragment(errors.guarded(lambda: _job(model, key, moving), key), run_every=1 if moving else None)()


def _jobs(model: str) -> list[JobRow]:
    """The newest check of ``model``, where there is one."""
    rows = context.store().list(verb=VERB, limit=50)
    return [row for row in rows if context.store().spec(row.id).get("model") == model][:1]


def _job(model: str, key: str, moving: bool) -> None:
    for row in _jobs(model):
        job_card.draw(row, key=f"{key}_{row.id}", compact=not row.done)
        if row.done == moving:
            st.rerun()  # what it found is to be seen, and the timer ends


def _button(model: str, key: str, *, again: bool) -> None:
    name = errors.plain(model)
    st.button(
        (_("Check '{model}' again") if again else _("Check how '{model}' calls tools")).format(model=name),
        key=f"{key}_begin",
        icon=":material/rule_settings:",
        on_click=_submit,
        args=(model, key),
        help=_(
            "20 small tasks in each form of calling tools, with tools that are made up. Nothing outside is reached; the model is served "
            "for it where it is not running."
        ),
    )


def _submit(model: str, key: str) -> None:
    """Callback: make the job; one that waits or runs is not begun twice."""

    def begin(_job: int) -> None:
        live = [row for row in _jobs(model) if row.state in LIVE]
        if not live:
            spec = parse(VERB, {"model": model}).model_dump(mode="json")
            context.store().submit(VERB, spec, submit_key=once.submit_key(key))

    job_card.act(key, begin, 0)


def _found(record: Checked) -> None:
    use = checks.best(record)
    icon = ":material/recommend:" if use else ":material/warning:"
    st.markdown(f"{icon} **{errors.plain(checks.sentence(record))}**")
    st.table(
        [_line(HEADS[name], record.protocols[name]) for name in HEADS if name in record.protocols],
        border="horizontal",
        width="content",
        alt=_("How '{model}' called tools").format(model=record.model),
    )
    when = _("Checked {when}.").format(when=words.ago(record.at))
    if record.fingerprint != checks.fingerprint(context.workspace(), record.model):
        st.caption(f":orange[:material/update:] {when} " + _("The model has changed since: check it again."))
    else:
        st.caption(when, help=words.stamp(record.at))
    with st.expander(_("Each task: what was expected, and what came"), icon=":material/checklist:"):
        names = [name for name in HEADS if name in record.protocols]
        for tab, name in zip(st.tabs([_(HEADS[name]) for name in names]), names, strict=True):
            with tab:
                _tasks(record.protocols[name])


def _line(title: str, score: Score) -> dict[str, str]:
    count = len(score.tasks)
    return {
        _("Form"): _(title),
        _("Called right"): str(score.called),
        _("Answered right"): str(score.answered),
        _("Passed"): _("{passed} of {count}").format(passed=score.passed, count=count),
        _("Repaired"): str(score.repaired),
    }


def _tasks(score: Score) -> None:
    st.table([_task(came) for came in score.tasks], border="horizontal", alt=_("The tasks in this form"))


def _task(came: Came) -> dict[str, str]:
    task = BY_ID[came.task]
    calls = " → ".join(map(checks_judging.expected, task.calls)) or _("no call")
    answer = ", ".join(group[0] for group in task.answer)
    repaired = f" · {_('Repaired')}: {', '.join(came.repairs)}" if came.repairs else ""
    return {
        " ": MARKS[came.passed],
        _("Task"): errors.plain(task.text),
        _("Expected"): errors.plain(f"{calls} · “{answer}”"),
        _("Came"): errors.plain(f"{checks_judging.in_words(came)}{repaired}"),
    }
