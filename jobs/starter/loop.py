"""The training loop.

What makes it quick on a CPU, all measured in docs/starter-model.md: bfloat16 autocast with eager attention, compiled
where a C++ compiler is at hand; rows packed to few shapes; logits only where the loss counts; parts of a step side by
side, each on one thread; and the Muon optimizer for the matrices, which needs fewer tokens than AdamW for the same loss.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

from backend.specs.pretrain import PretrainSpec
from jobs.starter import checkpoint
from jobs.starter.batches import WIDTHS, Batch, Batches
from jobs.starter.muon import StackedMuon

AVERAGE = 0.99
"""Decay per step of the running average of the weights, which is what a run that is stopped early can already use."""
LOG_EVERY = 10
COMPILED_WIDTH = 1024
"""Wider rows are too rare to be worth a compilation of their own."""
WORTH_COMPILING = 4_000_000
"""Tokens of a run from which on compiling (about a minute) pays."""
COUNTED, GPU_COUNTED = 512, 4096
"""The number of positions whose loss counts is rounded up to a multiple of this, so that few shapes occur."""


@dataclass
class Trained:
    """Where a run stands. curve holds (step, mean loss on answer tokens since the last entry)."""

    step: int = 0
    tokens: int = 0
    cpu_s: float = 0.0
    curve: list[tuple[int, float]] = field(default_factory=list)


def learning_rate(step: int, spec: PretrainSpec) -> float:
    """Share of the full learning rate at ``step`` (counted from 1): up, level, down to zero."""
    rising = min(1.0, step / max(1, spec.warmup_steps))
    falling = min(1.0, (spec.steps - step) / max(1, spec.decay_steps))
    return rising * falling


def optimizers(model: LlamaForCausalLM, spec: PretrainSpec) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al., 2024) for the matrices of the layers, in two halves that can step side by side; AdamW for the
    embedding and the norms."""
    on_gpu = next(model.parameters()).is_cuda
    muon = StackedMuon if on_gpu else torch.optim.Muon
    matrices = [(n, p) for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    embeddings = [p for n, p in model.named_parameters() if "embed" in n]
    norms = [p for p in model.parameters() if p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": embeddings, "weight_decay": spec.weight_decay},
        {"params": norms, "weight_decay": 0.0},
    ]
    halves = [[p for n, p in matrices if "mlp" in n], [p for n, p in matrices if "mlp" not in n]]
    return [
        *(muon(half, lr=spec.lr, weight_decay=spec.weight_decay, momentum=0.95) for half in halves),
        torch.optim.AdamW(groups, lr=spec.embedding_lr, betas=(0.9, 0.98), eps=1e-10, fused=on_gpu),
    ]


def device(spec: PretrainSpec) -> str:
    """Where a run of ``spec`` computes."""
    return "cuda" if spec.device == "cuda" or (spec.device == "auto" and torch.cuda.is_available()) else "cpu"


def compiles(spec: PretrainSpec) -> bool:
    """Whether the sums of a run of ``spec`` are compiled: as it says, or where there is a C++ compiler and it pays."""
    if spec.compile != "auto":
        return spec.compile == "on"
    compiler = os.environ.get("CXX") or "g++"
    return shutil.which(compiler) is not None and spec.steps * spec.batch_tokens >= WORTH_COMPILING


class Losses:
    """Loss and gradients of one batch, on the device of ``model``."""

    def __init__(self, model: LlamaForCausalLM, compiled: bool) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self._counted_by = COUNTED if self._device.type == "cpu" else GPU_COUNTED
        self._width = COMPILED_WIDTH if self._device.type == "cpu" else WIDTHS[-1]
        self._short = _computes_short(self._device)
        self._parameters = list(model.parameters())
        self._plain = (self._hidden, self._loss)
        self._quick = self._plain
        if compiled:
            # On a GPU one program for all shapes is as quick, and is made once.
            any_shape = self._device.type != "cpu"
            self._quick = (torch.compile(self._hidden, dynamic=any_shape), torch.compile(self._loss, dynamic=any_shape))
        self._seen: set[tuple[int, ...]] = set()

    def unseen(self, batch: Batch) -> bool:
        """True where a batch of this shape comes for the first time: it may compile, which only one thread can do."""
        shape = (*batch.tokens.shape, len(self._counted(batch)[0]))
        if shape in self._seen:
            return False
        self._seen.add(shape)
        return True

    def gradients(self, batch: Batch, total: float) -> tuple[tuple[torch.Tensor, ...], torch.Tensor, int]:
        """(gradients of the weighted loss divided by ``total``, sum of the losses on answers, how many those are)."""
        hidden, loss = self._quick if batch.tokens.shape[1] <= self._width else self._plain
        places, weights = self._counted(batch)  # on the CPU, so that a GPU need not be waited for
        answers = weights >= 1
        count = int(answers.sum())
        there = batch.to(self._device)
        at, weigh, counts = (each.to(self._device, non_blocking=True) for each in (places, weights, answers))
        states = hidden(there.tokens, there.positions, there.dialogues).flatten(0, 1)
        each = loss(states[at], there.tokens.flatten()[at + 1])
        found = torch.autograd.grad((each * weigh).sum() / total, self._parameters)
        return found, (each.detach() * counts).sum(), count

    def _counted(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(flat positions from which a token that counts is predicted, weights), padded with weight 0 to full hundreds."""
        weights = batch.weights.flatten()[1:]  # the first token of a row never counts, so rows do not leak
        places = weights.nonzero().flatten()
        short = -len(places) % self._counted_by
        return F.pad(places, (0, short)), F.pad(weights[places], (0, short))

    def _hidden(self, tokens: torch.Tensor, positions: torch.Tensor, dialogues: torch.Tensor) -> torch.Tensor:
        """Last hidden states, (rows, width, hidden); a token sees its own dialogue up to itself."""
        same = dialogues[:, None, :, None] == dialogues[:, None, None, :]
        past = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device).tril()
        mask = torch.where(same & past, 0.0, -30_000.0).to(torch.bfloat16 if self._short else torch.float32)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._short):
            found = self._model.model(
                input_ids=tokens, position_ids=positions, attention_mask=mask, use_cache=False
            ).last_hidden_state
        assert isinstance(found, torch.Tensor)
        return found

    def _loss(self, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each position, (positions,)."""
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._short):
            logits = F.linear(states, self._model.lm_head.weight)
        return F.cross_entropy(logits.float(), targets, reduction="none")


def _computes_short(device: torch.device) -> bool:
    """Whether bfloat16 is quick there: on GPUs, and on processors with units for it. Others imitate it: a step that takes half a second in
    32 bits took nine on an AMD EPYC with AVX2."""
    if device.type != "cpu":
        return True
    found = torch.cpu.get_capabilities()
    return any(found.get(unit, False) for unit in ("amx_bf16", "avx512_bf16"))


def train(
    model: LlamaForCausalLM,
    batches: Batches,
    spec: PretrainSpec,
    folder: Path,
    resume_from: Path | None,
    progress: Callable[[Trained, float, dict[str, float]], None],
    stop: Callable[[], bool],
) -> tuple[Trained, dict[str, torch.Tensor]]:
    """Train to ``spec.steps`` or until ``stop()``; checkpoints go to ``folder``.

    Returns where the run stands and the running average of the weights. ``progress`` is called every ten steps with the
    seconds left and with figures.
    """
    torch.set_num_threads(1)
    optimizer = optimizers(model, spec)
    full = [[group["lr"] for group in o.param_groups] for o in optimizer]
    state = Trained()
    parameters = list(model.parameters())
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    if resume_from is not None:
        state = checkpoint.load(resume_from, model, optimizer, batches, average)
    model.train()
    began, began_step, cpu = time.monotonic(), state.step, time.process_time() - state.cpu_s
    answers, answer_loss = 0, torch.zeros(())
    losses = Losses(model, compiles(spec))
    steps = iter(batches)
    with ThreadPoolExecutor(spec.threads, initializer=torch.set_num_threads, initargs=(1,)) as workers:
        while state.step < spec.steps and not stop():
            step = next(steps)
            share = learning_rate(state.step + 1, spec)
            for one, rates in zip(optimizer, full, strict=True):
                for group, rate in zip(one.param_groups, rates, strict=True):
                    group["lr"] = rate * share
            total = sum(float(batch.weights.sum()) for batch in step)
            unseen = [losses.unseen(batch) for batch in step]
            run = map if any(unseen) else workers.map
            for number, (found, loss, count) in enumerate(run(losses.gradients, step, [total] * len(step))):
                if number == 0:
                    for parameter, gradient in zip(parameters, found, strict=True):
                        parameter.grad = gradient
                else:
                    torch._foreach_add_([p.grad for p in parameters], list(found))
                answers += count
                answer_loss = answer_loss.to(loss.device) + loss
            state.tokens += sum(int((batch.dialogues >= 0).sum()) for batch in step)
            list(workers.map(lambda one: one.step(), optimizer))
            state.step += 1
            with torch.no_grad():
                decay = min(AVERAGE, state.step / (state.step + 10))
                torch._foreach_lerp_(list(average.values()), parameters, 1 - decay)
            if state.step % LOG_EVERY == 0 or state.step == spec.steps:
                state.cpu_s = time.process_time() - cpu
                state.curve.append((state.step, round(float(answer_loss) / max(1, answers), 4)))
                pace = (time.monotonic() - began) / (state.step - began_step)
                figures = {
                    "loss": state.curve[-1][1],
                    "lr": spec.lr * share,
                    "tokens_s": state.tokens / max(state.cpu_s, 1e-9),
                }
                progress(state, pace * (spec.steps - state.step), figures)
                answers, answer_loss = 0, torch.zeros(())
            if state.step % spec.save_every == 0 and state.step < spec.steps:
                state.cpu_s = time.process_time() - cpu
                checkpoint.save(folder, state, model, optimizer, batches, average)
    state.cpu_s = time.process_time() - cpu
    if state.step < spec.steps:
        checkpoint.save(folder, state, model, optimizer, batches, average)
    return state, average
