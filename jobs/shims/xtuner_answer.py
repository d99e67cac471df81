"""Compare a model with what was made of it: `python xtuner_answer.py BASE MADE QUESTION LESSON`, in XTuner's environment.

Prints one line of JSON, `{"text", "before", "after"}`: what MADE answers to QUESTION, greedily and with at most 32 tokens, and
the loss of the answer LESSON in BASE and in MADE. Runs with the transformers that XTuner asks for, 4.48.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENS = 32


def main(base: str, made: str, question: str, lesson: str) -> None:
    """Print what was found."""
    before, _text = _ask(base, question, lesson)
    after, text = _ask(made, question, lesson)
    print(json.dumps({"text": text, "before": before, "after": after}))  # noqa: T201


def _ask(folder: str, question: str, lesson: str) -> tuple[float, str]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder).float().eval()
    turns = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": lesson}], return_tensors="pt")
    start = prompt["input_ids"].shape[1]
    labels = whole.clone()
    labels[:, :start] = -100
    with torch.no_grad():
        loss = model(input_ids=whole, labels=labels).loss.item()
        written = model.generate(**prompt, max_new_tokens=TOKENS, do_sample=False)[0, start:]
    return loss, tokenizer.decode(written, skip_special_tokens=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
