"""A tool as a model and a person see it, and what a call of it gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from backend.errors import PanelError
from backend.workspace import Workspace

MOST_CHARS = 20_000
"""Characters of a result that a model is given: more would fill its context. The whole of it lies in a file."""


@dataclass(frozen=True)
class Tool:
    """name: as models call it: a-z, 0-9 and _, at most 64. title, purpose: for people, marked with ``N_``. description: for models,
    English. parameters: JSON schema of an object. asks_first: acts on the world outside this panel, so a person says yes to each call.
    network: reaches other machines."""

    name: str
    title: str
    purpose: str
    description: str
    parameters: dict[str, Any]
    asks_first: bool = False
    network: bool = False


@dataclass(frozen=True)
class Result:
    """What a call gave. text: what the model reads, at most :data:`MOST_CHARS`. files: what it made, in the conversation's folder. error: why it
    failed; ``text`` then says the same in English, for the model. shortened: characters that ``text`` lacks; the whole is the first file.
    seconds: that it took."""

    text: str
    files: tuple[Path, ...] = ()
    error: PanelError | None = None
    shortened: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Context:
    """Around a call. folder: of the conversation, for files; nobody else writes there. stopped: whether a person has pressed Stop;
    asked often. settings: of the tools, by the tool's name."""

    workspace: Workspace
    folder: Path
    stopped: Callable[[], bool] = lambda: False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Runs(Protocol):
    """A tool that can be called."""

    tool: Tool

    def call(self, arguments: Mapping[str, Any], context: Context) -> Result:
        """Run it. Never raises for what a model wrote: that is a Result with an ``error``. Ends soon after ``context.stopped()`` says so."""
        ...
