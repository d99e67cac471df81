"""GPTQ with llm-compressor alone, as its documentation has it, for bench_quantize.

``python -m tests.support.bare_quantize SPEC.json ROWS.jsonl FOLDER``: the rows are those of a job (``{"text": …}`` a line). Makes the copy and
its tokenizer in FOLDER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(spec_file: str, rows_file: str, out: str) -> None:
    """Make the copy."""
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = json.loads(Path(spec_file).read_text())
    texts = [json.loads(line)["text"] for line in Path(rows_file).read_text().splitlines()]
    model = AutoModelForCausalLM.from_pretrained(spec["model"], dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(spec["model"])
    length = spec["sample_tokens"]

    def tokenize(row: dict[str, str]) -> dict[str, list[int]]:
        return dict(tokenizer(row["text"], max_length=length, truncation=True, add_special_tokens=False))

    rows = Dataset.from_list([{"text": text} for text in texts])
    oneshot(
        model=model,
        tokenizer=tokenizer,
        dataset=rows.map(tokenize, remove_columns=rows.column_names),
        recipe=GPTQModifier(targets="Linear", scheme="W4A16_ASYM", ignore=["lm_head"]),
        max_seq_length=length,
        num_calibration_samples=len(texts),
    )
    model.save_pretrained(out, save_compressed=True)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
