"""``python -m backend agent check MODEL``: how well a model calls tools in each form, and which form to use with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backend.agent import checks, checks_judging
from backend.agent.calls import PROTOCOLS
from backend.agent.checks import Checked
from backend.agent.checks_tasks import BY_ID
from backend.cli import follow, output
from backend.errors import NotFoundError
from backend.i18n import N_, _
from backend.queue import watcher
from backend.queue.store import open_store
from backend.specs import parse
from backend.specs.agent_check import AgentCheckSpec
from backend.workspace import open_workspace


def register(app: typer.Typer) -> None:
    """Make the verb part of ``app``, the noun ``agent``."""
    app.command(
        "check",
        help=_(
            "Have a model do small tasks with tools whose answers are known: a score for each form of calling them."
        ),
    )(check)


def check(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_("The model's name on the list."))],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            help=_("Only this form, one of {names}; may be given several times.").format(names=", ".join(PROTOCOLS)),
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help=_("Only so many of the tasks; 0: all."))] = 0,
    show: Annotated[bool, typer.Option("--show", help=_("Only show what the last check found."))] = False,
    wait: Annotated[bool, typer.Option(help=_("Follow it until it ends, and print the scores."))] = True,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    workspace = open_workspace()
    if not show:
        spec = parse("agent_check", {"model": model, "limit": limit, **({"protocols": protocol} if protocol else {})})
        assert isinstance(spec, AgentCheckSpec)
        store = open_store(workspace)
        row = store.submit("agent_check", spec.model_dump(mode="json"))
        watcher.ensure_running(workspace)
        if not wait:
            output({"job": row.id}, as_json, _("Job {job}: {title}").format(job=row.id, title=row.title))
            return
        follow.follow(store, row, quiet=as_json)
    record = checks.read(workspace, model)
    if record is None:
        raise NotFoundError(
            "agent_check_none",
            N_("Nobody has checked how '{model}' calls tools."),
            N_("Check it: python -m backend agent check MODEL"),
            model=model,
        )
    output(as_dict(record), as_json, "\n".join(in_words(record)))


def as_dict(record: Checked) -> dict[str, Any]:
    """A check as JSON: what to use first, then each form with its tasks and what was expected of them."""
    data = checks.to_dict(record)
    for score in data["protocols"].values():
        for task in score["tasks"]:
            known = BY_ID[task["task"]]
            task |= {"passed": task["called"] and task["answered"], "question": known.text}
            task["expected"] = [checks_judging.expected(call) for call in known.calls]
    return {"use": checks.best(record), "sentence": checks.sentence(record), **data}


def in_words(record: Checked) -> list[str]:
    """A check for a person: a line for each form, what failed, what to use."""
    lines = []
    for name, score in record.protocols.items():
        text = _("{protocol}: {passed} of {count} passed; called right {called}, answered right {answered}, repaired {repaired}")  # fmt: skip
        lines.append(
            text.format(
                protocol=name,
                passed=score.passed,
                count=len(score.tasks),
                called=score.called,
                answered=score.answered,
                repaired=score.repaired,
            )
        )
        for came in score.tasks:
            if not came.passed:
                lines.append(f"  - {came.task}: {checks_judging.in_words(came)}")
    return [*lines, checks.sentence(record)]
