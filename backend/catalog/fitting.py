"""Whether an adapter (LoRA) fits a base model, told from its settings and from the headers of both.

Covered: kinds and tasks that are not served, weights of another file format, a base of another architecture or size, a
base with another vocabulary, ranks that contradict the settings, more tokens in the adapter's tokenizer than in the base.
Not covered: a base of the same shapes with other weights, such as another version of the same model.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.catalog.cards import ModelCard
from backend.catalog.files import read_object, read_optional
from backend.catalog.quantization import number
from backend.catalog.weights import read_header, read_headers
from backend.errors import ModelError, PanelError
from backend.i18n import N_

WEIGHTS = "adapter_model.safetensors"
TASKS = ("", "CAUSAL_LM")
Shape = tuple[int, ...]
Lora = dict[str, Shape]
"""The two matrices on one module: ``A`` is rank x in, ``B`` is out x rank."""

_PART = re.compile(r"(?P<module>.+)\.(?P<part>lora_(?:embedding_)?[AB])(?:\.weight)?")
_WRAPPERS = re.compile(r"\.(?:base_layer|modules_to_save|original_module)\b")
_LAYER = re.compile(r"(?:^|\.)((?:layers|h|blocks?)\.\d+\..+)$")
# What the same matrix is called in quantized files; its shape there says nothing.
_PACKED = (".qweight", ".weight_packed", ".qzeros", ".scales", ".weight_scale", ".weight_format")
_BASES_KEPT = 8
_bases: dict[Path, tuple[ModelCard, dict[str, list[Shape | None]]]] = {}


def misfit(adapter: ModelCard, base: ModelCard) -> PanelError | None:
    """Why ``adapter`` cannot be put on top of ``base``; None where nothing in their headers speaks against it.

    Raises:
        ModelError: a file of either that cannot be read.
    """
    if base.problem is not None:
        return ModelError(
            "adapter_base_unusable",
            N_("'{model}' is an adapter of '{base}', which cannot be used: {problem}"),
            N_("Mend its base first; its card on the Models page says how."),
            model=adapter.name,
            base=base.name,
            problem=str(base.problem),
        )
    settings = read_object(adapter.path / "adapter_config.json")
    kind, task = str(settings.get("peft_type") or "LORA").upper(), str(settings.get("task_type") or "").upper()
    if kind != "LORA":
        return ModelError(
            "adapter_kind_unknown",
            N_("'{model}' is an adapter of the kind {kind}; the engines here serve LoRA adapters."),
            N_("Merge it into its base with the program that made it, and put the result on the list."),
            model=adapter.name,
            kind=kind,
        )
    if task not in TASKS:
        return ModelError(
            "adapter_task",
            N_("'{model}' was trained for the task {task}, so it does not write text."),
            N_("Choose an adapter whose adapter_config.json says CAUSAL_LM as task_type."),
            model=adapter.name,
            task=task,
        )
    if not (adapter.path / WEIGHTS).is_file():
        return ModelError(
            "adapter_no_weights",
            N_("'{model}' has no {file}, the file that holds what an adapter has learned."),
            N_("Copy the whole folder of the adapter again."),
            model=adapter.name,
            file=WEIGHTS,
        )
    return _shapes_differ(adapter, base, settings)


def spare_tokens(adapter: ModelCard) -> PanelError | None:
    """Why the tokenizer that ``adapter`` brings along does not fit its base; None where it does. Reads that tokenizer,
    which takes up to half a second for a large one."""
    base = adapter.base
    if base is None or not adapter.own_tokenizer or not base.vocab_size:
        return None
    file = adapter.path / "tokenizer.json"
    stat = file.stat() if file.is_file() else None
    tokens = _tokens(adapter.path, stat.st_mtime_ns if stat else 0)
    return _vocabulary(adapter, base, tokens, base.vocab_size) if tokens > base.vocab_size else None


@lru_cache(maxsize=64)
def _tokens(folder: Path, _mtime_ns: int) -> int:
    """How many tokens the tokenizer in ``folder`` knows, the highest id plus one."""
    tokenizer = read_optional(folder / "tokenizer.json")
    added = tokenizer.get("added_tokens")
    ids = [one.get("id") for one in added if isinstance(one, dict)] if isinstance(added, list) else []
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        ids += vocabulary.values()
    elif isinstance(vocabulary, list):
        ids.append(len(vocabulary) - 1)
    ids += read_optional(folder / "added_tokens.json").values()
    decoder = read_optional(folder / "tokenizer_config.json").get("added_tokens_decoder")
    ids += [int(key) for key in decoder if str(key).isdecimal()] if isinstance(decoder, dict) else []
    return max((one for one in ids if isinstance(one, int)), default=-1) + 1


def _shapes_differ(adapter: ModelCard, base: ModelCard, settings: dict[str, Any]) -> PanelError | None:
    loras, whole = _read(adapter.path / WEIGHTS)
    there = _base_shapes(base)
    pattern = settings.get("rank_pattern")
    ranks = {number(settings.get("r")), *map(number, pattern.values() if isinstance(pattern, dict) else ())}
    absent = [name for name in (*loras, *whole) if not _found(there, name)]
    if absent:
        return ModelError(
            "adapter_other_architecture",
            N_(
                "'{model}' was trained on a model with {module}, and its base '{base}' ({architecture}) has no such part."
            ),
            N_("Another model was meant by {wanted}. Put that one on the list, under the name {name}."),
            model=adapter.name,
            module=absent[0],
            base=base.name,
            architecture=base.architecture,
            wanted=adapter.adapter_of,
            name=Path(adapter.adapter_of).name,
        )
    for name, lora in loras.items():
        a, b = lora.get("A", ()), lora.get("B", ())
        if len(a) != 2 or len(b) != 2:
            continue  # convolutions: peft itself compares them
        if a[0] != b[1] or (ranks != {None} and a[0] not in ranks):
            return ModelError(
                "adapter_rank_wrong",
                N_(
                    "The files of '{model}' do not belong together: its settings say rank {said}, its weights have rank {ranks} at {module}."
                ),
                N_("Copy the whole folder of the adapter again: files of two of them may be mixed."),
                model=adapter.name,
                said=", ".join(str(rank) for rank in ranks),
                ranks=f"{a[0]}" if a[0] == b[1] else f"{a[0]} / {b[1]}",
                module=name,
            )
        problem = _compared(adapter, base, name, (b[0], a[1]), _found(there, name))
        if problem is not None:
            return problem
    for name, shape in whole.items():
        problem = _compared(adapter, base, name, shape, _found(there, name))
        if problem is not None:
            return problem
    return None


def _read(file: Path) -> tuple[dict[str, Lora], dict[str, Shape]]:
    """(module -> LoRA on it, module -> shape of a whole copy of its weight) in an adapter's file."""
    loras: dict[str, Lora] = {}
    whole: dict[str, Shape] = {}
    for name, entry in read_header(file).items():
        plain = _WRAPPERS.sub("", name.removeprefix("base_model.model."))
        shape = tuple(entry["shape"])
        found = _PART.fullmatch(plain)
        if found:
            loras.setdefault(found["module"], {})[found["part"][-1]] = shape
        elif plain.endswith(".weight") and len(shape) == 2:
            whole[plain.removesuffix(".weight")] = shape
    return loras, whole


def _base_shapes(base: ModelCard) -> dict[str, list[Shape | None]]:
    """Part of a base -> shapes of the matrices called so; None for one that is packed. What stands before the layer is
    left out of a name: files and programs do not agree about it."""
    known = _bases.get(base.path)
    if known is None or known[0] is not base:
        found: dict[str, list[Shape | None]] = {}
        for name, entry in read_headers(base.path).items():
            packed = next((end for end in _PACKED if name.endswith(end)), "")
            if packed or name.endswith(".weight"):
                shape = None if packed or base.quantization else tuple(entry["shape"])
                found.setdefault(_short(name.removesuffix(packed or ".weight")), []).append(shape)
        while len(_bases) >= _BASES_KEPT:
            _bases.pop(next(iter(_bases)))
        known = _bases[base.path] = (base, found)
    return known[1]


def _short(module: str) -> str:
    found = _LAYER.search(module)
    return found[1] if found else module.rsplit(".", 1)[-1]


def _found(there: dict[str, list[Shape | None]], module: str) -> list[Shape | None]:
    short = _short(module)
    if short == "lm_head" and short not in there:  # tied: one matrix for both ends
        return there.get("embed_tokens", []) or there.get("wte", [])
    if "expert" in short and short not in there:  # stored one by one or in one piece, as the version likes
        return [None]
    return there.get(short, [])


def _compared(
    adapter: ModelCard, base: ModelCard, module: str, shape: Shape, there: list[Shape | None]
) -> PanelError | None:
    """Whether one of the matrices ``there`` has ``shape``, either way round: GPT-2 and an embedding store theirs turned."""
    if None in there or any(one in (shape, shape[::-1]) for one in there):
        return None
    other = next(one for one in there if one is not None)
    ends = _short(module) in ("embed_tokens", "lm_head", "wte")
    if ends and set(shape) & set(other):
        width = (set(shape) & set(other)).pop()
        return _vocabulary(adapter, base, _rest(shape, width), _rest(other, width))
    return ModelError(
        "adapter_other_size",
        N_("'{model}' does not fit its base '{base}': {module} is {theirs} there, and the adapter is made for {ours}."),
        N_(
            "It was trained on a model of another size. Put that one on the list, under the name {name}, and look that "
            "nothing else has it."
        ),
        model=adapter.name,
        base=base.name,
        module=module,
        theirs=" x ".join(map(str, other)),
        ours=" x ".join(map(str, shape)),
        name=Path(adapter.adapter_of).name,
    )


def _rest(shape: Shape, width: int) -> int:
    return shape[0] if shape[-1] == width else shape[-1]


def _vocabulary(adapter: ModelCard, base: ModelCard, ours: int, theirs: int) -> ModelError:
    return ModelError(
        "adapter_vocabulary",
        N_("'{model}' was trained with a vocabulary of {ours} tokens, and its base '{base}' has {theirs}."),
        N_(
            "Its base was given more tokens before the training. Put that enlarged model on the list as its base, or use "
            "the merged model."
        ),
        model=adapter.name,
        base=base.name,
        ours=ours,
        theirs=theirs,
    )
