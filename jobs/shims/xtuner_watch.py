"""Hooks that look after a training of XTuner from within: evaluation, sample answers, and an end at the next step when one is wished for.

They are put beside those of the config: `--cfg-options default_hooks.watch.type=xtuner_watch.Watch`, with this folder on
PYTHONPATH. What there is to do stands in `watch.json` beside XTuner's work folder; what was found goes to `watch.jsonl` there:

    {"what": "ready", "iter", "resident", "weights", "trained"}     bytes of the process, of all weights, of those that learn
    {"what": "evaluation", "iter", "loss", "rows", "tokens", "s"}   mean loss of a learned token of the held-out rows
    {"what": "sample", "iter", "prompt", "ids"}                     what it answers to a question, as tokens
    {"what": "restored", "iter", "s"}                               the checkpoint was read back
    {"what": "end", "iter", "peak", "held", "stopped"}              it is over

Nothing here draws random numbers or touches a gradient: a training comes out the same without it.
"""

from __future__ import annotations

import json
import resource
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import config as mmengine_config  # type: ignore[import-not-found]
from mmengine.dist import is_main_process  # type: ignore[import-not-found]  # in its environment
from mmengine.hooks import Hook  # type: ignore[import-not-found]
from mmengine.model import is_model_wrapper  # type: ignore[import-not-found]
from xtuner.dataset.collate_fns import default_collate_fn  # type: ignore[import-not-found]

mmengine_config.FormatCode = lambda text, **_options: (text, False)
"""mmengine makes the text of the config four times before the first step, and once more for every checkpoint, each time made pretty by yapf:
more than a second of computing (yapf 0.43, a config of 5,000 characters). As it is, it can be run as well."""


class Tokens(Hook):
    """Counts tokens and looks at the memory, for the measurements that XTuner writes anyway."""

    priority = "ABOVE_NORMAL"  # before they are written

    def __init__(self) -> None:
        self.seen = 0

    def before_train(self, runner: Any) -> None:
        """Go on counting where the training goes on."""
        kept = runner.message_hub.log_scalars.get("train/tokens")
        self.seen = int(kept.current()) if runner.iter and kept is not None else 0

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """One iteration more."""
        data = data_batch.get("data", data_batch)
        mask = data.get("attention_mask")
        count = int(mask.sum()) if mask is not None else data["input_ids"].numel()
        self.seen += count * runner.world_size
        runner.message_hub.update_scalar("train/tokens", self.seen)
        runner.message_hub.update_scalar("train/memory_mib", _peak()[0] / (1 << 20))


class Watch(Hook):
    """See the module."""

    priority = 80  # when it has learned, and before a checkpoint is written

    def before_run(self, runner: Any) -> None:
        """What there is to do, and what the model takes."""
        self.home = Path(runner.work_dir).parent
        self.plan = json.loads((self.home / "watch.json").read_text(encoding="utf-8"))
        self.every = max(1, int(self.plan["every"]))
        self.samples_every = max(1, int(self.plan["samples_every"]))
        self.step = max(1, int(self.plan["accumulation"]))
        rows = (self.home / "validation.jsonl").read_text(encoding="utf-8").splitlines()
        # Those of a batch equally long: what is filled in is computed like the rest.
        self.rows = sorted((json.loads(row) for row in rows), key=lambda row: len(row["input_ids"]))
        self.stopped = self.owes = False
        parameters = list(_bare(runner.model).parameters())
        self._tell(
            runner,
            "ready",
            resident=_resident(),
            weights=sum(each.numel() * each.element_size() for each in parameters),
            trained=sum(each.numel() for each in parameters if each.requires_grad),
        )

    def before_train(self, runner: Any) -> None:
        """Where it begins. The base beneath a new adapter is still there after the first step, for which people wait."""
        if runner.iter == 0 and self.plan.get("first", True):
            self.owes = hasattr(_bare(runner.model).llm, "disable_adapter") and not runner.cfg.get("load_from")
            if not self.owes:
                self._look(runner, 0)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Evaluate and ask when it is time; end when it is wished for, between two steps."""
        done = runner.iter + 1
        if done % self.step:
            return
        if self.owes:
            self.owes = False
            with _bare(runner.model).llm.disable_adapter():
                self._look(runner, 0)
        last = done >= runner.max_iters
        if last or done % self.every == 0:
            self._evaluate(runner, done)
        if last or done % self.samples_every == 0:
            self._ask(runner, done)
        if not last and self._wished(runner):
            # XTuner then takes this for the last iteration: it saves, and ends well.
            runner.train_loop._max_iters = done
            self.stopped = True

    def after_train(self, runner: Any) -> None:
        """What it took in all; in a rehearsal, whether its checkpoint can be read."""
        peak, held = _peak()
        saved = Path(runner.work_dir) / f"iter_{runner.iter}.pth"
        if self.plan.get("restore") and saved.exists():
            began = time.monotonic()
            if saved.is_file():
                loaded = torch.load(saved, map_location="cpu", weights_only=False)
                _bare(runner.model).load_state_dict(loaded["state_dict"], strict=False)
            self._tell(runner, "restored", s=time.monotonic() - began)
        self._tell(runner, "end", peak=peak, held=held, stopped=self.stopped)

    def _wished(self, runner: Any) -> bool:
        wish = (self.home / "stop").exists()
        if runner.world_size > 1:
            # All of them at the same step, or the others would wait for good.
            told = torch.tensor([int(wish)], device=next(_bare(runner.model).parameters()).device)
            torch.distributed.broadcast(told, 0)
            wish = bool(told.item())
        return wish

    def _look(self, runner: Any, done: int) -> None:
        self._evaluate(runner, done)
        self._ask(runner, done)

    def _evaluate(self, runner: Any, done: int) -> None:
        if not self.rows:
            return
        began, total, learned = time.monotonic(), 0.0, 0
        model, size = _bare(runner.model), max(1, int(self.plan["batch_size"]))
        with torch.no_grad(), _resting(model):
            for start in range(0, len(self.rows), size):
                batch = default_collate_fn(self.rows[start : start + size])
                count = int((batch["data"]["labels"][:, 1:] != -100).sum())
                if not count:
                    continue
                batch = model.data_preprocessor(batch, False)
                with runner.optim_wrapper.optim_context(runner.model):
                    total += float(model(**batch, mode="loss")["loss"]) * count
                learned += count
        if learned:
            seconds = time.monotonic() - began
            self._tell(runner, "evaluation", done, loss=total / learned, rows=len(self.rows), tokens=learned, s=seconds)

    def _ask(self, runner: Any, done: int) -> None:
        model = _bare(runner.model)
        if not self.plan["prompts"] or any(hasattr(each, "ds_id") for each in model.parameters()):
            return  # under ZeRO 3 no process has the weights to answer with
        llm = model.llm
        checkpointing, cache = llm.is_gradient_checkpointing, llm.config.use_cache
        with torch.no_grad(), _resting(model):
            model.activation_checkpointing_disable()
            llm.config.use_cache = True
            for number, prompt in enumerate(self.plan["prompts"]):
                ids = torch.tensor([prompt], device=llm.device)
                with runner.optim_wrapper.optim_context(runner.model):
                    written = llm.generate(
                        input_ids=ids,
                        attention_mask=torch.ones_like(ids),
                        max_new_tokens=int(self.plan["most"]),
                        do_sample=False,
                        temperature=None,
                        top_p=None,
                        top_k=None,
                        eos_token_id=self.plan["ends"] or None,
                        pad_token_id=0,
                    )
                self._tell(runner, "sample", done, prompt=number, ids=written[0, len(prompt) :].tolist())
            if checkpointing:
                model.activation_checkpointing_enable()
            llm.config.use_cache = cache

    def _tell(self, runner: Any, what: str, done: int | None = None, **values: Any) -> None:
        if not is_main_process():
            return
        line = {"what": what, "t": time.time(), "iter": runner.iter if done is None else done, **values}
        with (self.home / "watch.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


@contextmanager
def _resting(model: Any) -> Any:
    """Without dropout, and as it was afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _bare(model: Any) -> Any:
    return model.module if is_model_wrapper(model) or hasattr(model, "module") else model


def _resident() -> int:
    """Bytes that this process holds now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak() -> tuple[int, int]:
    """Bytes at the highest: of tensors, and with what is kept for later. On the CPU both are the process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return peak, peak
