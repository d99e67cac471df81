"""Muon (Jordan et al., 2024) for many small matrices: those of one shape are orthogonalised together.

``torch.optim.Muon`` takes one matrix after another, which on a GPU is thousands of tiny programs a step: for the starter it
took longer than the training itself. The sums are the same (a test compares them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
EPSILON = 1e-7


class StackedMuon(torch.optim.Optimizer):
    """As ``torch.optim.Muon`` with Nesterov momentum and its original adjustment of the learning rate."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        super().__init__(list(params), {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; all parameters must have gradients."""
        assert closure is None, "a closure is not supported"
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                shapes[parameter.shape].append(parameter)
            for shape, some in shapes.items():
                gradients = [p.grad for p in some if p.grad is not None]
                assert len(gradients) == len(some), "a parameter has no gradient"
                buffers = [self._buffer(p) for p in some]
                torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
                updates = torch.stack(torch._foreach_lerp(gradients, buffers, group["momentum"]))  # Nesterov
                adjusted = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                torch._foreach_mul_(some, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(some, list(orthogonalised(updates).to(some[0].dtype).unbind()), alpha=-adjusted)

    def _buffer(self, parameter: torch.Tensor) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        found: torch.Tensor = state["momentum_buffer"]
        return found


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Each of ``matrices``, (number, rows, columns), with all singular values near 1: five steps of Newton and Schulz in
    bfloat16."""
    a, b, c = COEFFICIENTS
    found = matrices.bfloat16()
    tall = found.shape[1] > found.shape[2]
    if tall:
        found = found.mT
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    for _ in range(STEPS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if tall else found
