"""Spec of ``change_data``: make a version of a dataset from another one, or from several."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from backend.data.collected import checked_name
from backend.errors import ConflictError
from backend.i18n import N_
from backend.specs.base import Resources, Spec


class ChangeDataSpec(Spec):
    """Do ``steps`` with a version of ``dataset``. It takes no CPU slot: it must not wait behind a training for hours."""

    verb: ClassVar[str] = "change_data"
    # It begins anew, and makes the same version again.
    auto_resume: ClassVar[int] = 3

    dataset: str = Field(
        "", max_length=60, title=N_("Dataset"), description=N_("Where the rows come from; empty for a mix")
    )
    version: str = Field("", max_length=64, title=N_("Version"), description=N_("Empty: the current one"))
    steps: list[dict[str, Any]] = Field(
        min_length=1,
        title=N_("What is done"),
        description=N_("What is done, one after the other: fix, split, mix, sample…"),
    )
    name: str = Field(
        "", max_length=60, title=N_("New dataset"), description=N_("Empty: a new version of the same dataset")
    )
    note: str = Field("", max_length=500, title=N_("Note"), description=N_("Stands in the history of the dataset"))

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        try:
            return checked_name(value) if value else value
        except ConflictError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _something(self) -> ChangeDataSpec:
        mixes = self.steps[0].get("do") == "mix"
        if not self.dataset and not (mixes and self.name):
            raise ValueError("a dataset is needed; for a mix the name of the new one")
        return self

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        what = " ".join(dict.fromkeys(str(step.get("do") or "") for step in self.steps))
        return f"{what} {self.name or self.dataset}"
