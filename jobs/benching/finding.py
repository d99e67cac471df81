"""From a spec to a server that can be measured: its address, its key, what is known of it, and what it takes of the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.bench import keys, prompts
from backend.bench.prompts import Chosen
from backend.errors import PanelError
from backend.memory.sample import HOST
from backend.memory.series import open_memory
from backend.queue.store import Store
from backend.servers import Server, pick, running_servers
from backend.specs.bench import BenchSpec
from backend.workspace import Workspace
from jobs.benching.checking import TRIAL, Dialect, Target


@dataclass(frozen=True)
class Found:
    """A server, and the job that serves it where it is one of ours."""

    target: Target
    server: Server | None = None


def find(workspace: Workspace, store: Store, spec: BenchSpec) -> Found:
    """The server that ``spec`` means. One of ours is known by its address, too: then its key needs no name.

    Raises:
        ServerError: ``model_not_running``, ``model_asleep``. AccessError: there is no such key.
    """
    running = running_servers(store)
    if spec.server:
        server = pick(running, spec.server)
        return Found(Target(server.base_url, spec.model or server.model, server.key), server)
    key = keys.read(workspace, spec.key_name)
    address = spec.base_url.strip().rstrip("/")
    ours = next((one for one in running if address in (one.base_url, one.base_url.removesuffix("/v1"))), None)
    if ours is not None:
        return Found(Target(ours.base_url, spec.model, key or ours.key), ours)
    return Found(Target(address, spec.model, key))


def choose(workspace: Workspace, spec: BenchSpec, found: Found, known: Dialect, count: int) -> tuple[Chosen, list[str]]:
    """``count`` prompts that fit the model, and codes of what is to be said about them.

    Raises:
        DataError: the file holds none, or none fits.
    """
    server, notices = found.server, []
    tokens, overhead = None, 0
    try:
        tokens = prompts.counter(workspace, server.path if server is not None and server.path else known.model)
        if known.prompt_tokens is not None:
            overhead = max(0, known.prompt_tokens - tokens(TRIAL))
    except PanelError:
        if spec.input_tokens:
            notices.append("length_estimated")
    context = server.context_length if server is not None else 0
    chosen = prompts.choose(
        spec.prompts,
        count,
        seed=spec.seed,
        input_tokens=spec.input_tokens,
        tokens=tokens,
        overhead=overhead,
        room=max(1, context - spec.output_tokens) if context else 0,
    )
    if chosen.repeated:
        notices.append("prompts_repeated")
    if chosen.left_out:
        notices.append("prompts_left_out")
    return chosen, notices


def memory(workspace: Workspace, server: Server | None) -> dict[str, Any] | None:
    """What the job of ``server`` takes, as the recorder has seen it: bytes ``steady`` and ``peak``, ``on_gpu``, ``source``; None: nobody looked."""
    if server is None:
        return None
    record = open_memory(workspace)
    try:
        peaks = record.peaks(server.job_id)
    finally:
        record.close()
    on_gpu = any(one.place != HOST for one in peaks)
    counted = [one for one in peaks if (one.place != HOST) == on_gpu]
    if not counted:
        return None
    return {
        "steady": sum(one.steady for one in counted),
        "peak": sum(one.peak for one in counted),
        "on_gpu": on_gpu,
        "source": counted[0].source,
    }
