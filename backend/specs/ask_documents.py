"""Spec of ``ask_documents``: questions and answers about documents, written by a running model, as rows of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backend.data.collected import checked_name
from backend.data.documents import prompts
from backend.data.documents.chunking import MAX_SIZE
from backend.errors import PanelError
from backend.i18n import N_
from backend.specs.base import Resources, Spec


class AskDocumentsSpec(Spec):
    """Ask ``model`` about ``files``. It needs no CPU slot: the model's server does the work, and it must not wait behind a
    training."""

    verb: ClassVar[str] = "ask_documents"
    # What was answered is kept, so another attempt only asks the rest.
    auto_resume: ClassVar[int] = 5

    files: list[str] = Field(
        min_length=1,
        max_length=2000,
        title=N_("Documents"),
        description=N_("Files or folders on this server; of a folder, all documents below it"),
    )
    model: str = Field(
        min_length=1, max_length=200, title=N_("Model"), description=N_("The name of a model that runs now")
    )
    dataset: str = Field(
        min_length=1,
        max_length=60,
        title=N_("Dataset"),
        description=N_("Where the pairs go. Where there is one of this name, they are added to it, as a new version."),
    )
    pairs: int = Field(
        3,
        ge=1,
        le=20,
        title=N_("Pairs per passage"),
        description=N_("How many questions the model is asked to write about each passage"),
    )
    language: Literal["auto", "en", "zh"] = Field(
        "auto",
        title=N_("Language of the pairs"),
        description=N_("The language of the questions and answers"),
        json_schema_extra={"labels": {"auto": N_("as the passage"), "en": "English", "zh": "简体中文"}},
    )
    style: Literal["short", "detailed", "exam", "advice"] = Field(
        "short",
        title=N_("Style"),
        description=N_("What questions and answers should be like"),
        json_schema_extra={"labels": {**prompts.STYLES}},
    )
    instructions: str = Field(
        "",
        max_length=2000,
        title=N_("Own instructions"),
        description=N_("One or two sentences that are put into the prompt, such as who will ask these questions"),
    )
    prompt: str = Field(
        "",
        max_length=20_000,
        title=N_("Prompt"),
        description=N_("What the model is sent for each passage; empty: the prompt that comes with TuneDeck"),
    )
    chunk_chars: int = Field(
        1500,
        ge=200,
        le=MAX_SIZE,
        title=N_("Size of a passage (characters)"),
        description=N_("Long passages make fewer requests; small models do better with short ones"),
    )
    overlap_chars: int = Field(
        150,
        ge=0,
        le=MAX_SIZE // 2,
        title=N_("Overlap (characters)"),
        description=N_("So much of a passage's end is repeated at the start of the next one"),
    )
    concurrency: int = Field(
        2,
        ge=1,
        le=64,
        title=N_("Requests at a time"),
        description=N_("A server on a GPU answers many at once; one on a CPU only one"),
    )
    answer_tokens: int = Field(
        0,
        ge=0,
        le=16_384,
        title=N_("Longest answer (tokens)"),
        description=N_("The model is cut off there; 0: what the number of pairs needs"),
    )
    temperature: float = Field(
        0.3,
        ge=0,
        le=2,
        allow_inf_nan=False,
        title=N_("Temperature"),
        description=N_("How freely the model chooses words. Low values keep to the text."),
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title=N_("Seed"),
        description=N_("The same number, model and documents give the same pairs, as far as the engine allows it"),
    )
    wait_s: int = Field(
        600,
        ge=1,
        le=86_400,
        title=N_("Wait for the server (s)"),
        description=N_("So long it waits when the model's server goes away; then it stops, and can be resumed"),
    )

    @field_validator("files")
    @classmethod
    def _absolute(cls, value: list[str]) -> list[str]:
        if any(not each.strip() for each in value):
            raise ValueError("name a file or a folder")
        # The job runs in another working folder.
        return [str(Path(each.strip()).expanduser().absolute()) for each in value]

    @field_validator("dataset")
    @classmethod
    def _dataset(cls, value: str) -> str:
        try:
            return checked_name(value)
        except PanelError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _fits(self) -> AskDocumentsSpec:
        if self.overlap_chars > self.chunk_chars // 2:
            raise ValueError("the overlap may be at most half of a passage")
        if self.prompt.strip():
            if unknown := prompts.unknown_places(self.prompt):
                raise ValueError(f"nothing can be put in for {{{{{unknown[0]}}}}}; known: {', '.join(prompts.PLACES)}")
            if not prompts.takes_text(self.prompt):
                raise ValueError("the prompt must say where the passage goes: {{text}}")
        return self

    def resources(self) -> Resources:
        return Resources()

    def default_title(self) -> str:
        return f"ask about documents: {self.dataset}"
