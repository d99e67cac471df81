"""A fine-tuning of XTuner: its settings, what cannot be set like that, and the whole config file that they become.

A whole file, for ``--cfg-options`` does not reach variables that a config has already used. Everything counts in optimizer
steps; XTuner counts iterations, of which a step takes ``accumulation``. Facts are those of xtuner 0.2.0 and mmengine 0.10.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template as Text
from typing import Any, Literal

from backend.engines.base import Problem
from backend.i18n import _

Method = Literal["lora", "qlora", "full"]
Dtype = Literal["float32", "float16", "bfloat16"]
Scheduler = Literal["cosine", "linear", "constant"]
DEEPSPEED = (
    "",
    "deepspeed_zero1",
    "deepspeed_zero2",
    "deepspeed_zero2_offload",
    "deepspeed_zero3",
    "deepspeed_zero3_offload",
)
TEXT = Path(__file__).with_name("xtuner_config.txt")
MIN_WARMUP_ITERATIONS = 2
"""mmengine's LinearLR takes its last step one iteration early: over a single one it would stay at its start for good."""


@dataclass(frozen=True)
class Template:
    """How turns become text, as XTuner writes it: ``{system}`` and ``{input}`` stand for what people wrote.

    suffix: ends an answer, and is learned. suffix_as_eos: then no end-of-sequence token follows it. The
    beginning-of-sequence token is the tokenizer's and comes by itself.
    """

    system: str
    instruction: str
    suffix: str = ""
    suffix_as_eos: bool = True
    separator: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As XTuner's ``PROMPT_TEMPLATE`` has them."""
        found = {"SYSTEM": self.system, "INSTRUCTION": self.instruction, "SUFFIX_AS_EOS": self.suffix_as_eos}
        return found | {name: value for name, value in (("SUFFIX", self.suffix), ("SEP", self.separator)) if value}


LLAMA3 = Template(
    system="<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>",
    instruction="<|start_header_id|>user<|end_header_id|>\n\n{input}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    suffix="<|eot_id|>",
)
"""Llama 3, and the model that ships with TuneDeck."""


@dataclass(frozen=True)
class Settings:
    """One fine-tuning.

    model: folder of the base model. data: JSON or JSON Lines; a bare name lies where XTuner is started. rows: ``messages`` (``{"messages": [{"role", "content"}]}``)
    or ``conversation`` (``{"conversation": [{"system", "input", "output"}]}``). dtype: in which it computes; weights that
    are trained stay float32. steps, warmup_steps, save_every, log_every: optimizer steps. max_length: tokens of a row, the
    rest is cut off; with ``pack``, rows are joined until they have as many. target_modules: names of the matrices with an
    adapter; empty: all linear ones but the head. keep: how many checkpoints; -1 all. load_from: a checkpoint whose weights
    it begins with. shuffle: rows come in another order each epoch; else as they stand in the file.
    """

    model: Path
    data: Path
    rows: Literal["messages", "conversation"] = "messages"
    method: Method = "lora"
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Dtype = "float32"
    gpus: int = 1
    deepspeed: str = ""
    template: Template = LLAMA3
    max_length: int = 2048
    pack: bool = True
    steps: int = 100
    warmup_steps: int = 0
    batch_size: int = 1
    accumulation: int = 1
    learning_rate: float = 2e-4
    scheduler: Scheduler = "cosine"
    weight_decay: float = 0.0
    max_norm: float = 1.0
    lora_rank: int = 64
    lora_alpha: int = 16
    lora_dropout: float = 0.1
    target_modules: tuple[str, ...] = ()
    save_every: int = 500
    keep: int = 2
    log_every: int = 1
    gradient_checkpointing: bool = True
    map_workers: int = 1
    seed: int = 42
    load_from: Path | None = None
    shuffle: bool = True

    @property
    def iterations(self) -> int:
        """What XTuner counts."""
        return self.steps * self.accumulation

    @property
    def effective_batch(self) -> int:
        """Rows that one optimizer step sees."""
        return self.batch_size * self.accumulation * self.gpus


LIMITS: dict[str, tuple[float, float]] = {
    "gpus": (1, 64),
    "max_length": (16, 1 << 20),
    "steps": (1, 10_000_000),
    "warmup_steps": (0, 10_000_000),
    "batch_size": (1, 4096),
    "accumulation": (1, 4096),
    "learning_rate": (1e-9, 1.0),
    "weight_decay": (0.0, 1.0),
    "max_norm": (1e-6, 1e6),
    "lora_rank": (1, 4096),
    "lora_alpha": (1, 65536),
    "lora_dropout": (0.0, 0.99),
    "save_every": (1, 10_000_000),
    "keep": (-1, 10_000),
    "log_every": (1, 10_000_000),
    "map_workers": (1, 64),
    "seed": (0, (1 << 32) - 1),
}
"""Least and greatest value; NaN is in none."""


def problems(settings: Settings, context_length: int | None = None) -> list[Problem]:
    """Everything that XTuner would refuse late, or take and do something else than was meant. ``context_length``: the most
    tokens that the model can read; None where nobody knows."""
    found = []
    for name, (least, most) in LIMITS.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            found.append(
                Problem(
                    name,
                    _("{value} is not between {least} and {most}.").format(
                        value=value, least=f"{least:g}", most=f"{most:g}"
                    ),
                )
            )
    if found:
        return found
    if settings.keep == 0:
        found.append(Problem("keep", _("At least one checkpoint has to be kept; -1 keeps all.")))
    if settings.warmup_steps >= settings.steps:
        found.append(Problem("warmup_steps", _("The warm-up has to be shorter than the training.")))
    elif 0 < settings.warmup_steps * settings.accumulation < MIN_WARMUP_ITERATIONS:
        found.append(
            Problem(
                "warmup_steps",
                _("A warm-up of a single iteration leaves the learning rate near zero for good: take 0, or more."),
            )
        )
    if context_length and settings.max_length > context_length:
        found.append(Problem("max_length", _("The model reads {tokens} tokens at most.").format(tokens=context_length)))
    if settings.deepspeed not in DEEPSPEED:
        found.append(Problem("deepspeed", _("One of: {names}.").format(names=", ".join(DEEPSPEED[1:]))))
    if not (settings.model / "config.json").is_file():
        found.append(Problem("model", _("There is no model in {folder}.").format(folder=settings.model)))
    if not settings.data.is_file():
        found.append(Problem("data", _("There is no file {path}.").format(path=settings.data)))
    elif settings.data.suffix not in (".json", ".jsonl"):
        found.append(Problem("data", _("XTuner reads .json and .jsonl.")))
    if "{input}" not in settings.template.instruction:
        found.append(Problem("template", _("The template has no place for what a person writes ({input}).")))
    return found + (_on_cpu(settings) if settings.device == "cpu" else [])


def _on_cpu(settings: Settings) -> list[Problem]:
    found = []
    if settings.method == "qlora":
        found.append(Problem("method", _("XTuner does QLoRA on NVIDIA GPUs only; LoRA also runs on the CPU.")))
    if settings.dtype != "float32":
        found.append(Problem("dtype", _("On the CPU, XTuner computes in float32 only.")))
    if settings.gpus > 1:
        found.append(Problem("gpus", _("On the CPU, XTuner runs one process.")))
    if settings.deepspeed:
        found.append(Problem("deepspeed", _("DeepSpeed is for NVIDIA GPUs.")))
    return found


def text(settings: Settings) -> str:
    """The config file. Every value is written as Python's own literal: nothing that a person names can become code."""
    cuda = settings.device == "cuda"
    half = settings.dtype if settings.dtype != "float32" else ""
    warmup = settings.warmup_steps * settings.accumulation
    values = {
        "model": str(settings.model.absolute()),
        "data": str(settings.data),
        "template": settings.template.to_dict(),
        "map_fn": "openai_map_fn" if settings.rows == "messages" else "None",
        "max_length": settings.max_length,
        "pack": settings.pack,
        "shuffle": settings.shuffle,
        "batch_size": settings.batch_size,
        "accumulation": settings.accumulation,
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "max_norm": settings.max_norm,
        "iterations": settings.iterations,
        "save_every": settings.save_every * settings.accumulation,
        "log_every": settings.log_every * settings.accumulation,
        "keep": settings.keep,
        "checkpointing": settings.gradient_checkpointing,
        "map_workers": settings.map_workers if settings.map_workers > 1 else None,
        "seed": settings.seed,
        "warmup": warmup,
        "load_from": str(settings.load_from.absolute()) if settings.load_from else None,
        "backend": "nccl" if cuda else "gloo",
    }
    # LoRA leaves the base alone, so that its weights may be kept in 16 bits.
    base = half if settings.method != "full" else ""
    code = {
        "weights": f"torch.{base or 'float32'}",
        "quantization": _QUANTIZATION.format(dtype=half or "float16") if settings.method == "qlora" else "",
        "lora": "None" if settings.method == "full" else _lora(settings),
        "optim": _AMP.format(dtype=half, scale="dynamic" if half == "float16" else 1.0)
        if half
        else "type=OptimWrapper,",
        "warmup_part": _WARMUP if warmup else "",
        "decay": _DECAY[settings.scheduler],
    }
    code["map_fn"] = str(values.pop("map_fn"))
    return Text(TEXT.read_text(encoding="utf-8")).substitute(
        {name: repr(value) for name, value in values.items()} | code
    )


_QUANTIZATION = """quantization_config=dict(
            type=BitsAndBytesConfig,
            load_in_4bit=True,
            bnb_4bit_compute_dtype=torch.{dtype},
            bnb_4bit_use_double_quant=True,
            bnb_4bit_quant_type="nf4",
        ),"""
_AMP = 'type=AmpOptimWrapper, dtype="{dtype}", loss_scale={scale!r},'
_DECAY: dict[Scheduler, str] = {
    "cosine": "dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=False, begin=warmup, end=iterations),",
    "linear": "dict(type=LinearLR, start_factor=1.0, end_factor=0.0, by_epoch=False, begin=warmup, end=iterations),",
    "constant": "dict(type=ConstantLR, factor=1.0, by_epoch=False, begin=warmup, end=iterations),",
}
_WARMUP = "dict(type=LinearLR, start_factor=1e-5, by_epoch=False, begin=0, end=warmup),"


def _lora(settings: Settings) -> str:
    named = f", target_modules={list(settings.target_modules)!r}" if settings.target_modules else ""
    return (
        f"dict(type=LoraConfig, r={settings.lora_rank!r}, lora_alpha={settings.lora_alpha!r}, "
        f'lora_dropout={settings.lora_dropout!r}{named}, bias="none", task_type="CAUSAL_LM")'
    )
