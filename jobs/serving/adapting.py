"""An adapter (LoRA) put on its base in memory, with peft; and the tokenizer that it may bring along.

Merged, it costs nothing at each token: the product of its two matrices is added to the weights once. That cannot be done
where the weights are quantized, or where one matrix is both ends of the model and only one of them was adapted; then the
adapter is computed beside them, for each token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ENDS = ("embed_tokens", "lm_head", "wte", "embed_out")


def put_on(model: Any, folder: str) -> Any:
    """``model`` as it answers with the adapter in ``folder``; a model of transformers as before. Loads safetensors only.

    Raises:
        ValueError, RuntimeError: of peft: the adapter does not fit, or holds what is no number.
    """
    from peft import PeftModel

    if not Path(folder, "adapter_model.safetensors").is_file():
        raise FileNotFoundError(f"No such file or directory: {folder}/adapter_model.safetensors")
    adapted = PeftModel.from_pretrained(model, folder, is_trainable=False, torch_device=str(model.device))
    apart = _why_apart(model, adapted)
    if apart:
        _say(f"adapter computed beside the weights, not merged into them: {apart}")
        return adapted.get_base_model()
    merged = adapted.merge_and_unload(safe_merge=True)
    _say("adapter merged into the weights")
    return merged


def own_tokenizer(folder: str, of_base: Any) -> Any:
    """The tokenizer in the adapter's ``folder``, with the chat template of its base where it has none. No program code of
    that folder runs: nobody was asked."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tokenizer.chat_template = tokenizer.chat_template or of_base.chat_template
    return tokenizer


def end_with(model: Any, tokenizer: Any) -> None:
    """Let answers also end where ``tokenizer``, another one than that of the base, says that a text ends."""
    known = model.generation_config.eos_token_id
    ends = [token for token in (known if isinstance(known, list) else [known]) if token is not None]
    own = tokenizer.eos_token_id
    if own is not None and own not in ends:
        model.generation_config.eos_token_id = [*ends, own]
        _say(f"answers also end at {tokenizer.eos_token!r}, as the adapter's own tokenizer says")


def _why_apart(model: Any, adapted: Any) -> str:
    """Why the adapter cannot be merged; empty where it can."""
    if getattr(model, "hf_quantizer", None) is not None or getattr(model.config, "quantization_config", None):
        return "the weights are quantized"
    touched = {str(name).rsplit(".", 1)[-1] for name in adapted.base_model.targeted_module_names}
    if getattr(model.config, "tie_word_embeddings", False) and touched & set(ENDS):
        return "one matrix serves both ends of this model"
    return ""


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - standard output is the job's log
