"""Write what the pinned transformers loads with code of its own: `python scripts/native_architectures.py [--check]`.

The panel imports no transformers, yet says whether a model needs the program code of its folder: it reads this list.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "backend" / "catalog" / "native.json"
TASKS = ("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SEQ_TO_SEQ_CAUSAL_LM")
"""Mappings of ``transformers.models.auto.modeling_auto`` whose classes write text."""


def text() -> str:
    """The file's content: one model type a line, so that a new version shows as a readable difference."""
    import transformers
    from transformers.models.auto import modeling_auto, tokenization_auto

    models: dict[str, set[str]] = {}
    for task in TASKS:
        mapping: dict[str, Any] = getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES")
        for model_type, classes in mapping.items():
            models.setdefault(model_type, set()).update([classes] if isinstance(classes, str) else classes)
    stems = {str(name).removesuffix("Fast") for name in tokenization_auto.TOKENIZER_MAPPING_NAMES.values() if name}
    lines = (f"{json.dumps(key)}: {json.dumps(sorted(classes))}" for key, classes in sorted(models.items()))
    tokenizers = (json.dumps(stem) for stem in sorted({*stems, "PreTrainedTokenizer"}))
    return (
        f'{{\n"transformers": {json.dumps(transformers.__version__)},\n'
        f'"models": {{\n{_listed(lines)}\n}},\n"tokenizers": [\n{_listed(tokenizers)}\n]\n}}\n'
    )


def _listed(items: Iterable[str]) -> str:
    return ",\n".join(items)


def main() -> int:
    """Write the file; with ``--check`` say whether it is what the installed transformers gives."""
    if "--check" in sys.argv[1:]:
        true = FILE.read_text(encoding="utf-8") == text()
        print("true" if true else f"{FILE.name} is not what this transformers gives: run {Path(__file__).name}")
        return 0 if true else 1
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
