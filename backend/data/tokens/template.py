"""A row as the text that a model reads: its chat template, rendered as transformers 5.17 renders it.

The same sandbox, block trimming, ``tojson``, ``raise_exception``, ``strftime_now`` and ``{% generation %}``
(``transformers/utils/chat_template_utils.py``): tests hold both against each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backend.data.rows import Message, Row
from backend.data.tokens.model import TokenModel
from backend.errors import DataError, ModelError
from backend.i18n import N_

Span = tuple[int, int]
"""Begin and end, in characters."""
_KEPT = ("role", "content", "tool_calls", "tool_call_id", "name")


class _Tracking:
    """What of a text that is being rendered lies between the tags."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.spans: list[Span] = []


# Of this thread's rendering: two sessions of the panel share the compiled template.
_tracking: ContextVar[_Tracking | None] = ContextVar("tracking", default=None)


class _Generation(Extension):
    """``{% generation %}…{% endgeneration %}``: what the model writes itself."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 wants a plain set here

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Callable[[], str]) -> str:
        text = caller()
        tracking = _tracking.get()
        if tracking is not None:
            begin = sum(map(len, tracking.blocks))
            tracking.spans.append((begin, begin + len(text)))
        return text


def conversation(row: Row) -> list[dict[str, Any]]:
    """The messages of ``row`` as chat templates take them: arguments of calls as objects, nothing that is ours alone."""
    return [_message(message) for message in row["messages"]]


def render(model: TokenModel, row: Row, *, prompt: bool = False) -> str:
    """The text that ``model`` reads. prompt: ends where the model would begin to answer.

    Raises:
        ModelError: ``tokens_no_template``, ``tokens_template_bad``. DataError: ``tokens_template_refuses``.
    """
    return Renderer(model, row).text(conversation(row), prompt=prompt)


class Renderer:
    """The template of one model for one row, to be rendered as often as needed.

    Raises:
        ModelError: as :func:`render`.
    """

    def __init__(self, model: TokenModel, row: Row) -> None:
        tools = row.get("tools") or None
        source = model.template(tools=bool(tools))
        try:
            self._template = _compiled(source)
        except jinja2.TemplateError as error:
            raise ModelError(
                "tokens_template_bad",
                N_("The chat template of the model in {folder} cannot be read: {problem}"),
                N_("Copy the tokenizer's files of the same model again, or choose another model."),
                folder=str(model.folder),
                problem=str(error)[:500],
            ) from error
        self._given = {**model.special, "tools": tools, "documents": None}
        # As transformers tells it: the tag, with or without dashes.
        self.marks = "generation" in _tags(source)

    def text(self, messages: Sequence[dict[str, Any]], *, prompt: bool = False) -> str:
        """``messages`` as text.

        Raises:
            DataError: ``tokens_template_refuses``, with the template's own words.
        """
        with _refusals():
            return self._template.render(messages=list(messages), add_generation_prompt=prompt, **self._given)

    def marked(self, messages: Sequence[dict[str, Any]]) -> tuple[str, list[Span]]:
        """``messages`` as text, and what of it the template says that the model writes.

        Raises:
            DataError: as :meth:`text`.
        """
        tracking = _Tracking()
        token = _tracking.set(tracking)
        try:
            with _refusals():
                for block in self._template.generate(
                    messages=list(messages), add_generation_prompt=False, **self._given
                ):
                    tracking.blocks.append(block)
        finally:
            _tracking.reset(token)
        return "".join(tracking.blocks), tracking.spans


def _message(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name, value in message.items() if name in _KEPT}
    if "tool_calls" in found:
        found["tool_calls"] = [_call(call) for call in found["tool_calls"]]
    return found


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": arguments}} if isinstance(arguments, dict) else call


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    # A template is a program of its own: whatever it stumbles over in a row is a refusal of that row.
    except Exception as error:
        raise DataError(
            "tokens_template_refuses",
            N_("The chat template refuses this row: {problem}"),
            N_("Change the row so that it fits, or choose a model whose template takes such rows."),
            problem=(str(error) or type(error).__name__)[:500],
        ) from error


@lru_cache(maxsize=32)
def _compiled(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _now
    return environment.from_string(source)


@lru_cache(maxsize=32)
def _tags(source: str) -> frozenset[str]:
    return frozenset(re.findall(r"\{%-?\s*(\w+)\s*-?%\}", source))


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
