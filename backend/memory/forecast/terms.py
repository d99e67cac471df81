"""The parts of a forecast, how they add up, and the constants that are not arithmetic.

Covered: what one process holds on one device at its peak. p50 is what to expect; p95 is not exceeded in 19 of 20 cases, as
far as the table in docs/memory-accuracy.md tells. Not covered: growth by leaks, neighbours (see :mod:`backend.memory.budget`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backend.i18n import N_, _

MIB, GIB = 1 << 20, 1 << 30

NAMES = ("weights", "kv_cache", "activations", "gradients", "optimizer", "adapter", "vision", "workspace", "context")
TITLES = {
    "weights": N_("weights"),
    "kv_cache": N_("KV cache"),
    "activations": N_("activations"),
    "gradients": N_("gradients"),
    "optimizer": N_("optimizer"),
    "adapter": N_("adapter"),
    "vision": N_("vision tower"),
    "workspace": N_("workspace"),
    "context": N_("program"),
}

CONTEXT, CONTEXT_95 = 448 * MIB, 700 * MIB
"""CUDA's context and the kernels that are loaded with it. p50: what a slice of 8,182 MiB lacks beside InternLM2-chat-1.8B's
weights when LMDeploy sizes its cache (public course notes: 7,816 MiB at ratio 0.8, 4,552 at 0.01). It grows with the number of
multiprocessors and kernels of a card: some 250 MiB on small ones, 700 and more on an H100."""
RESERVED = 0.01
"""Share of a card's nominal memory that the driver keeps: PyTorch reports 39.4 GiB of an A100's 40, 23.7 of an RTX 3090's 24
(``torch.cuda.get_device_properties``), slices of a virtual GPU have all of theirs."""
LIBRARIES, LIBRARIES_95 = 340 * MIB, 430 * MIB
"""Python, torch and transformers in main memory (measured: 340 MB of our server without a model, 430 with a tiny one)."""


@dataclass(frozen=True)
class Term:
    """One part. p50, p95: bytes that the device's tool (nvidia-smi) shows. formula: in words and symbols; source: where it is
    from. torch_p50, torch_p95: what of it torch counts as allocated; None: all of it."""

    name: str
    p50: int
    p95: int
    formula: str
    source: str
    torch_p50: int | None = None
    torch_p95: int | None = None

    @property
    def torch(self) -> tuple[int, int]:
        p50 = self.p50 if self.torch_p50 is None else self.torch_p50
        return p50, max(p50, self.p95 if self.torch_p95 is None else self.torch_p95)


@dataclass(frozen=True)
class Reason:
    """A sentence that is translated when it is read. term: title of the part that it names."""

    message: str
    params: dict[str, Any] = field(default_factory=dict)
    term: str = ""

    def __str__(self) -> str:
        return _(self.message).format(term=_(TITLES[self.term]) if self.term else "", **self.params)


@dataclass(frozen=True)
class Estimate:
    """terms: their p50 add up to ``p50``. p50, p95: bytes that nvidia-smi shows for the process at its peak; allocated_*: the
    most that torch has allocated. fits: None where the plan names no budget. why: the reason of that, or what is largest.
    capacity: tokens that the KV cache holds, None where it grows with what is asked."""

    terms: tuple[Term, ...]
    p50: int
    p95: int
    allocated_p50: int
    allocated_p95: int
    fits: bool | None
    why: Reason
    capacity: int | None = None

    @cached_property
    def largest(self) -> Term:
        return max(self.terms, key=lambda term: term.p50)

    def term(self, name: str) -> Term | None:
        """The part of that name, None where this plan has none."""
        return next((term for term in self.terms if term.name == name), None)


def together(pairs: list[tuple[int, int]]) -> tuple[int, int]:
    """(p50, p95) of a sum. The parts err independently, so that their margins add up as squares, not one on top of another."""
    p50 = sum(low for low, _high in pairs)
    return p50, p50 + math.ceil(math.sqrt(sum(float(high - low) ** 2 for low, high in pairs)))


def spread(name: str, size: float, margin: float, formula: str, source: str) -> Term:
    """A part of ``size`` bytes that may be ``margin`` (a share of it) larger."""
    whole = max(0, math.ceil(size))
    return Term(name, whole, whole + math.ceil(whole * margin), formula, source)


def gib(size: float) -> str:
    return f"{size / GIB:.1f}"
