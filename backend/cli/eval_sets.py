"""``python -m backend eval sets|check|add-set|set-from-data|remove-set``: the sets of questions that models are asked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.errors import PanelError, SpecError
from backend.evaluate import layouts, own_rows, sets
from backend.evaluate.own_rows import RULES
from backend.evaluate.questions import QuestionSet, Rule, Subject
from backend.i18n import N_, _, ngettext
from backend.workspace import open_workspace

Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]
Name = Annotated[str, typer.Argument(metavar="NAME", help=_("What the set is called."))]
Title = Annotated[str, typer.Option("--title", help=_("What people read; default: the benchmark, or the name."))]
RULE_HELP = _("How answers are marked, one of {names}.")


def register(app: typer.Typer) -> None:
    """Make the verbs part of ``app``, the noun ``eval``."""
    app.command("sets", help=_("List the sets of questions."))(list_sets)
    app.command("check", help=_("Say what a folder, an archive or a file of questions holds, and all that is wrong."))(
        check
    )
    app.command("add-set", help=_("Add C-Eval or MMLU from a folder or .zip, or a file of your own questions."))(add)
    app.command("set-from-data", help=_("Make a set of questions from a dataset."))(from_data)
    app.command("remove-set", help=_("Forget a set; the folder of a benchmark stays."))(remove)


def list_sets(as_json: Json = False) -> None:
    workspace = open_workspace()
    found = sets.listed(workspace)
    output([as_dict(each) for each in found], as_json, "\n".join(map(line, found)))


def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help=_("A folder, a .zip or a file of questions."))],
    as_json: Json = False,
) -> int:
    if sets.is_file_of_questions(path):
        gathered = own_rows.from_file(path)
        problems, subjects = gathered.told(), own_subjects(gathered)
        data: dict[str, Any] = {"kind": "own", "questions": len(gathered.questions), "notices": []}
        head = _("A file of questions")
    else:
        examined = sets.examine(path)
        problems, subjects = examined.problems, list(examined.subjects)
        data = {
            "kind": examined.kind,
            "questions": examined.questions,
            "root": examined.root,
            "encoding": examined.encoding,
            "version": examined.version,
            "notices": [_read(each) for each in examined.notices],
        }
        head = f"{layouts.TITLES[examined.kind]}, {examined.encoding}"
    data |= {"subjects": [asdict(each) for each in subjects], "problems": [_read(each) for each in problems]}
    lines = [
        f"{head}: {_count(data['questions'])}",
        *(f"  {subject_line(each)}" for each in subjects),
        *(f"! {_sentence(each)}" for each in problems),
        *(f"- {each['message']}" for each in data["notices"]),
    ]
    output(data, as_json, "\n".join(lines))
    return 0 if data["questions"] else 1


def add(
    path: Annotated[Path, typer.Argument(metavar="PATH", help=_("A folder, a .zip or a file of questions."))],
    name: Name,
    title: Title = "",
    rule: Annotated[
        str,
        typer.Option(
            "--rule",
            help=_("Of a file of questions: how all are marked, one of {names}.").format(names=", ".join(RULES)),
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    made = sets.bring(workspace, path, name, title, _rule(rule) if rule else None)
    _output(made, sets.told(workspace, made.name), as_json)


def from_data(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=_("Its name, or name@version."))],
    name: Name,
    rule: Annotated[str, typer.Option("--rule", help=RULE_HELP.format(names=", ".join(RULES)))],
    split: Annotated[
        str, typer.Option("--split", help=_("Only rows of train, validation or test; default: all."))
    ] = "",
    subject: Annotated[str, typer.Option("--subject", help=_("The subject's name; default: the dataset's."))] = "",
    title: Title = "",
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    made = sets.from_rows(workspace, dataset, name, _rule(rule), split=split, subject=subject, title=title)
    _output(made, sets.told(workspace, made.name), as_json)


def remove(name: Name, as_json: Json = False) -> None:
    sets.remove(open_workspace(), name)
    output({"removed": name}, as_json, _("The set of questions '{name}' is forgotten.").format(name=name))


def as_dict(known: QuestionSet) -> dict[str, Any]:
    """A set as JSON."""
    problem = _read(known.problem) if known.problem else {}
    return {**asdict(known), "path": str(known.path or ""), "questions": known.questions, "problem": problem}


def line(known: QuestionSet) -> str:
    """A set in one line, and what is wrong with it."""
    subjects = ngettext("{n} subject", "{n} subjects", len(known.subjects)).format(n=len(known.subjects))
    parts = [f"{known.name:<16}", known.title, subjects, _count(known.questions), known.version]
    text = "  ".join(part for part in parts if part)
    return f"{text}\n  ! {_sentence(known.problem)}" if known.problem else text


def subject_line(subject: Subject) -> str:
    """A subject in one line."""
    text = f"{subject.name}: {_count(subject.questions)}"
    return f"{text}  ! {_sentence(subject.problem)}" if subject.problem else text


def own_subjects(gathered: own_rows.Gathered) -> list[Subject]:
    """The subjects of a file of questions."""
    names = dict.fromkeys(question.subject for question in gathered.questions)
    return [Subject(name, sum(question.subject == name for question in gathered.questions)) for name in names]


def _output(made: QuestionSet, told: list[dict[str, Any]], as_json: bool) -> None:
    data = as_dict(made) | {"told": [_read(each) for each in told]}
    output(data, as_json, "\n".join([line(made), *(f"- {_sentence(each)}" for each in told)]))


def _rule(name: str) -> Rule:
    if name not in RULES:
        raise SpecError(
            "set_rule_unknown",
            N_("'{name}' is no way of marking answers."),
            N_("Choose one of {names}."),
            name=name[:60],
            names=", ".join(RULES),
        )
    return name


def _count(number: int) -> str:
    return ngettext("{n} question", "{n} questions", number).format(n=f"{number:,}")


def _read(told: dict[str, Any]) -> dict[str, str]:
    message, hint = PanelError.from_dict(told).localized()
    return {"code": str(told.get("code")), "message": message, "hint": hint}


def _sentence(told: dict[str, Any]) -> str:
    return _read(told)["message"]
