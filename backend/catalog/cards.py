"""What one model folder is: everything a page wants to say about it, without loading it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from backend.catalog.code import CodeFile, code_files, code_fingerprint, loads_without_code
from backend.catalog.config import described, kv_bytes_per_token
from backend.catalog.files import read_object, unreadable
from backend.catalog.license import read_license
from backend.catalog.lineage import Lineage, parse, read_lineage
from backend.catalog.no_model import check_folder, no_config
from backend.catalog.quantization import number, read_quantization
from backend.catalog.template import TOKENIZER_FILES, read_template
from backend.catalog.weights import pickled_files, read_weights
from backend.errors import ModelError, PanelError

MOST_FILES = 20_000
"""Counting the size of a folder ends here: a data folder given by mistake must not hold the page up."""


@dataclass(frozen=True)
class ModelCard:
    """One model, or one folder that was thought to be one.

    name: what people call it. path: its folder. architecture: the class in ``config.json``, such as
    ``LlamaForCausalLM``. parameters: number of weights, counted unpacked. dtype: of most weight bytes, such as
    ``float16``. context_length: tokens, rope scaling included. quantization: such as ``awq 4 bit``; empty for none;
    quantization_method, _bits (0: not said) and _group_size (None: a whole row, or not said) are its parts.
    size_bytes: of the weight files; tensor_bytes: of the tensors in them; folder_bytes: of all files in the folder.
    chat_template: it can take a conversation; templates: names of all of them, the default first.
    template_fingerprint: see :mod:`backend.catalog.template`; template_chosen: key of the known template that a person
    gave it, since its tokenizer has none. tools: it can call tools. vision, audio: it also sees or
    hears. adapter_of: the base model that this adapter (peft) belongs to, ``?`` where it does not say; empty for a
    whole model. adapter_rank: of a LoRA. own_tokenizer: it brings along the tokenizer that it was trained with. base: the
    model on the list that it is put on top of; unfit: why it cannot be. code_files, code_fingerprint: program code that its configs name, see
    :mod:`backend.catalog.code`; needs_code: it does not load without; code_allowed: a person consented to exactly that.
    pickled: weight files in pickle format that lie beside and are never loaded. license: such as ``apache-2.0``, or the
    name of the file to read. lineage: what made it. kv_bytes_per_token: memory that one token of a running
    conversation takes, at the weights' dtype. builtin: shipped with TuneDeck. made_by: number of the job that made it.
    problem: why it cannot be used.
    """

    name: str
    path: Path
    architecture: str = ""
    model_type: str = ""
    parameters: int | None = None
    dtype: str = ""
    context_length: int | None = None
    quantization: str = ""
    quantization_method: str = ""
    quantization_bits: int = 0
    quantization_group_size: int | None = None
    size_bytes: int = 0
    tensor_bytes: int = 0
    folder_bytes: int = 0
    chat_template: bool = False
    templates: tuple[str, ...] = ()
    template_fingerprint: str = ""
    template_chosen: str = ""
    tools: bool = False
    vision: bool = False
    audio: bool = False
    adapter_of: str = ""
    adapter_rank: int | None = None
    own_tokenizer: bool = False
    needs_code: bool = False
    code_files: tuple[CodeFile, ...] = ()
    code_fingerprint: str = ""
    code_allowed: bool = False
    pickled: tuple[str, ...] = ()
    license: str = ""
    lineage: Lineage | None = None
    layers: int | None = None
    hidden_size: int | None = None
    vocab_size: int | None = None
    kv_bytes_per_token: int | None = None
    builtin: bool = False
    made_by: int | None = None
    problem: PanelError | None = field(default=None, compare=False)
    base: ModelCard | None = field(default=None, compare=False)
    unfit: PanelError | None = field(default=None, compare=False)

    @property
    def served(self) -> ModelCard:
        """What answers when it is served: itself; for an adapter its base with the adapter on top, under its own name."""
        if self.base is None:
            return self
        own = self if self.own_tokenizer and self.chat_template else self.base
        taken: dict[str, Any] = {name: getattr(self, name) for name in _OF_ADAPTER}
        taken |= {name: getattr(own, name) for name in _OF_TEMPLATE}
        taken |= {name: (getattr(self, name) or 0) + (getattr(self.base, name) or 0) for name in _SUMS}
        return replace(self.base, **taken, builtin=False)

    @property
    def template_differs(self) -> bool:
        """It is an adapter whose own chat template, special tokens or ends are others than those of its base."""
        own = self.base is not None and self.own_tokenizer and self.chat_template
        return bool(own and self.base and self.base.template_fingerprint != self.template_fingerprint)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` takes it back, but for ``base`` (its name here) and ``unfit``, which the list says."""
        data = {**asdict(replace(self, problem=None, base=None, unfit=None)), "path": str(self.path)}
        problems = {name: found.to_dict() if (found := getattr(self, name)) else None for name in ("problem", "unfit")}
        return {**data, **problems, "base": self.base.name if self.base else ""}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelCard:
        """The card that :meth:`to_dict` wrote; unknown keys are ignored."""
        known = {k: v for k, v in data.items() if k in FIELDS and k not in ("base", "unfit")}
        problem = known.get("problem")
        known["problem"] = PanelError.from_dict(problem) if isinstance(problem, dict) else None
        known["lineage"] = parse(known.get("lineage"))
        known["code_files"] = tuple(CodeFile(**file) for file in known.get("code_files") or ())
        for name in ("templates", "pickled"):
            known[name] = tuple(known.get(name) or ())
        return cls(**{**known, "path": Path(known["path"])})


FIELDS = frozenset(f.name for f in fields(ModelCard))
_OF_ADAPTER = (
    "name",
    "path",
    "adapter_of",
    "adapter_rank",
    "own_tokenizer",
    "license",
    "lineage",
    "made_by",
    "pickled",
    "problem",
    "base",
    "unfit",
)
_OF_TEMPLATE = ("chat_template", "templates", "template_fingerprint", "template_chosen", "tools")
_SUMS = ("parameters", "size_bytes", "tensor_bytes")


def card(path: Path | str, name: str = "") -> ModelCard:
    """The card of the folder ``path``. Never raises for a bad folder: it says so in ``problem``."""
    folder = Path(path).expanduser().absolute()
    found = ModelCard(name=name or folder.name, path=folder)
    try:
        check_folder(folder)
        found = replace(found, lineage=read_lineage(folder), folder_bytes=folder_bytes(folder))
        return _read(found)
    except ModelError as error:
        return replace(_outline(found), problem=error)
    except OSError as error:
        return replace(found, problem=unreadable(folder, error))


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below ``folder``, a linked file counted with what it points to, linked folders left out."""
    total, seen = 0, 0
    waiting = [str(folder)]
    while waiting and seen < MOST_FILES:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file():
                        total += entry.stat().st_size
        except OSError:
            continue  # a part that may not be read; the card itself says so where it matters
    return total


def _outline(found: ModelCard) -> ModelCard:
    """What a broken model still tells about itself."""
    try:
        if is_adapter(found.path):
            return _with_settings(found, read_object(found.path / "adapter_config.json"))
        config = read_object(found.path / "config.json")
        found = replace(found, **described(config))
        return _with_config(found, config)
    except (ModelError, OSError):
        return found


def _read(found: ModelCard) -> ModelCard:
    folder = found.path
    if is_adapter(folder):
        return _adapter(found)
    if not (folder / "config.json").is_file():
        raise no_config(folder)
    config = read_object(folder / "config.json")
    found = _with_config(found, config)
    quantization = read_quantization(folder, config)
    weights = read_weights(folder, quantization)
    template = read_template(folder, config)
    return replace(
        found,
        parameters=weights.parameters,
        dtype=weights.dtype if not quantization.method else found.dtype or weights.dtype,
        size_bytes=weights.size_bytes,
        tensor_bytes=weights.tensor_bytes,
        context_length=found.context_length or template.model_max_length,
        chat_template=template.present,
        templates=template.names,
        template_fingerprint=template.fingerprint,
        tools=template.tools,
        kv_bytes_per_token=kv_bytes_per_token(config, weights.dtype),
    )


def _with_config(found: ModelCard, config: dict[str, Any]) -> ModelCard:
    """``found`` with everything that takes no weights and no tokenizer."""
    quantization = read_quantization(found.path, config)
    found = replace(
        found,
        **described(config),
        quantization=quantization.label,
        quantization_method=quantization.method,
        quantization_bits=quantization.bits,
        quantization_group_size=quantization.group_size,
        license=read_license(found.path, config),
        pickled=tuple(pickled_files(found.path)),
    )
    code = code_files(found.path)
    needed = bool(code) and not loads_without_code(found.path)
    return replace(found, needs_code=needed, code_files=code, code_fingerprint=code_fingerprint(code))


def is_adapter(folder: Path) -> bool:
    """Whether an adapter (peft) lies in ``folder``, and no whole model."""
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()


def _with_settings(found: ModelCard, settings: dict[str, Any]) -> ModelCard:
    return replace(
        found,
        architecture=str(settings.get("peft_type") or "LORA"),
        adapter_of=str(settings.get("base_model_name_or_path") or "?"),
        adapter_rank=number(settings.get("r")),
    )


def _adapter(found: ModelCard) -> ModelCard:
    folder = found.path
    found = _with_settings(found, read_object(folder / "adapter_config.json"))
    weights = read_weights(folder, read_quantization(folder, {}))
    found = replace(
        found,
        parameters=weights.parameters,
        dtype=weights.dtype,
        size_bytes=weights.size_bytes,
        tensor_bytes=weights.tensor_bytes,
        license=read_license(folder, {}),
        pickled=tuple(pickled_files(folder)),
    )
    # An adapter may bring the tokenizer along that it was trained with, and need not.
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return found
    template = read_template(folder, {})
    return replace(
        found,
        # Program code of a tokenizer would have to be allowed: then that of its base is used.
        own_tokenizer=not code_files(folder),
        chat_template=template.present,
        templates=template.names,
        template_fingerprint=template.fingerprint,
    )
