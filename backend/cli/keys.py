"""``python -m backend keys …``: API keys for ``/v1``, one per program or person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from backend.cli import output
from backend.i18n import _
from backend.web.keys import Key, Keys
from backend.workspace import open_workspace

app = typer.Typer(help=_("Make, list and revoke API keys for /v1."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


def as_dict(key: Key) -> dict[str, Any]:
    """What may be shown of a key. Times are epoch seconds."""
    return {"name": key.name, "prefix": key.prefix, "created": key.created, "last_used": key.last_used}


def line(key: Key) -> str:
    """A key in one line for a person."""
    used = _("last used {when}").format(when=_day(key.last_used)) if key.last_used else _("never used")
    made = _("made {when}").format(when=_day(key.created))
    return f"{key.prefix}…  {key.name}  {made}, {used}"


def _day(when: float) -> str:
    return datetime.fromtimestamp(when).strftime("%Y-%m-%d %H:%M")


@app.command(help=_("Make a key; it is shown this one time only."))
def create(
    name: Annotated[str, typer.Argument(help=_("Name of the program or person that will use it."))],
    as_json: Json = False,
) -> None:
    key, text = Keys(open_workspace()).create(name)
    note = _("Keep it now: it is not shown again.")
    output({**as_dict(key), "key": text}, as_json, f"{text}\n{note}")


@app.command("list", help=_("List the keys, oldest first."))
def list_keys(as_json: Json = False) -> None:
    keys = Keys(open_workspace()).list()
    none = _("There are no keys yet. Make one with: python -m backend keys create NAME")
    output([as_dict(k) for k in keys], as_json, "\n".join(map(line, keys)) or none)


@app.command(help=_("Take a key back; programs that use it are refused from now on."))
def revoke(
    name: Annotated[str, typer.Argument(help=_("Name of the key, or its first letters."))],
    as_json: Json = False,
) -> None:
    key = Keys(open_workspace()).revoke(name)
    output(as_dict(key), as_json, _("The key '{name}' is revoked.").format(name=key.name))
