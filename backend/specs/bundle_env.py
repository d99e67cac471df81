"""Spec of ``bundle_env``: fetch all package files of an engine into a folder, for a machine without a network."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from backend.i18n import N_
from backend.specs.base import Resources, Spec
from backend.specs.install_env import ENGINE, absolute


class BundleEnvSpec(Spec):
    """Fetch what ``install_env`` with ``wheels`` needs. It waits for the network, so it takes no CPU slot."""

    verb: ClassVar[str] = "bundle_env"
    auto_resume: ClassVar[int] = 3

    engine: str = Field(
        pattern=f"^{ENGINE}$", title=N_("Engine"), description=N_("Name of the engine, as in the list of environments")
    )
    flavour: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        title=N_("Kind of build"),
        description=N_("For NVIDIA GPUs or for the CPU of the machine that will use it; auto looks at this one"),
    )
    folder: str = Field(
        min_length=1,
        max_length=4000,
        title=N_("Folder"),
        description=N_("Where the files go: a new or empty folder, or one with an earlier bundle of the same engine"),
    )

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return absolute(value)

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        return f"bundle {self.engine}"
