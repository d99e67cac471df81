"""Spec of ``drill``: a job that only counts, to see that jobs work on this machine, and misbehaves on request.

Tests, the soak and the benchmarks stand on it: what a real engine does wrong once a month, it does on demand.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from backend.specs.base import Resources, Spec


class DrillSpec(Spec):
    """Count ``steps`` steps of ``step_s`` seconds; ``fault`` says what goes wrong at ``fault_step``.

    fault: ``none``; ``raise`` (a traceback); ``exit`` (code 3 and no result); ``ignore_stop`` (ignores SIGINT and
    SIGTERM); ``daemonise`` (leaves a detached child that closed its descriptors and ignores SIGTERM, then goes on);
    ``huge_log`` (writes ``log_mib`` MiB); ``disk_full`` (its result cannot be written); ``slow_save`` (needs ``step_s``
    x 10 to save on a stop).
    """

    verb: ClassVar[str] = "drill"
    auto_resume: ClassVar[int] = 3

    steps: int = Field(10, ge=0, le=1_000_000, description="How many steps to count")
    step_s: float = Field(0.1, ge=0, le=3600, description="Seconds per step")
    fault: Literal["none", "raise", "exit", "ignore_stop", "daemonise", "huge_log", "disk_full", "slow_save"] = Field(
        "none", description="What goes wrong"
    )
    fault_step: int = Field(1, ge=0, description="At which step it goes wrong")
    log_mib: int = Field(1, ge=0, le=4096, description="MiB of log to write")
    note: str = Field("", max_length=1_000_000, description="Any text; comes back in the result")
    cpu: int = Field(1, ge=0, le=1024, description="CPU slots")
    gpus: int = Field(0, ge=0, le=64, description="Whole GPUs")
    gpu_mib: int = Field(0, ge=0, description="MiB of one GPU")
    ports: int = Field(0, ge=0, le=16, description="Loopback ports")

    def resources(self) -> Resources:
        return Resources(cpu=self.cpu, gpus=self.gpus, gpu_mib=self.gpu_mib, ports=self.ports)
