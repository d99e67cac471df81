"""``python -m backend conversations …``: list what was said, find a place in it, take a conversation along as a file."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from backend.chat import export as files
from backend.chat.conversations import Conversations
from backend.chat.records import Conversation
from backend.chat.search import Found, search
from backend.cli import output
from backend.i18n import _
from backend.workspace import open_workspace

app = typer.Typer(help=_("List, search and export the conversations of the Chat page."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


class Form(StrEnum):
    """How a conversation is written."""

    MD = "md"
    JSON = "json"


def as_dict(conversation: Conversation) -> dict[str, Any]:
    """A conversation without its messages. Times are epoch seconds."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "model": conversation.model,
        "created": conversation.created,
        "updated": conversation.updated,
    }


def line(conversation: Conversation) -> str:
    """A conversation in one line for a person."""
    when = datetime.fromtimestamp(conversation.updated).strftime("%Y-%m-%d %H:%M")
    return f"{conversation.id}  {when}  {conversation.model}  {conversation.title}"


@app.command("list", help=_("List the conversations, the last used first."))
def list_conversations(
    limit: Annotated[int, typer.Option(min=1, help=_("How many at most."))] = 50, as_json: Json = False
) -> None:
    found = Conversations(open_workspace()).list(limit=limit)
    none = _("There are no conversations yet.")
    output([as_dict(c) for c in found], as_json, "\n".join(map(line, found)) or none)


@app.command("search", help=_("Find a text in titles and messages, upper and lower case alike."))
def search_conversations(
    text: Annotated[str, typer.Argument(help=_("What to look for."))],
    limit: Annotated[int, typer.Option(min=1, help=_("How many at most."))] = 50,
    as_json: Json = False,
) -> None:
    found = search(Conversations(open_workspace()), text, limit=limit)
    output([_hit(f) for f in found], as_json, "\n".join(map(_lines, found)) or _("Nothing found."))


@app.command(help=_("Write a conversation to standard output: md to read, json with all branches and figures."))
def export(
    conversation: Annotated[str, typer.Argument(help=_("Its id; 'conversations list' shows them."))],
    form: Annotated[Form, typer.Option("--format", help=_("md or json."))] = Form.MD,
    as_json: Annotated[bool, typer.Option("--json", help=_("The same as --format json."))] = False,
) -> None:
    store = Conversations(open_workspace())
    if as_json or form is Form.JSON:
        typer.echo(json.dumps(files.to_json(store, conversation), ensure_ascii=False, indent=1))
    else:
        sys.stdout.write(files.to_markdown(store, conversation))


def _hit(found: Found) -> dict[str, Any]:
    places = [
        {"message": p.message, "role": p.role, "before": p.before, "match": p.match, "after": p.after}
        for p in found.places
    ]
    return {**as_dict(found.conversation), "count": found.count, "places": places}


def _lines(found: Found) -> str:
    return "\n".join(
        [line(found.conversation), *(f"    {place.before}{place.match}{place.after}" for place in found.places)]
    )
