"""What somebody means to do with a model: serve it, or train it. Bytes and tokens; nothing here is checked against a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Device = Literal["cuda", "cpu"]
Engine = Literal["lmdeploy", "transformers"]
Quantize = Literal["none", "w4a16", "nf4", "int8"]
Method = Literal["full", "lora", "qlora"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit", "sgd", "adafactor"]
Precision = Literal["auto", "mixed", "pure_bf16", "fp32"]
Attention = Literal["sdpa", "flash", "eager"]
Lengths = Literal["unknown", "equal", "varied"]
ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class ServePlan:
    """A server on one device (with ``tp`` of them: on each).

    total, used: bytes of the card, and what others hold of it; total None: not known, then LMDeploy's share cannot be told.
    cache_ratio: LMDeploy's ``--cache-max-entry-count``, the share of what is free once the weights are there.
    cache_bytes: an absolute size instead. kv_bits: of a number in the KV cache. session_len: tokens of one conversation,
    prompt and answers; None: LMDeploy takes what the cache holds, transformers up to :data:`SESSION`. answer_len: those of them
    that are written, not read at once; None: up to :data:`ANSWER`. concurrency: people who are answered at once. quantize: makes the weights smaller than they are stored: ``w4a16`` is what a copy by AWQ would
    take, ``nf4`` and ``int8`` are bitsandbytes while loading. dtype: to compute in, ``""`` as stored. device cpu: main
    memory. batching: transformers' continuous batching with so many tokens of cache for all together, 0: without.
    """

    engine: Engine = "lmdeploy"
    device: Device = "cuda"
    total: int | None = None
    used: int = 0
    cache_ratio: float = 0.8
    cache_bytes: int | None = None
    kv_bits: Literal[16, 8, 4] = 16
    session_len: int | None = None
    answer_len: int | None = None
    concurrency: int = 1
    tp: int = 1
    block_tokens: int = 64
    quantize: Quantize = "none"
    dtype: str = ""
    batching: int = 0

    @property
    def free(self) -> int | None:
        return None if self.total is None else max(0, self.total - self.used)


SESSION = 2048
"""Tokens of a conversation where nobody says how long it gets."""
ANSWER = 1024
"""Tokens of the answer that comes last, where nobody says."""


@dataclass(frozen=True)
class TrainPlan:
    """One training, as each of its ``gpus`` sees it.

    seq: tokens of a row (with packing: of every row, else of the longest in the batch), pictures included. batch: rows on one
    GPU at once. accumulation: batches to a step; from two on, gradients stay from one to the next. lengths: whether the rows
    of a training are alike (packing makes them so) or differ, in which case the allocator holds blocks for many lengths. rank, targets: of the LoRA; ``all-linear`` or names of matrices. precision:
    ``mixed`` keeps what is trained in 32 bits and computes in 16, ``pure_bf16`` keeps all in 16; ``auto`` is what transformers'
    Trainer does: whole models as they are stored, a LoRA mixed. zero: DeepSpeed's stage, 0:
    none; offload: its optimizer (stage 3: weights too) in main memory. upcast: what bitsandbytes does not pack is widened to
    32 bits (peft's ``prepare_model_for_kbit_training``; XTuner does it, too). double_quant: NF4's scales are quantized as
    well. fused_loss: logits are never there as a whole (Liger, Unsloth). vision_rank: of a LoRA on the part that sees; 0:
    that part stays as it is. total, used: as in :class:`ServePlan`.
    """

    method: Method = "qlora"
    seq: int = 512
    batch: int = 1
    accumulation: int = 1
    rank: int = 16
    targets: tuple[str, ...] = (ALL_LINEAR,)
    packing: bool = False
    lengths: Lengths = "unknown"
    checkpointing: bool = False
    optimizer: Optimizer = "adamw"
    precision: Precision = "auto"
    zero: Literal[0, 1, 2, 3] = 0
    offload: bool = False
    gpus: int = 1
    attention: Attention = "sdpa"
    upcast: bool = True
    double_quant: bool = True
    fused_loss: bool = False
    vision_rank: int = 0
    device: Device = "cuda"
    total: int | None = None
    used: int = 0

    @property
    def free(self) -> int | None:
        return None if self.total is None else max(0, self.total - self.used)

    @property
    def even(self) -> bool:
        """Whether every row has the same number of tokens."""
        return self.packing or self.lengths == "equal"

    @property
    def wide(self) -> int:
        """Bytes of a number that is computed with."""
        return 4 if self.device == "cpu" or self.precision == "fp32" else 2


Plan = ServePlan | TrainPlan
