"""llm-compressor 0.14 in the job's own process: GPTQ and plain rounding to 4 bits, int8, FP8. What it makes is compressed-tensors.

It goes through a model layer by layer. Its progress bars are off; the job tells how many layers are done, and a stop that was asked
for is heeded between two rows of a layer. The model is loaded in the numbers that it is stored in, and layers travel to the GPU one
by one, so that it takes little more of it than one layer.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.harness import Job
from jobs.quantizing import rows as calibration
from jobs.quantizing.rows import Rows
from jobs.quantizing.work import Work

if TYPE_CHECKING:
    from torch import nn

ROUTERS = (".gate", ".router", ".shared_expert_gate")
"""Ends of names of matrices that choose experts: small, and a wrong choice costs more than a rounded weight."""
FORMATS = {"int8": "W8A8", "fp8": "FP8_DYNAMIC"}
"""Activations are rounded as they come, each token by itself."""
SHARD = "4GB"
_NUMBER = re.compile(r"\.(\d+)\.")


def make(job: Job, work: Work, rows: Rows, target: Path) -> None:
    """The copy in ``target``, with its ``config.json``.

    Raises:
        Stopped. What torch, transformers and llm-compressor raise.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from llmcompressor import oneshot
    from llmcompressor.core import reset_session
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    from jobs.finetuning.devices import threads
    from jobs.serving.loading import may_run_code

    logging.disable_progress_bar()
    torch.set_num_threads(threads())
    torch.manual_seed(work.spec.seed)
    allowed = may_run_code(work.model_folder)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": allowed}
    model = AutoModelForCausalLM.from_pretrained(work.model_folder, dtype="auto", use_safetensors=True, **local)
    tokenizer = AutoTokenizer.from_pretrained(work.model_folder, **local)
    job.check_stop()
    job.phase("quantize")
    watch = Watch(job, work.layers)
    looked: dict[str, Any] = {}
    if rows.texts:
        pieces = calibration.pieces(rows, calibration.tokens(work), work.spec.sample_tokens)
        looked = {"dataset": _batches(pieces), "num_calibration_samples": len(pieces)}
    modifier = recipe(work, left_alone(model), watch, looks=bool(looked))
    oneshot(model=model, tokenizer=tokenizer, recipe=[modifier], trust_remote_code_model=allowed, **looked)
    job.check_stop()
    job.phase("save")
    model.save_pretrained(str(target), save_compressed=True, max_shard_size=SHARD)
    reset_session()
    let_go(model)


def recipe(work: Work, ignore: Sequence[str], watch: Watch, *, looks: bool) -> Any:
    """The modifier of llm-compressor for ``work``. looks: there are rows, without which GPTQ cannot be done: 8 bits are then
    rounded plainly."""
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier

    spec = work.spec
    cls = GPTQModifier if looks else QuantizationModifier
    if spec.method in FORMATS:
        return watched(cls, watch)(targets="Linear", scheme=FORMATS[spec.method], ignore=list(ignore))
    grouped = {"strategy": "group", "group_size": spec.group_size} if spec.group_size else {"strategy": "channel"}
    weights = QuantizationArgs(num_bits=4, type="int", symmetric=spec.symmetric, **grouped)
    groups = {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}
    return watched(cls, watch)(config_groups=groups, ignore=list(ignore))


def left_alone(model: nn.Module) -> list[str]:
    """Names of the matrices that keep their numbers: the head, what lies outside the layers, and what chooses experts."""
    from torch import nn

    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and (not _NUMBER.search(f".{name}.") or name.endswith(ROUTERS))
    ]


def let_go(model: nn.Module) -> None:
    """Give back the memory of ``model``: what comes now loads others. The tracer of torch.fx keeps each model that it has seen for as
    long as the process lives; its weights go."""
    for module in list(model.modules()):
        vars(module)["_parameters"], vars(module)["_buffers"] = {}, {}


class Watch:
    """How far it is, told to ``job``. layers: of the model."""

    def __init__(self, job: Job, layers: int) -> None:
        self.job, self.layers, self.done = job, layers, 0
        self._began = time.monotonic()

    def layer(self, modules: Sequence[nn.Module]) -> None:
        """``modules`` are done: one layer more, or what lies outside of them and has nothing to round."""
        self.check()
        if self.done == self.layers or not any(hasattr(module, "quantization_scheme") for module in modules):
            return
        self.done += 1
        left = (time.monotonic() - self._began) / self.done * (self.layers - self.done)
        self.job.progress("quantize", self.done, self.layers, left)

    def check(self) -> None:
        """Raise :class:`jobs.harness.Stopped` where that was asked for."""
        self.job.check_stop()


def watched(cls: type[Any], watch: Watch) -> Callable[..., Any]:
    """``cls``, a modifier, telling ``watch`` how far it is; under its own name, which stands in the recipe beside the weights."""

    class Watched(cls):
        def on_sequential_epoch_end(self, state: Any, event: Any, modules: list[nn.Module], **more: Any) -> None:
            # Without rows it is handed the whole model at once.
            for part in _by_layer(state.model, modules) if cls.__name__ != "GPTQModifier" else [modules]:
                super().on_sequential_epoch_end(state, event, part, **more)
                watch.layer(part)

        def calibrate_module(self, module: Any, args: Any, output: Any) -> None:
            watch.check()
            super().calibrate_module(module, args, output)

    Watched.__name__ = Watched.__qualname__ = cls.__name__
    return Watched


def _by_layer(model: nn.Module, modules: list[nn.Module]) -> list[list[nn.Module]]:
    """``modules``, those of one layer after those of another; what belongs to none comes with the first."""
    wanted = {id(module) for module in modules}
    found: dict[int, list[nn.Module]] = {}
    for name, module in model.named_modules():
        if id(module) in wanted:
            number = _NUMBER.search(f".{name}.")
            found.setdefault(int(number[1]) if number else 0, []).append(module)
    return [found[number] for number in sorted(found)]


def _batches(pieces: list[list[int]]) -> Any:
    """One row a batch: nothing is padded, and nothing cut to the shortest."""
    import torch
    from torch.utils.data import DataLoader

    rows = [
        {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
        for ids in pieces
    ]
    return DataLoader(rows, batch_size=None)  # type: ignore[arg-type]  # a list is as good
