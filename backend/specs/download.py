"""Spec of ``download``: fetch a model from Hugging Face or ModelScope and put it on the list of models."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backend import hubs
from backend.i18n import N_
from backend.specs.base import Resources, Spec


class DownloadSpec(Spec):
    """Fetch ``repo`` from ``source``. It needs no CPU slot: it waits for the network, and must not hold up the queue."""

    verb: ClassVar[str] = "download"
    # What is there stays, so another attempt only fetches the rest.
    auto_resume: ClassVar[int] = 5

    repo: str = Field(
        min_length=1,
        max_length=1000,
        title=N_("Model"),
        description=N_("Repository as org/name; the address of the model's page will do, too"),
    )
    source: Literal["huggingface", "modelscope"] = Field(
        "huggingface",
        title=N_("Hub"),
        description=N_("Where the model is; the address of a page says so itself"),
        json_schema_extra={"labels": {key: hub.title for key, hub in hubs.HUBS.items()}},
    )
    revision: str = Field(
        "",
        max_length=200,
        title=N_("Revision"),
        description=N_("Branch, tag or commit; empty: the newest of the main branch"),
    )
    name: str = Field(
        "",
        max_length=96,
        title=N_("Name on the list"),
        description=N_("Name on the list of models; empty: the last part of the repository"),
    )

    @model_validator(mode="before")
    @classmethod
    def _cut(cls, data: Any) -> Any:
        """A pasted address says which repository, and may say which hub and revision."""
        if not isinstance(data, dict) or not isinstance(data.get("repo"), str):
            return data
        try:
            address = hubs.parse_address(data["repo"])
        except ValueError:
            return data  # the field's own validator says it
        said = {"repo": address.repo}
        if address.source:
            said["source"] = address.source
        if address.revision and not data.get("revision"):
            said["revision"] = address.revision
        return {**data, **said}

    @field_validator("repo")
    @classmethod
    def _repository(cls, value: str) -> str:
        return hubs.parse_address(value).repo

    @field_validator("revision")
    @classmethod
    def _revision(cls, value: str) -> str:
        revision = value.strip()
        if not revision.isprintable() or any(sign.isspace() for sign in revision) or ".." in revision:
            raise ValueError("write a branch, a tag or a commit, such as main")
        return revision

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        name = " ".join(value.split())
        if name and (problem := hubs.name_bad(name)):
            raise ValueError(problem)
        return name

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        return f"download {self.repo}"

    def list_name(self) -> str:
        """The name on the list of models: the one given, else the repository's last part."""
        return self.name or self.repo.split("/")[1]
