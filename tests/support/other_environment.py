"""What the transformers of the interpreter that runs this makes of model folders, as JSON: prompts and greedy answers.

PYTHON -I tests/support/other_environment.py FOLDER...  ->  {"versions": {…}, "models": {FOLDER: {chat: {…}}}}

Only torch, transformers and the standard library, and nothing that transformers 4.48 or 5 lacks: ``dtype`` as an argument
is one such thing, hence ``float()``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

LIMIT = 32
"""New tokens per answer."""
ADD = {
    "name": "add",
    "description": "Adds two numbers. 两数之和",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a": 3, "b": 4}}}
CHATS: dict[str, dict[str, Any]] = {
    "English": {"conversation": [{"role": "user", "content": "What is the capital of France?"}]},
    "Chinese": {"conversation": [{"role": "user", "content": "你好"}]},
    "with a system message": {
        "conversation": [
            {"role": "system", "content": " Your name is Ada. "},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello. I am Ada. How can I help you?"},
            {"role": "user", "content": [{"type": "text", "text": "What is your name?"}]},
        ]
    },
    "with a function": {
        "conversation": [
            {"role": "user", "content": "What is 3 + 4?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "7"},
        ],
        "tools": [{"type": "function", "function": ADD}],
    },
}


def main(folders: list[str]) -> None:
    """Print what was seen, as one line."""
    import tokenizers
    import torch
    import transformers

    torch.set_num_threads(1)
    versions = {module.__name__: module.__version__ for module in (transformers, tokenizers, torch)}
    print(json.dumps({"versions": versions, "models": {folder: _chats(folder) for folder in folders}}))


def _chats(folder: str) -> dict[str, dict[str, Any]]:
    """chat -> its text in the model's template, its tokens, those of the answer, and the answer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).float().eval()
    found = {}
    for name, chat in CHATS.items():
        text = tokenizer.apply_chat_template(**chat, add_generation_prompt=True, tokenize=False)
        inputs = tokenizer.apply_chat_template(
            **chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        prompt = inputs["input_ids"][0].tolist()
        written = model.generate(**inputs, max_new_tokens=LIMIT, do_sample=False)[0].tolist()[len(prompt) :]
        found[name] = {
            "text": text,
            "prompt": prompt,
            "written": written,
            "answer": tokenizer.decode(written, skip_special_tokens=True),
        }
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
