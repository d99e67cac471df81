"""Whether what an engine has made is a copy: it is smaller, its numbers are numbers, it loads, and it answers like its base.

Base and copy read the same few texts, one after the other, so that there is never more than one of them in memory. How far apart
they are is measured at every token: the KL divergence of the copy's next token from the base's, and how often both have the same
likeliest one. This is a check, on few tokens; the report card measures.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.catalog.files import read_object, size_text
from backend.catalog.quantization import read_quantization
from backend.engines.lmdeploy_lite import weight_bytes
from backend.errors import ModelError
from backend.i18n import N_
from backend.memory.machine import snapshot
from backend.quantize.methods import KINDS
from jobs.harness import Job
from jobs.quantizing import rows as calibration
from jobs.quantizing.rows import Rows
from jobs.quantizing.work import Work

if TYPE_CHECKING:
    import torch

TEXTS, TOKENS = 4, 96
"""How many rows are read, and how much of each."""
FAR = 2.0
"""Nats a token: rounding to 4 bits costs hundredths to tenths; weights that were packed in a wrong order cost more than this."""
NEW = 12
"""Tokens of the answer that the log shows."""
OWN = (
    "The capital of France is Paris, and",
    "水的沸点是一百度，而冰",
    "1 + 1 = 2, 2 + 2 =",
    "Once upon a time there was",
)
"""Read where there are no calibration rows."""


@dataclass(frozen=True)
class Checked:
    """bytes_before, bytes_after: of the weights. divergence: nats a token, of the copy from its base. agreement: share of tokens
    after which both have the same likeliest one. tokens: that was measured on."""

    bytes_before: int
    bytes_after: int
    divergence: float
    agreement: float
    tokens: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def check(job: Job, work: Work, rows: Rows, folder: Path) -> Checked:
    """The copy in ``folder``, compared with what it was made from.

    Raises:
        ModelError: ``quantize_no_copy``, ``quantize_not_finite`` or ``quantize_far``. Stopped.
    """
    job.phase("check")
    before, after = _sizes(work, folder)
    _finite(folder)
    import torch

    from jobs.finetuning.devices import threads

    torch.set_num_threads(threads())
    read = _texts(work, rows)
    base = _read(work, work.model, read)
    job.check_stop()
    copy = _read(work, folder, read)
    job.log(f"{base.text!r} goes on, base: {base.more!r}, copy: {copy.more!r}")
    apart, same, tokens = 0.0, 0, 0
    for one, other in zip(base.logits, copy.logits, strict=True):
        if not torch.isfinite(other).all():
            raise _not_finite(folder, "logits")
        p, q = one.float().log_softmax(-1), other.float().log_softmax(-1)
        apart += float((p.exp() * (p - q)).sum())
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
        tokens += len(p)
    found = Checked(before, after, apart / tokens, same / tokens, tokens)
    job.log(
        f"{tokens} tokens: {found.divergence:.4f} nats apart, {found.agreement:.0%} with the same likeliest next token"
    )
    if found.divergence > FAR:
        raise ModelError(
            "quantize_far",
            N_(
                "The copy is whole, but it is no longer the same model: on {tokens} tokens it is {divergence} nats a token away "
                "from '{model}', and {agreement} of its next words are the same."
            ),
            N_("Take a smaller group size, more calibration rows, or a method with 8 bits. The model is untouched."),
            tokens=tokens,
            divergence=f"{found.divergence:.2f}",
            agreement=f"{found.agreement:.0%}",
            model=work.spec.model,
        )
    return found


def _sizes(work: Work, folder: Path) -> tuple[int, int]:
    """Bytes of the weights of both."""
    before, after = weight_bytes(work.model), weight_bytes(folder)
    found, kind = read_quantization(folder, read_object(folder / "config.json")), KINDS[work.spec.method]
    # What SmoothQuant writes names no bits.
    if not 0 < after < before or found.method != kind.format or found.bits not in (0, kind.bits):
        raise ModelError(
            "quantize_no_copy",
            N_(
                "{folder} holds no smaller copy of '{model}': it is {how}, and has {after} of weights where the model has {before}."
            ),
            N_("The log of this job has all that the engine said. Try another method."),
            folder=str(folder),
            model=work.spec.model,
            how=found.label or "-",
            after=size_text(after),
            before=size_text(before),
        )
    return before, after


def _finite(folder: Path) -> None:
    """Raise where a scale or a weight is no number."""
    import torch
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no dict
                value = tensors.get_tensor(name)
                if value.is_floating_point() and not torch.isfinite(value.float()).all():
                    raise _not_finite(folder, name)


def _not_finite(folder: Path, what: str) -> ModelError:
    return ModelError(
        "quantize_not_finite",
        N_("The copy in {folder} holds numbers that are none, in {what}: it would answer nonsense."),
        N_(
            "Take other calibration rows, or another method; a model whose weights are too large for 16 bits may need 8 bits."
        ),
        folder=str(folder),
        what=what,
    )


@dataclass(frozen=True)
class _Reading:
    """logits: of each text, tokens by vocabulary. text, more: the end of the first, and how the model goes on."""

    logits: Sequence[torch.Tensor]
    text: str
    more: str


def _texts(work: Work, rows: Rows) -> list[list[int]]:
    """What both read, as tokens."""
    texts = rows if rows.texts else Rows(OWN)
    return calibration.pieces(Rows(texts.texts[:TEXTS]), calibration.tokens(work), TOKENS)


def _read(work: Work, folder: Path, read: list[list[int]]) -> _Reading:
    """What the model in ``folder`` makes of the texts ``read``, and how it goes on after the first."""
    import torch

    from jobs.quantizing import dequantize

    tokenizer = calibration.tokens(work).tokenizer
    device = "cuda" if work.spec.device == "cuda" else "cpu"
    model = dequantize.load(folder, _dtype(work, device), device)
    with torch.inference_mode():
        logits = [model(torch.tensor([ids], device=device), use_cache=False).logits[0].cpu() for ids in read]
        ids = read[0][: TOKENS // 2]
        prompt = torch.tensor([ids], device=device)
        made = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=NEW,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=0,
        )[0, len(ids) :].tolist()
    del model
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    return _Reading(logits, tokenizer.decode(ids[-16:]), tokenizer.decode(made))


def _dtype(work: Work, device: str) -> torch.dtype:
    """As stored on a GPU; on the CPU 32 bits, with which it is quickest, where they have room."""
    import torch

    stored = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(work.dtype, torch.float32)
    if device == "cuda" or stored == torch.float32:
        return stored
    free = snapshot().ram_free or 0
    return torch.float32 if 3 * weight_bytes(work.model) < free else stored
