"""A training's memory on each GPU: weights, what is trained with its gradients and optimizer states, and the activations.

Frozen weights are there once. What is trained costs weights + gradients + optimizer states. Activations are those that the
backward pass needs (one layer at a time with checkpointing, plus each layer's input), and the logits, which with Llama 3's
128,256 tokens weigh more than a layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from backend.errors import SpecError
from backend.i18n import N_
from backend.memory.forecast.activations import Activations, activations, widened
from backend.memory.forecast.facts import ModelFacts
from backend.memory.forecast.plans import ALL_LINEAR, TrainPlan
from backend.memory.forecast.serving import HEADERS, context
from backend.memory.forecast.shapes import Linear
from backend.memory.forecast.terms import MIB, Term, spread

NF4 = 0.5 + 4 / 64
NF4_DOUBLE = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight in NF4: blocks of 64 have a scale of 32 bits; with double quantization one of 8 bits, and blocks of 256
scales one of 32 (Dettmers et al. 2023, arXiv 2305.14314, section 3: 4.5 and 4.127 bits)."""
STATES = {
    "adamw": 8.0,
    "paged_adamw_32bit": 8.0,
    # Two states of 8 bits, a scale of 32 bits for each block of 256 (Dettmers et al. 2022, arXiv 2110.02861).
    "adamw_8bit": 2 + 2 * 4 / 256,
    "paged_adamw_8bit": 2 + 2 * 4 / 256,
    "sgd": 0.0,
    # Two vectors instead of a matrix (Shazeer and Stern 2018, arXiv 1804.04235).
    "adafactor": 0.01,
}
"""Bytes of optimizer states for each number that is trained, in 32 bits; half for AdamW where numbers are kept in 16."""
BUCKET = 500_000_000
BUCKETS = 2
"""DeepSpeed reduces gradients in buckets of so many numbers (``reduce_bucket_size``, its default), and fills one while the
other is under way (``overlap_comm``, as in xtuner/configs/deepspeed/deepspeed_zero2.json)."""
SUB_GROUP = 1_000_000_000
"""Numbers that ZeRO-3 steps at once (``sub_group_size``, its default)."""
IDLE, IDLE_UNKNOWN = (1.8, 8 << 30), (0.25, 1 << 30)
"""Where rows differ in length, the allocator gets blocks for each length: so many times the activations, at most so many bytes,
lie idle at the peak. varied: fitted on the calibration rows of ms-swift's benchmark with Qwen-14B (LoRA, rows of up to 512 to
8,192 tokens, reserved memory); where nothing is known of the lengths: an assumption between that and none."""
FULLEST = 0.97
"""Share of the free memory up to which idle blocks are kept."""
NCCL = 400 * MIB
"""Buffers of NCCL between several GPUs: some hundred MiB, more with more channels."""
_PEFT = "Hu et al. 2021, arXiv 2106.09685; peft: tuners/tuners_utils.py (autocast_adapter_dtype)"
_LAYER = "Korthikanti et al. 2022, arXiv 2205.05198; transformers: models/llama/modeling_llama.py, loss/loss_utils.py"
_ALLOCATOR = (
    "pytorch: aten/src/ATen/autocast_mode.cpp, c10/cuda/CUDACachingAllocator.cpp; bitsandbytes: autograd/_functions.py"
)
_ZERO = "Rajbhandari et al. 2020, arXiv 1910.02054; DeepSpeed: runtime/zero/stage_1_and_2.py"
_STATES = (
    "Loshchilov and Hutter 2019, arXiv 1711.05101; bitsandbytes: optim/optimizer.py; pytorch: optim/adamw.py; " + _ZERO
)
_BITS = "Dettmers et al. 2023, arXiv 2305.14314, section 3; peft: utils/other.py, prepare_model_for_kbit_training"


@dataclass(frozen=True)
class Trained:
    """How many numbers are trained in the language part, in a LoRA on the part that sees, in what joins the two."""

    language: int
    vision: int = 0
    projector: int = 0

    @property
    def all(self) -> int:
        return self.language + self.vision + self.projector


def lora_linears(facts: ModelFacts, targets: tuple[str, ...]) -> list[Linear]:
    """The matrices that a LoRA on ``targets`` is put on.

    Raises:
        SpecError: ``lora_targets_unknown``: the model has none of one of these names.
    """
    plain = [one for one in facts.linears if not one.expert]
    if not targets or ALL_LINEAR in targets:
        return plain
    names = {one.name for one in plain}
    unknown = [target for target in targets if target not in names]
    if unknown:
        raise SpecError(
            "lora_targets_unknown",
            N_("'{model}' has no matrices called {targets}."),
            N_("It has: {names}; or choose all-linear."),
            model=facts.name,
            targets=", ".join(unknown),
            names=", ".join(sorted(names)),
        )
    return [one for one in plain if one.name in targets]


def trained(facts: ModelFacts, plan: TrainPlan) -> Trained:
    """A LoRA of rank r has r x (inputs + outputs) numbers on each matrix (Hu et al. 2021, arXiv 2106.09685)."""
    if plan.method == "full":
        return Trained(facts.params.language, 0, facts.params.projector)
    chosen = lora_linears(facts, plan.targets)
    eyes, seeing = facts.eyes, 0
    if eyes is not None and plan.vision_rank:
        seeing = eyes.layers * plan.vision_rank * (8 * eyes.hidden + 2 * (eyes.hidden + eyes.intermediate))
    language = sum(plan.rank * (one.inputs + one.outputs) * one.count for one in chosen)
    return Trained(language, seeing, facts.params.projector)


def terms(facts: ModelFacts, plan: TrainPlan) -> list[Term]:
    """The parts, on each GPU."""
    if plan.precision == "auto":
        stored = plan.method == "full" and not plan.zero and facts.dtype in ("float16", "bfloat16")
        plan = replace(plan, precision="pure_bf16" if stored else "mixed")
    numbers = trained(facts, plan)
    act = activations(facts, plan, sum(one.inputs * one.count for one in _loras(facts, plan)))
    found = [_weights(facts, plan)]
    if facts.params.vision + facts.params.projector:
        seen = facts.stored.vision + facts.stored.projector
        found.append(
            spread(
                "vision",
                seen + act.vision,
                0.15,
                N_("its tensors as stored + what one batch of pictures leaves for the backward pass"),
                HEADERS,
            )
        )
    whole = 2.0 if plan.zero or (plan.precision == "pure_bf16" and plan.method == "full") else 4.0
    if plan.device == "cpu":
        whole = 4.0
    if plan.method != "full":
        size = whole * numbers.all / (plan.gpus if plan.zero == 3 else 1)
        found.append(
            spread(
                "adapter", size, 0.0, N_("r x (inputs + outputs) of each matrix, x 4 bytes; 2 with DeepSpeed"), _PEFT
            )
        )
    gradients = _gradients(plan, numbers, whole)
    found += [gradients, _optimizer(plan, numbers, whole)]
    # Where nothing is accumulated, gradients come into the room that the activations leave on the way back.
    shared = gradients.p50 if plan.accumulation == 1 and not plan.zero else 0
    size = max(0, act.language - shared)
    found.append(
        spread(
            "activations",
            size,
            0.25,
            act.formula,
            _LAYER,
        )
    )
    program = context(plan.device)
    taken = program.p50 + sum(term.p50 for term in found)
    return [*found, _workspace(facts, plan, numbers, whole, act, shared, taken), program]


def _loras(facts: ModelFacts, plan: TrainPlan) -> list[Linear]:
    return [] if plan.method == "full" else lora_linears(facts, plan.targets)


def _weights(facts: ModelFacts, plan: TrainPlan) -> Term:
    params = facts.params
    if plan.method == "qlora" and not facts.method:
        each = NF4_DOUBLE if plan.double_quant else NF4
        plain = 4 if widened(facts, plan) else 2
        size = each * params.linear + plain * (params.embed + params.head + params.other)
        formula = N_("matrices x 4.5 bits, 4.127 with double quantization; input table and head x 32, or 16 as stored")
        return spread("weights", size, 0.01, formula, _BITS)
    if facts.method and plan.method != "full":
        ends = facts.stored.embed + facts.stored.head
        return spread(
            "weights", facts.stored.language + (ends if widened(facts, plan) else 0), 0.02, N_("as stored"), HEADERS
        )
    wide = plan.wide
    if plan.method == "full" and plan.precision == "mixed" and not plan.zero:
        wide = 4
    shared = plan.gpus if plan.zero == 3 else 1
    size = 0.0 if plan.zero == 3 and plan.offload else wide * params.language / shared
    return spread(
        "weights", size, 0.01, N_("parameters x bytes of a number; with ZeRO-3 a share of them on each GPU"), _ZERO
    )


def _gradients(plan: TrainPlan, numbers: Trained, whole: float) -> Term:
    shared = plan.gpus if plan.zero >= 2 else 1
    # Offloaded gradients leave for main memory bucket by bucket.
    size = 0.0 if plan.offload and plan.zero >= 2 else whole * numbers.all / shared
    return spread(
        "gradients",
        size,
        0.0,
        N_("what is trained x 4 bytes, 2 with DeepSpeed; from ZeRO-2 a share of it on each GPU"),
        _ZERO,
    )


def _optimizer(plan: TrainPlan, numbers: Trained, whole: float) -> Term:
    each = STATES[plan.optimizer]
    if plan.optimizer in ("adamw", "paged_adamw_32bit") and whole == 2.0 and not plan.zero:
        each /= 2  # states are kept like the numbers themselves
    master = 4.0 if plan.zero else 0.0
    size = 0.0 if plan.zero and plan.offload else (each + master) * numbers.all / (plan.gpus if plan.zero else 1)
    text = N_(
        "what is trained x 8 bytes for AdamW, 2 in 8 bits; with DeepSpeed 4 more for a copy in 32 bits, shared by the GPUs"
    )
    found = spread("optimizer", size, 0.0, text, _STATES)
    # Paged states are managed memory: the driver counts it, torch does not.
    paged = plan.optimizer.startswith("paged")
    return Term(found.name, found.p50, found.p95, found.formula, found.source, *((0, 0) if paged else (None, None)))


def _workspace(
    facts: ModelFacts, plan: TrainPlan, numbers: Trained, whole: float, act: Activations, shared: int, taken: int
) -> Term:
    """What is there for a moment only, and what the allocator keeps beside what is in use."""
    if plan.device == "cpu":
        return spread("workspace", 32 * MIB, 2.0, N_("buffers of the matrix library"), "oneDNN")
    size = 16.0 * MIB  # cuBLAS
    if plan.method == "qlora":
        size += 2 * facts.largest_matrix  # unpacked to be multiplied
    if plan.method == "full" and plan.precision == "mixed" and not plan.zero:
        size += 2 * (facts.params.linear + (facts.params.head or facts.params.embed))  # autocast's copies in 16 bits
    if plan.zero:
        size += 2 * BUCKETS * min(numbers.all, BUCKET)
    if plan.zero == 3:
        layer = facts.params.linear / max(1, facts.layers)
        size += 2 * (2 * layer + facts.params.embed)  # gathered from the other GPUs
    if plan.gpus > 1:
        size += NCCL
    # A tenth of the activations (a fifth where lengths differ) for what the allocator cuts off is an assumption.
    # Backward pass and optimizer's step have their fullest moments one after the other, and the blocks that the allocator has
    # got for the one serve the other badly.
    stepping = int(_stepping(plan, numbers, whole))
    inside = int(size) + max(0, stepping - int(size) - max(0, act.language - shared))
    twice = min(int(size) + act.language, stepping + shared)
    if plan.even:
        slack = act.kept + 128 * MIB + act.language // 10
        slack = max(slack, twice) if plan.method == "full" else slack
    else:
        share, most = IDLE if plan.lengths == "varied" else IDLE_UNKNOWN
        slack = act.kept + 512 * MIB + act.language // 5 + max(twice, min(int(share * act.language), most))
    high = 512 * MIB + slack // 2 + act.language // (4 if plan.even else 2) + int(size) // 2
    if plan.free is not None:
        # Before it dies of too little memory, torch gives back what lies idle.
        slack = min(slack, max(0, int(FULLEST * plan.free) - taken - inside))
    text = N_(
        "copies of weights in 16 bits, copies at the optimizer's step, DeepSpeed's buckets, buffers of cuBLAS and between GPUs, and what torch's allocator keeps"
    )
    return Term("workspace", inside + slack, inside + slack + high, text, _ALLOCATOR, inside, inside + int(size) // 2)


def _stepping(plan: TrainPlan, numbers: Trained, whole: float) -> float:
    """What the optimizer's step adds for a moment. torch's AdamW takes the roots of all second moments at once
    (``foreach``); DeepSpeed lays the gradients of its share end to end, and widens them."""
    if plan.zero and plan.offload:
        return 0.0
    if plan.zero:
        return 6.0 * min(numbers.all / plan.gpus, SUB_GROUP if plan.zero == 3 else numbers.all)
    return whole * numbers.all if plan.optimizer == "adamw" else 0.0
