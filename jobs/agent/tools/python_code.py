"""Python that a model writes, run shut in: alone, without network, in a folder of its own, within limits.

Each call is a fresh process; files in its folder stay for the next one. What it made is copied out of that folder
before anybody opens it, because later code could put something else in its place.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.agent.own_tools import PYTHON
from backend.agent.tools import Context, Result, Tool
from backend.errors import PanelError
from jobs.agent.results import shaped
from jobs.agent.sandbox import folder as folders
from jobs.agent.sandbox.ability import ability, forget, no_walls
from jobs.agent.sandbox.printed import readable, tidy
from jobs.agent.sandbox.running import Limits, Ran, WallsMissing, run
from jobs.agent.tools import python_failures as failures
from jobs.agent.tools.arguments import refused

MOST_CODE = 200_000
FOLDER, MADE = "python", "from_python"
LEAST_SECONDS, MOST_SECONDS = 0.5, 600.0
LEAST_MEMORY, MOST_MEMORY = 128, 65_536
"""MiB."""

_FENCE = re.compile(r"\A\s*```[\w+-]*[ \t]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)


class PythonCode:
    """The tool."""

    def __init__(self) -> None:
        self.tool = Tool(
            name=PYTHON.name,
            title=PYTHON.title,
            purpose=PYTHON.purpose,
            description=(
                "Runs Python code and gives what it printed and the value of its last expression. Each call starts "
                "afresh: no variables are kept, but files in the current folder are. No network, no other programs, "
                "no files elsewhere, no input(). At most 30 seconds. Beside Python's own modules there are: "
                f"{failures.present()}. Files it writes are shown to the person."
            ),
            parameters={
                "type": "object",
                "properties": {"code": {"type": "string", "description": "the program, such as print(sum(range(10)))"}},
                "required": ["code"],
                "additionalProperties": False,
            },
        )

    def call(self, arguments: Mapping[str, Any], context: Context) -> Result:
        """Run the code; how it ended, in words."""
        began = time.monotonic()
        code = arguments.get("code")
        try:
            if not isinstance(code, str) or not code.strip():
                raise failures.code_missing()
            if len(code) > MOST_CODE:
                raise failures.code_too_long(MOST_CODE)
            limits = limits_of(context.settings.get(self.tool.name) or {})
            ran = _ran(_without_fence(code), context, limits)
            return _result(ran, limits, context, began)
        except PanelError as error:
            return refused(error, context, self.tool.name, began=began)


def limits_of(settings: Mapping[str, Any]) -> Limits:
    """The limits with what a person has set: ``seconds`` and ``memory_mib``. What cannot be meant is passed over."""
    limits = Limits()
    if seconds := _number(settings.get("seconds"), LEAST_SECONDS, MOST_SECONDS):
        limits = replace(limits, seconds=seconds, cpu_seconds=math.ceil(2 * seconds))
    if memory := _number(settings.get("memory_mib"), LEAST_MEMORY, MOST_MEMORY):
        limits = replace(limits, memory=int(memory) << 20)
    return limits


def _number(value: Any, least: float, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(most, max(least, float(value)))


def _without_fence(code: str) -> str:
    """The code without the Markdown fence that models like to put around it."""
    found = _FENCE.match(code)
    return (found[1] if found else code).replace("\x00", "").encode("utf-8", "replace").decode()


def _ran(code: str, context: Context, limits: Limits) -> Ran:
    can = ability()
    if can.walls is None:
        raise can.refusal()
    try:
        return run(code, context.folder / FOLDER, walls=can.walls, limits=limits, stopped=context.stopped)
    except WallsMissing as missing:
        forget()
        raise no_walls(str(missing)) from missing
    except OSError as error:
        raise failures.folder_unfit(error.strerror or str(error)) from error


def _result(ran: Ran, limits: Limits, context: Context, began: float) -> Result:
    error = failures.of(ran, limits)
    files = _handed_out(ran.made, context.folder)
    parts = [readable(ran.output).rstrip("\n"), tidy(ran.value or ""), tidy(ran.traceback or "").rstrip("\n")]
    if error is not None and ran.traceback is None:
        parts.append(f"[{error}]")
    if advice := failures.advice(ran, limits):
        parts.append(f"[{advice}]")
    if ran.ended == "exit" and not ran.code:
        parts.append("[The code ended itself here, with exit code 0.]")
    if ran.made:
        parts.append(f"[files: {_named(ran.made)}]")
    if not any(parts):
        parts.append("[The code ran and printed nothing. Use print(), or end with an expression.]")
    return shaped("\n".join(part for part in parts if part), context, FOLDER, began=began, files=files, error=error)


def _named(made: tuple[str, ...]) -> str:
    shown = [
        tidy(name.encode("utf-8", "replace").decode()).replace("\n", " ")[:80] for name in made[: folders.MOST_KEPT]
    ]
    left = len(made) - len(shown)
    return ", ".join(shown) + (f" and {left} more, of which no copies were taken" if left else "")


def _handed_out(made: tuple[str, ...], folder: Path) -> tuple[Path, ...]:
    if not made:
        return ()
    number = 1
    while (target := folder / MADE / str(number)).exists():
        number += 1
    handle = folders.opened(folder / FOLDER)
    try:
        return folders.handed_out(handle, list(made), target)
    except OSError as error:
        raise failures.folder_unfit(error.strerror or str(error)) from error
    finally:
        os.close(handle)
