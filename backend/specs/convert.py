"""Spec of ``convert``: write the pickled weights of a model folder as safetensors, into a new folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from backend import hubs
from backend.i18n import N_
from backend.specs.base import Resources, Spec


class ConvertSpec(Spec):
    """Convert ``path``. The folder itself stays as it is: it may be read-only, and others use it."""

    verb: ClassVar[str] = "convert"
    # A shard that is written and compared is kept.
    auto_resume: ClassVar[int] = 3

    path: str = Field(
        min_length=1,
        max_length=4000,
        title=N_("Folder on this server"),
        description=N_("Folder with config.json and weights in pickle format, such as pytorch_model.bin"),
    )
    name: str = Field(
        "",
        max_length=96,
        title=N_("Name on the list"),
        description=N_("Name on the list of models; empty: the folder's name"),
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        # The job runs in another working folder.
        return str(Path(value.strip()).expanduser().absolute())

    @model_validator(mode="after")
    def _name(self) -> ConvertSpec:
        """It becomes the name of a folder, also where the folder that is converted gives it."""
        if problem := hubs.name_bad(self.list_name()):
            raise ValueError(problem)
        return self

    def resources(self) -> Resources:
        return Resources(cpu=1)

    def default_title(self) -> str:
        return f"convert {self.list_name()}"

    def list_name(self) -> str:
        """The name that the result is to have on the list."""
        return " ".join(self.name.split()) or Path(self.path).name
