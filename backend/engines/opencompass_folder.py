"""A model's folder as OpenCompass's own transformers (4.57) loads it: the folder itself, or one of links in which the tokenizer says what it is in older words.

A tokenizer that transformers 5 saved names a class that older ones do not know, and lists its extra tokens in another form. Its vocabulary is the same,
and its chat template is kept: it decides what the model sees.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from backend.errors import ModelError
from backend.i18n import N_
from backend.workspace import read_json

FILE = "tokenizer_config.json"
NEWER = ("TokenizersBackend",)
DROPPED = ("tokenizer_class", "backend", "is_local", "auto_map", "local_files_only")


def loadable(model: Path, folder: Path) -> Path:
    """``model``, or where its tokenizer is of a newer kind ``folder``, which is made anew.

    Raises:
        ModelError: ``opencompass_no_model``: there is no such folder.
    """
    if not (model / "config.json").is_file():
        raise ModelError(
            "opencompass_no_model",
            N_("OpenCompass loads models from a folder, and there is none of '{model}' here."),
            N_("Take the route by a server, or name a model of the list."),
            model=model.name,
        )
    config = read_json(model / FILE)
    config = config if isinstance(config, dict) else {}
    if not _newer(config) or not (model / "tokenizer.json").is_file():
        return model
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in model.iterdir():
        if file.name != FILE:
            (folder / file.name).symlink_to(file.resolve())
    (folder / FILE).write_text(json.dumps(_older(config), ensure_ascii=False), encoding="utf-8")
    return folder


def _newer(config: dict[str, Any]) -> bool:
    return config.get("tokenizer_class") in NEWER or isinstance(config.get("extra_special_tokens"), list)


def _older(config: dict[str, Any]) -> dict[str, Any]:
    made = {name: value for name, value in config.items() if name not in DROPPED}
    extra = made.pop("extra_special_tokens", None)
    if isinstance(extra, list):
        made.setdefault("additional_special_tokens", extra)
    elif extra is not None:
        made["extra_special_tokens"] = extra
    return {"tokenizer_class": "PreTrainedTokenizerFast", **made}
