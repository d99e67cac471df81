"""transformers (Hugging Face): serves any text model it knows, on the CPU or one GPU, in the panel's own environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata

from backend.catalog.cards import ModelCard
from backend.engines import crashes, on_gpu, packages
from backend.engines.base import Capability, Place, Problem
from backend.engines.refusals import needs_consent, not_generative, unknown_quantization, unusable
from backend.errors import PanelError, ServerError
from backend.i18n import N_, _
from backend.specs.serve import ServeSpec

# The libraries alone, measured as the resident size of a server with a 100 kB model: 430 MiB (torch 2.13.0, CPU).
RUNTIME_BYTES = 430 << 20
LOADS_QUANTIZED = ("compressed-tensors", "bitsandbytes", "fp8", "mxfp4", "torchao")
PLAN_FILE = "serving.json"
"""In the job's folder: what our server's process is told."""


class TransformersEngine:
    """See :class:`backend.engines.base.Engine`."""

    name = "transformers"
    title = "transformers"
    purpose = N_("Serves and trains models on the CPU or a GPU, in the panel's own environment.")
    roles = ("serve", "finetune")
    recipe = None
    imports = ("torch", "transformers", "peft", "uvicorn")
    """What its self-test loads first."""
    preference = 10
    sleeps = False

    def options(self) -> tuple[str, ...]:
        return (
            "device",
            "gpu_mib",
            "context_length",
            "dtype",
            "completions_only",
            "threads",
            "continuous_batching",
            "idle_s",
            "max_restarts",
        )

    def unavailable(self) -> PanelError | None:
        return _missing("torch", "transformers", "uvicorn")

    def capabilities(self) -> list[Capability]:
        problem = self.unavailable()
        gpu = on_gpu.problem(self) or problem or _torch_for_the_cpu()
        train = problem or _missing("peft", "accelerate")
        return [
            Capability(N_("Serve models on the CPU"), problem),
            Capability(N_("Serve models on a GPU"), gpu),
            Capability(N_("LoRA fine-tuning of small models on the CPU"), train),
            Capability(N_("LoRA fine-tuning on a GPU"), gpu or train),
            Capability(N_("QLoRA, the base model in 4 bits"), gpu or train or _missing("bitsandbytes")),
        ]

    def refuses(self, card: ModelCard) -> PanelError | None:
        problem = unusable(card, adapters=True)
        if problem is not None:
            return problem
        card = card.base or card  # what speaks against the base, is said of it
        if not card.architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
            return not_generative(card)
        if card.needs_code and not card.code_allowed:
            return needs_consent(card)
        method = card.quantization.split(" ")[0]
        if method and method not in LOADS_QUANTIZED:
            return unknown_quantization(card, method, self.name)
        return None

    def problems(self, spec: ServeSpec, card: ModelCard, gpus: int | None = None) -> list[Problem]:
        if gpus == 0 and spec.device == "cuda":
            return [Problem("device", _("This machine shows no NVIDIA GPU."))]
        return []

    def command(self, spec: ServeSpec, card: ModelCard, place: Place) -> list[str]:
        return [sys.executable, "-m", "jobs.serving.engine", str(place.folder / PLAN_FILE)]

    def memory_bytes(self, card: ModelCard, context_tokens: int) -> dict[str, int]:
        return {
            "weights": card.served.size_bytes,
            "kv_cache": (card.served.kv_bytes_per_token or 0) * context_tokens,
            "runtime": RUNTIME_BYTES,
        }

    def explain(self, lines: Sequence[str], code: int, *, model: str, times: int) -> PanelError:
        return crashes.explain(lines, code, model=model, times=times)


def _missing(*modules: str) -> PanelError | None:
    """Which of them are not in the panel's own environment. Reads none: the panel stays free of torch."""
    missing = [module for module in modules if not packages.there(module)]
    if not missing:
        return None
    if missing == ["bitsandbytes"]:
        return ServerError(
            "engine_no_bitsandbytes",
            N_("It needs the package bitsandbytes, which TuneDeck does not bring."),
            N_("Install it with: {python} -m pip install bitsandbytes"),
            python=sys.executable,
        )
    return ServerError(
        "engine_missing",
        N_("The engine '{engine}' is not installed here: {missing} is missing."),
        N_("Run 'make setup' in the folder of TuneDeck."),
        engine=TransformersEngine.name,
        missing=", ".join(missing),
    )


def _torch_for_the_cpu() -> PanelError | None:
    """The torch in the panel's own environment is a build that knows no GPU; read from its version alone."""
    if not metadata.version("torch").endswith("+cpu"):
        return None
    return ServerError(
        "engine_torch_cpu",
        N_("The torch in the panel's own environment was built for the CPU."),
        N_("Run 'make setup' where the package index offers torch with CUDA; docs/operations.md says more."),
    )


ENGINE = TransformersEngine()
