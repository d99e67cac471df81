"""The training loop.

What makes it quick on a CPU, all measured in docs/starter-model.md: one thread, bfloat16 autocast with eager attention,
rows of like length together, logits only where the loss counts, and the Muon optimizer for the matrices, which needs
fewer tokens than AdamW for the same loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

from backend.specs.pretrain import PretrainSpec
from jobs.starter import checkpoint
from jobs.starter.batches import Batch, Batches

AVERAGE = 0.99
"""Decay per step of the running average of the weights, which is what a run that is stopped early can already use."""
LOG_EVERY = 10


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
    """Muon (Jordan et al., 2024) for the matrices of the layers; AdamW for the embedding and the norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    embeddings = [p for n, p in model.named_parameters() if "embed" in n]
    norms = [p for p in model.parameters() if p.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": embeddings, "weight_decay": spec.weight_decay},
        {"params": norms, "weight_decay": 0.0},
    ]
    return [
        torch.optim.Muon(matrices, lr=spec.lr, weight_decay=spec.weight_decay, momentum=0.95),
        torch.optim.AdamW(groups, lr=spec.embedding_lr, betas=(0.9, 0.98), eps=1e-10),
    ]


def losses(model: LlamaForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, float]:
    """(weighted sum of the losses, sum of the losses on answers, sum of the weights) of one batch.

    Rows are padded on the right and attention is causal, so no real token sees padding and no mask is needed.
    """
    weights = batch.weights[:, 1:]
    counted = weights > 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(input_ids=batch.tokens[:, :-1], use_cache=False).last_hidden_state[counted]
        logits = F.linear(hidden, model.lm_head.weight)
    each = F.cross_entropy(logits.float(), batch.tokens[:, 1:][counted], reduction="none")
    weight = weights[counted]
    return (each * weight).sum(), each.detach()[weight == 1].sum(), float(weight.sum())


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
    torch.set_num_threads(spec.threads)
    optimizer = optimizers(model, spec)
    full = [[group["lr"] for group in o.param_groups] for o in optimizer]
    state = Trained()
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    if resume_from is not None:
        state = checkpoint.load(resume_from, model, optimizer, batches, average)
    model.train()
    began, began_step, cpu = time.monotonic(), state.step, time.process_time() - state.cpu_s
    answers, answer_loss = 0, 0.0
    steps = iter(batches)
    while state.step < spec.steps and not stop():
        step = next(steps)
        share = learning_rate(state.step + 1, spec)
        for one, rates in zip(optimizer, full, strict=True):
            for group, rate in zip(one.param_groups, rates, strict=True):
                group["lr"] = rate * share
        total = sum(float(batch.weights[:, 1:].sum()) for batch in step)
        for batch in step:
            loss, on_answers, _ = losses(model, batch)
            (loss / total).backward()
            answers += int((batch.weights[:, 1:] == 1).sum())
            answer_loss += float(on_answers)
            state.tokens += int((batch.tokens != model.config.pad_token_id).sum())
        for one in optimizer:
            one.step()
            one.zero_grad(set_to_none=True)
        state.step += 1
        with torch.no_grad():
            decay = min(AVERAGE, state.step / (state.step + 10))
            torch._foreach_lerp_(list(average.values()), list(model.parameters()), 1 - decay)
        if state.step % LOG_EVERY == 0 or state.step == spec.steps:
            state.cpu_s = time.process_time() - cpu
            state.curve.append((state.step, round(answer_loss / max(1, answers), 4)))
            pace = (time.monotonic() - began) / (state.step - began_step)
            figures = {
                "loss": state.curve[-1][1],
                "lr": spec.lr * share,
                "tokens_s": state.tokens / max(state.cpu_s, 1e-9),
            }
            progress(state, pace * (spec.steps - state.step), figures)
            answers, answer_loss = 0, 0.0
        if state.step % spec.save_every == 0 and state.step < spec.steps:
            state.cpu_s = time.process_time() - cpu
            checkpoint.save(folder, state, model, optimizer, batches, average)
    state.cpu_s = time.process_time() - cpu
    if state.step < spec.steps:
        checkpoint.save(folder, state, model, optimizer, batches, average)
    return state, average
