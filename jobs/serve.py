"""Serve a model over the OpenAI protocol on a loopback port, until it is stopped: ``python -m jobs.serve spec.json``.

check   what can be known without loading: the folder is whole, an engine takes it and its settings, the memory is enough
load    the engine's process reads the weights
ready   it has answered a real completion; ``endpoint.json`` says where and with which key
"""

from __future__ import annotations

import shlex
from typing import Any

from backend import catalog
from backend.catalog import ModelCard
from backend.engines import pick
from backend.engines.refusals import needs_consent
from backend.errors import ModelError
from backend.i18n import N_
from backend.servers import withdraw
from backend.specs.serve import ServeSpec
from backend.workspace import open_workspace
from jobs.harness import Job, main
from jobs.serving.child import Child
from jobs.serving.launch import LAUNCHERS, Launch
from jobs.serving.watch import Watch


def run(job: Job) -> dict[str, Any]:
    spec = job.spec_as(ServeSpec)
    withdraw(job.dir)  # of an attempt that was killed
    job.phase("check")
    card = catalog.find(open_workspace(), spec.model)
    # "auto" in a spec that did not come from us asks for no GPU, and then has none.
    if spec.engine == "auto" and not job.gpus and spec.device != "cuda":
        spec = spec.model_copy(update={"device": "cpu"})
    engine = pick(spec, card)
    if not (card.served.chat_template or spec.completions_only or spec.chat_template):
        raise ModelError(
            "model_no_chat_template",
            N_("'{model}' has no chat template, so it cannot hold a conversation."),
            N_(
                "Choose its chat or instruct version, give it a known chat template in its details on the Models page, or "
                "serve it for completions only."
            ),
            model=card.name,
        )
    launch = LAUNCHERS[engine.name](job, spec, card)
    job.check_stop()
    job.log(shlex.join(launch.argv))
    watch = Watch(job, launch.server, engine, lambda: _start(launch, spec, card), spec.idle_s, spec.max_restarts)
    return watch.run()


def _start(launch: Launch, spec: ServeSpec, card: ModelCard) -> Child:
    """Each start, the tenth too, needs the consent to the code as it is now."""
    if card.served.needs_code:
        now = catalog.find(open_workspace(), spec.model)
        if not now.served.code_allowed:
            raise needs_consent(now.base or now)
    return Child(launch.argv, launch.environment)


if __name__ == "__main__":
    raise SystemExit(main("serve", run))
