"""What one look at the memory of this machine says: the shapes that reader, store and pages share. Bytes throughout; None is
a value ("the driver does not tell"), never an error. Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOST = "host"
"""The place of main memory; every other place is the UUID of a GPU or of a slice of one."""

Source = Literal["driver", "lease", "trainer", "process"]
"""Where a job's figure comes from. driver: NVML tells it per process. lease: NVML hides processes, so it is the rise of the
device since the job got it for itself alone. trainer: what the training program says that it has allocated. process: main
memory of its processes."""


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process on a GPU. size: bytes on that device. user: of the operating system, "" where it cannot be seen.
    command: short, without arguments that could be secret. job: of ours, else None."""

    pid: int
    size: int | None
    user: str = ""
    command: str = ""
    job: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceSample:
    """A GPU, or a MIG slice of one (parent: the card's UUID). uuid: "" for a card that was lost before it ever told it. used:
    without what the driver keeps for itself, as nvidia-smi counts. load: 0 to 1. throttle: why it is slowed down, NVML's
    reasons by the names in :mod:`backend.memory.nvml`. hidden: processes use it that the driver does not name (in a container,
    say). lost: it fell off the bus, or waits for a reset."""

    index: int
    uuid: str
    name: str = ""
    total: int | None = None
    used: int | None = None
    free: int | None = None
    load: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    throttle: tuple[str, ...] = ()
    processes: tuple[ProcessUse, ...] = ()
    hidden: bool = False
    lost: bool = False
    parent: str = ""


@dataclass(frozen=True, slots=True)
class HostSample:
    """Main memory, swap, processor (0 to 1 of all cores that may be used) and the disk of the workspace."""

    ram_total: int
    ram_used: int
    swap_total: int = 0
    swap_used: int = 0
    cpu: float | None = None
    disk_total: int | None = None
    disk_free: int | None = None


@dataclass(frozen=True, slots=True)
class JobUse:
    """What one job takes at one place (:data:`HOST` or a device's UUID), and where the figure comes from."""

    job: int
    place: str
    size: int
    source: Source


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. problem: why the GPUs could not be asked, "" where all is well or there are none."""

    t: float
    host: HostSample
    devices: tuple[DeviceSample, ...] = ()
    jobs: tuple[JobUse, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """name: ``used``, ``total``, ``load``, ``power``, ``temperature``, ``swap``, ``cpu``, ``disk`` (bytes in use);
    ``job`` (subject: its number), ``user`` (subject: who, of processes that are no job of ours), ``neighbours`` (all that is
    not a job of ours). place: HOST or a device's UUID."""

    place: str
    name: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One value a cell of the window's grid; None where nothing was recorded."""

    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True)
class Window:
    """Cell i covers ``start + i * step`` up to the next one."""

    start: float
    end: float
    step: float
    series: dict[SeriesKey, Series]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened: kind as in the contract of the recorder. details: JSON values."""

    t: float
    kind: str
    place: str = ""
    subject: str = ""
    details: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """The most and the usual (median over the second half) that a job took at one place, and when it was at its most."""

    job: int
    place: str
    peak: int
    steady: int
    t: float
    source: Source


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A GPU that has ever been seen here."""

    uuid: str
    index: int
    name: str
    total: int | None
    first_seen: float
    last_seen: float
