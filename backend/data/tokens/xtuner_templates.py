"""XTuner's layouts (``PROMPT_TEMPLATE`` of xtuner 0.2.0), and the one that a model's own chat template stands for.

XTuner does not read a tokenizer's chat template: a layout is chosen by name. Texts are XTuner's (Apache License 2.0); a test
holds them against the installed one.
"""

from __future__ import annotations

from backend.data.tokens.model import TokenModel
from backend.engines.xtuner_config import LLAMA3, Template
from backend.errors import DataError, ModelError

_CHATML = ("<|im_start|>system\n{system}<|im_end|>\n", "<|im_start|>user\n{input}<|im_end|>\n<|im_start|>assistant\n")
LAYOUTS: dict[str, Template] = {
    "llama3_chat": LLAMA3,
    "qwen_chat": Template(*_CHATML, "<|im_end|>", True, "\n"),
    "internlm2_chat": Template(*_CHATML, "<|im_end|>", True, "\n"),
    "gemma": Template(
        "<start_of_turn>system\n{system}<end_of_turn>\n",
        "<start_of_turn>user\n{input}<end_of_turn>\n<start_of_turn>model\n",
        "<end_of_turn>",
        False,
        "\n",
    ),
    "phi3_chat": Template(
        "<|system|>\n{system}<|end|>\n", "<|user|>\n{input}<|end|>\n<|assistant|>\n", "<|end|>", True, "\n"
    ),
    "deepseek_v2": Template("{system}\n\n", "User: {input}\n\nAssistant: ", "<｜end▁of▁sentence｜>", True),
    "cohere_chat": Template(
        "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{system}<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{input}<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        True,
    ),
    "mistral": Template("[INST] {system} [/INST]\n", "[INST] {input} [/INST]", "", False, "\n"),
    "zephyr": Template("<|system|>\n{system}\n", "<|user|>\n{input}\n<|assistant|>\n", "", False, "\n"),
    "default": Template("<|System|>:{system}\n", "<|User|>:{input}\n<|Bot|>:", "", False, "\n"),
}
"""Name in ``PROMPT_TEMPLATE`` -> layout."""
_SIGNS = (
    ("<|start_header_id|>", "llama3_chat"),
    ("<|im_start|>", "qwen_chat"),
    ("<start_of_turn>", "gemma"),
    ("<|START_OF_TURN_TOKEN|>", "cohere_chat"),
    ("<|end|>", "phi3_chat"),
    ("[INST]", "mistral"),
    ("<|user|>", "zephyr"),
    ("<｜end▁of▁sentence｜>", "deepseek_v2"),
)


def layout_name(model: TokenModel) -> str:
    """The layout that XTuner has for the template of ``model``, told from its marks; ``default`` where it has none."""
    try:
        source = model.template()
    except (ModelError, DataError):
        return "default"
    found = next((name for sign, name in _SIGNS if sign in source), "default")
    # The two differ in nothing but their stop words.
    return "internlm2_chat" if found == "qwen_chat" and model.kind.startswith("InternLM2") else found
