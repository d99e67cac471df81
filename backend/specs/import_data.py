"""Spec of ``import_data``: read a file, a folder or an archive into a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from backend.data.collected import checked_name
from backend.errors import ConflictError
from backend.i18n import N_
from backend.specs.base import Resources, Spec


class ImportDataSpec(Spec):
    """Read ``path`` into a new version of ``name``. It takes no CPU slot: it must not wait behind a training for hours."""

    verb: ClassVar[str] = "import_data"
    # It begins anew, and makes the same version again.
    auto_resume: ClassVar[int] = 3

    path: str = Field(
        min_length=1,
        max_length=4000,
        title=N_("File or folder on this server"),
        description=N_("JSON, JSON Lines, CSV, Excel, Parquet, an archive of these, or a folder with such files"),
    )
    name: str = Field(min_length=1, max_length=60, title=N_("Dataset"), description=N_("Name of the dataset"))
    mapping: dict[str, Any] | None = Field(
        None,
        title=N_("Columns"),
        description=N_("Which part of a record is the question and which the answer; empty: as it seems to be"),
    )
    sheet: str = Field("", max_length=200, title=N_("Sheet"), description=N_("Of an Excel file; empty: the first"))
    encoding: str = Field("", max_length=40, title=N_("Encoding"), description=N_("Of a text; empty: found out"))
    member: str = Field("", max_length=1000, title=N_("File in the archive"), description=N_("Empty: all of them"))
    note: str = Field("", max_length=500, title=N_("Note"), description=N_("Stands in the history of the dataset"))
    origin: str = Field(
        "", max_length=1000, title=N_("Source"), description=N_("Where an uploaded file comes from, for the history")
    )
    remove: bool = Field(
        False, title=N_("Remove the upload"), description=N_("The file is a copy that is removed after it was read")
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        # The job runs in another working folder.
        return str(Path(value.strip()).expanduser().absolute())

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        try:
            return checked_name(value)
        except ConflictError as error:
            raise ValueError(str(error)) from error

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        return f"import {self.name}"
