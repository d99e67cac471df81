"""XTuner (InternLM): fine-tunes language models, in an environment of its own.

Its settings and its config file: xtuner_config.py; rows that it would not take as they are meant: xtuner_rows.py; its
programs, its files and its log: xtuner_run.py. It loads every model with ``trust_remote_code``: a model that brings program
code is refused until a person has allowed exactly that code.
"""

from __future__ import annotations

from backend.catalog.cards import ModelCard
from backend.engines import on_gpu
from backend.engines.base import Capability
from backend.engines.recipes import Patch, Recipe
from backend.engines.refusals import needs_consent, not_installed, unusable
from backend.errors import ModelError, PanelError
from backend.i18n import N_

VERSION = "==0.2.0"
OLDEST_GPU = (7, 5)
"""The torch of its lock is built with CUDA 13, which has no code for older ones."""
BF16 = (8, 0)
"""CUDA C++ Programming Guide, compute capability 8.x."""


class XTunerEngine:
    """See :class:`backend.engines.base.Engine`."""

    name = "xtuner"
    title = "XTuner"
    purpose = N_("Fine-tunes models, in full, with LoRA or QLoRA, on one GPU or several, and small models on the CPU.")
    roles = ("finetune",)
    recipe = Recipe(
        packages=("xtuner", "torch", "transformers", "peft"),
        flavours=("cpu", "cuda"),
        imports=("xtuner.dataset", "xtuner.model", "xtuner.tools.train"),
        environ={
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TOKENIZERS_PARALLELISM": "false",
            # XTuner's own command sets it too: with several OpenMP libraries in one process, MKL refuses to start.
            "MKL_SERVICE_FORCE_INTEL": "1",
        },
        patches=(
            Patch(
                name="torchvision_stub",
                why=N_(
                    "XTuner loads torchvision even for text, and there is no torchvision for this torch without a GPU."
                ),
                package="xtuner",
                versions=VERSION,
                probe="import xtuner.dataset",
                flavours=("cpu",),
            ),
            Patch(
                name="torch_cpu_bf16",
                why=N_("XTuner asks torch a question about the CPU that torch answers for GPUs only."),
                package="xtuner",
                versions=VERSION,
                probe="import torch; torch.cpu.is_bf16_supported()",
            ),
        ),
    )

    def unavailable(self) -> PanelError | None:
        return not_installed(self)

    def capabilities(self) -> list[Capability]:
        problem = self.unavailable()
        on_one = on_gpu.problem(self, since=OLDEST_GPU)
        return [
            Capability(N_("LoRA and full fine-tuning on the CPU, in float32"), problem),
            Capability(N_("LoRA and full fine-tuning on a GPU"), on_one or problem),
            Capability(N_("QLoRA, the base model in 4 bits"), on_one or problem),
            Capability(N_("Compute in float16"), on_one or problem),
            Capability(N_("Compute in bfloat16"), on_gpu.problem(self, since=BF16) or problem),
            Capability(N_("DeepSpeed, for models larger than one GPU's memory"), on_one or problem),
            Capability(N_("Several GPUs at once"), on_gpu.problem(self, since=OLDEST_GPU, count=2) or problem),
        ]

    def refuses(self, card: ModelCard) -> PanelError | None:
        """Why this model cannot be trained, however it is set; None where it can. Looks at the card only."""
        if (problem := unusable(card)) is not None:
            return problem
        if card.needs_code and not card.code_allowed:
            return needs_consent(card)
        if card.code_files and not card.needs_code:
            # transformers leaves it alone, for it knows the architecture; with trust_remote_code it takes it all the same.
            return ModelError(
                "model_code_would_run",
                N_("XTuner would run the program code in the folder of '{model}': {files}."),
                N_(
                    "The model loads without it: train it with transformers, or take these files out of a copy of the folder."
                ),
                model=card.name,
                files=", ".join(file.name for file in card.code_files),
            )
        if card.quantization_method:
            return ModelError(
                "model_quantized_untrainable",
                N_("'{model}' is quantized with {method}, and quantized weights cannot be trained."),
                N_("Choose the model before it was quantized; QLoRA makes 4 bits of it by itself."),
                model=card.name,
                method=card.quantization_method,
            )
        return None


ENGINE = XTunerEngine()
