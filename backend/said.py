"""A translated text that knows what it was made of, so that it can be kept and read again in another language.

``_`` and ``ngettext`` of this module stand in for those of :mod:`backend.i18n` where a text is made in one process and read
by somebody else later: a plan's faults lie in a job's folder, and the job speaks no language of its own. What they
return is the text as the current person reads it; :func:`stored` is what is kept, :func:`read` what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backend import i18n


class Said(str):
    """A text in the language of the current person. made: its English template ``said``, with ``plural`` and ``n`` where it has
    forms, and its ``params``; JSON-able, a parameter may be such a text itself."""

    made: dict[str, Any]

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> Said:
        """The text that was :func:`stored` as ``made``."""
        text = cls(read(made))
        text.made = dict(made)
        return text

    def format(self, *_args: object, **params: object) -> Said:
        """Its places filled from ``params``."""
        return Said.of({**self.made, "params": {name: stored(value) for name, value in params.items()}})


def _(message: str) -> Said:
    """``message`` in the current language."""
    return Said.of({"said": message})


def ngettext(singular: str, plural: str, n: int) -> Said:
    """The form for ``n`` things in the current language, not yet filled in."""
    return Said.of({"said": singular, "plural": plural, "n": n})


def joined(parts: Iterable[str], between: str = " ") -> Said:
    """``parts`` in one text; those that are empty are left out."""
    found = {f"part_{number}": stored(part) for number, part in enumerate(part for part in parts if part)}
    return Said.of({"said": between.join(f"{{{name}}}" for name in found), "params": found})


def stored(value: Any) -> Any:
    """``value`` as it is kept: what a text was made of; anything else as it is."""
    return value.made if isinstance(value, Said) else value


def read(value: Any) -> Any:
    """What was :func:`stored`, or a text itself, in the language of the current person; anything else as it is."""
    return _read(value, i18n._, i18n.ngettext)


def english(value: Any) -> Any:
    """:func:`read` in English: for logs, so that whoever helps reads one language."""
    return _read(value, lambda message: message, lambda singular, plural, n: singular if n == 1 else plural)


def fill(template: str, params: dict[str, Any]) -> str:
    """``template`` with ``{name}`` places filled; a template that does not fit its parameters is shown as it is."""
    try:
        return template.format(**params)
    except (KeyError, IndexError, ValueError):
        return template


def _read(value: Any, one: Callable[[str], str], several: Callable[[str, str, int], str]) -> Any:
    made = stored(value)
    if not isinstance(made, Mapping) or "said" not in made:
        return value
    message = several(made["said"], made["plural"], made["n"]) if "plural" in made else one(made["said"])
    params = made.get("params")
    return fill(message, {name: _read(each, one, several) for name, each in params.items()}) if params else message
