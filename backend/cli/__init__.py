"""The command line: ``python -m backend NOUN VERB [--json]``, one file per noun, over the same functions as the pages.

With ``--json`` exactly one JSON document goes to standard output; an error is ``{"error": {"code", "message", "hint"}}``
with exit code 1. Without it, errors are a sentence on standard error.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import typer

from backend import i18n
from backend.errors import PanelError
from backend.i18n import _

# typer carries its own copy of click and exports only the leaves of its exceptions.
ClickException: type[Exception] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")
NOUNS = (
    "panel",
    "jobs",
    "models",
    "data",
    "finetune",
    "quantize",
    "serve",
    "bench",
    "eval",
    "envs",
    "chat",
    "agent",
    "conversations",
    "course",
    "keys",
    "memory",
    "search",
    "doctor",
    "diagnose",
)


def build(nouns: tuple[str, ...] = NOUNS) -> typer.Typer:
    """The command line with these ``nouns``. A noun is a module here with ``app`` (several verbs) or ``command`` (none)."""
    root = typer.Typer(
        name="python -m backend",
        help=_("TuneDeck from the shell. What the pages do, these commands do too."),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @root.callback()
    def _root() -> None:
        """Several nouns, never one implied."""

    for noun in nouns:
        module = import_module(f"backend.cli.{noun}")
        if hasattr(module, "command"):
            root.command(noun)(module.command)
        else:
            root.add_typer(module.app, name=noun, no_args_is_help=True)
    return root


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = sys.argv[1:] if argv is None else argv
    as_json = "--json" in args
    i18n.use("en" if as_json else i18n.from_environment())
    # Only what is asked for is loaded: the panel starts through here.
    nouns = (args[0],) if args and args[0] in NOUNS else NOUNS
    try:
        outcome = typer.main.get_command(build(nouns)).main(args, prog_name="python -m backend", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except PanelError as error:
        return fail(error, as_json)
    except typer.Abort:
        return 130
    except ClickException as error:
        if isinstance(getattr(error, "message", None), str):
            error.message = error.message.replace("Value error, ", "", 1)  # type: ignore[attr-defined]
        if not as_json:
            error.show()  # type: ignore[attr-defined]
            return int(error.exit_code)  # type: ignore[attr-defined]
        return fail(PanelError("usage", _literal(error)), as_json)
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has gone
        return 0


def fail(error: PanelError, as_json: bool) -> int:
    """Print ``error`` as the caller wants it; returns the exit code 1."""
    message, hint = error.localized()
    if as_json:
        output({"error": {"code": error.code, "message": message, "hint": hint}}, True)
    else:
        typer.echo(" ".join(part for part in (message, hint) if part), err=True)
    return 1


def output(data: Any, as_json: bool, text: str = "") -> None:
    """``data`` as the one JSON document, or ``text`` for a person."""
    if as_json:
        typer.echo(json.dumps(data, ensure_ascii=False, indent=1, default=str))
    elif text:
        typer.echo(text)


JSON = typer.Option(False, "--json", help="Print one JSON document.")


def _literal(error: Exception) -> str:
    """The parser's sentence, its braces kept out of the reach of ``str.format``."""
    text = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    return text.replace("{", "{{").replace("}", "}}")
