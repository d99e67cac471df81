"""Spec of ``drill``: a job that only counts, to see that jobs work on this machine, and misbehaves on request.

Tests, the soak and the benchmarks stand on it: what a real engine does wrong once a month, it does on demand.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from backend.i18n import N_
from backend.specs.base import Resources, Spec


class DrillSpec(Spec):
    """Count ``steps`` steps of ``step_s`` seconds; ``fault`` says what goes wrong at ``fault_step``.

    fault: ``none``; ``raise`` (a traceback); ``exit`` (code 3 and no result); ``ignore_stop`` (ignores SIGINT and
    SIGTERM); ``daemonise`` (leaves a detached child that closed its descriptors and ignores SIGTERM, then goes on);
    ``huge_log`` (writes ``log_mib`` MiB); ``disk_full`` (its result cannot be written); ``slow_save`` (needs ``step_s``
    x 10 to save on a stop); ``out_of_memory`` (asks for more main memory than it may have).
    """

    verb: ClassVar[str] = "drill"
    auto_resume: ClassVar[int] = 3

    steps: int = Field(10, ge=0, le=1_000_000, title=N_("Steps"), description=N_("How many steps it counts"))
    step_s: float = Field(0.1, ge=0, le=3600, title=N_("Seconds per step"), description=N_("How long one step takes"))
    fault: Literal[
        "none", "raise", "exit", "ignore_stop", "daemonise", "huge_log", "disk_full", "slow_save", "out_of_memory"
    ] = Field("none", title=N_("Fault"), description=N_("What goes wrong, to see how it is shown"))
    fault_step: int = Field(1, ge=0, title=N_("Fault at step"), description=N_("The step at which it goes wrong"))
    log_mib: int = Field(
        1,
        ge=0,
        le=4096,
        title=N_("Log size (MiB)"),
        description=N_("How much it writes to its log when the fault is a huge log"),
    )
    hold_mib: int = Field(
        0,
        ge=0,
        le=65536,
        title=N_("Main memory (MiB)"),
        description=N_("How much main memory it holds while it counts"),
    )
    note: str = Field(
        "", max_length=1_000_000, title=N_("Note"), description=N_("Any text; it comes back in the result")
    )
    cpu: int = Field(
        1, ge=0, le=1024, title=N_("CPU slots"), description=N_("Slots of the processor that it waits for")
    )
    gpus: int = Field(
        0, ge=0, le=64, title=N_("Whole GPUs"), description=N_("GPUs that it waits for and has to itself")
    )
    gpu_mib: int = Field(
        0, ge=0, title=N_("GPU memory (MiB)"), description=N_("Memory of one GPU that it waits for and shares")
    )
    ports: int = Field(0, ge=0, le=16, title=N_("Ports"), description=N_("Loopback ports that it is given"))

    def resources(self) -> Resources:
        return Resources(cpu=self.cpu, gpus=self.gpus, gpu_mib=self.gpu_mib, ports=self.ports)
