"""Spec of ``export_data``: write a dataset for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backend.data.export import CONTAINERS, resolve
from backend.data.schemas import TITLES
from backend.errors import DataError
from backend.i18n import N_
from backend.specs.base import Resources, Spec


class ExportDataSpec(Spec):
    """Write a version of ``dataset`` to ``path``. It takes no CPU slot: it must not wait behind a training for hours."""

    verb: ClassVar[str] = "export_data"
    # It begins anew; until it is whole, what was there stays.
    auto_resume: ClassVar[int] = 3

    dataset: str = Field(min_length=1, max_length=60, title=N_("Dataset"), description=N_("Name of the dataset"))
    version: str = Field(
        "",
        max_length=64,
        title=N_("Version"),
        description=N_("Its first characters are enough; empty: the current one"),
    )
    to: Literal["openai", "sharegpt", "xtuner", "alpaca", "agent-flan", "llava", "table"] = Field(
        "openai",
        title=N_("Format"),
        description=N_("How a row is written; the program that will read it says which it wants"),
        json_schema_extra={"labels": dict(TITLES)},
    )
    container: Literal["", "jsonl", "json", "csv", "tsv", "excel", "parquet", "hf"] = Field(
        "",
        title=N_("Kind of file"),
        description=N_("Empty: the usual one of the format"),
        json_schema_extra={
            "labels": {"": N_("As usual"), **{name: title for name, (title, _end) in CONTAINERS.items()}}
        },
    )
    split: Literal["", "train", "validation", "test"] = Field(
        "",
        title=N_("Part"),
        description=N_("Rows of one part only; empty: all"),
        json_schema_extra={
            "labels": {
                "": N_("All rows"),
                "train": N_("Train"),
                "validation": N_("Validation"),
                "test": N_("Test"),
            }
        },
    )
    path: str = Field(
        "",
        max_length=4000,
        title=N_("Where to"),
        description=N_(
            "File on this server, or folder for Hugging Face datasets; empty: below exports/ of TuneDeck's folder"
        ),
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        # The job runs in another working folder.
        return str(Path(value.strip()).expanduser().absolute()) if value.strip() else ""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        """``to`` may name a kind of file alone, as on the command line."""
        if isinstance(data, dict) and isinstance(data.get("to"), str):
            try:
                to, container = resolve(data["to"], str(data.get("container") or ""))
            except DataError:
                return data  # the field's own validator says it
            if to != data["to"]:
                return {**data, "to": to, "container": container}
        return data

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        return f"export {self.dataset}"
