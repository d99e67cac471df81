"""Why a folder is no model: what people give instead of one, each with a sentence of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backend.catalog.weights import gguf
from backend.errors import ModelError
from backend.i18n import N_


def check_folder(folder: Path) -> None:
    """
    Raises:
        ModelError: ``folder`` is no folder; which of the things that people give instead, is said.
    """
    if folder.is_dir():
        return
    if folder.is_file():
        if folder.suffix == ".gguf":
            raise gguf(folder)
        raise ModelError(
            "model_is_file",
            N_("{file} is a single file; a model is a folder, with config.json and a tokenizer beside the weights."),
            N_("Give the folder that the file lies in: {folder}"),
            file=str(folder),
            folder=str(folder.parent),
        )
    if folder.is_symlink():
        raise ModelError(
            "model_link_broken",
            N_("{folder} is a link to {target}, and there is no folder."),
            N_("Point the link to where the model is now, or give that folder."),
            folder=str(folder),
            target=str(folder.readlink()),
        )
    raise ModelError(
        "model_missing",
        N_("There is no model folder at {folder}."),
        N_("Check the path. A model is a folder that holds config.json and *.safetensors files."),
        folder=str(folder),
    )


def no_config(folder: Path) -> ModelError:
    """Why ``folder``, which has no ``config.json``, is no model."""
    names = sorted(f.name for f in folder.iterdir() if not f.name.startswith("."))
    if not names:
        return ModelError(
            "model_empty",
            N_("The folder {folder} is empty."),
            N_("The copy or download may not have begun. Choose the folder that holds config.json and *.safetensors."),
            folder=str(folder),
        )
    ggufs = [name for name in names if name.endswith(".gguf")]
    if ggufs and not any(name.endswith(".safetensors") for name in names):
        return gguf(folder / ggufs[0])
    inside = next(_models_below(folder), None)
    if inside is not None:
        return ModelError(
            "model_below",
            N_("{folder} is not a model itself, but {example} in it is one."),
            N_("Give that folder; 'models scan' finds all models below a folder."),
            folder=str(folder),
            example=str(inside),
        )
    return ModelError(
        "model_no_config",
        N_("{folder} is not a model: there is no config.json in it."),
        N_("Choose the folder that holds config.json and the *.safetensors files."),
        folder=str(folder),
    )


def _models_below(folder: Path) -> Iterator[Path]:
    """Folders with a config one level below ``folder``, or where the Hugging Face cache keeps them."""
    for pattern in ("*/config.json", "*/adapter_config.json", "snapshots/*/config.json"):
        yield from sorted(file.parent for file in folder.glob(pattern))
