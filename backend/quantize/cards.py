"""The model card of a smaller copy: README.md beside the weights, as hubs read it.

In English, whatever language the panel speaks: it travels with the model. It says what was measured and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.catalog.files import size_text
from backend.finetune.cards import KNOWN_LICENSES, MADE_BY
from backend.quantize.methods import KINDS
from backend.specs.quantize import QuantizeSpec

__all__ = ["MADE_BY", "Told", "model_card"]
SHOWN = ("method", "group_size", "symmetric", "calibration", "samples", "sample_tokens", "seed")
LOOKING = ("samples", "sample_tokens", "seed")
ENGINES = {"llmcompressor": "llm-compressor", "lmdeploy": "LMDeploy"}


@dataclass(frozen=True)
class Told:
    """What a card is made of. base: as people call it, and base_hub its name on a hub (``org/name``), empty where nobody knows.
    license: of the base. engine: ``llmcompressor`` or ``lmdeploy``. source: of the calibration rows, empty for none. template:
    fingerprint of the template contract. check: :meth:`jobs.quantizing.checking.Checked.to_dict`."""

    name: str
    base: str
    base_hub: str
    license: str
    spec: QuantizeSpec
    engine: str
    source: str
    template: str
    check: Mapping[str, Any] = field(default_factory=dict)


def model_card(told: Told) -> str:
    """README.md of the copy."""
    parts = [
        _front(told),
        f"# {_line(told.name)}",
        _what(told),
        _measured(told),
        _use(told),
        _settings(told),
        _rights(told),
    ]
    return "\n\n".join(parts) + "\n"


def _front(told: Told) -> str:
    named = told.license.casefold()
    lines = [f"license: {named if named in KNOWN_LICENSES else 'other'}"] if named else []
    if named and named not in KNOWN_LICENSES:
        lines.append(f"license_name: {json.dumps(told.license, ensure_ascii=False)}")
    if told.base_hub:
        lines += [f"base_model: {told.base_hub}", "base_model_relation: quantized"]
    kind = KINDS[told.spec.method]
    lines += ["library_name: transformers", "pipeline_tag: text-generation"]
    lines.append(f"tags: {json.dumps(['tunedeck', kind.format, f'{kind.bits}-bit'])}")
    return "\n".join(["---", *lines, "---"])


def _what(told: Told) -> str:
    kind = KINDS[told.spec.method]
    rows = {"": "without calibration rows", "bundled": f"calibrated with texts that come with {MADE_BY}"}
    looked = rows.get(told.source, f"calibrated with rows of the dataset `{_line(told.source)}`")
    return (
        f"`{_line(told.base)}` with its weights in {kind.bits} bits: {kind.title}, {looked}. "
        f"Made with {MADE_BY} and {ENGINES[told.engine]}; the format is `{kind.format}`."
    )


def _measured(told: Told) -> str:
    check = told.check
    return (
        "## What it costs\n\n"
        f"- weights: {size_text(check['bytes_before'])} became {size_text(check['bytes_after'])}\n"
        f"- on {check['tokens']} tokens of the check when it was made: {check['divergence']:.4f} nats a token away from its base (KL "
        f"divergence), the same likeliest next token after {check['agreement']:.1%} of them\n\n"
        "That is a check on few tokens, and no measurement of its quality."
    )


def _use(told: Told) -> str:
    asked = json.dumps([{"role": "user", "content": "Who are you?"}])
    if KINDS[told.spec.method].format == "compressed-tensors":
        code = f"""```python
from transformers import pipeline  # with the package compressed-tensors

chat = pipeline("text-generation", model="path/to/this/folder")
print(chat({asked}, max_new_tokens=200)[0]["generated_text"][-1])
```"""
    else:
        form = " --model-format awq" if told.spec.method == "awq" else " --backend pytorch"
        code = f"Served by LMDeploy on an NVIDIA GPU:\n\n    lmdeploy serve api_server path/to/this/folder{form}"
    kept = (
        f"Its chat template, special tokens and ends are those of its base, with the fingerprint `{told.template}`; "
        "`training.json` holds a copy."
    )
    return f"## Use\n\n{code}\n\n{kept}"


def _settings(told: Told) -> str:
    fields, kind = QuantizeSpec.model_fields, KINDS[told.spec.method]
    skipped = {*(() if kind.grouped else ("group_size", "symmetric")), *(() if told.source else LOOKING)}
    rows = [f"| {fields[name].title} | `{getattr(told.spec, name)}` |" for name in SHOWN if name not in skipped]
    return "\n".join(["## Settings", "", "| setting | value |", "|---|---|", *rows])


def _rights(told: Told) -> str:
    named = f"`{_line(told.license)}`" if told.license else "not stated in its folder"
    return f"## Licence\n\nThat of the base, which is {named}; its terms hold for this copy, too."


def _line(text: str) -> str:
    """``text`` where Markdown has one line of code: without line breaks and backticks."""
    return " ".join(text.split()).replace("`", "'")
