"""Why something cannot be done on the GPUs of this machine, told without loading anything."""

from __future__ import annotations

from backend.engines.base import Engine
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.memory import machine
from backend.workspace import Workspace, default_root


def problem(engine: Engine, *, since: tuple[int, ...] = (), count: int = 1) -> PanelError | None:
    """Why ``engine`` cannot do here what takes ``count`` GPUs of compute capability ``since``, such as ``(8, 0)``; None
    where it can. A GPU whose capability is not known is taken as new enough."""
    from backend.envs import places  # that package asks the engines

    found, reason = machine.gpus()
    gpus = [gpu for gpu in found if gpu.total is not None]
    if not gpus:
        return ServerError(
            "capability_needs_gpu",
            N_("This needs an NVIDIA GPU, and this machine shows none: {problem}")
            if reason
            else N_("This needs an NVIDIA GPU, and this machine shows none."),
            N_("Use a machine that has one."),
            problem=reason,
        )
    if places.status(Workspace(default_root()), engine.name).flavour == "cpu":
        return ServerError(
            "capability_flavour_cpu",
            N_("{engine} is installed here for the CPU only."),
            N_("Install it again on the Environments page, for CUDA."),
            engine=engine.title,
        )
    new = [gpu for gpu in gpus if not gpu.capability or gpu.capability >= since]
    if not new:
        best = max(gpus, key=lambda gpu: gpu.capability)
        return ServerError(
            "capability_gpu_too_old",
            N_("This needs a GPU of compute capability {wanted} or newer; {gpu} has {found}."),
            N_("Use a machine with a newer GPU."),
            wanted=".".join(map(str, since)),
            gpu=best.name,
            found=".".join(map(str, best.capability)),
        )
    if len(new) < count:
        return ServerError(
            "capability_too_few_gpus",
            N_("This needs {count} such GPUs, and this machine has {found}."),
            N_("Use a machine with more GPUs, or one GPU."),
            count=count,
            found=len(new),
        )
    return None
