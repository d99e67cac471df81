"""Reasons why a model cannot be served that several engines share."""

from __future__ import annotations

from backend.catalog.cards import ModelCard
from backend.catalog.files import size_text
from backend.errors import ModelError, PanelError
from backend.i18n import N_


def unusable(card: ModelCard) -> PanelError | None:
    """It is broken, or no whole model."""
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
    return None


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


def unknown_quantization(card: ModelCard, method: str, engine: str) -> ModelError:
    """The engine cannot load weights that are quantized like this."""
    return ModelError(
        "model_quantization_unsupported",
        N_("'{model}' is quantized with {method}, which the engine '{engine}' cannot load."),
        N_("Serve it with another engine, or choose the model before it was quantized."),
        model=card.name,
        method=method,
        engine=engine,
    )
