"""What the backward pass needs of the forward pass, in bytes, for one GPU.

Korthikanti et al. 2022 (arXiv 2205.05198, equation 2) give ``s x b x h x (34 + 5 a s / h)`` bytes a layer for GPT; the same
count for the layer of transformers' ``modeling_llama.py``, tensor by tensor: RMSNorm works on a copy in 32 bits, keys and
values are repeated for grouped queries, the feed-forward part has a gate; flash and sdpa keep no scores (Dao 2022,
arXiv 2205.14135), eager does, in 32 and 16 bits. LoRA keeps a copy of each matrix' input and its dropout's mask, while a frozen
matrix needs no input. Logits: in 16 bits, widened to 32, log-softmax, its gradient and theirs (transformers: loss/loss_utils.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.i18n import N_
from backend.memory.forecast.facts import ModelFacts
from backend.memory.forecast.plans import TrainPlan

LOGITS = 12
"""Bytes for each token and entry of the vocabulary at the loss, three tensors of 32 bits: going forward the logits, their
shifted copy and the log-softmax; going back the log-softmax, its gradient and the next one. The calibration rows of PowerLM-3b
(fms-acceleration's benchmark, torch's maximum) say 12.4."""
LOGITS_KEPT = 4
"""What the allocator has got for the logits besides: in 16 bits going forward, and blocks that fit no later tensor."""
FUSED_LOGITS = 1
"""With a fused loss: the gradient replaces the logits, chunk by chunk (Liger Kernel, arXiv 2410.10989, section 3.2)."""


@dataclass(frozen=True)
class Activations:
    """Bytes. language: at the fullest moment. kept: what the allocator has got for it besides. vision: of the part that sees.
    formula: in words."""

    language: int
    kept: int
    vision: int
    formula: str


def activations(facts: ModelFacts, plan: TrainPlan, lora_inputs: int) -> Activations:
    """``lora_inputs``: inputs of all matrices that have a LoRA, summed over the layers."""
    tokens, wide = plan.seq * plan.batch, plan.wide
    layer = layer_bytes(facts, plan, lora_inputs / max(1, facts.layers))
    # Gradients of the widest tensors of the layer that is on its way back.
    back = 2 * wide * facts.intermediate + _scores(facts, plan)
    logits = tokens * facts.vocab * _logits(facts, plan)
    kept = 0 if plan.fused_loss else tokens * facts.vocab * LOGITS_KEPT
    if widened(facts, plan) and not plan.fused_loss:
        # The head was widened, and works in 16 bits: a copy of it lives until its backward pass.
        logits += 2 * (facts.params.head or facts.params.embed)
    if plan.checkpointing:
        # The stream between the layers is as wide as the input table.
        stream = 4 if widened(facts, plan) else wide
        size = facts.layers * stream * facts.hidden * tokens + max((layer + back) * tokens, logits)
        text = N_("tokens x (layers x input of a layer + the larger of: one whole layer, the logits)")
    else:
        size = facts.layers * layer * tokens + max(back * tokens, logits)
        text = N_("tokens x (layers x what a layer keeps + the logits)")
    return Activations(int(size), kept, _vision(facts, plan), text)


def widened(facts: ModelFacts, plan: TrainPlan) -> bool:
    """Whether input table and head have 32 bits meanwhile. peft leaves a GPTQ model as it is, and DeepSpeed narrows all."""
    return plan.method == "qlora" and plan.upcast and not plan.zero and facts.method != "gptq" and plan.device == "cuda"


def layer_bytes(facts: ModelFacts, plan: TrainPlan, lora_inputs: float) -> float:
    """What one layer keeps of one token."""
    wide, hidden = plan.wide, facts.hidden
    queries, keys = facts.heads * facts.head_size, facts.kv_heads * facts.head_size
    repeated = keys if plan.attention == "flash" else queries
    attention = wide * (2 * queries + 2 * repeated) + _scores(facts, plan)
    if plan.method == "full":
        return 2 * (4 + 2 * wide) * hidden + attention + 4 * wide * facts.intermediate
    # Frozen norms and matrices keep less; each LoRA keeps its input and a mask of one byte.
    return 2 * 4 * hidden + attention + 3 * wide * facts.intermediate + (wide + 1) * lora_inputs


def _scores(facts: ModelFacts, plan: TrainPlan) -> int:
    """Eager attention's probabilities, in 32 bits and in the model's own."""
    return facts.heads * plan.seq * (4 + plan.wide) if plan.attention == "eager" else 0


def _logits(facts: ModelFacts, plan: TrainPlan) -> int:
    if plan.fused_loss:
        return FUSED_LOGITS
    return LOGITS // 2 if facts.narrow_logits and plan.zero else LOGITS


def _vision(facts: ModelFacts, plan: TrainPlan) -> int:
    eyes = facts.eyes
    if eyes is None:
        return 0
    layers = eyes.layers if plan.vision_rank else 1
    # Two norms and a GELU keep their inputs, attention its queries, keys, values and output; scores are not kept (sdpa).
    return plan.batch * layers * eyes.tokens * (46 * eyes.hidden + 4 * eyes.intermediate)
