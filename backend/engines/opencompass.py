"""OpenCompass: asks a model the questions of a benchmark and counts the right answers, in an environment of its own.

The default is to ask a model that is served here already. How it is told what to ask is in opencompass_config.py, what it
leaves in opencompass_results.py. Facts are those of 0.5.4.
"""

from __future__ import annotations

from backend.engines import on_gpu
from backend.engines.base import Capability
from backend.engines.recipes import Recipe
from backend.engines.refusals import not_installed
from backend.errors import PanelError
from backend.i18n import N_


class OpenCompassEngine:
    """See :class:`backend.engines.base.Engine`."""

    name = "opencompass"
    title = "OpenCompass"
    purpose = N_("Measures how much a model knows: asks it the questions of a benchmark and counts the right answers.")
    roles = ("evaluate",)
    recipe = Recipe(
        packages=("opencompass", "torch", "transformers"),
        flavours=("cpu", "cuda"),
        imports=("opencompass.cli.main", "opencompass.models"),
        # Nothing is fetched while it runs; and a person's own DATASET_SOURCE would send it to a hub for the questions.
        environ={
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "DATASET_SOURCE": "",
        },
    )

    def unavailable(self) -> PanelError | None:
        return not_installed(self)

    def capabilities(self) -> list[Capability]:
        problem = self.unavailable()
        return [
            Capability(N_("Evaluate a model that is served here"), problem),
            Capability(N_("Compute small models itself, slowly, on the CPU"), problem),
            Capability(N_("Compute models itself on a GPU"), on_gpu.problem(self) or problem),
        ]


ENGINE = OpenCompassEngine()
