"""The prompt library: texts that are sent again and again, with places to fill in, such as ``{{language}}``.

They are kept in ``chat.db``, so every tab and every panel of the workspace has the same ones. A few examples come with
TuneDeck, in the person's language; they cannot be changed, but copied.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from backend.chat.answers import MAX_PROMPT_CHARS
from backend.chat.conversations import Conversations
from backend.chat.records import clean
from backend.errors import ConflictError, NotFoundError
from backend.i18n import N_, _

MAX_NAME_CHARS = 80
MAX_VARIABLE_CHARS = 60
_PLACE = re.compile(r"\{\{([^{}]*)\}\}")
_LONE = re.compile(r"\{\{|\}\}")


@dataclass(frozen=True)
class Prompt:
    """One text of the library. ``id`` 0: an example."""

    id: int
    name: str
    text: str


_VARIABLES = {
    "language": N_("language"),
    "text": N_("text"),
    "number": N_("number"),
    "topic": N_("topic"),
    "audience": N_("audience"),
    "first": N_("first thing"),
    "second": N_("second thing"),
}
_EXAMPLES = (
    (N_("Translate"), N_("Translate into {language}. Answer with the translation only.\n\n{text}")),
    (N_("Summarize"), N_("Summarize the following text in {number} sentences.\n\n{text}")),
    (N_("Explain"), N_("Explain {topic} to {audience}. Use one example from daily life.")),
    (N_("Correct"), N_("Correct spelling and grammar in the following text, then list what you changed.\n\n{text}")),
    (N_("Compare"), N_("Compare {first} and {second}: what they have in common, and where they differ.")),
)


def examples() -> list[Prompt]:
    """The prompts that come with TuneDeck, in the language of the current person."""
    places = {name: "{{" + _(word) + "}}" for name, word in _VARIABLES.items()}
    return [Prompt(0, _(name), _(text).format(**places)) for name, text in _EXAMPLES]


def variables(text: str) -> list[str]:
    """The names between double braces, each once, in the order of their first place.

    Raises:
        ConflictError: ``prompt_variable_open``, ``prompt_variable_empty``, ``prompt_variable_long``.
    """
    names: dict[str, None] = {}
    for match in _PLACE.finditer(text):
        name = " ".join(match[1].split())
        if not name:
            raise ConflictError(
                "prompt_variable_empty",
                N_("In line {line} stands {braces} without a name in it."),
                N_("Write a name between the braces, or take them away."),
                line=_line(text, match.start()),
                braces=match[0],
            )
        if len(name) > MAX_VARIABLE_CHARS:
            raise ConflictError(
                "prompt_variable_long",
                N_("In line {line} a variable has a name of {count} characters; {limit} are allowed."),
                N_("Give it a short name."),
                line=_line(text, match.start()),
                count=len(name),
                limit=MAX_VARIABLE_CHARS,
            )
        names[name] = None
    lone = _LONE.search(_PLACE.sub(lambda match: " " * len(match[0]), text))
    if lone:
        raise ConflictError(
            "prompt_variable_open",
            N_("In line {line} stands {braces} without its other half."),
            N_("A variable looks like {example}: two braces before it, two after it, none in it."),
            line=_line(text, lone.start()),
            braces=lone[0],
            example="{{name}}",
        )
    return list(names)


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with its variables replaced by ``values``, which are taken as they are; a missing one becomes empty."""
    return _PLACE.sub(lambda match: values.get(" ".join(match[1].split()), ""), text)


class Prompts:
    """The prompts of one workspace; every method may raise :class:`backend.errors.WorkspaceError`."""

    def __init__(self, store: Conversations) -> None:
        self.store = store

    def list(self) -> list[Prompt]:
        """By name, without the examples."""
        with self.store.read() as db:
            rows = db.execute("SELECT id, name, text FROM prompts").fetchall()
        return sorted((Prompt(**dict(row)) for row in rows), key=lambda p: (p.name.casefold(), p.id))

    def save(self, name: str, text: str, prompt_id: int = 0) -> int:
        """Keep a new prompt, or a changed one; returns its id.

        Raises:
            ConflictError: ``prompt_name_empty``, ``prompt_name_taken``, ``prompt_text_empty``, ``prompt_text_long``, or
                what :func:`variables` finds wrong.
            NotFoundError: ``prompt_unknown``: deleted in another tab; nothing is saved.
        """
        name, text = clean(" ".join(name.split()))[:MAX_NAME_CHARS], clean(text)
        if not name:
            raise ConflictError("prompt_name_empty", N_("A prompt needs a name."), N_("Type at least one character."))
        if not text.strip():
            raise ConflictError("prompt_text_empty", N_("A prompt needs a text."), N_("Type at least one character."))
        if len(text) > MAX_PROMPT_CHARS:
            raise ConflictError(
                "prompt_text_long",
                N_("This prompt has {count} characters; {limit} are allowed."),
                count=f"{len(text):,}",
                limit=f"{MAX_PROMPT_CHARS:,}",
            )
        variables(text)
        with self.store.write() as db:
            if db.execute("SELECT 1 FROM prompts WHERE name = ? AND id != ?", (name, prompt_id)).fetchone():
                raise ConflictError(
                    "prompt_name_taken",
                    N_("There is already a prompt called '{name}'."),
                    N_("Choose another name."),
                    name=name,
                )
            values = (name, text, time.time())
            if not prompt_id:
                cursor = db.execute("INSERT INTO prompts (name, text, updated) VALUES (?, ?, ?)", values)
                return int(cursor.lastrowid or 0)
            changed = db.execute(
                "UPDATE prompts SET name = ?, text = ?, updated = ? WHERE id = ?", (*values, prompt_id)
            )
            if changed.rowcount != 1:
                raise NotFoundError(
                    "prompt_unknown",
                    N_("This prompt was deleted in another tab."),
                    N_("Save it as a new one to keep it."),
                )
        return prompt_id

    def delete(self, prompt_id: int) -> None:
        """Forget it; one that is gone already is no error."""
        with self.store.write() as db:
            db.execute("DELETE FROM prompts WHERE id = ?", (prompt_id,))


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
