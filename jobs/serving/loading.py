"""Tokenizer and weights into memory, as the plan says; and how many threads pay on this machine, found by trying."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from backend import catalog
from backend.engines.transformers import needs_consent
from backend.workspace import open_workspace
from jobs.serving import adapting
from jobs.serving.plan import Plan

# A thread more must bring this much, or it is left to others.
WORTH = 1.15


def load(plan: Plan) -> tuple[Any, Any]:
    """(model, tokenizer), ready to generate. Nothing is fetched, and no code from the model's folder runs unless a person
    allowed exactly that code.

    Raises:
        ModelError: ``model_needs_code``.
    """
    allowed = may_run_code(plan.model)
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": allowed}
    tokenizer = AutoTokenizer.from_pretrained(plan.model, **local)
    if plan.tokenizer:
        tokenizer = adapting.own_tokenizer(plan.tokenizer, tokenizer)
    config = AutoConfig.from_pretrained(plan.model, **local)
    # A model that also sees is not among the "causal" ones; its own class still writes text.
    named = (config.architectures or [""])[0]
    cls = AutoModelForCausalLM if named.endswith("ForCausalLM") else getattr(transformers, named, AutoModelForCausalLM)
    dtype = "auto" if plan.dtype == "auto" else getattr(torch, plan.dtype)
    model = cls.from_pretrained(plan.model, dtype=dtype, use_safetensors=True, **local)
    if plan.device != "cpu":
        model = model.to(plan.device)
    if plan.adapter:
        model = adapting.put_on(model, plan.adapter)
    model = model.eval()
    give_template(plan.model, tokenizer, model)
    if plan.tokenizer:
        adapting.end_with(model, tokenizer)
    torch.set_num_threads(plan.threads or choose_threads(model, (os.cpu_count() or 1) // 2))
    return model, tokenizer


def give_template(folder: str, tokenizer: Any, model: Any) -> None:
    """A tokenizer without a chat template gets the one that a person chose, and the tokens that end its answers."""
    chosen = catalog.chosen_template(open_workspace(), Path(folder))
    if chosen is None or tokenizer.chat_template:
        return
    tokenizer.chat_template = chosen.template
    known = model.generation_config.eos_token_id
    ends = [token for token in (known if isinstance(known, list) else [known]) if token is not None]
    for text in chosen.ends:
        token = tokenizer.convert_tokens_to_ids(text)
        if token is not None and token != tokenizer.unk_token_id and token not in ends:
            ends.append(token)
    model.generation_config.eos_token_id = ends or None
    print(f"chat template {chosen.label}, chosen here; answers end at {ends}", flush=True)  # noqa: T201 - the job's log


def may_run_code(folder: str) -> bool:
    """Whether loading the model in ``folder`` runs code that it brings along. The files are hashed now, just before they
    run: they may have changed since the job looked.

    Raises:
        ModelError: ``model_needs_code``: there is such code, and nobody allowed it.
    """
    workspace = open_workspace()
    card = catalog.find(workspace, folder)
    if not card.needs_code:
        return False
    # One folder can be on the list under several names.
    names = [one.name for one in catalog.models(workspace) if one.path == card.path]
    if not any(catalog.code_is_allowed(workspace, name) for name in names):
        raise needs_consent(card)
    return True


def choose_threads(model: Any, most: int) -> int:
    """The fewest of 1, 2, 4 … ``most`` threads that decode well, tried on this model, on the machine as it is now. At
    most half of the cores: a server is one of several things that run here."""
    import torch

    if model.device.type != "cpu":
        return 1
    best, best_s = 1, 0.0
    count = 1
    while count <= max(1, most):
        torch.set_num_threads(count)
        seconds = _token_seconds(model)
        if count > 1 and seconds * WORTH > best_s:
            break
        best, best_s = count, seconds
        if count > 1 or most > 1:
            print(f"{count} threads: {1000 * seconds:.1f} ms a token", flush=True)  # noqa: T201 - the job's log
        count *= 2
    return best


def _token_seconds(model: Any) -> float:
    """Seconds for one token of one answer: the shortest of a few tries, at most two seconds of them."""
    import torch

    token = torch.tensor([[0]])
    tries: list[float] = []
    began = time.perf_counter()
    with torch.inference_mode():
        while len(tries) < 8 and time.perf_counter() - began < 2.0:
            start = time.perf_counter()
            model(token, use_cache=False)
            tries.append(time.perf_counter() - start)
    # The first one also allocates.
    return min(tries[1:] or tries)
