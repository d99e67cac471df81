"""The programs that run models. One module per engine; adding an engine is adding its module and a line in ``ENGINES``.

base.py          what every engine can be asked
transformers.py  in the panel's own environment, on the CPU or a GPU
lmdeploy.py      in an environment of its own, on GPUs; its settings in lmdeploy_options.py, where it lies in lmdeploy_env.py
refusals.py      reasons that several of them have
adapters.py      what to serve beside a model
choice.py        which one serves a model, and whether it can be set as asked
kv.py            how much memory a running conversation takes
crashes.py       why an engine ended, told from its last words
serving.py       start, stop, sleep, wake: what the pages, the gateway and the command line all do
"""

from __future__ import annotations

from backend.engines.base import Engine, Place, Problem
from backend.engines.choice import ENGINES, check, pick, refusal

__all__ = ["ENGINES", "Engine", "Place", "Problem", "check", "pick", "refusal"]
