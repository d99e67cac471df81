"""A server's memory. LMDeploy takes its KV cache at the start, as a share of what is free; in transformers it grows with what
is said.

LMDeploy: ``used = weights + context + workspace + R x (free once the weights are there)``, in whole blocks. Before 0.2.1 R was
the share of the whole card. transformers: weights, a KV cache of every conversation, and the widest moment of reading a prompt.
"""

from __future__ import annotations

from backend.i18n import N_
from backend.memory.forecast.facts import ModelFacts
from backend.memory.forecast.plans import ANSWER, SESSION, ServePlan
from backend.memory.forecast.terms import (
    CONTEXT,
    CONTEXT_95,
    GIB,
    LIBRARIES,
    LIBRARIES_95,
    MIB,
    RESERVED,
    Term,
    spread,
)

TURBOMIND, TURBOMIND_95 = 440 * MIB, 800 * MIB
"""Buffers of LMDeploy's TurboMind for 128 conversations, its cuBLAS workspace and its logits: what the same two measurements
as of ``CONTEXT`` leave beside weights, context and cache."""
BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8": 1, "int8": 1}
WIDEN_UP_TO = 2 * GIB
"""Up to this size float16 is widened to float32 on a CPU (jobs/serving/memory.py)."""
AWQ_GROUP = 128
NF4_ABSMAX = 64
KV_SCALE = 4
"""Bytes of scale and zero point that each head of each token has in a quantized cache: two numbers of 16 bits."""

_BLOCKS = "lmdeploy: src/turbomind/models/llama/BlockManager.cc, GetBlockCount; docs/en/inference/turbomind_config.md"
_MEASURED = N_("measured")
HEADERS = N_("the headers of the model's own files")


def terms(facts: ModelFacts, plan: ServePlan) -> tuple[list[Term], int | None]:
    """The parts, and how many tokens the KV cache holds (None where it grows)."""
    return _lmdeploy(facts, plan) if plan.engine == "lmdeploy" else _transformers(facts, plan)


def token_bytes(facts: ModelFacts, kv_bits: int = 16, tp: int = 1, wide: int = 2) -> float:
    """What one token of a conversation keeps on each of ``tp`` GPUs. ``wide``: bytes of a number that is not quantized."""
    # Fewer KV heads than GPUs: each keeps a copy of one.
    share = -(-facts.kv_heads // tp) / facts.kv_heads
    values = facts.kv_values * facts.attention_layers * share
    if kv_bits == 16:
        return values * wide
    return values * (kv_bits / 8 + KV_SCALE / facts.head_size)


def weight_bytes(facts: ModelFacts, plan: ServePlan) -> float:
    """Bytes of the language part on each GPU."""
    params, stored = facts.params, facts.stored
    number = BYTES.get(plan.dtype or facts.dtype, 2)
    plain = params.embed + params.head + params.other
    if plan.engine == "lmdeploy":
        # It computes in 16 bits whatever is stored, and holds the head apart even where it is the input table again.
        head = params.embed if facts.tied else 0
        linear: float = stored.linear if facts.method else 2 * params.linear
        if facts.method == "awq" or facts.method == "gptq":
            # In the kernels' layout each group's scale and zero point are two numbers of 16 bits; on disk the zero has 4.
            linear = stored.linear + _zeros_grow(facts)
        if plan.quantize == "w4a16" and not facts.method:
            linear = params.linear * (0.5 + 4 / AWQ_GROUP)
        return (2 * (plain + head) + linear) / plan.tp
    if facts.method:
        return stored.language / plan.tp
    if plan.quantize in ("nf4", "int8", "w4a16"):
        each = {"nf4": 0.5 + 4 / NF4_ABSMAX, "int8": 1.0, "w4a16": 0.5 + 2.5 / AWQ_GROUP}[plan.quantize]
        return (number * plain + each * params.linear) / plan.tp
    return number * params.language * _widening(facts, plan) / plan.tp


def _zeros_grow(facts: ModelFacts) -> int:
    """Zero points of ``bits`` that become 16 bits wide. Scales of 16 bits and zeros of ``bits`` share ``facts.scales``."""
    zeros = facts.scales * facts.bits / (16 + facts.bits)
    return int(zeros * 16 / facts.bits - zeros) if facts.bits else 0


def _widening(facts: ModelFacts, plan: ServePlan) -> int:
    small = 2 * facts.stored.total <= WIDEN_UP_TO
    return (
        2 if plan.device == "cpu" and not facts.method and facts.dtype == "float16" and not plan.dtype and small else 1
    )


def _common(facts: ModelFacts, plan: ServePlan) -> list[Term]:
    found = [
        spread(
            "weights",
            weight_bytes(facts, plan),
            0.01,
            N_("sum over the tensors: numbers x bytes of their format; input table and head are not quantized"),
            HEADERS,
        )
    ]
    if facts.adapter:
        found.append(spread("adapter", facts.adapter, 0.1, N_("its tensors as stored"), HEADERS))
    seeing = facts.stored.vision + facts.stored.projector
    if seeing and facts.eyes is not None:
        # One picture at a time goes through it, without gradients.
        passing = facts.eyes.tokens * (8 * facts.eyes.hidden + 4 * facts.eyes.intermediate)
        found.append(
            spread("vision", seeing + passing, 0.1, N_("its tensors as stored + one layer of one picture"), HEADERS)
        )
    return found


def context(plan_device: str) -> Term:
    """What a process takes before it holds a tensor."""
    if plan_device == "cpu":
        return Term(
            "context", LIBRARIES, LIBRARIES_95, N_("a constant: Python, torch and transformers"), _MEASURED, 0, 0
        )
    return Term("context", CONTEXT, CONTEXT_95, N_("a constant: what CUDA takes for itself"), _MEASURED, 0, 0)


def _lmdeploy(facts: ModelFacts, plan: ServePlan) -> tuple[list[Term], int | None]:
    found = [*_common(facts, plan), context("cuda")]
    fixed = sum(term.p50 for term in found)
    block = int(token_bytes(facts, plan.kv_bits, plan.tp) * plan.block_tokens)
    if plan.cache_bytes is not None:
        asked, formula = plan.cache_bytes, N_("the size asked for, in whole blocks of 64 tokens")
    else:
        # What others hold may be told with the driver's own share or without it.
        left = min(plan.free or 0, int((1 - RESERVED) * (plan.total or 0))) - fixed
        asked, formula = (
            int(plan.cache_ratio * max(0, left)),
            N_("ratio x (free - weights - context), in whole blocks of 64 tokens"),
        )
    blocks = asked // block if block else 0
    # What the weights and the context turn out to be smaller than expected, the share takes a part of.
    found.append(Term("kv_cache", blocks * block, blocks * block + asked // 50, formula, _BLOCKS))
    found.append(Term("workspace", TURBOMIND, TURBOMIND_95, N_("a constant: buffers of the engine"), _MEASURED))
    return found, blocks * plan.block_tokens


def _transformers(facts: ModelFacts, plan: ServePlan) -> tuple[list[Term], int | None]:
    wide = BYTES.get(plan.dtype or facts.dtype, 2) * _widening(facts, plan)
    session = plan.session_len or min(facts.context_length or SESSION, SESSION)
    people = 1 if plan.batching else plan.concurrency
    tokens = plan.batching or people * session
    a_token = token_bytes(facts, plan.kv_bits, plan.tp, wide)
    found = _common(facts, plan)
    found.append(
        spread(
            "kv_cache",
            a_token * tokens,
            0.02,
            N_("layers x 2 x KV heads x head size x bytes x tokens of all conversations at their longest"),
            "transformers: cache_utils.py",
        )
    )
    answer = min(session // 2, ANSWER) if plan.answer_len is None else min(plan.answer_len, session - 1)
    reading, most = min(tokens, people * (session - answer)), min(tokens, people * session)
    # At the widest moment the model's input, the stream, its normed copy, and three tensors of the feed-forward part (gate, up,
    # their product) are there.
    layer = wide * (3 * facts.hidden + 3 * facts.intermediate)
    last = people * facts.vocab * (wide + 4)
    size, longer = (int(count * layer / plan.tp) + last for count in (reading, most))
    found.append(
        Term(
            "activations",
            size,
            longer + size // 8,
            N_("one layer's tensors for all prompts at once + the logits of the last tokens"),
            "transformers: models/llama/modeling_llama.py",
        )
    )
    if plan.device == "cuda":
        # torch.cat makes a longer copy of a layer's keys before it lets go of the old one.
        churn = int(a_token * tokens / max(1, facts.attention_layers))
        # ExLlamaV2's kernels unpack a matrix into a buffer of their own.
        scratch = 2 * facts.largest_matrix if facts.method == "gptq" and facts.bits == 4 else 0
        inside, held = churn + scratch + 32 * MIB, 32 * MIB + size // 5
        if facts.spare_head:
            # It is let go of once the model is loaded; Qwen2.5-0.5B's AWQ copy never needs more than then.
            inside = max(inside, int(facts.spare_head - a_token * tokens - size))
        found.append(
            Term(
                "workspace",
                inside + held,
                inside + held + size // 2 + 128 * MIB,
                N_("one layer's KV cache again + what torch's allocator keeps"),
                "transformers: cache_utils.py; pytorch: c10/cuda/CUDACachingAllocator.cpp",
                inside,
                inside + 32 * MIB,
            )
        )
    found.append(context(plan.device))
    return found, plan.batching or None
