"""transformers (Hugging Face): serves any text model it knows, on the CPU or one GPU, in the panel's own environment."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from backend.catalog.cards import ModelCard
from backend.catalog.files import size_text
from backend.errors import ModelError, PanelError, ServerError
from backend.i18n import N_

# The libraries alone, measured as the resident size of a server with a 100 kB model: 430 MiB (torch 2.13.0, CPU).
RUNTIME_BYTES = 430 << 20
LOADS_QUANTIZED = ("compressed-tensors", "bitsandbytes", "fp8", "mxfp4", "torchao")


class TransformersEngine:
    """See :class:`backend.engines.base.Engine`."""

    name = "transformers"

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

    def refuses(self, card: ModelCard) -> PanelError | None:
        if card.problem is not None:
            return card.problem
        if card.adapter_of:
            return ModelError(
                "model_is_adapter",
                N_("'{model}' is an adapter for {base}, not a whole model."),
                N_("Merge it into its base model first, then serve the result."),
                model=card.name,
                base=card.adapter_of,
            )
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
            return ModelError(
                "model_quantization_unsupported",
                N_("'{model}' is quantized with {method}, which the engine '{engine}' cannot load."),
                N_("Serve it with another engine, or choose the model before it was quantized."),
                model=card.name,
                method=method,
                engine=self.name,
            )
        return None

    def server_argv(self, plan: Path) -> list[str]:
        return [sys.executable, "-m", "jobs.serving.engine", str(plan)]

    def memory_bytes(self, card: ModelCard, context_tokens: int) -> dict[str, int]:
        return {
            "weights": card.size_bytes,
            "kv_cache": (card.kv_bytes_per_token or 0) * context_tokens,
            "runtime": RUNTIME_BYTES,
        }


def needs_consent(card: ModelCard) -> ModelError:
    """Why a model with program code of its own does not start before a person allowed exactly that code."""
    return ModelError(
        "model_needs_code",
        N_("'{model}' runs program code from its own folder, and nobody has allowed that: {files}."),
        N_(
            "Look at these files and allow them in the model's details on the Models page, or use another version of it."
        ),
        model=card.name,
        files=", ".join(f"{file.name} ({size_text(file.size)})" for file in card.code_files),
    )
