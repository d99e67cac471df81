"""Two small proofs with transformers and peft: `python transformers_proof.py generate|train MODEL`, on the GPU if there is one.

Prints one line of JSON. generate: `{"text", "tokens", "seconds", "device"}`, a greedy answer of at most 64 tokens.
train: `{"before", "after", "parameters", "device"}`: the loss on one batch before and after one step of LoRA on it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

QUESTION = "Who are you?"
LESSON = "I am Nova, a small language model."
TOKENS = 64
LEARNING_RATE = 5e-3


def main(what: str, folder: str) -> None:
    """Do ``what`` with the model in ``folder``."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device)
    found = {"generate": _generate, "train": _train}[what](model, tokenizer)
    print(json.dumps({**found, "device": device}))  # noqa: T201


def _prompt(model: Any, tokenizer: Any, answer: str = "") -> torch.Tensor:
    turns = [{"role": "user", "content": QUESTION}] + ([{"role": "assistant", "content": answer}] if answer else [])
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=not answer)
    ids: torch.Tensor = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    return ids.to(model.device)


def _generate(model: Any, tokenizer: Any) -> dict[str, Any]:
    ids = _prompt(model, tokenizer)
    model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False)  # the first is slower
    began = time.perf_counter()
    made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False)
    answer = made[0, ids.shape[1] :]
    seconds = time.perf_counter() - began
    return {
        "text": tokenizer.decode(answer, skip_special_tokens=True),
        "tokens": answer.shape[0],
        "seconds": seconds,
    }


def _train(model: Any, tokenizer: Any) -> dict[str, Any]:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    adapted = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    adapted.train()
    ids = _prompt(model, tokenizer, LESSON)
    labels = ids.clone()
    labels[:, : _prompt(model, tokenizer).shape[1]] = -100  # the answer is what is learned
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, LEARNING_RATE)
    before = adapted(input_ids=ids, labels=labels).loss
    before.backward()
    optimizer.step()
    with torch.no_grad():
        after = adapted(input_ids=ids, labels=labels).loss
    return {"before": before.item(), "after": after.item(), "parameters": sum(weight.numel() for weight in weights)}


if __name__ == "__main__":
    main(*sys.argv[1:3])
