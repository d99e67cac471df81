"""``python -m backend chat MODEL "prompt"``: one question to a model, its answer streamed to standard output."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Annotated, Any

import typer

from backend.chat.asking import answer_stream
from backend.chat.client import Finished
from backend.chat.params import ChatParams, parse_params
from backend.chat.records import Message
from backend.chat.waiting import find_server
from backend.cli import output
from backend.errors import PanelError, ServerError
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.queue.store import open_store
from backend.workspace import open_workspace

_DEFAULT = ChatParams()


def command(
    model: Annotated[str, typer.Argument(help=_("Name of a model; 'models list' shows them."))],
    prompt: Annotated[str, typer.Argument(help=_("What to say; '-' reads it from standard input."))],
    system: Annotated[str, typer.Option(help=_("System prompt: who the model is and how it answers."))] = "",
    temperature: Annotated[float, typer.Option(help=_("0 takes the likeliest words; up to 2."))] = _DEFAULT.temperature,
    top_p: Annotated[float, typer.Option(help=_("Share of the likeliest words to choose from."))] = _DEFAULT.top_p,
    max_tokens: Annotated[int, typer.Option(help=_("Longest answer, in tokens."))] = _DEFAULT.max_tokens,
    seed: Annotated[int | None, typer.Option(help=_("The same number gives the same answer."))] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help=_("Leave nothing to chance: the same question, the same answer."))
    ] = False,
    start: Annotated[bool, typer.Option("--start", help=_("Start the model when it does not run, and wait."))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    """Ask a model one question. The answer goes to standard output as it comes."""
    params = parse_params(
        {
            "system": system,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "seed": seed,
            "deterministic": deterministic,
        }
    )
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise PanelError("prompt_empty", N_("There is nothing to send."), N_("Type a message first."))
    try:
        answer = asyncio.run(_ask(model, text, params, start=start, quiet=as_json))
    except KeyboardInterrupt:
        raise typer.Abort from None
    output(answer, as_json)


async def _ask(model: str, prompt: str, params: ChatParams, *, start: bool, quiet: bool) -> dict[str, Any]:
    workspace = open_workspace()
    store = open_store(workspace)
    if not start and await asyncio.to_thread(find_server, store, model) is None:
        raise ServerError(
            "model_not_running",
            N_("The model '{model}' is not running."),
            N_("Add --start to start it now, or start it on the Chat page."),
            model=model,
        )
    now = time.time()
    question = Message(id=1, conversation="", role="user", content=prompt, state="done", created=now, updated=now)
    pieces: list[str] = []
    figures: dict[str, Any] = {}
    said = ""

    def on_job(row: JobRow) -> None:
        nonlocal said
        phase = str(row.progress.get("phase") or row.state)
        if not quiet and phase != said:
            typer.echo(_("Starting {model}: {phase}").format(model=model, phase=phase), err=True)
            said = phase

    stream = answer_stream(store, workspace, [question], model=model, params=params, start=start, on_job=on_job)
    async with contextlib.aclosing(stream) as parts:
        async for part in parts:
            if isinstance(part, Finished):
                figures = {name: getattr(part, name) for name in part.__dataclass_fields__}
            elif isinstance(part, str):
                pieces.append(part)
                if not quiet:
                    typer.echo(part, nl=False)
    if not quiet:
        typer.echo()
    return {"model": model, "answer": "".join(pieces), **figures}


command.__doc__ = _("Ask a model one question. The answer goes to standard output as it comes.")
