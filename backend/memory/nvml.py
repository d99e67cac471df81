"""The NVIDIA driver's library (NVML), opened once a process, and the figures that it tells of a GPU.

What the driver does not tell (``N/A`` in nvidia-smi) is None: a value, never an exception. A driver older than the binding
lacks functions: then the older ones are asked. Sources: NVML API reference (nvmlDeviceGetMemoryInfo_v2,
nvmlDeviceGetComputeRunningProcesses, nvmlClocksEventReasons).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

THROTTLE = {
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
"""Bits of nvmlClocksEventReasons by the names that nvidia-smi gives them. Bit 1, idle, is no slowing down."""

_lock = threading.RLock()
_open = False


@contextmanager
def opened() -> Iterator[Any]:
    """pynvml with the driver's library open, for one caller at a time. It stays open between calls, because opening can take
    a second, but not after an error that gets here: the next call opens it anew.

    Raises:
        pynvml.NVMLError: it cannot be opened.
    """
    import pynvml

    global _open
    with _lock:
        try:
            if not _open:
                pynvml.nvmlInit()
                _open = True
            yield pynvml
        except pynvml.NVMLError:
            shut()
            raise


def shut() -> None:
    """Close the library where it is open."""
    import pynvml

    global _open
    with _lock:
        if _open:
            _open = False
            ask(pynvml, pynvml.nvmlShutdown)


def ask(nvml: Any, question: Callable[[], T]) -> T | None:
    """The answer, or None where the driver, or a binding older than the question, has none."""
    try:
        return question()
    except (nvml.NVMLError, AttributeError):
        return None


def text(value: str | bytes | None) -> str:
    """A name as pynvml gives it, which depends on its version."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


class Lost(Exception):
    """The card fell off the bus, or waits for a reset."""


class Stale(Exception):
    """The handle is from before a reset."""


class Figure:
    """One figure and the calls that may tell it, newest first. One that this driver does not have is not tried again."""

    def __init__(self, nvml: Any, *calls: Callable[[Any], Any]) -> None:
        self._calls = list(calls)
        self._missing = (
            nvml.NVMLError_FunctionNotFound,
            nvml.NVMLError_ArgumentVersionMismatch,
            nvml.NVMLError_Deprecated,
            AttributeError,
        )
        self._error = nvml.NVMLError
        self._lost = (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED, nvml.NVML_ERROR_GPU_NOT_FOUND)
        self._stale = (nvml.NVML_ERROR_INVALID_ARGUMENT, nvml.NVML_ERROR_NOT_FOUND)
        self._closed = nvml.NVML_ERROR_UNINITIALIZED

    def of(self, handle: Any, *, probe: bool = False) -> Any:
        """None where the driver does not tell. ``probe``: a call that each living handle accepts, so that one that is refused
        is stale (slices refuse some calls in the same words)."""
        while self._calls:
            try:
                return self._calls[0](handle)
            except self._missing:
                self._calls.pop(0)
            except self._error as error:
                if error.value in self._lost:
                    raise Lost from error
                if error.value == self._closed:
                    raise
                if probe and error.value in self._stale:
                    raise Stale from error
                return None
        return None


class Figures:
    """What is asked of each card every second."""

    def __init__(self, nvml: Any) -> None:
        n = nvml
        # Version 2 leaves out of "used" what the driver keeps for itself, as nvidia-smi does.
        self.memory = Figure(
            n, lambda h: n.nvmlDeviceGetMemoryInfo(h, n.nvmlMemory_v2), lambda h: n.nvmlDeviceGetMemoryInfo(h)
        )
        self.load = Figure(n, lambda h: n.nvmlDeviceGetUtilizationRates(h).gpu / 100)
        self.power = Figure(n, lambda h: n.nvmlDeviceGetPowerUsage(h) / 1000)
        self.power_limit = Figure(
            n,
            lambda h: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1000,
            lambda h: n.nvmlDeviceGetPowerManagementLimit(h) / 1000,
        )
        self.temperature = Figure(
            n,
            lambda h: float(n.nvmlDeviceGetTemperatureV(h, n.NVML_TEMPERATURE_GPU)),
            lambda h: float(n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU)),
        )
        self.throttle = Figure(
            n,
            lambda h: n.nvmlDeviceGetCurrentClocksEventReasons(h),
            lambda h: n.nvmlDeviceGetCurrentClocksThrottleReasons(h),
        )
        self.processes = tuple(
            Figure(n, *(_call(n, f"nvmlDeviceGet{kind}RunningProcesses_v{version}") for version in (3, 2)))
            for kind in ("Compute", "Graphics")
        )


def _call(nvml: Any, name: str) -> Callable[[Any], Any]:
    return lambda handle: getattr(nvml, name)(handle)


def reasons(bits: int) -> tuple[str, ...]:
    """Names of the set bits; one that is newer than our table is told as a number."""
    if not bits & ~1:
        return ()
    return tuple(THROTTLE.get(1 << n, f"{1 << n:#x}") for n in range(1, bits.bit_length()) if bits >> n & 1)
