"""Specs of ``quantize`` and ``report_card``: a smaller copy of a model, and the measured proof of what it costs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backend.i18n import N_
from backend.specs.base import Resources, Spec, gpus_here

Method = Literal["awq", "gptq", "rtn", "int8", "fp8", "smooth_quant"]
Calibration = Literal["bundled", "dataset", "none"]
Device = Literal["auto", "cpu", "cuda"]
MOST_MODELS = 8


class QuantizeSpec(Spec):
    """One smaller copy of ``model``. What the methods are and which run here: :mod:`backend.quantize.methods`."""

    verb: ClassVar[str] = "quantize"
    # What an engine had finished is kept; the rest is done again.
    auto_resume: ClassVar[int] = 3
    grace_int_s: ClassVar[float | None] = 30

    model: str = Field(
        min_length=1,
        max_length=4000,
        title=N_("Model"),
        description=N_(
            "Model to make smaller: a name on the list of models, or its folder on this server. It stays as it is"
        ),
    )
    method: Method = Field(
        "gptq",
        title=N_("Method"),
        description=N_("How the weights are rounded: to 4 bits (AWQ, GPTQ, plain rounding) or to 8 (int8, FP8)"),
    )
    calibration: Calibration = Field(
        "bundled",
        title=N_("Calibration rows"),
        description=N_(
            "Texts by which it sees which weights matter: a bundled set in two languages, a dataset, or none"
        ),
    )
    dataset: str = Field(
        "",
        max_length=120,
        title=N_("Dataset"),
        description=N_("Dataset whose rows calibrate; for calibration = dataset"),
    )
    version: str = Field(
        "",
        max_length=64,
        title=N_("Version of the dataset"),
        description=N_("Version of the dataset; empty: the current one, which is noted when the job is made"),
    )
    samples: int = Field(
        128, ge=1, le=4096, title=N_("Rows"), description=N_("Calibration rows that it looks at; more take longer")
    )
    sample_tokens: int = Field(
        512,
        ge=16,
        le=32768,
        title=N_("Row length (tokens)"),
        description=N_("Tokens of a calibration row; what is longer is cut off. Memory grows with it"),
    )
    seed: int = Field(42, ge=0, le=(1 << 31) - 1, title=N_("Seed"), description=N_("Chooses the calibration rows"))
    group_size: int = Field(
        128,
        ge=0,
        le=1024,
        title=N_("Group size"),
        description=N_(
            "Weights that share a scale: smaller is more exact and larger on the disk; 0: one scale for a whole row"
        ),
    )
    symmetric: bool = Field(
        False,
        title=N_("Symmetric"),
        description=N_("Round around zero, without zero points: slightly faster, slightly less exact"),
    )
    device: Device = Field(
        "auto", title=N_("Compute on"), description=N_("auto: a GPU where there is one, else the CPU")
    )
    name: str = Field(
        "",
        max_length=96,
        title=N_("Name of the result"),
        description=N_("Name of the copy on the list of models; empty: made of the model's and the method's"),
    )
    report: bool = Field(
        True,
        title=N_("Report card"),
        description=N_("Afterwards measure both: size, speed, memory, and how much of its quality the copy keeps"),
    )
    template: str = Field(
        "",
        max_length=64,
        title=N_("Template"),
        description=N_(
            "Fingerprint of chat template and special tokens; empty: the model's own, noted when the job is made"
        ),
    )

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return " ".join(value.split())

    @model_validator(mode="after")
    def _rows(self) -> QuantizeSpec:
        if self.calibration == "dataset" and not self.dataset.strip():
            raise ValueError("dataset: choose the dataset whose rows calibrate")
        return self

    def resources(self) -> Resources:
        if self.device == "cuda" or (self.device == "auto" and gpus_here()):
            return Resources(gpus=1)
        return Resources(cpu=1)

    def default_title(self) -> str:
        return f"{self.model} → {self.method}"


class ReportCardSpec(Spec):
    """Measure ``models`` beside each other; the first is the base that the others are compared with."""

    verb: ClassVar[str] = "report_card"
    # A cell that was measured is kept.
    auto_resume: ClassVar[int] = 3

    models: tuple[Annotated[str, Field(min_length=1, max_length=4000)], ...] = Field(
        min_length=1,
        max_length=MOST_MODELS,
        title=N_("Models"),
        description=N_("The base first, then its copies: names on the list of models, or folders"),
    )
    dataset: str = Field(
        "",
        max_length=120,
        title=N_("Dataset"),
        description=N_("Dataset whose held-out rows are read and asked; empty: the bundled set in two languages"),
    )
    version: str = Field(
        "", max_length=64, title=N_("Version of the dataset"), description=N_("Empty: the current one")
    )
    rows: int = Field(
        64, ge=4, le=2000, title=N_("Rows"), description=N_("Held-out rows for perplexity and KL divergence")
    )
    questions: int = Field(
        100, ge=0, le=2000, title=N_("Questions"), description=N_("Questions with a known answer; 0: none are asked")
    )
    speed: bool = Field(
        True, title=N_("Speed"), description=N_("Serve each model that can be served here, and time it")
    )
    people: int = Field(
        4,
        ge=1,
        le=256,
        title=N_("People at once"),
        description=N_("How many ask at once in the second measurement of speed"),
    )
    seed: int = Field(42, ge=0, le=(1 << 31) - 1, title=N_("Seed"), description=N_("Chooses rows and questions"))
    device: Device = Field(
        "auto", title=N_("Compute on"), description=N_("auto: a GPU where there is one, else the CPU")
    )

    def resources(self) -> Resources:
        if self.device == "cuda" or (self.device == "auto" and gpus_here()):
            return Resources(gpus=1)
        return Resources(cpu=1)

    def default_title(self) -> str:
        return ", ".join(self.models)
