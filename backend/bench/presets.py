"""Ready-made matrices: the homework of the course, a model beside its smaller copies, more and more people, and a table of one's own.

Labels of set-ups are names (of engines, formats, flags), the same in every language: they stand in files that people hand on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from backend import catalog
from backend.bench.matrix import copies
from backend.catalog import ModelCard
from backend.catalog.names import legal_name
from backend.errors import NotFoundError
from backend.i18n import N_
from backend.specs.bench import MOST_SETUPS, SetUp, Size
from backend.workspace import Workspace

ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "turbomind": ("TurboMind", {"engine": "lmdeploy", "backend": "turbomind"}),
    "pytorch": ("LMDeploy PyTorch", {"engine": "lmdeploy", "backend": "pytorch"}),
    "transformers": ("Hugging Face", {"engine": "transformers"}),
    "together": ("Hugging Face batching", {"engine": "transformers", "continuous_batching": "on"}),
}
"""Name -> (how a row is called, fields of the server)."""
LMDEPLOY = ("turbomind", "pytorch")
"""Only these know KV bits and a share for the cache."""
HOMEWORK = (Size(batch=1, input_tokens=512, output_tokens=128), Size(batch=8, input_tokens=2048, output_tokens=128))
ONE_AND_MANY = (Size(batch=1, input_tokens=256, output_tokens=128), Size(batch=8, input_tokens=256, output_tokens=128))
CROWD = tuple(Size(batch=batch, input_tokens=256, output_tokens=64) for batch in (1, 2, 4, 8, 16))
CACHE_SHARES = (0.8, 0.5, 0.01)
"""As in the notes of the course, which measured how memory goes with them."""


@dataclass(frozen=True)
class Preset:
    """title, description: for people. sizes: what is measured of each row."""

    name: str
    title: str
    description: str
    sizes: tuple[Size, ...]
    rows: Callable[[ModelCard, Sequence[ModelCard]], list[SetUp]]


def _homework(card: ModelCard, models: Sequence[ModelCard]) -> list[SetUp]:
    four = four_bit(card, models)
    _title, base = ENGINES["turbomind"]
    return [
        SetUp(label="TurboMind", serve={"model": card.name, **base}),
        SetUp(label="TurboMind + W4A16", serve={"model": four, **base}),
        SetUp(label="TurboMind + KV int8", serve={"model": card.name, **base, "quant_policy": 8}),
        SetUp(label="TurboMind + W4A16 + KV int8", serve={"model": four, **base, "quant_policy": 8}),
        SetUp(label="Hugging Face", serve={"model": card.name, **ENGINES["transformers"][1]}),
    ]


def _copies(card: ModelCard, models: Sequence[ModelCard]) -> list[SetUp]:
    found = [card, *copies(models, card)]
    return [SetUp(label=one.name, serve={"model": one.name}) for one in found[:MOST_SETUPS]]


def _people(card: ModelCard, models: Sequence[ModelCard]) -> list[SetUp]:
    names = ("transformers", "together", "turbomind", "pytorch")
    return [SetUp(label=ENGINES[name][0], serve={"model": card.name, **ENGINES[name][1]}) for name in names]


def _cache(card: ModelCard, models: Sequence[ModelCard]) -> list[SetUp]:
    return table([card.name], ["turbomind"], shares=CACHE_SHARES)


PRESETS: dict[str, Preset] = {
    one.name: one
    for one in (
        Preset(
            "course",
            N_("The course's five set-ups"),
            N_("TurboMind, with 4-bit weights, with a quantized KV cache, with both; and Hugging Face beside it."),
            HOMEWORK,
            _homework,
        ),
        Preset(
            "copies",
            N_("This model and its copies"),
            N_("The model beside every smaller copy that was made of it."),
            ONE_AND_MANY,
            _copies,
        ),
        Preset(
            "people",
            N_("More and more people"),
            N_("Each engine with 1 to 16 people at once: which one, and how many it carries."),
            CROWD,
            _people,
        ),
        Preset(
            "cache",
            N_("Shares of the KV cache"),
            N_("TurboMind with a large, a middle and a tiny KV cache: what the memory buys."),
            ONE_AND_MANY,
            _cache,
        ),
    )
}


def build(workspace: Workspace, name: str, model: str) -> dict[str, Any]:
    """Fields of the :class:`backend.specs.bench.BenchMatrixSpec` of preset ``name`` for ``model``.

    Raises:
        NotFoundError: ``bench_preset_unknown``; no such model.
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise NotFoundError(
            "bench_preset_unknown",
            N_("There is no preset called '{preset}'."),
            N_("It is one of: {known}."),
            preset=name,
            known=", ".join(PRESETS),
        )
    card = catalog.find(workspace, model)
    return {
        "preset": preset.name,
        "setups": [one.model_dump() for one in preset.rows(card, catalog.models(workspace))],
        "sizes": [size.model_dump() for size in preset.sizes],
    }


def four_bit(card: ModelCard, models: Sequence[ModelCard]) -> str:
    """The newest 4-bit copy of ``card``, an AWQ one first; where there is none, the name that the Quantize page
    gives a new one."""
    found = [one for one in copies(models, card) if one.quantization_bits == 4]
    best = next((one for one in found if one.quantization_method == "awq"), found[0] if found else None)
    return best.name if best else legal_name(f"{card.name} awq 4bit")


def table(
    models: Sequence[str],
    engines: Sequence[str],
    *,
    kv_bits: Sequence[int] = (0,),
    shares: Sequence[float] = (),
    contexts: Sequence[int] = (),
) -> list[SetUp]:
    """Every combination, each once: transformers knows neither KV bits nor a share. At most :data:`MOST_SETUPS`."""
    found: dict[str, SetUp] = {}
    for model, engine, bits, share, context in product(models, engines, kv_bits, shares or (0.0,), contexts or (0,)):
        title, fields = ENGINES[engine]
        serve: dict[str, Any] = {"model": model, **fields}
        words = [title, *([model] if len(models) > 1 else [])]
        if engine in LMDEPLOY and bits:
            serve["quant_policy"] = bits
            words.append(f"KV int{bits}")
        if engine in LMDEPLOY and share:
            serve["cache_max_entry_count"] = share
            words.append(f"cache {share:g}")
        if context:
            serve["context_length"] = context
            words.append(f"context {context}")
        label = " + ".join(words)
        found.setdefault(label, SetUp(label=label, serve=serve))
    return list(found.values())[:MOST_SETUPS]
