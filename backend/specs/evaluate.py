"""Spec of ``evaluate``: the questions of a set to one model, by one of the evaluators."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from backend.evaluate.records import Evaluator
from backend.i18n import N_
from backend.specs.base import Resources, Spec, gpus_here

LONGEST_CONFIG = 400_000


class EvaluateSpec(Spec):
    """Evaluate ``model``, which is served for it where it is not yet, or the model of any other server by its address."""

    verb: ClassVar[str] = "evaluate"
    # An answer that came is kept.
    auto_resume: ClassVar[int] = 5
    grace_int_s: ClassVar[float | None] = 30

    model: str = Field(
        "",
        max_length=400,
        title=N_("Model"),
        description=N_("A model of the list or a running server, by its name; at another address: its name there"),
    )
    base_url: str = Field(
        "",
        max_length=2000,
        title=N_("Address"),
        description=N_("Any other server with the OpenAI API, such as http://127.0.0.1:23333/v1"),
    )
    key_name: str = Field(
        "",
        max_length=200,
        title=N_("Key"),
        description=N_("Name of a stored key for that server, never the key itself; empty: none"),
    )
    questions: str = Field(
        "bundled", min_length=1, max_length=200, title=N_("Questions"), description=N_("Name of a set of questions")
    )
    subjects: tuple[str, ...] = Field(
        (), max_length=2000, title=N_("Subjects"), description=N_("Only these of the set; none named: all")
    )
    limit: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title=N_("Questions per subject"),
        description=N_("At most so many of each subject, drawn by the seed; 0: all"),
    )
    evaluator: Evaluator = Field(
        "tunedeck",
        title=N_("Evaluator"),
        description=N_(
            "tunedeck: asks and marks by itself; opencompass, lm_eval: programs in environments of their own. Their scores are not comparable"
        ),
    )
    by: Literal["server", "hf"] = Field(
        "server",
        title=N_("Computed by"),
        description=N_("server: a running server; hf: OpenCompass loads the model itself"),
        json_schema_extra={"labels": {"server": N_("a running server"), "hf": N_("OpenCompass itself")}},
    )
    shots: int = Field(
        0,
        ge=0,
        le=20,
        title=N_("Solved examples"),
        description=N_("So many solved questions are shown before each, where the set has them (TuneDeck and lm-eval)"),
    )
    answer_tokens: int = Field(
        64, ge=1, le=32_768, title=N_("Answer length (tokens)"), description=N_("Longest answer; what is longer is cut")
    )
    concurrency: int = Field(
        4, ge=1, le=256, title=N_("Questions at once"), description=N_("How many are under way at the same time")
    )
    timeout_s: float = Field(
        120,
        gt=0,
        le=86_400,
        title=N_("Time-out (s)"),
        description=N_("Seconds after which a question counts as failed"),
    )
    judge: str = Field(
        "",
        max_length=400,
        title=N_("Judge"),
        description=N_("The model that marks answers to questions that need a judge, by its name"),
    )
    trial: int = Field(
        0,
        ge=0,
        le=1000,
        title=N_("Trial"),
        description=N_(
            "Ask only so many, spread over the subjects, to learn how long all would take; not kept as a result"
        ),
    )
    config: str = Field(
        "",
        max_length=LONGEST_CONFIG,
        title=N_("Config file"),
        description=N_("OpenCompass only: this text instead of the one that TuneDeck writes"),
    )
    name: str = Field(
        "", max_length=120, title=N_("Name"), description=N_("What this run is called; empty: model and set")
    )
    seed: int = Field(
        42, ge=0, le=(1 << 31) - 1, title=N_("Seed"), description=N_("Draws the questions and the examples")
    )
    into: int = Field(
        0,
        ge=0,
        le=1 << 53,
        title=N_("Into run"),
        description=N_(
            "Number of an earlier run: the subjects named here are asked again, and their scores put in there; 0: a run of its own"
        ),
    )

    @model_validator(mode="after")
    def _together(self) -> EvaluateSpec:
        if not self.model and not self.base_url:
            raise ValueError("model: name a model, or give an address in base_url")
        if self.config and self.evaluator != "opencompass":
            raise ValueError("config: only OpenCompass takes a config file")
        if self.by == "hf" and self.evaluator != "opencompass":
            raise ValueError("by: only OpenCompass loads a model itself")
        if self.into and self.trial:
            raise ValueError("into: a trial is kept in no run")
        if self.by == "hf" and self.base_url:
            raise ValueError("by: a model at an address cannot be loaded; leave one of the two out")
        return self

    def resources(self) -> Resources:
        if self.by == "hf":
            return Resources(gpus=1) if gpus_here() else Resources(cpu=1)
        # It waits for a server, which has a slot of its own.
        return Resources()

    def default_title(self) -> str:
        return self.name or f"{self.model or self.base_url} · {self.questions}"
