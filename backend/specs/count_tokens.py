"""Spec of ``count_tokens``: count the tokens of every row of a dataset with the tokenizer and chat template of a model."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from backend.i18n import N_
from backend.specs.base import Resources, Spec


class CountTokensSpec(Spec):
    """Count the tokens of ``dataset`` for ``model``. It needs no CPU slot: it must not wait for hours behind a training."""

    verb: ClassVar[str] = "count_tokens"
    # What was counted is kept, so another attempt goes on from there.
    auto_resume: ClassVar[int] = 3

    dataset: str = Field(
        min_length=1,
        max_length=120,
        title=N_("Dataset"),
        description=N_("Name of the dataset; its rows stay as they are"),
    )
    version: str = Field(
        "", max_length=64, title=N_("Version"), description=N_("Version of the dataset; empty: the current one")
    )
    model: str = Field(
        min_length=1,
        max_length=4000,
        title=N_("Model"),
        description=N_(
            "Name on the list of models, or a folder; its tokenizer and chat template are used, not its weights"
        ),
    )

    def resources(self) -> Resources:
        return Resources(cpu=0)

    def default_title(self) -> str:
        return f"count tokens of {self.dataset}"
