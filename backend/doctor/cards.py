"""The NVIDIA driver and every GPU in depth, in one look through NVML. What the driver does not tell is None."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import psutil

from backend.doctor.facts import Version
from backend.doctor.here import Here
from backend.memory.nvml import ask, text

Kind = Literal["ok", "none", "failed"]


@dataclass(frozen=True)
class Tenant:
    """A process on a GPU. held: bytes. program, user: None where it cannot be seen from here. mine: of this user."""

    pid: int
    held: int | None
    program: str | None = None
    user: str | None = None
    mine: bool = False


@dataclass(frozen=True)
class Card:
    """One GPU. lost: why it does not answer. total, used: bytes. ecc: errors that could not be corrected, since the driver
    was loaded. worn: rows of its memory have failed, or wait for a restart to be replaced. mode: NVML's compute mode, 0 is
    the usual one. hot: it has slowed down because of heat or power."""

    index: int
    lost: str = ""
    name: str = ""
    capability: Version = ()
    total: int | None = None
    used: int | None = None
    mig: bool | None = None
    persistence: bool | None = None
    ecc: int | None = None
    worn: bool | None = None
    mode: int | None = None
    hot: bool | None = None
    tenants: tuple[Tenant, ...] | None = None


@dataclass(frozen=True)
class Survey:
    """kind: whether the driver answered; ``none``: there is no driver. driver, cuda: its version and the newest CUDA it
    runs. problem: what it says where it failed."""

    kind: Kind
    driver: str = ""
    cuda: Version = ()
    cards: tuple[Card, ...] = ()
    problem: str = ""

    @property
    def answering(self) -> list[Card]:
        """The cards that can be asked."""
        return [card for card in self.cards if not card.lost]


def survey(here: Here) -> Survey:
    """The look, taken once for all checks. It hangs where the driver does: only for threads that nobody waits for."""
    return here.once("survey", _survey)


def _survey() -> Survey:
    import pynvml

    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return Survey("none")
    except pynvml.NVMLError as error:
        return Survey("failed", problem=str(error))
    try:
        cuda = ask(pynvml, pynvml.nvmlSystemGetCudaDriverVersion_v2)
        return Survey(
            "ok",
            driver=text(ask(pynvml, pynvml.nvmlSystemGetDriverVersion)),
            cuda=(cuda // 1000, cuda % 1000 // 10) if cuda else (),
            cards=tuple(_card(pynvml, index) for index in range(int(pynvml.nvmlDeviceGetCount()))),
        )
    except pynvml.NVMLError as error:
        return Survey("failed", problem=str(error))
    finally:
        ask(pynvml, pynvml.nvmlShutdown)


def _card(nvml: Any, index: int) -> Card:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError as error:
        return Card(index, lost=str(error))
    uncorrected, volatile = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    memory = ask(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    mig = ask(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
    rows = ask(nvml, lambda: nvml.nvmlDeviceGetRemappedRows(handle))
    slowed = ask(nvml, lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    persistence = ask(nvml, lambda: nvml.nvmlDeviceGetPersistenceMode(handle))
    tenants = ask(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    heat = (
        nvml.nvmlClocksEventReasonHwThermalSlowdown
        | nvml.nvmlClocksEventReasonSwThermalSlowdown
        | nvml.nvmlClocksEventReasonHwPowerBrakeSlowdown
    )
    return Card(
        index=index,
        name=text(ask(nvml, lambda: nvml.nvmlDeviceGetName(handle))),
        capability=ask(nvml, lambda: tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))) or (),
        total=int(memory.total) if memory is not None else None,
        used=int(memory.used) if memory is not None else None,
        mig=bool(mig[0]) if mig is not None else None,
        persistence=bool(persistence) if persistence is not None else None,
        ecc=ask(nvml, lambda: int(nvml.nvmlDeviceGetTotalEccErrors(handle, uncorrected, volatile))),
        worn=bool(rows[2] or rows[3]) if rows is not None else None,
        mode=ask(nvml, lambda: int(nvml.nvmlDeviceGetComputeMode(handle))),
        hot=bool(slowed & heat) if slowed is not None else None,
        tenants=tuple(_tenant(process) for process in tenants) if tenants is not None else None,
    )


def _tenant(found: Any) -> Tenant:
    held = int(found.usedGpuMemory) if found.usedGpuMemory is not None else None
    try:
        process = psutil.Process(int(found.pid))
        with process.oneshot():
            return Tenant(process.pid, held, process.name(), process.username(), process.uids().real == os.getuid())
    except (psutil.Error, OSError):
        # Of another container, or hidden by the system (hidepid): the driver counts its memory all the same.
        return Tenant(int(found.pid), held)
