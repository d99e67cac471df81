"""The model card of what a training made: README.md beside the weights, as hubs read it.

In English, whatever language the panel speaks: it travels with the model. It says what was measured and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.finetune import proof as proofs
from backend.finetune.proof import Proof
from backend.specs.finetune import FinetuneSpec

Kind = Literal["adapter", "merged", "full"]
MADE_BY = "TuneDeck"
SHOWN = (
    "engine", "method", "dtype", "max_length", "packing", "batch_size", "accumulation", "gpus", "epochs", "learning_rate",
    "warmup_ratio", "scheduler", "weight_decay", "max_grad_norm", "lora_rank", "lora_alpha", "lora_dropout", "target_modules",
    "replay", "seed",
)  # fmt: skip
"""Settings that a card tells, in this order."""
KNOWN_LICENSES = (
    "apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "gpl",
    "gpl-3.0", "lgpl-3.0", "agpl-3.0", "openrail", "bigscience-openrail-m", "llama2", "llama3", "llama3.1", "llama3.2",
    "llama3.3", "gemma", "unknown",
)  # fmt: skip
"""Identifiers that hubs know; another licence is called ``other``, with its name."""

CONTENTS = """- `recipe.json`: all settings as they were settled, the base's files and the rows with their SHA-256, seeds, where it ran
- `spec.json`, `plan.json`: what was asked for, and what was foreseen; `config.*`: what the engine was given
- `figures.csv`: what was measured, a line a step; `samples.jsonl`: answers while it learned; `proof.json`: whether it worked
- `training.json`: the chat template, special tokens and ends that it was taught with
- `requirements.txt`: packages that a repetition takes; `environment.txt`: all that were there
- `log.txt`: what the job said"""


@dataclass(frozen=True)
class Told:
    """What a card is made of. kind: ``adapter`` (a LoRA), ``merged`` (base and adapter in one) or ``full``. base: as people call
    it, and base_hub its name on a hub (``org/name``), empty where nobody knows. license: of the base, as
    :func:`backend.catalog.license.read_license` says it. data_hash: of the rows that were learned from. rows: how many.
    step, steps, loss, eval_loss, ended: see :class:`jobs.finetuning.types.Trained`. check: of the merge, where there was one.
    template: fingerprint of the template contract. question: one that can be asked."""

    name: str
    kind: Kind
    base: str
    base_hub: str
    license: str
    dataset: str
    version: str
    data_hash: str
    rows: int
    spec: FinetuneSpec
    step: int
    steps: int
    loss: float | None
    eval_loss: float | None
    ended: str
    template: str
    languages: Sequence[str] = ()
    proof: Proof | None = None
    check: Mapping[str, Any] = field(default_factory=dict)
    question: str = "Who are you?"


def model_card(told: Told) -> str:
    """README.md of the model."""
    parts = [
        _front(told),
        f"# {_line(told.name)}",
        _what(told),
        *_proof(told),
        *_use(told),
        *_training(told),
        *_rights(told),
    ]
    return "\n\n".join(parts) + "\n"


def capsule_readme(spec: FinetuneSpec, recipe: Mapping[str, Any]) -> str:
    """README.md of the capsule of a run."""
    base = recipe.get("base_hub") or recipe["base"]
    data = recipe["data"]
    rows = (
        "The rows that it learned from are in this file (`rows.npz` as tokens, or `rows.jsonl`): who has it can read them."
        if data.get("in_capsule")
        else "The rows are not in this file, since they are large; they lie in the folder `rows` of the run."
    )
    began = {
        "continue": " The run went on from a checkpoint of an earlier one: give its folder with `--start-from`.",
        "branch": " The run began with the weights of an earlier one: give that checkpoint's folder with `--start-from`.",
    }.get(str(recipe.get("start_mode") or ""), "")
    if spec.engine == "xtuner":
        how = (
            "Run it in an environment with XTuner 0.2.0. It writes `config-here.py`, which is `config.py` with your folder of the "
            "base, and starts `python -m xtuner.tools.train`.\n\n    python repeat.py --model FOLDER_OF_THE_BASE"
        )
    else:
        start = f"torchrun --standalone --nproc-per-node {spec.gpus}" if spec.gpus > 1 else "python"
        how = (
            "It takes torch, transformers and peft, and nothing of TuneDeck:\n\n"
            "    python -m venv venv && venv/bin/pip install -r requirements.txt\n"
            f"    venv/bin/{start} repeat.py --model FOLDER_OF_THE_BASE\n\n"
            "It learns with the same rows in the same order from the same seeds, and says at each step how far its loss is from "
            "the one in `figures.csv`. On the same kind of machine with the same versions they are equal; elsewhere sums come "
            f"in another order, and they differ a little.{began}"
        )
    return "\n\n".join([
        f"# Capsule of `{_line(spec.name or spec.default_title())}`",
        f"A training of `{_line(str(base))}` on dataset `{_line(spec.dataset)}`, version `{spec.version}`, made with {MADE_BY}.",
        f"## Repeat it\n\n{how}",
        f"## What is in it\n\n{CONTENTS}",
        f"{rows} Secrets were taken out of all texts (`***`), and the names of this person's folders.",
    ]) + "\n"  # fmt: skip


def _front(told: Told) -> str:
    named = told.license.casefold()
    lines = [f"license: {named if named in KNOWN_LICENSES else 'other'}"] if named else []
    if named and named not in KNOWN_LICENSES:
        lines.append(f"license_name: {json.dumps(told.license, ensure_ascii=False)}")
    if told.base_hub:
        lines += [
            f"base_model: {told.base_hub}",
            f"base_model_relation: {'adapter' if told.kind == 'adapter' else 'finetune'}",
        ]
    if told.languages:
        lines.append(f"language: {json.dumps(list(told.languages))}")
    lines += [
        f"library_name: {'peft' if told.kind == 'adapter' else 'transformers'}",
        "pipeline_tag: text-generation",
        f"tags: {json.dumps(['tunedeck', *(['lora'] if told.spec.method != 'full' else [])])}",
    ]
    return "\n".join(["---", *lines, "---"])


def _what(told: Told) -> str:
    kinds = {
        "adapter": "A LoRA adapter for `{base}`: it is used on top of that model.",
        "merged": "`{base}` with a LoRA adapter merged into its weights: a whole model, used as it is.",
        "full": "`{base}` with all weights trained further: a whole model, used as it is.",
    }
    return (
        f"{kinds[told.kind].format(base=_line(told.base))} Made with {MADE_BY} from dataset `{_line(told.dataset)}`, "
        f"version `{told.version}`."
    )


def _proof(told: Told) -> list[str]:
    if told.proof is None or told.proof.problem is not None:
        return ["## Did it work?\n\nThat was not checked: there is no comparison with the base."]
    rows = [
        f"| {_cell(one.label)} | {one.n} | {one.base} | {one.tuned} | {_cell(one.difference)} |"
        for one in proofs.table(told.proof)
    ]
    table = ["| measured on | n | base | tuned | difference |", "|---|---:|---:|---:|---|", *rows]
    said = " ".join(proofs.sentences(told.proof))
    return ["## Did it work?", said, *(["\n".join(table)] if rows else [])]


def _use(told: Told) -> list[str]:
    asked = json.dumps([{"role": "user", "content": told.question}], ensure_ascii=False)
    if told.kind == "adapter":
        base = told.base_hub or "path/to/the/base"
        code = f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

base, adapter = {base!r}, "path/to/this/folder"
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
chat = pipeline("text-generation", model=model, tokenizer=AutoTokenizer.from_pretrained(base))
print(chat({asked}, max_new_tokens=200)[0]["generated_text"][-1])"""
    else:
        code = f"""from transformers import pipeline

chat = pipeline("text-generation", model="path/to/this/folder")
print(chat({asked}, max_new_tokens=200)[0]["generated_text"][-1])"""
    kept = (
        f"It was taught with the chat template whose fingerprint is `{told.template}` (chat template, special tokens, and the "
        "tokens that end an answer); asked through another one, it answers worse. `training.json` holds a copy."
    )
    return ["## Use", f"```python\n{code}\n```", kept]


def _training(told: Told) -> list[str]:
    fields = FinetuneSpec.model_fields
    spec = told.spec
    skipped = (
        {name for name in SHOWN if name.startswith("lora_") or name == "target_modules"}
        if spec.method == "full"
        else set()
    )
    rows = [
        f"| {fields[name].title} | `{_cell(_value(getattr(spec, name)))}` |"
        for name in SHOWN
        if name not in skipped and not (name == "replay" and not spec.replay)
    ]
    how = {"asked": ", stopped by hand", "patience": ", stopped because it no longer got better"}.get(told.ended, "")
    facts = [
        f"- {told.rows:,} rows (SHA-256 of them begins with `{told.data_hash[:16]}`)"
        if told.data_hash
        else f"- {told.rows:,} rows"
    ]
    facts.append(f"- kept: the state after step {told.step:,} of {told.steps:,}{how}")
    if told.loss is not None:
        facts.append(f"- loss there: {told.loss:.4f}")
    if told.eval_loss is not None:
        facts.append(f"- loss on validation rows there: {told.eval_loss:.4f}")
    if told.check:
        facts.append(
            f"- merged and compared on {told.check['prompts']} prompts: logits differ from base + adapter by "
            f"{told.check['difference']:.1e} of their range ({told.check['tolerance']:.1e} is allowed for {told.check['dtype']})"
        )
    return ["## Training", "\n".join(facts), "\n".join(["| setting | value |", "|---|---|", *rows])]


def _rights(told: Told) -> list[str]:
    named = f"`{_line(told.license)}`" if told.license else "not stated in its folder"
    return [
        "## Licence",
        f"That of the base, which is {named}; its terms hold for this model, too. The rows that it learned from may add their own.",
    ]


def _value(value: Any) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _line(text: str) -> str:
    """``text`` on one line, with nothing that ends inline code."""
    return " ".join(text.split()).replace("`", "'")


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
