"""Spec of ``pretrain``: train a small language model from nothing on the generated bilingual corpus."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from backend.i18n import N_
from backend.specs.base import Resources, Spec, gpus_here


class PretrainSpec(Spec):
    """How the starter model is made; the defaults make the one that is shipped.

    The learning rate rises over ``warmup_steps``, stays, and falls to zero over the last ``decay_steps``. A run that was
    stopped before its decay began may be resumed with another number of ``steps``.
    """

    verb: ClassVar[str] = "pretrain"
    auto_resume: ClassVar[int] = 3
    grace_int_s: ClassVar[float | None] = 60

    output: str = Field(
        "", title=N_("Folder"), description=N_("Folder for the model; empty: 'model' in the job's folder")
    )
    size: Literal["tiny", "starter", "large"] = Field(
        "starter", title=N_("Size"), description=N_("Size of the model: 0.2, 7 or 13 million parameters")
    )
    seed: int = Field(1, ge=0, title=N_("Seed"), description=N_("Seed of weights and data"))
    steps: int = Field(32_792, ge=1, le=10_000_000, title=N_("Steps"), description=N_("Training steps"))
    batch_tokens: int = Field(
        32_768, ge=1024, le=1 << 20, title=N_("Tokens per step"), description=N_("Tokens per step")
    )
    micro_batches: int = Field(
        1, ge=1, le=64, title=N_("Parts of a step"), description=N_("Parts in which a step is computed")
    )
    lr: float = Field(
        0.02, gt=0, le=1, title=N_("Learning rate"), description=N_("Learning rate of the matrices (Muon)")
    )
    embedding_lr: float = Field(
        0.003,
        gt=0,
        le=1,
        title=N_("Learning rate of embeddings"),
        description=N_("Learning rate of embeddings and norms (AdamW)"),
    )
    weight_decay: float = Field(0.01, ge=0, le=1, title=N_("Weight decay"), description=N_("Weight decay"))
    warmup_steps: int = Field(
        200, ge=0, title=N_("Warm-up steps"), description=N_("Steps over which the learning rate rises")
    )
    decay_steps: int = Field(
        14_500, ge=0, title=N_("Decay steps"), description=N_("Last steps, over which the learning rate falls to zero")
    )
    prompt_weight: float = Field(
        0.1,
        ge=0,
        le=1,
        title=N_("Weight of prompts"),
        description=N_("Weight of the loss on what people say; answers weigh 1"),
    )
    tokenizer: str = Field(
        "",
        title=N_("Tokenizer"),
        description=N_("Folder of a tokenizer to use; empty: a new one is learned from the corpus"),
    )
    tokenizer_dialogues: int = Field(
        30_000,
        ge=100,
        le=1_000_000,
        title=N_("Dialogues for the tokenizer"),
        description=N_("Dialogues from which a new tokenizer is learned"),
    )
    save_every: int = Field(
        1000, ge=1, title=N_("Steps between checkpoints"), description=N_("Steps between checkpoints")
    )
    resume: str = Field(
        "",
        title=N_("Begin from"),
        description=N_(
            "Folder of checkpoints to begin from; those of this job itself, where there are any, come first"
        ),
    )
    start_from: str = Field(
        "",
        title=N_("Model to go on from"),
        description=N_(
            "Folder of a model made by this program, whose weights and tokenizer are the start; empty: new ones"
        ),
    )
    first_dialogue: int = Field(
        0,
        ge=0,
        title=N_("First dialogue"),
        description=N_("Where in the stream of data the run begins; what comes before is skipped"),
    )
    threads: int = Field(
        2,
        ge=1,
        le=64,
        title=N_("CPU threads"),
        description=N_("Parts of a step that are computed at the same time, each on one CPU thread"),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", title=N_("Compute on"), description=N_("auto: a GPU where there is one, else the CPU")
    )
    data_workers: int = Field(
        0,
        ge=0,
        le=256,
        title=N_("Processes for data"),
        description=N_("Processes that make the data ahead of time; 0: made when it is due, which is enough for a CPU"),
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        title=N_("Compile"),
        description=N_(
            "Compile the sums first; auto: where there is a C++ compiler and the run is long enough to gain"
        ),
    )

    @model_validator(mode="after")
    def _fits(self) -> PretrainSpec:
        if self.warmup_steps + self.decay_steps > self.steps:
            raise ValueError("warmup_steps and decay_steps together must not exceed steps")
        return self

    def resources(self) -> Resources:
        """A whole GPU, or the CPU slot: what is not leased is hidden from the job."""
        on_gpu = self.device == "cuda" or (self.device == "auto" and gpus_here())
        return Resources(gpus=1) if on_gpu else Resources(cpu=1)

    def default_title(self) -> str:
        return f"pretrain {self.size}"
