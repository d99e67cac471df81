"""``python -m backend agent run MODEL "question" --tools calculator,python``: one turn of an agent, step by step.

The same worker does it as for the page, so it is found there afterwards, and goes on when this command is gone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from backend.agent import mcp_servers, working
from backend.agent.options import DEFAULT_TOOLS, Options, parse_options
from backend.agent.own_tools import BY_NAME
from backend.agent.protocols.problems import piece
from backend.agent.protocols.values import dumped
from backend.agent.records import Called, Step, Turn
from backend.agent.store import AgentStore
from backend.cli import output
from backend.cli.agent_words import problem_dict, repair_dicts, repairs_told
from backend.errors import NotFoundError, PanelError, fill
from backend.i18n import N_, _
from backend.queue import watcher
from backend.workspace import Workspace, open_workspace

POLL_S = 0.1
MCP = "mcp:"
_DEFAULT = Options()


def run(
    model: Annotated[str, typer.Argument(help=_("Name of a model; 'models list' shows them."))],
    question: Annotated[str, typer.Argument(help=_("What to ask; '-' reads it from standard input."))],
    tools: Annotated[
        str,
        typer.Option(help=_("The tools that it may call, with commas between; mcp:NAME for those of an MCP server.")),
    ] = ",".join(DEFAULT_TOOLS),
    protocol: Annotated[
        str, typer.Option(help=_("The form of calling tools: auto, openai, react or internlm2."))
    ] = "auto",
    steps: Annotated[int, typer.Option(help=_("After so many replies it has to answer."))] = _DEFAULT.most_steps,
    seconds: Annotated[int, typer.Option(help=_("After so many seconds the turn ends."))] = _DEFAULT.most_seconds,
    system: Annotated[str, typer.Option(help=_("System prompt: who the model is and how it answers."))] = "",
    temperature: Annotated[float, typer.Option(help=_("0 takes the likeliest words; up to 2."))] = _DEFAULT.temperature,
    max_tokens: Annotated[int, typer.Option(help=_("Longest reply, in tokens."))] = _DEFAULT.max_tokens,
    seed: Annotated[int | None, typer.Option(help=_("The same number gives the same answer."))] = None,
    repair: Annotated[bool, typer.Option(help=_("Mend calls that are nearly right."))] = True,
    allow: Annotated[
        str, typer.Option(help=_("Tools that act outside and need no yes, with commas between; 'all' for every one."))
    ] = "",
    conversation: Annotated[str, typer.Option(help=_("Go on with the conversation of this id."))] = "",
    lang: Annotated[str, typer.Option(help=_("The language of ReAct's instructions: en or zh."))] = "en",
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    workspace = open_workspace()
    given = parse_options(
        {
            "protocol": protocol,
            "tools": _known(workspace, _names(tools)),
            "unasked": _names(allow),
            "repair": repair,
            "system": system,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "seed": seed,
            "most_steps": steps,
            "most_seconds": seconds,
            "lang": lang,
        }
    )
    text = sys.stdin.read() if question == "-" else question
    store = AgentStore(workspace)
    watcher.ensure_running(workspace)  # a model that does not run is started by a job
    turn = store.ask(conversation or None, text, model=model, options=given)
    turn, made = _follow(workspace, store, turn, quiet=as_json)
    output(as_dict(turn, made), as_json)
    if turn.state != "done":
        raise _failed(turn)


def _known(workspace: Workspace, names: Sequence[str]) -> tuple[str, ...]:
    """``names``, each of a tool that there is.

    Raises:
        NotFoundError: ``agent_tool_unknown``.
    """
    servers = {f"{MCP}{server.name}" for server in mcp_servers.listed(workspace) if server.enabled}
    for name in names:
        if name not in BY_NAME and name not in servers:
            raise NotFoundError(
                "agent_tool_unknown",
                N_("There is no tool '{name}'."),
                N_("Those that there are: {names}."),
                name=name,
                names=", ".join([*BY_NAME, *sorted(servers)]),
            )
    return tuple(names)


def _names(listing: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listing.split(",") if name.strip())


def _follow(workspace: Workspace, store: AgentStore, turn: Turn, *, quiet: bool) -> tuple[Turn, list[Step]]:
    """The turn once it is over. Ctrl-C stops it; a second one leaves it alone."""
    shown, stopping = _Shown(quiet), False
    while True:
        try:
            now = store.turn(turn.id)
            if now.state == "waiting":
                working.ensure(workspace, turn.conversation)
                if failure := working.failure(workspace, turn.conversation):
                    store.request_stop(turn.id)
                    raise failure
            made = store.steps([turn.id])
            shown.show(made)
            _answer_asks(store, now, made, quiet=quiet)
            if now.over:
                shown.end(now)
                return now, made
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            if stopping:
                raise typer.Abort from None
            stopping = True
            store.request_stop(turn.id)


def _answer_asks(store: AgentStore, turn: Turn, made: Sequence[Step], *, quiet: bool) -> None:
    """A call that asks first: the person at this terminal says; where nobody can, the answer is what --allow said."""
    if not made or made[-1].state != "asking":
        return
    step = made[-1]
    for place, called in enumerate(step.calls):
        if called.state != "asking" or store.decision(step.id, place) is not None:
            continue
        words = f"{called.call.name}({dumped(called.call.arguments)})"
        if "all" in turn.options.unasked:
            yes = True
        elif quiet or not sys.stdin.isatty():
            typer.echo(_("Not allowed, because nobody can be asked here (--allow {name}): {call}").format(name=called.call.name, call=piece(words)), err=True)  # fmt: skip
            yes = False
        else:
            yes = typer.confirm(_("This acts outside the panel: {call}. Allow it?").format(call=words), err=True)
        store.decide(step.id, place, yes)


class _Shown:
    """What has been printed of a turn: each step once, as soon as it is whole; to standard error, so that the answer stands alone."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._steps: set[int] = set()

    def show(self, made: Sequence[Step]) -> None:
        for step in made:
            if step.open or step.id in self._steps:
                continue
            self._steps.add(step.id)
            if not self._quiet:
                typer.echo("\n".join(told(step)), err=True)

    def end(self, turn: Turn) -> None:
        if turn.answer is not None and not self._quiet:
            typer.echo(turn.answer)


def told(step: Step) -> list[str]:
    """A step for a person."""
    head = _("Step {number} · {seconds} s").format(number=step.number, seconds=f"{step.model_s:.1f}")
    lines = [head]
    if step.thought:
        lines.append("  " + _("Thought: {text}").format(text=piece(step.thought)))
    lines += [f"  {line}" for line in repairs_told(step.repairs)]
    for called in step.calls:
        call = f"{called.call.name}({dumped(called.call.arguments)})"
        lines.append("  " + _("Call: {call}").format(call=piece(call)))
        lines.append("  " + _("Result: {text}").format(text=piece(called.text)))
        lines += ["  " + _("File: {name}").format(name=name) for name in called.files]
    if step.problem:
        did = fill(_(step.problem.did), step.problem.params)
        lines.append("  " + _("Problem ({code}): {did}").format(code=step.problem.code, did=did))
    return lines


def as_dict(turn: Turn, made: Sequence[Step]) -> dict[str, Any]:
    """A turn and its steps as JSON."""
    return {
        "conversation": turn.conversation,
        "turn": turn.id,
        "state": turn.state,
        "model": turn.model,
        "protocol": turn.protocol,
        "answer": turn.answer,
        "steps": [_step(step) for step in made],
        "problem": turn.problem and problem_dict(turn.problem),
        "error": _error(turn.error),
        "notes": [_error(note) for note in turn.notes],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "number": step.number,
        "state": step.state,
        "reply": step.reply,
        "thought": step.thought,
        "calls": [_called(called) for called in step.calls],
        "answer": step.answer,
        "repairs": repair_dicts(step.repairs),
        "problem": step.problem and step.problem.code,
        "prompt_tokens": step.prompt_tokens,
        "completion_tokens": step.completion_tokens,
        "model_s": round(step.model_s, 3),
        "ours_s": round(step.ours_s, 4),
    }


def _called(called: Called) -> dict[str, Any]:
    return {
        "tool": called.call.name,
        "arguments": called.call.arguments,
        "state": called.state,
        "result": called.text,
        "files": list(called.files),
        "error": called.error.get("code") if called.error else None,
        "seconds": round(called.seconds, 3),
    }


def _error(data: Any) -> dict[str, str] | None:
    if not data:
        return None
    error = PanelError.from_dict(dict(data))
    message, hint = error.localized()
    return {"code": error.code, "message": message, "hint": hint}


def _failed(turn: Turn) -> Exception:
    """Why the command ends with another exit code than 0; with ``--json`` it has said so already."""
    if "--json" in sys.argv:
        return typer.Exit(1)
    if turn.state == "stopped":
        return typer.Abort()
    if turn.error:
        return PanelError.from_dict(dict(turn.error))
    if turn.problem:
        return PanelError(f"agent_{turn.problem.code}", turn.problem.did, turn.problem.expected, **turn.problem.params)
    return PanelError(
        "agent_lost",
        N_("The program that worked at this is gone."),
        N_("Nothing that it had found is lost: go on with it on the Agent page."),
    )
