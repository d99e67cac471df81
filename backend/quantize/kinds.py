"""The ways to make a smaller copy, as facts: what each does, by what engine, and what can serve the result.

Those of LMDeploy 0.18, llm-compressor 0.14 and transformers 5.17, read from their sources: of compressed-tensors TurboMind takes 4 bits in
groups of 32 or 128 (``turbomind/converter.py``), LMDeploy's PyTorch core 4 bits in symmetric groups of 32 only (``pytorch/config.py``),
neither of them 8 bits; transformers takes all of it and unpacks it where the processor cannot compute with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.i18n import N_

Maker = Literal["lmdeploy", "llmcompressor", "load", "serve"]
Calibrated = Literal["required", "optional", "never"]
Server = tuple[str, str]
"""An engine, and what it computes on."""
ANYWHERE: tuple[Server, ...] = (("transformers", "cpu"), ("transformers", "cuda"))
LMDEPLOY: Server = ("lmdeploy", "cuda")


@dataclass(frozen=True)
class Kind:
    """One method; texts are English and marked. method: as in :class:`backend.specs.quantize.QuantizeSpec`; ``bitsandbytes`` and ``kv``
    make no copy and are only listed. engine: what does it; ``load`` and ``serve``: it happens when a model is loaded or served. bits:
    of a weight; of ``kv``: of a number in the KV cache. format: what the copy's config calls it, and ``model_format`` of a server.
    calibrated: whether it looks at texts. serves: what can serve the copy, where the model is of a kind that it knows. grouped: some
    weights share a scale, so that it has a group size."""

    method: str
    title: str
    description: str
    engine: Maker
    bits: int
    format: str
    calibrated: Calibrated
    serves: tuple[Server, ...]
    grouped: bool = False
    note: str = ""

    @property
    def makes_a_copy(self) -> bool:
        """It can be chosen; else it is told of, and done elsewhere."""
        return self.engine in ("lmdeploy", "llmcompressor")

    @property
    def environment(self) -> str:
        """Where its engine lives: ``base`` or the name of an environment."""
        return "lmdeploy" if self.engine == "lmdeploy" else "base"


_KINDS = (
    Kind(
        "gptq",
        N_("GPTQ, 4 bits"),
        N_("Rounds each weight and lets the next ones make up for the error, as calibration rows show it"),
        "llmcompressor",
        4,
        "compressed-tensors",
        "required",
        (*ANYWHERE, LMDEPLOY),
        grouped=True,
        note=N_("About a quarter of the size in 16 bits. Keeps more than plain rounding, and takes minutes"),
    ),
    Kind(
        "awq",
        N_("AWQ, 4 bits"),
        N_("Enlarges the weights that matter most before it rounds, as calibration rows show it"),
        "lmdeploy",
        4,
        "awq",
        "optional",
        (LMDEPLOY,),
        grouped=True,
        note=N_("The fastest 4 bits with LMDeploy. Made on any machine, served on an NVIDIA GPU"),
    ),
    Kind(
        "rtn",
        N_("Plain rounding, 4 bits"),
        N_("Rounds each weight by itself and looks at no rows"),
        "llmcompressor",
        4,
        "compressed-tensors",
        "never",
        (*ANYWHERE, LMDEPLOY),
        grouped=True,
        note=N_("Done in seconds; loses more than GPTQ and AWQ. Good to compare with"),
    ),
    Kind(
        "int8",
        N_("int8, 8 bits"),
        N_("Weights and, as they come, activations in whole numbers of 8 bits"),
        "llmcompressor",
        8,
        "compressed-tensors",
        "optional",
        ANYWHERE,
        note=N_("About half of the size in 16 bits, and hardly a difference in the answers"),
    ),
    Kind(
        "fp8",
        N_("FP8, 8 bits"),
        N_("Weights and, as they come, activations in floating point of 8 bits; looks at no rows"),
        "llmcompressor",
        8,
        "compressed-tensors",
        "never",
        ANYWHERE,
        note=N_("About half of the size in 16 bits; computed with as it is on GPUs since Ada and Hopper"),
    ),
    Kind(
        "smooth_quant",
        N_("SmoothQuant, 8 bits"),
        N_("int8 for LMDeploy's PyTorch core: what activations make hard is moved into the weights first"),
        "lmdeploy",
        8,
        "smooth_quant",
        "required",
        (LMDEPLOY,),
        note=N_("Served on an NVIDIA GPU"),
    ),
    Kind(
        "bitsandbytes",
        N_("bitsandbytes, 4 bits"),
        N_("Packs the weights each time a model is loaded, and leaves no copy"),
        "load",
        4,
        "bitsandbytes",
        "never",
        (),
        note=N_("It is what QLoRA trains on: the page Fine-tune uses it by itself"),
    ),
    Kind(
        "kv",
        N_("KV cache, 8 or 4 bits"),
        N_("Keeps the running conversations in fewer bits; the weights stay as they are"),
        "serve",
        8,
        "",
        "never",
        (LMDEPLOY,),
        note=N_("Happens while serving: choose it on the page Deploy, compare it on the page Benchmark"),
    ),
)
KINDS: dict[str, Kind] = {one.method: one for one in _KINDS}
