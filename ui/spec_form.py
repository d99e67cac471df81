"""A form for any job, made from its spec class: one widget a field, its limits, its help, its default.

The class is the single source: a field that is added there appears here. Widgets keep no limits of their own as a
promise; the spec checks again when the job is submitted and names every wrong field at once.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import annotated_types
import streamlit as st
from pydantic.fields import FieldInfo

from backend.errors import SpecError
from backend.i18n import N_, _
from backend.specs import Spec

FIRST = 4
"""Choices that are in sight; the rest is folded."""
MULTILINE_CHARS = 200
UNITS = {"s": "s", "ms": "ms", "mib": "MiB", "gib": "GiB"}
"""Endings of field names that are units."""


def draw(cls: type[Spec], values: dict[str, Any], *, key: str) -> dict[str, Any]:
    """Draw a widget for every field of ``cls``, filled from ``values``; returns what the person has now chosen.

    The result is not validated: give it to the store. A field whose text cannot be read as JSON comes back as that text,
    so that the spec names it with the others.
    """
    names = list(cls.model_fields)
    chosen = draw_fields(cls, names[:FIRST], values, key=key)
    if names[FIRST:]:
        with st.expander(_("More settings"), icon=":material/tune:", type="compact"):
            chosen |= draw_fields(cls, names[FIRST:], values, key=key)
    return chosen


def draw_fields(cls: type[Spec], names: Iterable[str], values: dict[str, Any], *, key: str) -> dict[str, Any]:
    """The widgets of the fields ``names`` only, none of them folded; as :func:`draw`."""
    return {name: _widget(name, cls.model_fields[name], values, f"{key}_{name}") for name in names}


def from_json(text: str) -> dict[str, Any]:
    """The spec that a person typed as JSON.

    Raises:
        SpecError: ``spec_not_json``, with the line and column.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(
            "spec_not_json",
            N_("This is not JSON: {problem}, in line {line}, column {column}."),
            N_("Correct the line, or use the form."),
            problem=error.msg,
            line=error.lineno,
            column=error.colno,
        ) from error
    if not isinstance(data, dict):
        raise SpecError(
            "spec_not_object", N_("The settings must be a JSON object."), N_("Put them between curly brackets.")
        )
    return data


def label(name: str, info: FieldInfo) -> str:
    """The field's title, or its name in words with its unit: ``step_s`` -> ``Step (s)``."""
    if info.title:
        return _(info.title)
    stem, _bar, last = name.rpartition("_")
    if stem and last in UNITS:
        return f"{stem.replace('_', ' ').capitalize()} ({UNITS[last]})"
    return name.replace("_", " ").capitalize()


def _widget(name: str, info: FieldInfo, values: dict[str, Any], key: str) -> Any:
    default = info.get_default(call_default_factory=True, validated_data={}) if not info.is_required() else None
    value = values.get(name, default)
    kind, optional = _kind(info.annotation)
    common: dict[str, Any] = {"key": key, "help": _(info.description) if info.description else None}
    text = label(name, info)
    if typing.get_origin(kind) is Literal:
        options = [*([None] if optional else []), *typing.get_args(kind)]
        index = options.index(value) if value in options else 0
        return st.selectbox(text, options, index=index, format_func=partial(_option, info), filter_mode=None, **common)
    if kind is bool:
        return st.checkbox(text, value=bool(value), **common)
    if kind in (int, float):
        return _number(text, kind, value, info, optional, common)
    if kind is str:
        shown = "" if value is None else str(value)
        area = len(shown) > MULTILINE_CHARS or "\n" in shown
        typed = st.text_area(text, shown, **common) if area else st.text_input(text, shown, **common)
        return None if optional and not typed else typed
    typed = st.text_area(text, json.dumps(value, ensure_ascii=False, default=str), **common)
    try:
        return json.loads(typed or "null")
    except json.JSONDecodeError:
        return typed


def _number(
    text: str, kind: type, value: Any, info: FieldInfo, optional: bool, common: dict[str, Any]
) -> float | int | None:
    low, high = limits(info, kind)
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    start = kind(value) if usable else (None if optional or low is None else low)
    if start is not None:  # a stored spec may be older than the limits
        start = max(start, low) if low is not None else start
        start = min(start, high) if high is not None else start
    number = st.number_input(
        text,
        min_value=low,
        max_value=high,
        value=start,
        step=1 if kind is int else None,
        format=None if kind is int else "%g",
        **common,
    )
    return None if number is None else kind(number)


def _kind(annotation: Any) -> tuple[Any, bool]:
    """(the type without None, whether None is allowed)."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(rest) == 1:
            return _kind(rest[0])[0], len(rest) < len(typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        return _kind(typing.get_args(annotation)[0])
    return annotation, False


def limits(info: FieldInfo, kind: type) -> tuple[Any, Any]:
    """Inclusive limits for the widget. An exclusive limit is left to the spec where it is not a whole number's."""
    low: Any = None
    high: Any = None
    for rule in info.metadata:
        if isinstance(rule, annotated_types.Ge):
            low = rule.ge
        elif isinstance(rule, annotated_types.Gt) and kind is int:
            low = int(str(rule.gt)) + 1
        elif isinstance(rule, annotated_types.Le):
            high = rule.le
        elif isinstance(rule, annotated_types.Lt) and kind is int:
            high = int(str(rule.lt)) - 1
    return (None if low is None else kind(low)), (None if high is None else kind(high))


def _option(info: FieldInfo, value: object) -> str:
    """How a choice reads: the field's ``labels`` say it in people's words, else it stands for itself."""
    extra = info.json_schema_extra
    labels = extra.get("labels") if isinstance(extra, dict) else None
    if isinstance(labels, dict) and value in labels:
        return _(str(labels[value]))
    return _("none") if value is None or value == "" else str(value)
