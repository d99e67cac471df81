"""``python -m backend agent run|check|parse``; ``parse FILE``: what the raw reply of a model with tools is understood as, without asking
a model.

FILE holds one reply, or JSON lines ``{"reply": …, "protocol": …}``; several of them are counted.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.agent.calls import PROTOCOLS, Call, Understood
from backend.agent.protocols import problems, understood
from backend.agent.protocols.values import dumped
from backend.agent.tools import Tool
from backend.cli import agent_check, agent_run, output
from backend.cli.agent_words import problem_dict, repair_dicts, repairs_told
from backend.errors import NotFoundError, PanelError, fill
from backend.i18n import N_, _

app = typer.Typer(help=_("Models that use tools: what their replies are understood as."))
MOST_BYTES = 10 << 20
EXAMPLE = (
    Tool(
        "calculator", "calculator", "", "Evaluate a math expression.",
        {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
    ),
    Tool(
        "arxiv_search", "arxiv_search", "", "Search papers on arXiv.",
        {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    ),
)  # fmt: skip
"""Tools where none are given."""


app.command(help=_("Ask a model that may use tools, and see each step."))(agent_run.run)
agent_check.register(app)


@app.callback()
def _agent() -> None:
    """Several commands, never one implied."""


@app.command(help=_("Say what the raw reply of a model is understood as: a call, an answer, or what is wrong with it."))
def parse(
    file: Annotated[
        str, typer.Argument(help=_("The file with the reply, or JSON lines with several; '-' reads standard input."))
    ],
    protocol: Annotated[
        str, typer.Option(help=_("The form that the model was asked for: {names}.").format(names=", ".join(PROTOCOLS)))
    ] = "react",
    tools: Annotated[
        str, typer.Option(metavar="FILE.json", help=_("The tools that it was given, as tools= of the OpenAI API."))
    ] = "",
    repair: Annotated[bool, typer.Option(help=_("Repair calls that are nearly right."))] = True,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    given = read_tools(Path(tools)) if tools else list(EXAMPLE)
    _check(protocol)
    text = _read(file)
    several = replies(text)
    if several is None:
        made = understood(protocol, text, given, repair=repair)  # type: ignore[arg-type]  # checked
        output(as_dict(made), as_json, told(made))
        return
    made_of_all = []
    for one in several:
        asked = str(one.get("protocol") or protocol)
        _check(asked)
        reply, finish = one["reply"], one.get("finish_reason")
        made_of_all.append(understood(asked, reply, given, repair=repair, finish_reason=finish))  # type: ignore[arg-type]
    output(
        {"replies": [as_dict(made) for made in made_of_all], "counts": counts(made_of_all)},
        as_json,
        summary(made_of_all),
    )


def replies(text: str) -> list[Mapping[str, Any]] | None:
    """The replies of JSON lines; None where ``text`` is one reply."""
    lines = [line for line in text.splitlines() if line.strip()]
    made: list[Mapping[str, Any]] = []
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict) and isinstance(row.get("reply"), str | dict):
            made.append(row)
        elif number == 0:
            return None
        else:
            raise PanelError(
                "agent_replies_bad",
                N_("Line {line} is no JSON object with a reply, as the lines before it are."),
                N_('Write one object a line: {{"reply": "…", "protocol": "react"}}.'),
                line=number + 1,
            )
    return made


def read_tools(path: Path) -> list[Tool]:
    """The tools of a file: a list as ``tools=`` of the OpenAI API has them, or of the functions in it.

    Raises:
        PanelError: it cannot be read, or is no such list.
    """
    text = _read(str(path))
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _tools_bad(path) from error
    if not isinstance(rows, list) or not rows:
        raise _tools_bad(path)
    return [_tool(row, path) for row in rows]


def _tool(row: Any, path: Path) -> Tool:
    told_ = row.get("function", row) if isinstance(row, dict) else None
    if not isinstance(told_, dict) or not isinstance(told_.get("name"), str) or not told_["name"]:
        raise _tools_bad(path)
    schema = told_.get("parameters", {})
    if not isinstance(schema, dict):
        raise _tools_bad(path)
    return Tool(told_["name"], told_["name"], "", str(told_.get("description", "")), schema)


def _tools_bad(path: Path) -> PanelError:
    return PanelError(
        "agent_tools_bad",
        N_("{path} is no JSON list of tools."),
        N_(
            'Each needs a name, a description and its parameters: [{{"name": …, "description": …, "parameters": {{…}}}}].'
        ),
        path=str(path),
    )


def _check(protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise PanelError(
            "agent_protocol_unknown",
            N_("There is no form '{protocol}' of calling tools."),
            N_("Those that there are: {names}."),
            protocol=protocol[:100],
            names=", ".join(PROTOCOLS),
        )


def _read(name: str) -> str:
    """The text of the file ``name``, or of standard input for ``-``."""
    where = _("standard input") if name == "-" else name
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(name).expanduser().open("rb") as file:
                data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(
            "agent_file_missing", N_("There is no file {path}."), N_("Check its path."), path=where
        ) from error
    except (OSError, ValueError) as error:
        raise PanelError(
            "agent_file_unreadable",
            N_("{path} cannot be read: {problem}."),
            N_("Give a file with text in it, which you may read."),
            path=where,
            problem=getattr(error, "strerror", None) or str(error),
        ) from error
    if len(data) > MOST_BYTES:
        raise PanelError(
            "agent_file_large",
            N_("{path} is larger than 10 MiB."),
            N_("Give the replies in several files."),
            path=where,
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PanelError(
            "agent_file_no_text",
            N_("{path} is no text in UTF-8."),
            N_("Save it as UTF-8."),
            path=where,
        ) from error
    if not text.strip():
        raise PanelError(
            "agent_file_empty", N_("{path} is empty."), N_("Give a file with the reply of a model."), path=where
        )
    return text


def as_dict(made: Understood) -> dict[str, Any]:
    """What was understood, as JSON."""
    return {
        "outcome": outcome(made),
        "thought": made.thought,
        "calls": [_call(call) for call in made.calls],
        "answer": made.answer,
        "repairs": repair_dicts(made.repairs),
        "problem": made.problem and problem_dict(made.problem),
    }


def outcome(made: Understood) -> str:
    """In one word: ``call``, ``repaired``, ``answer``, or ``problem``."""
    if made.calls:
        return "repaired" if made.repairs else "call"
    return "answer" if made.answer is not None else "problem"


def told(made: Understood) -> str:
    """What was understood, for a person."""
    lines = [_("Thought: {text}").format(text=problems.piece(made.thought))] if made.thought else []
    lines += [_("Call: {call}").format(call=f"{call.name}({dumped(call.arguments)})") for call in made.calls]
    lines += [_("Answer: {text}").format(text=made.answer)] if made.answer is not None else []
    lines += repairs_told(made.repairs)
    if made.problem:
        problem = made.problem
        lines.append(_("Problem ({code}): {did}").format(code=problem.code, did=fill(_(problem.did), problem.params)))
        lines.append(_("Expected: {expected}").format(expected=fill(_(problem.expected), problem.params)))
        lines += [_("Seen: {evidence}").format(evidence=problem.evidence)] if problem.evidence else []
    return "\n".join(lines)


def counts(made: list[Understood]) -> dict[str, Any]:
    """How many replies came to what."""
    return {
        "replies": len(made),
        "outcomes": dict(Counter(map(outcome, made)).most_common()),
        "problems": dict(Counter(each.problem.code for each in made if each.problem).most_common()),
        "repairs": dict(Counter(repair.code for each in made for repair in each.repairs).most_common()),
    }


def summary(made: list[Understood]) -> str:
    """:func:`counts` for a person."""
    found = counts(made)
    lines = [_("Replies: {count}").format(count=found["replies"])]
    for title, key in ((_("Outcome"), "outcomes"), (_("Problem"), "problems"), (_("Repair"), "repairs")):
        lines += [f"{title} {code}: {count}" for code, count in found[key].items()]
    return "\n".join(lines)


def _call(call: Call) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}
