"""Plain ``model.generate`` in a process of its own, for comparison with the server: a line in asks, a line out answers.

python -m tests.support.bare_generate MODEL DTYPE THREADS
{"prompt": "…", "tokens": 128}  ->  {"tokens": 128, "seconds": 0.5, "first_s": 0.01}
"""

from __future__ import annotations

import copy
import json
import sys
import time


def main(folder: str, dtype: str, threads: int) -> None:
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": asked["prompt"]}],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        took = {}
        for tokens in (1, asked["tokens"]):
            config = copy.deepcopy(model.generation_config)
            config.max_length, config.max_new_tokens, config.eos_token_id, config.do_sample = None, tokens, -1, False
            start = time.perf_counter()
            written = model.generate(**inputs, generation_config=config).shape[1] - inputs["input_ids"].shape[1]
            took[tokens] = time.perf_counter() - start
        print(json.dumps({"tokens": written, "seconds": took[asked["tokens"]], "first_s": took[1]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
