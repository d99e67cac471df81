"""Spec of ``finetune`` and ``rehearse``: teach a model with the rows of a dataset, and the same for three real steps."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backend.i18n import N_
from backend.specs.base import Resources, Spec, gpus_here

Purpose = Literal["identity", "style", "tools", "documents", "own"]
Method = Literal["lora", "qlora", "full"]
Engine = Literal["peft", "xtuner"]
MOST_PROMPTS = 8


class FinetuneSpec(Spec):
    """One training. The page's four questions are ``model``, ``dataset``, ``purpose`` and how long it may take, from which
    :mod:`backend.finetune.presets` makes the rest; a spec names everything, so that a run can be repeated from it alone.

    Steps are optimizer steps. A step sees ``batch_size`` x ``accumulation`` x ``gpus`` rows (with packing: packed rows).
    """

    verb: ClassVar[str] = "finetune"
    # It goes on from its last complete checkpoint.
    auto_resume: ClassVar[int] = 3
    # A checkpoint of a large model has to be written first.
    grace_int_s: ClassVar[float | None] = 180

    model: str = Field(
        min_length=1,
        max_length=4000,
        title=N_("Model"),
        description=N_("Model that is taught: a name on the list of models, or its folder on this server"),
    )
    dataset: str = Field(
        min_length=1, max_length=120, title=N_("Dataset"), description=N_("Dataset whose rows it learns from")
    )
    version: str = Field(
        "",
        max_length=64,
        title=N_("Version of the dataset"),
        description=N_("Version of the dataset; empty: the current one, which is noted when the job is made"),
    )
    purpose: Purpose = Field(
        "own", title=N_("What for"), description=N_("What the model is to learn; a preset of all other settings")
    )
    name: str = Field(
        "",
        max_length=96,
        title=N_("Name of the result"),
        description=N_("Name of the tuned model on the list of models; empty: made of the model's and the dataset's"),
    )
    engine: Engine = Field(
        "peft",
        title=N_("Engine"),
        description=N_("Program that trains: peft with transformers runs everywhere; XTuner needs its environment"),
    )
    method: Method = Field(
        "lora",
        title=N_("Method"),
        description=N_(
            "LoRA trains a small add-on; QLoRA does it with the base in 4 bit (NVIDIA GPU); full trains every weight"
        ),
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        title=N_("Precision"),
        description=N_(
            "Numbers that it computes with; auto: bfloat16 where the GPU can, else float16; float32 on the CPU"
        ),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", title=N_("Compute on"), description=N_("auto: a GPU where there is one, else the CPU")
    )
    gpus: int = Field(
        1, ge=1, le=64, title=N_("GPUs"), description=N_("GPUs that train together; each of them holds the model")
    )
    gpu_mib: int = Field(
        0,
        ge=0,
        title=N_("GPU memory (MiB)"),
        description=N_("Part of one GPU, in MiB, that it may take while others use the rest; 0: the whole GPU"),
    )
    deepspeed: Literal["", "zero1", "zero2", "zero2_offload", "zero3", "zero3_offload"] = Field(
        "",
        title=N_("DeepSpeed"),
        description=N_("Spread optimizer, gradients or weights over GPUs or main memory; empty: do not"),
    )
    max_length: int = Field(
        512,
        ge=16,
        le=1 << 20,
        title=N_("Longest row (tokens)"),
        description=N_("Tokens of a row; what is longer is cut off. Memory grows with it"),
    )
    packing: bool = Field(
        True,
        title=N_("Pack short rows"),
        description=N_("Join short rows up to the longest length, so that nothing is computed for empty places"),
    )
    batch_size: int = Field(
        1, ge=1, le=1024, title=N_("Batch size"), description=N_("Rows at once on one GPU. Memory grows with it")
    )
    accumulation: int = Field(
        16,
        ge=1,
        le=4096,
        title=N_("Gradient accumulation"),
        description=N_("Batches to one step; costs time, not memory"),
    )
    epochs: float = Field(3.0, gt=0, le=1000, title=N_("Epochs"), description=N_("How often every row is seen"))
    max_steps: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title=N_("Steps at most"),
        description=N_("Optimizer steps at most; 0: as many as the epochs take"),
    )
    learning_rate: float = Field(
        2e-4, gt=0, le=1, title=N_("Learning rate"), description=N_("How far one step moves the weights")
    )
    warmup_ratio: float = Field(
        0.03,
        ge=0,
        le=0.5,
        title=N_("Warm-up"),
        description=N_("Part of the training in which the learning rate rises"),
    )
    scheduler: Literal["cosine", "linear", "constant"] = Field(
        "cosine", title=N_("Learning rate over time"), description=N_("How the learning rate falls after the warm-up")
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1, title=N_("Weight decay"), description=N_("Pulls trained weights to zero a little")
    )
    max_grad_norm: float = Field(
        1.0, gt=0, le=1000, title=N_("Gradient clipping"), description=N_("Longest gradient that a step may take")
    )
    lora_rank: int = Field(
        16,
        ge=1,
        le=1024,
        title=N_("LoRA rank"),
        description=N_("Size of the add-on: more can hold more, and takes more memory"),
    )
    lora_alpha: int = Field(
        16, ge=1, le=4096, title=N_("LoRA alpha"), description=N_("Weight of the add-on; often once or twice the rank")
    )
    lora_dropout: float = Field(
        0.1,
        ge=0,
        le=0.9,
        title=N_("LoRA dropout"),
        description=N_("Part of the add-on left out at random in each step"),
    )
    target_modules: list[str] = Field(
        ["all-linear"],
        min_length=1,
        max_length=64,
        title=N_("Matrices with LoRA"),
        description=N_("Names of the matrices that get an add-on, such as q_proj; all-linear: all in the layers"),
    )
    gradient_checkpointing: bool = Field(
        True,
        title=N_("Gradient checkpointing"),
        description=N_("Compute activations twice instead of keeping them: a third slower, far less memory"),
    )
    validation_share: float = Field(
        0.05,
        ge=0,
        le=0.5,
        title=N_("Held out for validation"),
        description=N_("Part of the training rows that is held out where the dataset has no validation rows"),
    )
    eval_every: int = Field(
        0, ge=0, title=N_("Steps between evaluations"), description=N_("0: about ten evaluations in all")
    )
    save_every: int = Field(0, ge=0, title=N_("Steps between checkpoints"), description=N_("0: with every evaluation"))
    keep: int = Field(
        2,
        ge=1,
        le=1000,
        title=N_("Checkpoints kept"),
        description=N_("The newest so many, and the best one; older ones are deleted"),
    )
    sample_every: int = Field(
        0, ge=0, title=N_("Steps between sample answers"), description=N_("0: with every evaluation")
    )
    sample_prompts: list[str] = Field(
        [],
        max_length=MOST_PROMPTS,
        title=N_("Sample questions"),
        description=N_("Questions that are asked again and again while it learns; empty: some held-out rows"),
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        title=N_("Patience"),
        description=N_("Stop after so many evaluations that were no better; 0: never"),
    )
    replay: float = Field(
        0.0,
        ge=0,
        le=0.9,
        title=N_("General rows mixed in"),
        description=N_("Part of what it sees that is bundled general conversation, against forgetting"),
    )
    own_replay: bool = Field(
        True,
        title=N_("The dataset's general rows"),
        description=N_("Learn from the general rows that the dataset brings along, too; off: they are left out"),
    )
    seed: int = Field(
        42, ge=0, lt=1 << 32, title=N_("Seed"), description=N_("Seed of the order of rows and of new weights")
    )
    rehearse: bool = Field(
        True,
        title=N_("Rehearse first"),
        description=N_(
            "Three real steps with the longest rows, one evaluation, one save and one load before the long run"
        ),
    )
    merge: bool = Field(
        True, title=N_("Merge at the end"), description=N_("Write the adapter into a copy of the base, ready to serve")
    )
    prove: bool = Field(
        True,
        title=N_("Check whether it worked"),
        description=N_("Ask base and tuned model the same held-out questions"),
    )
    start_from: str = Field(
        "",
        max_length=4000,
        title=N_("Begin from"),
        description=N_("Folder of a checkpoint of an earlier run to begin from; empty: the base model"),
    )
    start_mode: Literal["continue", "branch"] = Field(
        "continue",
        title=N_("How to begin"),
        description=N_("continue: with optimizer and place in the data; branch: with the weights only"),
    )
    template: str = Field(
        "",
        max_length=64,
        title=N_("Template fingerprint"),
        description=N_("Chat template, special tokens and end of sequence that were agreed on; filled in by the plan"),
    )
    config_text: str = Field(
        "",
        max_length=200_000,
        title=N_("XTuner config"),
        description=N_("A whole XTuner config file, edited by hand; empty: it is made from these settings"),
    )

    @field_validator("sample_prompts")
    @classmethod
    def _no_empty(cls, value: list[str]) -> list[str]:
        return [text for text in value if text.strip()]

    @model_validator(mode="after")
    def _fits_together(self) -> FinetuneSpec:
        if self.gpus > 1 and self.gpu_mib:
            raise ValueError("gpu_mib is a part of one GPU; take 0 with several GPUs")
        if self.config_text and self.engine != "xtuner":
            raise ValueError("config_text is for the engine xtuner")
        return self

    def resources(self) -> Resources:
        """A GPU, a part of one, or the CPU slot. ``device`` was settled by the plan where it matters; ``auto`` on a machine
        without a GPU is the CPU."""
        if self.device == "cpu" or (self.device == "auto" and not gpus_here()):
            return Resources(cpu=1)
        return Resources(gpu_mib=self.gpu_mib) if self.gpu_mib else Resources(gpus=self.gpus)

    def default_title(self) -> str:
        return f"fine-tune {short(self.model)} on {self.dataset}"


class RehearseSpec(FinetuneSpec):
    """The same settings, tried for three steps: peak memory, seconds a step, one evaluation, one save, one load."""

    verb: ClassVar[str] = "rehearse"
    auto_resume: ClassVar[int] = 0
    grace_int_s: ClassVar[float | None] = None

    def default_title(self) -> str:
        return f"rehearse {short(self.model)} on {self.dataset}"


def short(model: str) -> str:
    """The name of a model that may be given as a folder."""
    return model.rstrip("/").rpartition("/")[2] or model
