"""Starter model: decoding and loading in plain transformers, training against the Trainer

Every side is a process of its own with one thread; they take turns, so that a busy machine is busy for all of them, and
figures are medians. Training is measured in tokens per second of the process's CPU time: all sides train on the
dialogues of the same steps, the Trainer in its default settings (float32, AdamW, batches of 8, in random order and
padded), of which it puts as many together as have the tokens of one of our steps. Only tokens of dialogues count, and
no side makes its dialogues while it is measured.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.specs.pretrain import PretrainSpec
from backend.workspace import ROOT

if TYPE_CHECKING:
    from jobs.starter.batches import Batch

MODEL = ROOT / "models" / "starter"
PROMPT = "What is the capital of France?"
TOKENS, ROUNDS = 128, 5
STEPS, TURNS = 1, 3
"""Optimizer steps in a turn of training, and turns that count."""
LEAST_SPEED, LONGEST_LOAD_S, LEAST_GAIN = 100, 2.0, 1.3
SPEC = PretrainSpec(batch_tokens=8192, micro_batches=4)
TRAINER, PLAIN, COMPILED = "trainer", "plain", "compiled"


def measure() -> list[dict[str, Any]]:
    """Rows for the table."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_decoding_and_loading(Path(folder)), *_training(Path(folder))]


def _decoding_and_loading(folder: Path) -> list[dict[str, Any]]:
    speeds: dict[str, list[float]] = defaultdict(list)
    loads: list[float] = []
    starts: list[float] = []
    with ExitStack() as stack:
        bare = {
            dtype: stack.enter_context(Child(folder, "tests.support.bare_generate", str(MODEL), dtype, "1"))
            for dtype in ("float32", "bfloat16")
        }
        for number in range(ROUNDS + 1):
            seen = {dtype: child.ask(prompt=PROMPT, tokens=TOKENS) for dtype, child in bare.items()}
            begin = time.perf_counter()
            with Child(folder, "tests.bench.bench_starter", "load") as child:
                start_s = time.perf_counter() - begin
                load_s = child.ask()["seconds"]
            if number:  # the first round warms up
                for dtype, answer in seen.items():
                    assert answer["tokens"] == TOKENS, answer
                    speeds[dtype].append(TOKENS / answer["seconds"])
                loads.append(load_s)
                starts.append(start_s)
    rows: list[dict[str, Any]] = []
    for dtype, figures in speeds.items():
        speed = statistics.median(figures)
        rows.append(
            {
                "what": f"plain generate, {dtype}, 1 thread, {TOKENS} new tokens",
                "value": speed,
                "unit": "tokens/s",
                "goal": f"at least {LEAST_SPEED} tokens/s",
                "ok": speed >= LEAST_SPEED,
            }
        )
    load_s = statistics.median(loads)
    rows.append(
        {
            "what": "tokenizer and model loaded, transformers imported before",
            "value": load_s,
            "unit": "s",
            "goal": f"under {LONGEST_LOAD_S:g} s",
            "ok": load_s < LONGEST_LOAD_S,
        }
    )
    both = statistics.median(map(sum, zip(starts, loads, strict=True)))
    rows.append({"what": "from the start of Python to loaded", "value": both, "unit": "s"})
    return rows


def _training(folder: Path) -> list[dict[str, Any]]:
    turns: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with ExitStack() as stack:
        sides = {
            side: stack.enter_context(Child(folder, "tests.bench.bench_starter", "train", side, str(folder / side)))
            for side in (TRAINER, PLAIN, COMPILED)
        }
        for _, (side, child) in itertools.product(range(TURNS + 1), sides.items()):
            if child.ready:
                turns[side].append(child.ask())
    speeds = {side: statistics.median(t["tokens"] / t["cpu_s"] for t in seen[1:]) for side, seen in turns.items()}
    rows: list[dict[str, Any]] = [
        {"what": "Trainer, float32, one thread", "value": speeds[TRAINER], "unit": "tokens/CPU-s"}
    ]
    for side, what in ((PLAIN, "our loop, not compiled"), (COMPILED, "our loop, compiled")):
        if side not in speeds:
            rows.append({"what": f"{what}: no C++ compiler here", "value": float("nan"), "unit": "tokens/CPU-s"})
            continue
        ratio = speeds[side] / speeds[TRAINER]
        rows.append(
            {
                "what": f"{what}, to the Trainer",
                "value": speeds[side],
                "unit": "tokens/CPU-s",
                "ratio": ratio,
                "goal": f"at least {LEAST_GAIN:g} x the Trainer",
                "ok": ratio >= LEAST_GAIN,
            }
        )
    if COMPILED in turns:
        first, *others = (turn["wall_s"] for turn in turns[COMPILED])
        rows.append(
            {
                "what": "compiling, for the shapes of these steps",
                "value": first - statistics.median(others),
                "unit": "s",
            }
        )
    return rows


class Child:
    """A process that says whether it is ready and then answers each line of JSON with one; ended with the ``with`` block.

    Its side files, such as what is compiled, go to ``folder``.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready = self._line() == "ready"

    def ask(self, **question: Any) -> dict[str, Any]:
        """Its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._process.args} ended with {self._process.wait()}"
        return line.strip()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=20)  # the end of its input is the end of its work
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def load() -> None:
    """Child: load the model once it is asked to."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    AutoTokenizer.from_pretrained(str(MODEL))
    AutoModelForCausalLM.from_pretrained(str(MODEL))
    print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


def train(side: str, folder: str) -> None:
    """Child: a turn of :data:`STEPS` steps for each line; the Trainer's files go to ``folder``."""
    import torch
    from transformers.utils import logging

    from jobs.starter import loop
    from jobs.starter import tokenizer as tok
    from jobs.starter.batches import Batches

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    if side == COMPILED and not loop.compiles(SPEC):
        print("no compiler", flush=True)
        return
    stream = Batches(tok.load(MODEL), SPEC.seed, SPEC.batch_tokens, SPEC.micro_batches, SPEC.prompt_weight)
    steps = list(itertools.islice(stream, STEPS))
    if side == TRAINER:
        _train_with_trainer(steps, folder)
    else:
        _train_with_our_loop(steps, compiled=side == COMPILED)


def _train_with_our_loop(steps: list[list[Batch]], compiled: bool) -> None:
    """The same sums as in :func:`jobs.starter.loop.train`, one part of a step after the other."""
    import torch
    from transformers import LlamaForCausalLM

    from jobs.starter import loop

    model = LlamaForCausalLM.from_pretrained(str(MODEL), dtype=torch.float32, attn_implementation="eager").train()
    parameters = list(model.parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    optimizers = loop.optimizers(model, SPEC)
    losses = loop.Losses(model, compiled)
    tokens = sum(int((batch.dialogues >= 0).sum()) for step in steps for batch in step)
    print("ready", flush=True)
    while answer := _turn(tokens):
        for step in steps:
            total = sum(float(batch.weights.sum()) for batch in step)
            gradients = [list(losses.gradients(batch, total)[0]) for batch in step]
            for found in gradients[1:]:
                torch._foreach_add_(gradients[0], found)
            for parameter, gradient in zip(parameters, gradients[0], strict=True):
                parameter.grad = gradient
            for optimizer in optimizers:
                optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(average, parameters, 1 - loop.AVERAGE)
        answer()


def _train_with_trainer(steps: list[list[Batch]], folder: str) -> None:
    """An epoch of the dialogues in ``steps`` is a turn."""
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    dialogues = [dialogue for step in steps for batch in step for dialogue in _unpacked(batch)]
    tokens = sum(len(dialogue["input_ids"]) for dialogue in dialogues)

    class Turns(TrainerCallback):
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.answer = _turn(tokens)
            if self.answer is None:
                raise SystemExit

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            assert self.answer is not None
            self.answer()

    arguments = TrainingArguments(
        output_dir=folder,
        gradient_accumulation_steps=round(len(dialogues) / STEPS / TrainingArguments.per_device_train_batch_size),
        num_train_epochs=1000,  # it is ended before
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(str(MODEL), dtype=torch.float32),
        args=arguments,
        train_dataset=dialogues,
        data_collator=DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(str(MODEL))),
        callbacks=[Turns()],
    )
    print("ready", flush=True)
    trainer.train()


def _unpacked(batch: Batch) -> Iterator[dict[str, list[int]]]:
    """The dialogues in ``batch``, each as a row for the Trainer; labels are -100 where the loss does not count."""
    for tokens, weights, dialogues in zip(batch.tokens, batch.weights, batch.dialogues, strict=True):
        for number in range(int(dialogues.max()) + 1):
            own = dialogues == number
            labels = tokens[own].where(weights[own] > 0, -100)
            yield {"input_ids": tokens[own].tolist(), "labels": labels.tolist()}


def _turn(tokens: int) -> Callable[[], None] | None:
    """Wait for the word to begin; returns what to call when ``tokens`` are done, or None where there is no next turn."""
    if not sys.stdin.readline():
        return None
    cpu, wall = time.process_time(), time.perf_counter()

    def done() -> None:
        took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        print(json.dumps({"tokens": tokens, **took}), flush=True)

    return done


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        load()
    elif sys.argv[1:2] == ["train"]:
        train(*sys.argv[2:])
    else:
        from tests.bench.table import plain

        print("\n".join(plain(measure())))
