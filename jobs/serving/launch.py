"""From a spec and a model to what is started: one way for each engine.

Both decide all that the spec leaves open, check the memory before minutes are spent on loading, and say how the server
will be reached.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.catalog import ModelCard
from backend.catalog.fitting import spare_tokens
from backend.engines import ENGINES, Place, adapters, check
from backend.engines.lmdeploy import LMDeployEngine
from backend.envs import running
from backend.queue import ports
from backend.servers import Server
from backend.specs.serve import ServeSpec
from backend.workspace import open_workspace
from jobs.harness import Job
from jobs.serving import memory
from jobs.serving.child import environment
from jobs.serving.plan import KEY_VARIABLE, Plan

DEFAULT_CONTEXT = 2048
BATCH_CACHE_TOKENS = 8192
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Launch:
    """argv: what runs, without a secret. environment: of that process; the server's key is in it."""

    server: Server
    argv: list[str]
    environment: dict[str, str]


def transformers(job: Job, spec: ServeSpec, card: ModelCard) -> Launch:
    """Our own server over transformers."""
    engine = ENGINES["transformers"]
    check(engine, spec, card)
    spare = spare_tokens(card)
    if spare is not None:
        raise spare
    plan = make_plan(job, spec, card)
    memory.check(engine, card, plan)
    plan.write(job.dir)
    server = Server(
        **_common("transformers", plan.name, plan.port, str(card.path)),
        context_length=plan.context_length,
        aliases=plan.aliases,
        capabilities=("chat", "completions", *(("tools",) if plan.tools else ())) if plan.chat else ("completions",),
    )
    base = card.base or card
    job.log(
        f"model {plan.model}: {base.architecture}, {base.parameters} parameters, {base.dtype} served as {plan.dtype}"
    )
    if card.base is not None:
        job.log(f"adapter {plan.adapter}: rank {card.adapter_rank}, {card.parameters} parameters, of {base.name}")
    if card.template_differs:
        job.log(
            f"its own chat template ({card.template_fingerprint}) is used; that of {base.name} is another one "
            f"({base.template_fingerprint})"
        )
    argv = engine.command(spec, card, Place(plan.port, job.dir))
    return Launch(server, argv, environment(plan.threads, plan.device, {KEY_VARIABLE: server.key}))


def lmdeploy(job: Job, spec: ServeSpec, card: ModelCard) -> Launch:
    """LMDeploy's own server, in its own environment."""
    engine = LMDeployEngine()
    found, wrong = adapters.find(open_workspace(), spec)
    free = memory.free_gpu_bytes(spec.tp)
    check(engine, spec, card, len(job.gpus) or None, wrong)
    memory.compare(card, engine.needed_bytes(spec, card), free, on_gpu=True)
    port = _port(job)
    template = card.chat_template or bool(spec.chat_template)
    server = Server(
        **_common(engine.name, spec.served_name(), port, str(card.path)),
        context_length=min(filter(None, (card.context_length, spec.context_length)), default=0),
        adapters=tuple(name for name, _folder in found),
        capabilities=("chat", "completions", *(("tools",) if spec.tool_call_parser else ()))
        if template
        else ("completions",),
        sleeps=engine.sleeps,
    )
    job.log(f"model {card.path}: {card.architecture}, {card.parameters} parameters, {card.dtype}")
    argv = engine.command(spec, card, Place(port, job.dir, free, tuple(found)))
    # uvicorn would write a line for every look at its health.
    extra = {KEY_VARIABLE: server.key, "TUNEDECK_LEAVE": "1", "UVICORN_LOG_LEVEL": "warning"}
    ours = environment(spec.threads, "cuda", {}, ours=False)
    return Launch(server, argv, {**running.environ(engine, Path(argv[0]), "cuda", ours), **extra})


LAUNCHERS = {"transformers": transformers, "lmdeploy": lmdeploy}


def make_plan(job: Job, spec: ServeSpec, card: ModelCard) -> Plan:
    """Everything that the spec leaves open, decided. Needs no GPU library: a leased GPU is known by its lease."""
    base, card = card.base, card.served
    device = ("cuda" if job.gpus else "cpu") if spec.device == "auto" else spec.device
    context = card.context_length or DEFAULT_CONTEXT
    if spec.context_length:
        context = min(context, spec.context_length)
    # "auto" is off: seeds and penalties cannot be kept apart in it, and a lone user gains nothing on a quiet machine.
    batching = spec.continuous_batching == "on"
    cache = max(BATCH_CACHE_TOKENS, min(context, 4 * BATCH_CACHE_TOKENS))
    name = spec.served_name()
    return Plan(
        model=str(base.path if base else card.path),
        name=name,
        aliases=tuple(dict.fromkeys(n for n in (card.name, str(card.path)) if n != name)),
        host=HOST,
        port=_port(job),
        device=device,
        dtype=spec.dtype if spec.dtype != "auto" else memory.serving_dtype(card, device),
        threads=spec.threads,
        context_length=min(context, cache) if batching else context,
        batching=batching,
        cache_tokens=cache,
        tools=card.tools,
        chat=card.chat_template,
        adapter=str(card.path) if base else "",
        tokenizer=str(card.path) if base and card.own_tokenizer else "",
    )


def _common(engine: str, name: str, port: int, path: str) -> dict[str, Any]:
    return {
        "job_id": int(os.environ.get("TUNEDECK_JOB_ID") or 0),
        "model": name,
        "base_url": f"http://{HOST}:{port}/v1",
        "key": secrets.token_urlsafe(32),
        "engine": engine,
        "path": path,
    }


def _port(job: Job) -> int:
    """The one leased, or the next one where it was taken since; for a run by hand, which has no queue, a free one."""
    if job.ports:
        port = ports.take((*job.ports, *ports.PORTS))
        if port is None:
            return job.ports[0]  # the engine's own words say who is there
        if port not in job.ports:
            job.log(f"port {job.ports[0]} was taken since it was leased: this server listens on {port}")
        return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
