"""Spec of ``install_env``: make the environment of an engine, prove it, and take it into use."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from backend.i18n import N_
from backend.specs.base import Resources, Spec

ENGINE = r"[a-z][a-z0-9_-]{0,63}"


class InstallEnvSpec(Spec):
    """Install ``engine``. It needs no CPU slot: it waits for the network and the disk, and must not hold up the queue."""

    verb: ClassVar[str] = "install_env"
    # What was fetched stays, so another attempt only fetches the rest.
    auto_resume: ClassVar[int] = 3

    engine: str = Field(
        pattern=f"^{ENGINE}$", title=N_("Engine"), description=N_("Name of the engine, as in the list of environments")
    )
    flavour: Literal["auto", "cpu", "cuda"] = Field(
        "auto", title=N_("Kind of build"), description=N_("For NVIDIA GPUs or for the CPU; auto looks at this machine")
    )
    wheels: str = Field(
        "",
        max_length=4000,
        title=N_("Bundle"),
        description=N_("Folder with all package files, to install without a network; empty: from the package index"),
    )
    reinstall: bool = Field(
        False, title=N_("Make it anew"), description=N_("Also where the same is installed already and has been proven")
    )

    @field_validator("wheels")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return absolute(value)

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        return f"install {self.engine}"


def absolute(value: str) -> str:
    """A folder from the root, or empty: a job runs in another folder than the person who named it."""
    text = value.strip()
    if not text:
        return ""
    folder = Path(text).expanduser()
    if not folder.is_absolute():
        raise ValueError("a folder is written from the root, as in /data/bundle")
    return str(folder)
