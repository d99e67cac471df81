"""Specs of ``bench`` and ``bench_matrix``: how fast a server is under load, and several set-ups one after another."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.i18n import N_
from backend.specs.base import Resources, Spec, gpus_here

MOST_SETUPS = 32


class Load(BaseModel):
    """What is asked of a server, and how. The same for one server and for each set-up of a matrix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: str = Field(
        "bundled",
        min_length=1,
        max_length=4000,
        title=N_("Prompts"),
        description=N_(
            "bundled; or a file on this server: ShareGPT JSON, or JSONL with one prompt or conversation a line"
        ),
    )
    num_prompts: int = Field(100, ge=1, le=1_000_000, title=N_("Requests"), description=N_("How many are sent in all"))
    concurrency: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (1, 4),
        min_length=1,
        max_length=16,
        title=N_("People at once"),
        description=N_("Requests that are under way at the same time; several numbers are measured one after another"),
    )
    rate: float = Field(
        0,
        ge=0,
        le=100_000,
        title=N_("Requests per second"),
        description=N_("Send at random moments at this mean rate, as visitors come; 0: as soon as one is answered"),
    )
    input_tokens: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title=N_("Prompt length (tokens)"),
        description=N_("Cut or repeat each prompt to this length; 0: as it is"),
    )
    output_tokens: int = Field(
        128, ge=1, le=1_000_000, title=N_("Answer length (tokens)"), description=N_("Longest answer")
    )
    ignore_eos: bool = Field(
        False,
        title=N_("Full length"),
        description=N_("Ask for answers of exactly this length, where the server knows how; else they may end earlier"),
    )
    warmup: int = Field(
        2, ge=0, le=10_000, title=N_("Warm-up"), description=N_("Requests before, which are not counted")
    )
    timeout_s: float = Field(
        120, gt=0, le=86_400, title=N_("Time-out (s)"), description=N_("Seconds after which a request counts as failed")
    )
    seed: int = Field(42, ge=0, le=(1 << 31) - 1, title=N_("Seed"), description=N_("Chooses and orders the prompts"))


class BenchSpec(Load, Spec):
    """Measure one running server: one of ours by its ``server`` name, or any other by its address."""

    verb: ClassVar[str] = "bench"

    server: str = Field(
        "", max_length=200, title=N_("Server"), description=N_("A model that is being served here, by its served name")
    )
    base_url: str = Field(
        "",
        max_length=2000,
        title=N_("Address"),
        description=N_("Any other server with the OpenAI API, such as http://127.0.0.1:23333/v1"),
    )
    model: str = Field(
        "", max_length=400, title=N_("Model"), description=N_("Its name at that server; empty: the first that it lists")
    )
    key_name: str = Field(
        "",
        max_length=200,
        title=N_("Key"),
        description=N_("Name of a stored key for that server, never the key itself; empty: none"),
    )

    @model_validator(mode="after")
    def _one(self) -> BenchSpec:
        if bool(self.server) == bool(self.base_url):
            raise ValueError("server: name a server, or give an address in base_url, one of the two")
        return self

    def resources(self) -> Resources:
        # It waits for a server; a slot of the CPU would hold up what computes.
        return Resources()

    def default_title(self) -> str:
        return self.server or self.base_url


class SetUp(BaseModel):
    """One row of the matrix. serve: fields of :class:`backend.specs.serve.ServeSpec`, ``model`` among them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(min_length=1, max_length=120, title=N_("Name"), description=N_("Name of this row of the table"))
    serve: dict[str, Any] = Field(title=N_("Server"), description=N_("How the model is served"))


class Size(BaseModel):
    """One measurement of a set-up: ``batch`` people at once, prompts of ``input_tokens``, answers of ``output_tokens``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(1, ge=1, le=4096, title=N_("Batch"), description=N_("Requests at once"))
    input_tokens: int = Field(
        0, ge=0, le=1_000_000, title=N_("Prompt (tokens)"), description=N_("0: as the prompts are")
    )
    output_tokens: int = Field(128, ge=1, le=1_000_000, title=N_("Answer (tokens)"), description=N_("Longest answer"))


class BenchMatrixSpec(Spec):
    """Deploy each set-up, measure memory and speed, take it down; one after another."""

    verb: ClassVar[str] = "bench_matrix"
    # A row that was measured is kept.
    auto_resume: ClassVar[int] = 10
    grace_int_s: ClassVar[float | None] = 30

    setups: tuple[SetUp, ...] = Field(
        min_length=1, max_length=MOST_SETUPS, title=N_("Set-ups"), description=N_("Rows of the table")
    )
    sizes: tuple[Size, ...] = Field(
        (Size(batch=1, input_tokens=512, output_tokens=128), Size(batch=8, input_tokens=2048, output_tokens=128)),
        min_length=1,
        max_length=8,
        title=N_("Sizes"),
        description=N_("What is measured of each: how many at once, and how long"),
    )
    prompts: str = Field(
        "bundled",
        min_length=1,
        max_length=4000,
        title=N_("Prompts"),
        description=N_("bundled, or a file on this server"),
    )
    num_prompts: int = Field(
        16,
        ge=1,
        le=100_000,
        title=N_("Requests"),
        description=N_("Requests in one measurement, at least one for each at once"),
    )
    preset: str = Field("", max_length=64, title=N_("Preset"), description=N_("Where the rows come from, to be shown"))
    seed: int = Field(42, ge=0, le=(1 << 31) - 1, title=N_("Seed"), description=N_("Chooses and orders the prompts"))

    @model_validator(mode="after")
    def _labels(self) -> BenchMatrixSpec:
        labels = [one.label for one in self.setups]
        if len(set(labels)) < len(labels):
            raise ValueError("setups: two rows have the same name")
        return self

    def resources(self) -> Resources:
        if gpus_here() and any(one.serve.get("device") != "cpu" for one in self.setups):
            shared = (one.serve.get("tp") for one in self.setups)
            return Resources(
                gpus=max((tp for tp in shared if isinstance(tp, int) and 1 <= tp <= 64), default=1), ports=1
            )
        return Resources(cpu=1, ports=1)

    def default_title(self) -> str:
        if self.preset:
            return f"{self.setups[0].serve.get('model', '')}: {self.preset}"
        return ", ".join(one.label for one in self.setups[:3])
