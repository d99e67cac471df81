"""Serve a model over the OpenAI protocol on a loopback port, until it is stopped: ``python -m jobs.serve spec.json``.

check   what can be known without loading: the folder is whole, an engine takes it, the memory is enough
load    the engine's process reads the weights
ready   it has answered a real completion; ``endpoint.json`` says where and with which key
"""

from __future__ import annotations

import os
import secrets
import socket
from typing import Any

from backend import catalog
from backend.catalog import ModelCard
from backend.engines import ENGINES
from backend.errors import ModelError
from backend.i18n import N_
from backend.servers import Server, withdraw
from backend.specs.serve import ServeSpec
from backend.workspace import open_workspace
from jobs.harness import Job, main
from jobs.serving import memory
from jobs.serving.child import Child, environment
from jobs.serving.plan import KEY_VARIABLE, Plan
from jobs.serving.watch import Watch

DEFAULT_CONTEXT = 2048
BATCH_CACHE_TOKENS = 8192


def run(job: Job) -> dict[str, Any]:
    spec = job.spec_as(ServeSpec)
    withdraw(job.dir)  # of an attempt that was killed
    job.phase("check")
    engine = ENGINES["transformers"]
    card = catalog.find(open_workspace(), spec.model)
    problem = engine.unavailable() or engine.refuses(card)
    if problem is not None:
        raise problem
    if not card.chat_template and not spec.completions_only:
        raise ModelError(
            "model_no_chat_template",
            N_("'{model}' has no chat template, so it cannot hold a conversation."),
            N_("Choose its chat or instruct version, or serve it for completions only."),
            model=card.name,
        )
    plan = make_plan(job, spec, card)
    memory.check(engine, card, plan)
    job.check_stop()
    key = secrets.token_urlsafe(32)
    server = Server(
        job_id=int(os.environ.get("TUNEDECK_JOB_ID") or 0),
        model=plan.name,
        base_url=f"http://{plan.host}:{plan.port}/v1",
        key=key,
        engine=engine.name,
        path=plan.model,
        context_length=plan.context_length,
        aliases=plan.aliases,
        capabilities=("chat", "completions", *(("tools",) if plan.tools else ())) if plan.chat else ("completions",),
    )
    argv = engine.server_argv(plan.write(job.dir))
    job.log(
        f"model {plan.model}: {card.architecture}, {card.parameters} parameters, {card.dtype} served as {plan.dtype}"
    )
    job.log(" ".join(argv))
    return Watch(job, server, lambda: _start(argv, plan, key), spec.idle_s, spec.max_restarts).run()


def make_plan(job: Job, spec: ServeSpec, card: ModelCard) -> Plan:
    """Everything that the spec leaves open, decided. Needs no GPU library: a leased GPU is known by its lease."""
    device = ("cuda" if job.gpus else "cpu") if spec.device == "auto" else spec.device
    context = card.context_length or DEFAULT_CONTEXT
    if spec.context_length:
        context = min(context, spec.context_length)
    # "auto" is off: seeds and penalties cannot be kept apart in it, and a lone user gains nothing on a quiet machine.
    batching = spec.continuous_batching == "on"
    cache = max(BATCH_CACHE_TOKENS, min(context, 4 * BATCH_CACHE_TOKENS))
    name = spec.served_name()
    return Plan(
        model=str(card.path),
        name=name,
        aliases=tuple(dict.fromkeys(n for n in (card.name, str(card.path)) if n != name)),
        host="127.0.0.1",
        port=job.ports[0] if job.ports else _free_port(),
        device=device,
        dtype=spec.dtype if spec.dtype != "auto" else memory.serving_dtype(card, device),
        threads=spec.threads,
        context_length=min(context, cache) if batching else context,
        batching=batching,
        cache_tokens=cache,
        tools=card.tools,
        chat=card.chat_template,
    )


def _start(argv: list[str], plan: Plan, key: str) -> Child:
    return Child(argv, environment(plan.threads, plan.device, {KEY_VARIABLE: key}))


def _free_port() -> int:
    """For a run by hand; the queue leases ports."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main("serve", run))
