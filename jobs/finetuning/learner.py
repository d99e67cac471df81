"""transformers' Trainer over rows of ours: which tokens count, how a state is saved, and what is measured.

Not TRL's SFTTrainer: it renders and masks rows by itself (our mask is the one that the page Datasets shows, for any template),
keeps packed rows apart with FlashAttention only, and takes seconds more to import. The Trainer gives what counts: the loop,
mixed precision, accumulation, several processes, and a resume with optimizer, schedule, random numbers and data order.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import Trainer, TrainerCallback, TrainerControl, TrainingArguments

from backend.data.tokens.encoded import IGNORE
from backend.finetune import files
from backend.finetune.files import Checkpoint
from backend.specs.finetune import FinetuneSpec
from jobs.finetuning import checkpoints, devices, ranks
from jobs.finetuning.devices import Place
from jobs.finetuning.loading import Loaded, copy_tokenizer, logits
from jobs.finetuning.packing import Collate, Packed

MOST_POINTS = 20_000
"""Points of a curve: longer runs say how they are every few steps."""


class Learner(Trainer):
    """One training. ``seen``: tokens it has learned from; ``spent``: seconds of steps alone, without what comes between."""

    def __init__(
        self,
        job_dir: Path,
        loaded: Loaded,
        arguments: TrainingArguments,
        rows: Packed,
        measured: Packed | None,
        collate: Collate,
        tokenizer: Path,
        keep: int,
        callbacks: list[TrainerCallback],
    ) -> None:
        super().__init__(
            model=loaded.model, args=arguments, data_collator=collate, train_dataset=rows, callbacks=callbacks
        )
        # The loss is divided by the tokens of a whole step, which we do ourselves.
        self.model_accepts_loss_kwargs = True
        self.measured = measured
        self.loaded, self.job_dir, self.tokenizer, self.keep = loaded, job_dir, tokenizer, keep
        self.seen = 0
        self.saved: Checkpoint | None = None

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As transformers has it, with short products of matrices where the processor has units for them; not what is measured."""
        with devices.products(self.loaded.short):
            return super().training_step(*args, **kwargs)

    def try_batch(self) -> None:
        """The first rows forward and backward as in a step, without one: nothing is learned, counted or said."""
        model, rows = self.loaded.model, self.train_dataset
        was = model.training
        model.train()
        try:
            size = min(len(rows), self.args.per_device_train_batch_size)
            batch = self._prepare_inputs(self.data_collator([rows[number] for number in range(size)]))
            with devices.products(self.loaded.short):
                self.compute_loss(model, batch).backward()
        finally:
            model.zero_grad(set_to_none=True)
            model.train(was)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Sum of the losses of all learned tokens, divided by how many of them the whole step has."""
        total = self._sum(model, inputs)
        count = num_items_in_batch if num_items_in_batch is not None else inputs["targets"].ne(IGNORE).sum()
        loss = total / count
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return loss

    def _sum(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        learned = inputs["targets"].ne(IGNORE)
        with self._only(learned) as only:
            found = logits(model, inputs, self.loaded.takes)
        found = found if only else found[learned]
        return F.cross_entropy(found.float(), inputs["targets"][learned], reduction="sum")

    @contextlib.contextmanager
    def _only(self, learned: torch.Tensor) -> Iterator[bool]:
        """Meanwhile the head sees the places only that something is learned of; whether it does. A large vocabulary takes as much
        time and memory for the others."""
        head = self.loaded.model.get_output_embeddings() if "logits_to_keep" in self.loaded.takes else None
        if not isinstance(head, torch.nn.Linear):
            yield False
            return
        hook = head.register_forward_pre_hook(lambda _head, given: (given[0][learned],))
        try:
            yield True
        finally:
            hook.remove()

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Learned tokens of a step, over all that train together; what it has seen is counted beside it."""
        count = sum(batch["targets"].ne(IGNORE).sum() for batch in batch_samples)
        seen = sum(batch["seen"] for batch in batch_samples)
        if ranks.several():
            learned, seen = map(int, ranks.total(float(count), float(seen)))
            count = torch.tensor(learned)
        self.seen += seen
        return count.to(device) if torch.is_tensor(count) else None

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The mean loss of a learned token of the validation rows."""
        figures: dict[str, float] = {}
        if self.measured is not None:
            figures["eval_loss"] = self.measure(self.measured, shared=True)
            self.log(dict(figures))
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
        return figures

    def measure(self, rows: Packed, *, shared: bool = False) -> float:
        """The same of ``rows``; what is random while learning is not drawn from. shared: those that train together divide it."""
        model, collate = self.model, self.data_collator
        was = model.training
        model.eval()
        total, count = 0.0, 0
        try:
            with torch.no_grad(), self.accelerator.autocast():
                size = self.args.per_device_eval_batch_size
                batches = -(-len(rows) // size)
                for number in ranks.share(batches) if shared else range(batches):
                    first, last = number * size, min(len(rows), (number + 1) * size)
                    batch = self._prepare_inputs(collate([rows[at] for at in range(first, last)]))
                    total += float(self._sum(model, batch))
                    count += int(batch["targets"].ne(IGNORE).sum())
        finally:
            model.train(was)
        total, counted = ranks.total(total, count) if shared else (total, float(count))
        return total / max(1.0, counted)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Nobody asks for it, and counting parameters at every step takes time."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As a checkpoint of ours, which the first of those that train together writes."""
        if ranks.number():
            ranks.random_states(self._save_rng_state, self.job_dir)
            return
        losses = [one["loss"] for one in self.state.log_history if "loss" in one]
        judged = [one for one in self.state.log_history if one.get("step") == self.state.global_step]
        record = Checkpoint(
            step=self.state.global_step,
            epoch=round(self.state.epoch or 0.0, 4),
            created=time.time(),
            loss=losses[-1] if losses else None,
            eval_loss=next((one["eval_loss"] for one in judged if "eval_loss" in one), None),
            tokens=self.seen,
        )
        self.saved = checkpoints.save(self.job_dir, record, self.write_state)
        checkpoints.prune(self.job_dir, self.keep)

    def write_state(self, folder: Path) -> None:
        """All that is needed to go on, into ``folder``."""
        self.write_weights(folder)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        if ranks.several():
            ranks.random_states(self._save_rng_state, folder)
        else:
            self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / "trainer_state.json"))

    def write_weights(self, folder: Path) -> None:
        """The model alone, or its adapter, with its tokenizer."""
        model = self.accelerator.unwrap_model(self.model)
        more = {"save_embedding_layers": False} if self.loaded.adapted else {}
        model.save_pretrained(str(folder), **more)
        if self.loaded.adapted:
            (folder / "README.md").unlink(missing_ok=True)  # peft's template; ours comes with the result
        copy_tokenizer(self.tokenizer, folder)


def arguments(job_dir: Path, spec: FinetuneSpec, place: Place, steps: int, warmup: int) -> TrainingArguments:
    """``spec`` as the Trainer takes it. What is said, measured and saved when is decided by our callbacks."""
    found = TrainingArguments(
        output_dir=str(job_dir / files.CHECKPOINTS),
        max_steps=steps,
        per_device_train_batch_size=spec.batch_size,
        per_device_eval_batch_size=spec.batch_size,
        gradient_accumulation_steps=spec.accumulation,
        learning_rate=spec.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(spec.scheduler, spec.scheduler),
        warmup_steps=warmup,
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        gradient_checkpointing=spec.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        bf16=place.mixed and place.compute == torch.bfloat16,
        fp16=place.scaled,
        use_cpu=place.kind == "cpu",
        optim="adamw_torch_fused" if place.kind == "cuda" else "adamw_torch",
        seed=spec.seed,
        data_seed=spec.seed,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=max(1, -(-steps // MOST_POINTS)),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=place.kind == "cuda",
        dataloader_num_workers=0,
        ddp_backend="gloo" if ranks.several() and place.kind == "cpu" else None,
        ddp_find_unused_parameters=False,
        ddp_timeout=int(ranks.LONGEST_WAIT.total_seconds()),
    )
    # A process computes on one card, also by hand on a machine with several.
    found._n_gpu = min(1, found.n_gpu)
    if ranks.several() and place.kind == "cpu":
        found.__dict__["_setup_devices"] = torch.device(
            "cpu"
        )  # accelerate says cpu:0, onto which torch loads no optimizer
    return found
