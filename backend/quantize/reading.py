"""What a person asked for, read as a spec whatever it holds: each field that cannot be used is named, and stands at its default
for the rest of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from backend.finetune.faults import Faults, Way
from backend.said import _
from backend.specs.quantize import QuantizeSpec

BLANK = "-"
"""Stands for the model where none is chosen."""
_LIMITS = {"greater_than_equal": "ge", "less_than_equal": "le"}


def read(data: Mapping[str, Any] | QuantizeSpec, found: Faults) -> QuantizeSpec:
    """``data`` as a spec; ``model`` is empty where it was left out."""
    if isinstance(data, QuantizeSpec):
        return data
    given = {str(name): value for name, value in data.items()}
    blank = {}
    if not str(given.get("model") or "").strip():
        found.add("quantize_no_model", "model", _("No model is chosen."), _("Choose the model to make smaller."))
        blank = {"model": BLANK}
    # Each round takes out what was wrong; a rule over several fields is looked at once the fields themselves are right.
    for _round in range(3):
        try:
            spec = QuantizeSpec.model_validate(given | blank)
        except ValidationError as error:
            for one in error.errors():
                _take_out(one, given, blank, found)
            continue
        return spec.model_copy(update=dict.fromkeys(blank, ""))
    return QuantizeSpec(model=BLANK).model_copy(update={"model": ""})


def _take_out(error: Any, given: dict[str, Any], blank: dict[str, str], found: Faults) -> None:
    """Say what is wrong with one field, and go on without it."""
    if not error["loc"]:  # the one rule over several fields
        message = _("No dataset is chosen, and its rows were to calibrate.")
        ways = (Way(_("Take the bundled rows"), {"calibration": "bundled"}),)
        found.add("quantize_no_dataset", "dataset", message, _("Choose the dataset, or the bundled rows."), ways=ways)
        given["calibration"] = "bundled"
        return
    name = str(error["loc"][0])
    _fault(name, error, found)
    given.pop(name, None)
    if name == "model":
        blank["model"] = BLANK


def _fault(name: str, error: Any, found: Faults) -> None:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "extra_forbidden":
        found.add(
            "quantize_setting_unknown",
            name,
            _("There is no setting called '{name}'.").format(name=name),
            _("It may be of another version of TuneDeck: take it out of the spec."),
        )
        return
    title, value = _title(name), _short(error["input"])
    if kind in _LIMITS:
        limit = context[_LIMITS[kind]]
        words = (
            _("{title} is at least {limit}; it is {value}.")
            if kind == "greater_than_equal"
            else _("{title} is at most {limit}; it is {value}.")
        )
        ways = (Way(_("{title}: {value}").format(title=title, value=_short(limit)), {name: limit}),)
        message = words.format(title=title, limit=f"{limit:g}", value=value)
        found.add("quantize_setting_bad", name, message, _("Choose another value."), ways=ways)
        return
    message = _("{title} cannot be '{value}'.").format(title=title, value=value)
    hint = _("Choose another value.")
    if kind == "literal_error":
        known = context.get("expected", "").replace(" or ", ", ").replace("'", "")
        hint = _("It is one of: {known}.").format(known=known)
    found.add("quantize_setting_bad", name, message, hint)


def _title(name: str) -> str:
    field = QuantizeSpec.model_fields.get(name)
    return _(field.title) if field is not None and field.title else name


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
