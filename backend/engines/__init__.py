"""The programs that people's work is done with. One module per engine; adding an engine is adding its module, which says
``ENGINE = ...``, and the lock of its environment in ``locks/``.

base.py          what every engine can be asked
registry.py      which engines there are: the modules here that have an ENGINE
recipes.py       how an engine's environment is made, and what is mended in it
transformers.py  in the panel's own environment, on the CPU or a GPU
lmdeploy.py      in an environment of its own, on GPUs; its settings in lmdeploy_options.py, where it lies in lmdeploy_env.py
lmdeploy_lite.py its 4-bit copies of models, also on the CPU
opencompass.py   evaluation, in an environment of its own; what it is told in opencompass_config.py, what it leaves in
                 opencompass_results.py
lm_eval.py       lm-evaluation-harness, in an environment of its own; its tasks are chosen in lm_eval_tasks.py and written by
                 lm_eval_text.py, what it is lent is lm_eval_rules.py, what it leaves is read by lm_eval_results.py, and
                 lm_eval_causes.py tells why it broke off
lagent.py        agents, in an environment of its own
xtuner.py        fine-tuning, in an environment of its own; its settings in xtuner_config.py, its programs in xtuner_run.py
refusals.py      reasons that several of them have
on_gpu.py        why something cannot be done on the GPUs that are here
adapters.py      what to serve beside a model
choice.py        which one serves a model, and whether it can be set as asked
kv.py            how much memory a running conversation takes
crashes.py       why an engine ended, as its server says it; the table is backend.diagnosis
serving.py       start, stop, sleep, wake: what the pages, the gateway and the command line all do
"""

from __future__ import annotations

from backend.engines.base import Capability, Engine, Place, Problem, ServingEngine
from backend.engines.choice import ENGINES, check, pick, refusal, refusal_of_each
from backend.engines.recipes import Patch, Recipe
from backend.engines.registry import engines

__all__ = [
    "ENGINES",
    "Capability",
    "Engine",
    "Patch",
    "Place",
    "Problem",
    "Recipe",
    "ServingEngine",
    "check",
    "engines",
    "pick",
    "refusal",
    "refusal_of_each",
]
