"""``python -m backend panel …``: start the panel, or show its link again.

One panel per workspace is the rule: a second ``start`` shows the link of the first. ``--another`` starts one more on the
next free port all the same; both show the same jobs and conversations, since these live in the workspace.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from backend.cli import output
from backend.errors import NotFoundError
from backend.i18n import N_, _
from backend.settings import load
from backend.web import panel as panels
from backend.web.address import check_bind, choose_port, ssh_line
from backend.web.token import Token
from backend.workspace import ROOT, open_workspace

app = typer.Typer(help=_("Start the panel, show its link."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


@app.command(help=_("Start the panel and print its link; jobs that run are found again."))
def start(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help=_("Port; empty: 8501 or the next free one."))
    ] = None,
    host: Annotated[str | None, typer.Option(help=_("Address to listen on; empty: this machine only."))] = None,
    another: Annotated[bool, typer.Option("--another", help=_("Start one more beside a panel that runs."))] = False,
) -> None:
    workspace = open_workspace()
    settings = load(workspace)
    host = host or settings.host
    check_bind(host, allow_remote=settings.allow_remote)
    open_already = panels.running(workspace)
    if open_already and not another:
        typer.echo(_("A panel is open on the workspace {path} already:").format(path=workspace.root))
        typer.echo(f"  {open_already.link(Token(workspace).ensure())}\n  {ssh_line(open_already.port)}")
        typer.echo(_("To open a second one, add --another."))
        return
    chosen = choose_port(host, port or settings.port)
    Token(workspace).ensure()
    os.environ["TUNEDECK_WORKSPACE"] = str(workspace.root)
    os.chdir(ROOT)  # .streamlit/config.toml is looked for here
    options = {"server.address": host, "server.port": chosen, "logger.hideWelcomeMessage": "true"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), *arguments])  # noqa: S606 - a fixed list, no shell


@app.command(help=_("Print the link of the panel that runs."))
def link(
    new: Annotated[
        bool, typer.Option("--new", help=_("Make a new token first: older links and logins stop working."))
    ] = False,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    token = Token(workspace)
    text = token.replace() if new else token.ensure()
    panel = panels.running(workspace)
    if panel is None and not new:
        raise NotFoundError(
            "panel_not_running",
            N_("No panel is open on the workspace {path}."),
            N_("Start it with: make run"),
            path=str(workspace.root),
        )
    if panel is None:
        said = _("The old link does not work any more. No panel is open; it prints the new link when it starts.")
        output({"running": False, "link": None, "ssh": None}, as_json, said)
        return
    data = {
        "running": True,
        "link": panel.link(text),
        "ssh": ssh_line(panel.port),
        "port": panel.port,
        "pid": panel.pid,
    }
    output(data, as_json, f"{data['link']}\n{data['ssh']}")
