"""lm-evaluation-harness (EleutherAI): asks a model the questions of a set and scores the answers by its own filters and metrics.

Here it only asks a server, so it needs neither torch nor transformers. What it is told is written by lm_eval_tasks.py, what it
leaves is read by lm_eval_results.py, why it broke off is told by lm_eval_causes.py. Facts are those of 0.4.13 (MIT licence).
"""

from __future__ import annotations

from backend.engines.base import Capability
from backend.engines.recipes import Recipe
from backend.engines.refusals import not_installed
from backend.errors import PanelError
from backend.i18n import N_


class LmEvalEngine:
    """See :class:`backend.engines.base.Engine`."""

    name = "lm_eval"
    title = "lm-evaluation-harness"
    purpose = N_(
        "Asks a model the questions of a set and scores the answers with the filters and metrics of EleutherAI."
    )
    roles = ("evaluate",)
    # Lean: what it needs to compute a model itself is not in the lock.
    recipe = Recipe(
        packages=("lm_eval",),
        flavours=("cpu",),
        imports=("lm_eval", "lm_eval.tasks", "lm_eval.models.openai_completions"),
        # Nothing is fetched while it runs.
        environ={
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_EVALUATE_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TOKENIZERS_PARALLELISM": "false",
        },
    )

    def unavailable(self) -> PanelError | None:
        return not_installed(self)

    def capabilities(self) -> list[Capability]:
        return [Capability(N_("Evaluate a model that is served here"), self.unavailable())]


ENGINE = LmEvalEngine()
