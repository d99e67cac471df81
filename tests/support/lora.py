"""Real adapters (LoRA), made by peft on a model of :mod:`tests.support.scripted_model` or on the starter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

STRENGTH = 32.0
"""The script's own logits are 8: what an adapter teaches wins."""


def taught(folder: Path, base: Path, answers: dict[str, str], **settings: Any) -> Path:
    """Write an adapter to ``folder`` that makes the scripted model in ``base`` go on differently: piece -> what follows it.
    ``settings`` are those of ``peft.LoraConfig``."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    vocabulary = AutoTokenizer.from_pretrained(str(base)).get_vocab()
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    rank = len(answers)
    config = LoraConfig(
        **{"r": rank, "lora_alpha": rank, "target_modules": ["lm_head"], "task_type": "CAUSAL_LM", **settings}
    )
    adapted: Any = get_peft_model(model, config)
    head = adapted.base_model.model.lm_head
    with torch.no_grad():
        a, b = head.lora_A.default.weight.zero_(), head.lora_B.default.weight.zero_()
        for row, (piece, following) in enumerate(answers.items()):
            a[row, vocabulary[piece]] = 1
            b[vocabulary[following], row] = STRENGTH
    # Else peft adds a copy of the whole matrix, since this one is an end of the model.
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def noisy(folder: Path, base: Path, rank: int = 4, **settings: Any) -> Path:
    """Write an adapter to ``folder`` that makes any model, such as the starter in ``base``, talk otherwise, always the same."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    modules = ["q_proj", "v_proj", "down_proj"]
    config = LoraConfig(
        **{"r": rank, "lora_alpha": 16 * rank, "target_modules": modules, "task_type": "CAUSAL_LM", **settings}
    )
    adapted: Any = get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.5)
    adapted.save_pretrained(str(folder))
    return folder
