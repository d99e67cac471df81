"""The optimizer of the GPU runs: the same steps as torch's own Muon."""

from __future__ import annotations

import torch

from jobs.starter.muon import StackedMuon, orthogonalised


def test_its_steps_are_those_of_torch() -> None:
    torch.manual_seed(3)
    shapes = ((32, 64), (64, 32), (32, 64), (48, 48))
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    stacked = StackedMuon(ours, lr=0.05, weight_decay=0.1, momentum=0.95)
    single = torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, momentum=0.95)
    began = [p.detach().clone() for p in ours]
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        stacked.step()
        single.step()
    for one, other, before in zip(ours, theirs, began, strict=True):
        # bfloat16 inside: the same but for its rounding, against how far the weights have moved
        assert (one - other).norm() < 0.02 * (other - before).norm()


def test_all_singular_values_come_near_one() -> None:
    torch.manual_seed(4)
    for shape in ((2, 40, 24), (3, 24, 40)):
        found = torch.linalg.svdvals(orthogonalised(torch.randn(shape)).float())
        assert found.min() > 0.4
        assert found.max() < 1.6
