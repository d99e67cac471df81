"""The model that learns: the base in memory, an adapter on it, and a look at whether it keeps rows apart."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, set_seed

from backend.errors import PanelError
from backend.i18n import N_
from backend.specs.finetune import FinetuneSpec
from jobs.finetuning.devices import Place, has_short_products
from jobs.serving.loading import may_run_code

APART = 2e-3
"""Two ways to compute the same logits differ by less, relative to the largest; rows that see each other by far more."""


@dataclass
class Loaded:
    """model: what learns, an adapter on its base, or all of it. takes: of ``position_ids`` and ``logits_to_keep``, those that it
    knows. apart: joined rows do not see each other. short: a step multiplies matrices in bfloat16
    (:func:`jobs.finetuning.devices.products`)."""

    model: Any
    takes: frozenset[str]
    apart: bool
    short: bool = False

    @property
    def adapted(self) -> bool:
        return isinstance(self.model, PeftModel)

    def forward(self, batch: dict[str, Any]) -> torch.Tensor:
        """Logits at the places of a batch of :class:`jobs.finetuning.packing.Collate`: (rows, places, vocabulary)."""
        return logits(self.model, batch, self.takes)


def logits(model: Any, batch: dict[str, Any], takes: frozenset[str]) -> torch.Tensor:
    """See :meth:`Loaded.forward`; ``model`` may be wrapped."""
    more = {"position_ids": batch["position_ids"], "logits_to_keep": batch["keep"]}
    given = {name: value for name, value in more.items() if name in takes}
    found: torch.Tensor = model(input_ids=batch["input_ids"], use_cache=False, **given).logits
    return found if "logits_to_keep" in takes else found[:, batch["keep"]]


def load(folder: str, spec: FinetuneSpec, place: Place) -> Loaded:
    """The model in ``folder``, ready to learn as ``spec`` says. No code from the folder runs unless a person allowed it.

    Raises:
        ModelError: ``model_needs_code``. PanelError: ``finetune_targets``, ``finetune_start_unfit``.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    set_seed(spec.seed)
    base = _base(folder, spec, place)
    takes = frozenset(("position_ids", "logits_to_keep")) & set(inspect.signature(base.forward).parameters)
    base.config.use_cache = False
    model = _adapted(base, spec) if spec.method != "full" else _whole(base, spec, place)
    if spec.gradient_checkpointing and spec.method != "full":
        # Else nothing before the first adapter needs a gradient, and checkpointed layers would give none.
        model.enable_input_require_grads()
    found = Loaded(model, takes, True, has_short_products(place, model))
    found.apart = not spec.packing or keeps_apart(found)
    return found


def _base(folder: str, spec: FinetuneSpec, place: Place) -> Any:
    if spec.method == "full" and spec.start_from and spec.start_mode == "branch":
        folder = spec.start_from
    given: dict[str, Any] = {
        "dtype": place.weights,
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": may_run_code(folder) if not spec.start_from else False,
    }
    if place.kind == "cuda":
        given["device_map"] = {"": torch.cuda.current_device()}
    if spec.method == "qlora":
        from transformers import BitsAndBytesConfig

        given["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=place.compute,
        )
    return AutoModelForCausalLM.from_pretrained(folder, **given)


def _whole(base: Any, spec: FinetuneSpec, place: Place) -> Any:
    for parameter in base.parameters():
        parameter.requires_grad_(True)
    return base


def _adapted(base: Any, spec: FinetuneSpec) -> Any:
    if spec.method == "qlora":
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    if spec.start_from and spec.start_mode == "branch":
        try:
            return PeftModel.from_pretrained(base, spec.start_from, is_trainable=True)
        except (ValueError, RuntimeError, OSError) as error:
            raise start_unfit(spec, str(error)) from error
    targets: Any = spec.target_modules if spec.target_modules != ["all-linear"] else "all-linear"
    config = LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=spec.lora_dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(base, config)
    except ValueError as error:
        raise PanelError(
            "finetune_targets",
            N_("No adapter can be put on these matrices: {problem}"),
            N_("Write all-linear, or names that this model has, such as q_proj and v_proj."),
            problem=str(error)[:400],
        ) from error


def start_unfit(spec: FinetuneSpec, problem: str) -> PanelError:
    """The checkpoint to begin from does not fit what is to be trained."""
    return PanelError(
        "finetune_start_unfit",
        N_("The checkpoint {folder} cannot be begun from: {problem}"),
        N_("Use the same model, method, LoRA rank and matrices as the run that made it, or begin from the base model."),
        folder=spec.start_from,
        problem=problem.strip()[:400],
    )


def keeps_apart(loaded: Loaded) -> bool:
    """Whether a row says the same to ``loaded`` alone and behind another one: some kinds of model read on over the edge."""
    if "position_ids" not in loaded.takes:
        return False
    model = loaded.model
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(1)
    vocabulary = int(getattr(model.config, "vocab_size", 0) or model.get_input_embeddings().num_embeddings)
    first, second = (torch.randint(0, vocabulary, (1, n), generator=generator) for n in (11, 9))
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            alone = _plain(loaded, second, torch.arange(9)[None], device)
            both = _plain(
                loaded,
                torch.cat([first, second], 1),
                torch.cat([torch.arange(11), torch.arange(9)])[None],
                device,
            )
    finally:
        model.train(was)
    difference = (both[:, 11:] - alone).abs().max()
    limit = APART if both.dtype == torch.float32 else 10 * APART
    return bool(difference <= max(limit, 4 * torch.finfo(alone.dtype).eps) * alone.abs().max().clamp(min=1.0))


def _plain(loaded: Loaded, ids: torch.Tensor, positions: torch.Tensor, device: torch.device) -> torch.Tensor:
    batch = {
        "input_ids": ids.to(device),
        "position_ids": positions.to(device),
        "keep": torch.arange(ids.shape[1], device=device),
    }
    return loaded.forward(batch)


def copy_tokenizer(source: Path, target: Path) -> None:
    """The files by which ``source`` turns text into tokens, so that what was trained can be used by itself."""
    import shutil

    from backend.data.tokens.model import FILES

    for name in (*FILES, "tokenizer.model"):
        if (source / name).is_file() and not (target / name).exists():
            shutil.copyfile(source / name, target / name)
