"""Why a queued job waits, in one sentence: the queue stores a code and figures, a person reads what holds it up."""

from __future__ import annotations

import time
from typing import Any

from backend.errors import fill
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from ui import words

SENTENCES = {
    "cpu_busy": N_("All CPU slots ({slots}) are taken; job {job} has one."),
    "cpu_busy_until": N_("All CPU slots ({slots}) are taken; job {job} has one until about {time}."),
    "cpu_never": N_(
        "It needs {needed} CPU slots and the settings allow {slots}. Raise the setting, or run it again with fewer."
    ),
    "gpu_leased": N_("GPU {gpu} is leased by job {job}."),
    "gpu_leased_until": N_("GPU {gpu} is leased by job {job} until about {time}."),
    "gpu_memory": N_("It needs {needed} of GPU memory; GPU {gpu} has {free} left."),
    "gpu_never": N_("It needs {needed} GPUs and this machine has {have}. It cannot start here."),
    "gpu_never_memory": N_("It needs {needed} of one GPU's memory; no GPU here has that much."),
    "no_gpu": N_("It needs a GPU and this machine has none. It cannot start here."),
    "port": N_("All ports from {first} to {last} are in use."),
    "behind": N_("Job {job} waits for the same and comes first."),
    "paused": N_("The queue is paused."),
    "": N_("It starts as soon as it can."),
}
NEVER = frozenset({"cpu_never", "gpu_never", "no_gpu"})
"""Codes of jobs that no waiting helps: they are shown as a warning."""


def sentence(row: JobRow, now: float | None = None) -> str:
    """Why ``row`` waits, in the person's language; an unknown code stands for itself, so that nothing is hidden."""
    code, params = str(row.wait.get("code", "")), dict(row.wait.get("params") or {})
    key = _variant(code, params, time.time() if now is None else now)
    if key not in SENTENCES:
        return _("It waits: {code}.").format(code=code)
    return fill(_(SENTENCES[key]), _shown(params))


def hopeless(row: JobRow) -> bool:
    """Whether no waiting helps: this machine cannot give what the job asks for."""
    return row.wait.get("code") in NEVER


def _variant(code: str, params: dict[str, Any], now: float) -> str:
    until = params.get("until")
    # An estimate that has passed is no estimate: better to say who holds it and no time.
    if code in ("cpu_busy", "gpu_leased") and isinstance(until, int | float) and until > now:
        return f"{code}_until"
    if code == "gpu_never" and params.get("needed_mib"):
        return "gpu_never_memory"
    return code


def _shown(params: dict[str, Any]) -> dict[str, Any]:
    shown = dict(params)
    if isinstance(params.get("until"), int | float):
        shown["time"] = words.clock(params["until"])
    if params.get("needed_mib"):
        shown["needed"] = words.gib(params["needed_mib"] * 2**20)
    if params.get("free_mib") is not None:
        shown["free"] = words.gib(params["free_mib"] * 2**20)
    return shown
