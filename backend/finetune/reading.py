"""What a person asked for, read as a spec whatever it holds: each field that cannot be used is named, and stands at its default
for the rest of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from backend.finetune.faults import Faults, Way
from backend.said import _
from backend.specs.finetune import FinetuneSpec

NEEDED = ("model", "dataset")
_LIMITS = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}


def read(data: Mapping[str, Any] | FinetuneSpec, found: Faults) -> FinetuneSpec:
    """``data`` as a spec; ``model`` or ``dataset`` is empty where it was left out."""
    if isinstance(data, FinetuneSpec):
        return data
    given = {str(name): value for name, value in data.items()}
    for name in NEEDED:
        if not str(given.get(name) or "").strip():
            given.pop(name, None)
            _missing(name, found)
    blank = {name: "-" for name in NEEDED if name not in given}
    # Each round takes out what was wrong; a rule over several fields is looked at once the fields themselves are right.
    for _round in range(3):
        try:
            spec = FinetuneSpec.model_validate(given | blank)
        except ValidationError as error:
            for one in error.errors():
                name = str(one["loc"][0]) if one["loc"] else ""
                _fault(name, one, given, found)
                for wrong in (name,) if name else ("gpu_mib", "config_text"):
                    given.pop(wrong, None)
                    if wrong in NEEDED:
                        blank[wrong] = "-"
            continue
        return spec.model_copy(update=dict.fromkeys(blank, ""))
    return FinetuneSpec.model_validate({"model": "-", "dataset": "-"}).model_copy(update={"model": "", "dataset": ""})


def _missing(name: str, found: Faults) -> None:
    if name == "model":
        found.add("finetune_no_model", name, _("No model is chosen."), _("Choose the model that is to be taught."))
    else:
        found.add("finetune_no_dataset", name, _("No dataset is chosen."), _("Choose the dataset that it learns from."))


def _fault(name: str, error: Any, given: Mapping[str, Any], found: Faults) -> None:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "extra_forbidden":
        found.add(
            "finetune_setting_unknown",
            name,
            _("There is no setting called '{name}'.").format(name=name),
            _("It may be of another version of TuneDeck: take it out of the spec."),
        )
        return
    title = _title(name)
    if not name:
        _together(given, found)
    elif kind in _LIMITS:
        limit = context[_LIMITS[kind]]
        words = {
            "ge": _("{title} is at least {limit}; it is {value}."),
            "gt": _("{title} is more than {limit}; it is {value}."),
            "le": _("{title} is at most {limit}; it is {value}."),
            "lt": _("{title} is less than {limit}; it is {value}."),
        }[_LIMITS[kind]]
        ways = (
            (_way(name, limit),) if kind.endswith("_equal") else (_way(name, FinetuneSpec.model_fields[name].default),)
        )
        message = words.format(title=title, limit=f"{limit:g}", value=_short(error["input"]))
        found.add("finetune_setting_bad", name, message, _("Choose another value."), ways=ways)
    elif kind == "literal_error":
        known = context.get("expected", "").replace(" or ", ", ").replace("'", "")
        message = _("{title} cannot be '{value}'.").format(title=title, value=_short(error["input"]))
        found.add("finetune_setting_bad", name, message, _("It is one of: {known}.").format(known=known))
    else:
        message = _("{title} cannot be '{value}'.").format(title=title, value=_short(error["input"]))
        found.add("finetune_setting_bad", name, message, _("Choose another value."))


def _together(given: Mapping[str, Any], found: Faults) -> None:
    if given.get("config_text"):
        message = _("A config file of XTuner is of no use to another engine.")
        ways = (Way(_("Train with XTuner"), {"engine": "xtuner"}), Way(_("Leave the file out"), {"config_text": ""}))
        found.add(
            "finetune_config_engine", "config_text", message, _("Choose XTuner, or leave the file out."), ways=ways
        )
    if given.get("gpu_mib"):
        message = _("A part of one GPU cannot be had with several GPUs.")
        ways = (Way(_("One GPU"), {"gpus": 1}), Way(_("Whole GPUs"), {"gpu_mib": 0}))
        found.add("finetune_gpu_share", "gpu_mib", message, _("Take one GPU, or whole ones."), ways=ways)


def _way(name: str, value: Any) -> Way:
    return Way(_("{title}: {value}").format(title=_title(name), value=_short(value)), {name: value})


def _title(name: str) -> str:
    field = FinetuneSpec.model_fields.get(name)
    return _(field.title) if field is not None and field.title else name


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
