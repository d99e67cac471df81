"""What one model folder is: everything a page wants to say about it, without loading it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.catalog.template import read_template
from backend.catalog.weights import quantization_bits, read_object, read_weights, unreadable
from backend.errors import ModelError, PanelError
from backend.i18n import N_

CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length")


@dataclass(frozen=True)
class ModelCard:
    """One model, or one folder that was thought to be one.

    name: what people call it. path: its folder. architecture: the class in ``config.json``, such as
    ``LlamaForCausalLM``. parameters: number of weights, counted unpacked. dtype: of most weight bytes, such as
    ``float16``. context_length: tokens. quantization: such as ``awq 4 bit``; empty for none. size_bytes: of the weight
    files. chat_template: it can take a conversation. template_fingerprint: see :mod:`backend.catalog.template`.
    tools: it can call tools. adapter_of: the base model that this adapter (peft) belongs to; empty for a whole model.
    needs_code: it runs code of its own from its folder. kv_bytes_per_token: memory that one token of a running
    conversation takes, at the weights' dtype. builtin: shipped with TuneDeck. problem: why it cannot be used.
    """

    name: str
    path: Path
    architecture: str = ""
    model_type: str = ""
    parameters: int | None = None
    dtype: str = ""
    context_length: int | None = None
    quantization: str = ""
    size_bytes: int = 0
    chat_template: bool = False
    template_fingerprint: str = ""
    tools: bool = False
    adapter_of: str = ""
    needs_code: bool = False
    layers: int | None = None
    hidden_size: int | None = None
    vocab_size: int | None = None
    kv_bytes_per_token: int | None = None
    builtin: bool = False
    made_by: int | None = None
    problem: PanelError | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` takes it back."""
        data = {**asdict(replace(self, problem=None)), "path": str(self.path)}
        return {**data, "problem": self.problem.to_dict() if self.problem else None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelCard:
        """The card that :meth:`to_dict` wrote; unknown keys are ignored."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        problem = known.get("problem")
        known["problem"] = PanelError.from_dict(problem) if isinstance(problem, dict) else None
        return cls(**{**known, "path": Path(known["path"])})


def card(path: Path | str, name: str = "") -> ModelCard:
    """The card of the folder ``path``. Never raises for a bad folder: it says so in ``problem``."""
    folder = Path(path).expanduser().absolute()
    found = ModelCard(name=name or folder.name, path=folder)
    try:
        return _read(found)
    except ModelError as error:
        return replace(_outline(found), problem=error)
    except OSError as error:
        return replace(found, problem=unreadable(folder, error))


def _outline(found: ModelCard) -> ModelCard:
    """What a broken model still tells about itself."""
    try:
        return _described(found, read_object(found.path / "config.json"))
    except (ModelError, OSError):
        return found


def _read(found: ModelCard) -> ModelCard:
    folder = found.path
    if not folder.is_dir():
        raise ModelError(
            "model_missing",
            N_("There is no model folder at {folder}."),
            N_("Check the path. A model is a folder that holds config.json and *.safetensors files."),
            folder=str(folder),
        )
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            return _adapter(found)
        raise ModelError(
            "model_no_config",
            N_("{folder} is not a model: there is no config.json in it."),
            N_("Choose the folder that holds config.json and the *.safetensors files."),
            folder=str(folder),
        )
    config = read_object(folder / "config.json")
    described = _described(found, config)
    weights = read_weights(folder, _quantization(config))
    template = read_template(folder, config)
    return replace(
        described,
        parameters=weights.parameters,
        dtype=weights.dtype if not described.quantization else described.dtype or weights.dtype,
        size_bytes=weights.size_bytes,
        context_length=described.context_length or template.model_max_length,
        chat_template=template.present,
        template_fingerprint=template.fingerprint,
        tools=template.tools,
        kv_bytes_per_token=_kv_bytes(config, weights.dtype),
    )


def _described(found: ModelCard, config: dict[str, Any]) -> ModelCard:
    inner = _inner(config)
    architectures = config.get("architectures")
    return replace(
        found,
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else "",
        model_type=str(config.get("model_type") or ""),
        dtype=str(config.get("dtype") or config.get("torch_dtype") or inner.get("dtype") or ""),
        context_length=next((n for k in CONTEXT_KEYS if (n := _int(inner.get(k)))), None),
        quantization=_quantization_name(_quantization(config)),
        needs_code=bool(config.get("auto_map")),
        layers=_int(inner.get("num_hidden_layers") or inner.get("n_layer")),
        hidden_size=_int(inner.get("hidden_size") or inner.get("n_embd")),
        vocab_size=_int(inner.get("vocab_size") or config.get("vocab_size")),
    )


def _adapter(found: ModelCard) -> ModelCard:
    settings = read_object(found.path / "adapter_config.json")
    weights = read_weights(found.path, {})
    return replace(
        found,
        architecture=str(settings.get("peft_type") or "LORA"),
        parameters=weights.parameters,
        dtype=weights.dtype,
        size_bytes=weights.size_bytes,
        adapter_of=str(settings.get("base_model_name_or_path") or "?"),
    )


def _inner(config: dict[str, Any]) -> dict[str, Any]:
    """The language part of a model that also sees or hears."""
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _quantization(config: dict[str, Any]) -> dict[str, Any]:
    found = config.get("quantization_config")
    return found if isinstance(found, dict) else {}


def _quantization_name(quantization: dict[str, Any]) -> str:
    if not quantization:
        return ""
    bits = quantization_bits(quantization)
    method = str(quantization.get("quant_method") or "unknown")
    return f"{method} {bits} bit" if bits else method


def _kv_bytes(config: dict[str, Any], dtype: str) -> int | None:
    """layers x KV heads x head size x 2 (keys and values) x bytes; None where the config does not say."""
    inner = _inner(config)
    layers, hidden = _int(inner.get("num_hidden_layers")), _int(inner.get("hidden_size"))
    heads = _int(inner.get("num_attention_heads"))
    if not (layers and hidden and heads):
        return None
    head_size = _int(inner.get("head_dim")) or hidden // heads
    kv_heads = _int(inner.get("num_key_value_heads")) or heads
    return layers * kv_heads * head_size * 2 * (4 if dtype == "float32" else 2)
