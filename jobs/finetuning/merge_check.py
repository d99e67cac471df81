"""Whether a merged model is what was trained: its logits against those of base and adapter, on real prompts.

Both compute in float32 where that fits into memory, so that what is left is what writing the sums down in the number format of
the weights costs. A difference is told as a share of the range of the logits (largest minus smallest, per position).
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from backend import catalog
from backend.data.rows import parse
from backend.data.tokens.template import conversation
from backend.errors import ModelError
from backend.finetune import files
from backend.i18n import N_
from jobs.finetuning import rows
from jobs.harness import Job

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

TOLERANCE = {"float32": (1e-4, 1e-3), "float16": (3e-3, 0.03), "bfloat16": (2.5e-2, 0.25)}
"""By the number format of the weights: what may differ at most, as a share of the range of the logits; or, where the adapter
moves them far, as a share of how far (the whole range at most). Two to three times what rounding costs with adapters from faint
to deafening on models of 0.2 M and 5 M parameters; a wrong alpha, or a layer forgotten of six, costs more."""
PROMPTS, LONGEST, POSITIONS = 8, 256, 16
"""So many prompts, tokens of each, and of these the last ones that are compared."""
PLAIN = ("Hello! Who are you?", "你好，请介绍一下你自己。", "What is the capital of France?", "小麦是什么？")


@dataclass(frozen=True)
class Check:
    """difference: largest between merged and base with adapter; effect: largest between base and base with adapter; both as
    shares of the range of the logits. agree: share of positions with the same likeliest token. dtype: of the weights.
    computed: number format of the comparison."""

    difference: float
    effect: float
    tolerance: float
    agree: float
    prompts: int
    dtype: str
    computed: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def check(job: Job, plan: Plan, adapter: Path, merged: Path) -> Check:
    """Compare them; says in the log what came of it.

    Raises:
        ModelError: ``merge_differs``.
    """
    import transformers

    transformers.logging.disable_progress_bar()
    base = Path(plan.model_folder)
    card = catalog.card(base)
    device, computed = _place(plan, (card.parameters or 0), card.dtype)
    tokenizer, code = _tokenizer(base, merged)
    prompts = _prompts(job, plan, tokenizer)
    taught, plain = _of_adapter(base, adapter, prompts, device, computed, code)
    job.check_stop()
    ours = _of_merged(merged, prompts, device, computed, code)
    effect = _apart(taught, plain)
    tolerance = max(allowed(card.dtype, effect), allowed(computed, effect))
    found = Check(
        difference=_apart(taught, ours),
        effect=effect,
        tolerance=tolerance,
        agree=_agreement(taught, ours),
        prompts=len(prompts),
        dtype=card.dtype,
        computed=computed,
    )
    job.log(
        f"merged against base + adapter on {found.prompts} prompts: logits differ by {found.difference:.2e} of their range "
        f"(at most {tolerance:.2g}; the adapter moves them by {found.effect:.2e}), same likeliest token at {found.agree:.1%}"
    )
    if not found.difference <= tolerance:  # NaN, too
        raise ModelError(
            "merge_differs",
            N_(
                "The merged model answers otherwise than base and adapter: their logits differ by {difference} of their range, "
                "and {tolerance} is allowed for {dtype}. It was not kept; the adapter is safe."
            ),
            N_(
                "Serve the adapter on top of its base. If the disk or the memory may be damaged, check them, then resume."
            ),
            difference=f"{found.difference:.1e}",
            tolerance=f"{tolerance:.1e}",
            dtype=card.dtype,
        )
    if found.difference > found.effect / 2 and found.effect:
        job.log(
            f"note: {card.dtype} is too coarse for how little the adapter changes; on top of its base it keeps more of it"
        )
    return found


def allowed(dtype: str, effect: float) -> float:
    """How far logits may be apart with weights in ``dtype``, where the adapter moves them by ``effect``."""
    floor, share = TOLERANCE.get(dtype, TOLERANCE["bfloat16"])
    return max(floor, share * min(effect, 1.0))


def _place(plan: Plan, parameters: int, stored: str) -> tuple[str, str]:
    """(device, number format) to compute with."""
    device = "cuda" if plan.spec.device != "cpu" and torch.cuda.is_available() else "cpu"
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    if parameters * 4.4 < free:
        return device, "float32"
    return device, stored if stored in TOLERANCE else "bfloat16"


def _tokenizer(base: Path, merged: Path) -> tuple[Any, bool]:
    from transformers import AutoTokenizer

    from jobs.serving.loading import may_run_code

    code = may_run_code(str(base))
    return AutoTokenizer.from_pretrained(str(merged), local_files_only=True, trust_remote_code=code), code


def _prompts(job: Job, plan: Plan, tokenizer: Any) -> list[list[int]]:
    """Token ids: whole rows that were learned from or measured, the sample questions, and a few plain ones."""
    talks: list[list[dict[str, Any]]] = [*_rows(job.dir)]
    asked = dict.fromkeys((*plan.spec.sample_prompts, *(one.question for one in files.samples(job.dir))))
    talks += [[{"role": "user", "content": text}] for text in (*asked, *PLAIN)]
    found = []
    for talk in talks:
        try:
            answered = talk[-1]["role"] == "assistant"
            text = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=not answered)
        except Exception:  # noqa: BLE001 - a template refuses what it likes, with what it likes
            text = "\n".join(str(message.get("content") or "") for message in talk)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:LONGEST]
        if ids:
            found.append(list(ids))
    return found[:PROMPTS]


def _rows(job_dir: Path) -> Iterable[list[dict[str, Any]]]:
    """The first rows of the run, those that were only measured before others (:mod:`jobs.finetuning.rows`)."""
    lines: list[bytes] = []
    for part in ("validation", "train"):
        file = job_dir / rows.FOLDER / f"{part}.jsonl"
        if file.is_file():
            with file.open("rb") as opened:
                lines += itertools.islice(opened, PROMPTS // 2)
    return [talk for line in lines[: PROMPTS // 2] if (talk := conversation(parse(line)))]


def _of_adapter(
    base: Path, adapter: Path, prompts: list[list[int]], device: str, dtype: str, code: bool
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    from peft import PeftModel

    model = PeftModel.from_pretrained(
        _load(base, device, dtype, code), str(adapter), is_trainable=False, torch_device=device
    ).eval()
    taught = _logits(model, prompts)
    with model.disable_adapter():
        plain = _logits(model, prompts)
    del model
    _let_go()
    return taught, plain


def _of_merged(merged: Path, prompts: list[list[int]], device: str, dtype: str, code: bool) -> list[torch.Tensor]:
    model = _load(merged, device, dtype, code)
    found = _logits(model, prompts)
    del model
    _let_go()
    return found


def _load(folder: Path, device: str, dtype: str, code: bool) -> Any:
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=code)
    named = (config.architectures or [""])[0]
    cls = AutoModelForCausalLM if named.endswith("ForCausalLM") else getattr(transformers, named, AutoModelForCausalLM)
    model = cls.from_pretrained(
        str(folder), dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True, trust_remote_code=code
    )
    return model.to(device).eval()


def _logits(model: Any, prompts: list[list[int]]) -> list[torch.Tensor]:
    found = []
    with torch.inference_mode():
        for ids in prompts:
            given = torch.tensor([ids], device=model.device)
            found.append(model(input_ids=given, use_cache=False).logits[0, -POSITIONS:].float().cpu())
    return found


def _apart(ones: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    """The largest difference, as a share of the range of the logits at its position."""
    shares = []
    for one, other in zip(ones, others, strict=True):
        span = one.max(-1).values - one.min(-1).values
        shares.append(((one - other).abs().max(-1).values / span.clamp_min(1e-9)).max())
    return float(torch.stack(shares).max())


def _agreement(ones: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    same = [one.argmax(-1) == other.argmax(-1) for one, other in zip(ones, others, strict=True)]
    return float(torch.cat(same).float().mean())


def _let_go() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
