"""What a model gave a tool: each argument checked for itself, and a refusal in words with which the model can mend it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from backend import said
from backend.agent.tools import Context, Result
from backend.errors import DataError, PanelError
from backend.i18n import N_
from jobs.agent.results import shaped


def text(arguments: Mapping[str, Any], name: str, *, most: int, default: str | None = None) -> str:
    """The text ``name``, without blanks around it. default: where it is left out; without one it must be there.

    Raises:
        DataError: ``tool_argument_unfit``.
    """
    given = arguments.get(name)
    if given is None and default is not None:
        return default
    if isinstance(given, str) and len(given) <= most:
        found = given.replace("\0", "").encode("utf-8", "replace").decode().strip()
        if found or default is not None:
            return found or str(default)
    raise _unfit(name, said._("a text of 1 to {most} characters").format(most=most), given)


def number(arguments: Mapping[str, Any], name: str, *, least: int, most: int, default: int) -> int:
    """The whole number ``name``; models often write one as a text.

    Raises:
        DataError: ``tool_argument_unfit``.
    """
    given = arguments.get(name)
    if given is None:
        return default
    try:
        found = int(given) if isinstance(given, str) else given
    except ValueError:
        found = None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        wanted = said._("a whole number from {least} to {most}").format(least=least, most=most)
        raise _unfit(name, wanted, given)
    return found


def choice(arguments: Mapping[str, Any], name: str, among: Sequence[str], *, default: str) -> str:
    """One of ``among``.

    Raises:
        DataError: ``tool_argument_unfit``.
    """
    given = arguments.get(name)
    if given is None:
        return default
    found = given.strip().lower() if isinstance(given, str) else ""
    if found not in among:
        raise _unfit(name, said._("one of: {listing}").format(listing=", ".join(among)), given)
    return found


def refused(error: PanelError, context: Context, name: str, *, began: float) -> Result:
    """The result of a call of the tool ``name`` that failed: the error and what helps, in English."""
    params = {key: said.english(value) for key, value in error.params.items()}
    words = f"{error} {said.fill(error.hint, params)}".strip()
    return shaped(f"Error ({error.code}): {words}", context, name, began=began, error=error)


def now() -> float:
    """When a call begins, for :func:`jobs.agent.results.shaped`."""
    return time.monotonic()


def _unfit(name: str, wanted: str, given: object) -> DataError:
    return DataError(
        "tool_argument_unfit",
        N_("The argument '{name}' must be {wanted}; given was: {given}"),
        N_("Call the tool again with an argument that fits."),
        name=name,
        wanted=wanted,
        given=repr(given)[:100],
    )
