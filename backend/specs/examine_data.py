"""Spec of ``examine_data``: let the doctor look at a version of a dataset."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from backend.i18n import N_
from backend.specs.base import Resources, Spec


class ExamineDataSpec(Spec):
    """Examine a version of ``dataset``; the report stands beside it. It takes no CPU slot: minutes at most, and people wait for it."""

    verb: ClassVar[str] = "examine_data"
    # It begins anew, and finds the same.
    auto_resume: ClassVar[int] = 3

    dataset: str = Field(min_length=1, max_length=60, title=N_("Dataset"), description=N_("What is examined"))
    version: str = Field("", max_length=64, title=N_("Version"), description=N_("Empty: the current one"))
    against: str = Field(
        "",
        max_length=130,
        title=N_("Compare with"),
        description=N_("Another dataset, or name@version, whose questions must not stand in this one, such as a test"),
    )

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        return f"examine {self.dataset}"
