"""What ``config.json`` says about a model: shape, context length, senses. Values of a wrong type count as not said."""

from __future__ import annotations

from typing import Any

from backend.catalog.quantization import number

CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length")
# These stretch max_position_embeddings; longrope, llama3 and mrope state the stretched length there already, and so
# does Gemma 3 (the same rule as vLLM's config._get_and_verify_max_len).
STRETCHING = ("linear", "dynamic", "yarn")
VISION_KEYS = ("vision_config", "visual", "vision_tower", "mm_vision_tower", "image_token_id", "image_token_index")
AUDIO_KEYS = ("audio_config", "audio_token_id", "audio_token_index", "num_mel_bins")


def described(config: dict[str, Any]) -> dict[str, Any]:
    """Fields of :class:`backend.catalog.cards.ModelCard` that ``config.json`` fills."""
    inner = language_part(config)
    architectures = config.get("architectures")
    return {
        "architecture": str(architectures[0]) if isinstance(architectures, list) and architectures else "",
        "model_type": str(config.get("model_type") or ""),
        "dtype": str(config.get("dtype") or config.get("torch_dtype") or inner.get("dtype") or ""),
        "context_length": context_length(inner),
        "vision": any(config.get(key) for key in VISION_KEYS),
        "audio": any(config.get(key) for key in AUDIO_KEYS),
        "layers": number(inner.get("num_hidden_layers") or inner.get("n_layer")),
        "hidden_size": number(inner.get("hidden_size") or inner.get("n_embd")),
        "vocab_size": number(inner.get("vocab_size") or config.get("vocab_size")),
    }


def language_part(config: dict[str, Any]) -> dict[str, Any]:
    """The language part of a model that also sees or hears."""
    nested = [config.get(key) for key in ("text_config", "llm_config", "language_config")]
    thinker = config.get("thinker_config")
    if isinstance(thinker, dict):
        nested.append(thinker.get("text_config"))
    return next((part for part in nested if isinstance(part, dict) and part), config)


def context_length(inner: dict[str, Any]) -> int | None:
    """Tokens that the model can read, with its rope scaling; None where the config does not say."""
    trained = next((n for key in CONTEXT_KEYS if (n := number(inner.get(key)))), None)
    rope = inner.get("rope_scaling") or inner.get("rope_parameters")
    if trained is None or not isinstance(rope, dict) or str(inner.get("model_type")).startswith("gemma3"):
        return trained
    kind, factor = rope.get("rope_type") or rope.get("type"), rope.get("factor")
    if kind not in STRETCHING or not isinstance(factor, int | float) or not 1 < factor < 1e4:
        return trained
    # YaRN configs differ in whether max_position_embeddings is the trained length or the stretched one.
    original = number(rope.get("original_max_position_embeddings")) if kind == "yarn" else None
    return max(trained, int(original * factor)) if original else int(trained * factor)


def kv_bytes_per_token(config: dict[str, Any], dtype: str) -> int | None:
    """layers x KV heads x head size x 2 (keys and values) x bytes; None where the config does not say."""
    inner = language_part(config)
    layers, hidden = number(inner.get("num_hidden_layers")), number(inner.get("hidden_size"))
    heads = number(inner.get("num_attention_heads"))
    if not (layers and hidden and heads):
        return None
    head_size = number(inner.get("head_dim")) or hidden // heads
    kv_heads = number(inner.get("num_key_value_heads")) or heads
    return layers * kv_heads * head_size * 2 * (4 if dtype == "float32" else 2)
