"""transformers (Hugging Face): serves any text model it knows, on the CPU or one GPU, in the panel's own environment."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from backend.catalog.cards import ModelCard
from backend.engines import crashes
from backend.engines.base import Capability, Place, Problem
from backend.engines.refusals import needs_consent, unknown_quantization, unusable
from backend.errors import ModelError, PanelError, ServerError
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
        # find_spec reads no module: the panel stays free of torch.
        missing = [m for m in ("torch", "transformers", "uvicorn") if importlib.util.find_spec(m) is None]
        if not missing:
            return None
        return ServerError(
            "engine_missing",
            N_("The engine '{engine}' is not installed here: {missing} is missing."),
            N_("Run 'make setup' in the folder of TuneDeck."),
            engine=self.name,
            missing=", ".join(missing),
        )

    def capabilities(self) -> list[Capability]:
        return [Capability(N_("Serve models"), self.unavailable())]

    def refuses(self, card: ModelCard) -> PanelError | None:
        problem = unusable(card)
        if problem is not None:
            return problem
        if not card.architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
            return ModelError(
                "model_not_generative",
                N_("'{model}' ({architecture}) does not write text, so there is nothing to chat with."),
                N_("Choose a text generation model; its config.json names a class that ends in ForCausalLM."),
                model=card.name,
                architecture=card.architecture or "?",
            )
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
            "weights": card.size_bytes,
            "kv_cache": (card.kv_bytes_per_token or 0) * context_tokens,
            "runtime": RUNTIME_BYTES,
        }

    def explain(self, lines: Sequence[str], code: int, *, model: str, times: int) -> PanelError:
        return crashes.explain(lines, code, model=model, times=times)


ENGINE = TransformersEngine()
