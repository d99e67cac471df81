"""Reasons why something cannot be done that several engines share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.catalog.cards import ModelCard
from backend.catalog.files import size_text
from backend.catalog.joining import base_missing, template_changed
from backend.errors import ModelError, PanelError, ServerError
from backend.i18n import N_
from backend.workspace import Workspace, default_root

if TYPE_CHECKING:
    from backend.engines.base import Engine


def not_generative(card: ModelCard) -> ModelError:
    """Its architecture writes no text."""
    return ModelError(
        "model_not_generative",
        N_("'{model}' ({architecture}) does not write text, so there is nothing to chat with."),
        N_("Choose a text generation model; its config.json names a class that ends in ForCausalLM."),
        model=card.name,
        architecture=card.architecture or "?",
    )


def unusable(card: ModelCard, *, adapters: bool = False) -> PanelError | None:
    """It is broken, its chat template is not the one it was taught with, or it is an adapter that does not fit its base, or one
    at all where the engine puts none on a base by itself (``adapters``: it does)."""
    if card.problem is not None:
        return card.problem
    if not card.adapter_of:
        return template_changed(card)
    if card.base is None or card.unfit is not None:
        return card.unfit or base_missing(card)
    if not adapters:
        return ModelError(
            "model_is_adapter",
            N_("'{model}' is an adapter for {base}, not a whole model."),
            N_("Serve its base with this adapter among its adapters, or serve it with the engine transformers."),
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


def not_installed(engine: Engine) -> PanelError | None:
    """No program can be started in the environment of ``engine``; None where one can. Starts none."""
    from backend.envs import places  # that package asks the engines

    found = places.status(Workspace(default_root()), engine.name)
    if found.usable:
        return None
    return found.problem or ServerError(
        "engine_missing_environment",
        N_("{engine} is not installed here."),
        N_("Install it on the Environments page, or with: make engines NAME={name}"),
        engine=engine.title,
        name=engine.name,
    )
