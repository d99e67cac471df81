"""Count steps, and go wrong on request: ``python -m jobs.drill spec.json``. See :class:`backend.specs.drill.DrillSpec`."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from typing import Any

import psutil

from backend.specs.drill import DrillSpec
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any] | None:
    """Count; the last step reached is kept in ``checkpoint``, from which a resumed attempt goes on."""
    spec = job.spec_as(DrillSpec)
    alone = (job.dir / "drill.lock").open("a")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # What no queue may let happen: two attempts of one job at once. The file is the proof.
        (job.dir / "overlap").touch()
        raise RuntimeError("another attempt of this job is still running") from None
    checkpoint = job.dir / "checkpoint"
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    # Written, not only asked for: the system gives a page when somebody writes on it.
    held = bytearray(b"\1") * (spec.hold_mib << 20)
    job.phase("count")
    for step in range(first, spec.steps):
        if job.stop_requested:
            if spec.fault == "slow_save":
                job.phase("save")
                time.sleep(spec.step_s * 10)
            return None
        if step == spec.fault_step and job.attempt == 1:
            misbehave(job, spec)
        wait(job, spec.step_s)
        temporary = checkpoint.with_suffix(".new")
        temporary.write_text(str(step + 1))
        temporary.replace(checkpoint)
        left = (spec.steps - step - 1) * spec.step_s
        job.progress("count", step + 1, spec.steps, left, {"value": (step + 1) ** 0.5})
        print(f"step {step + 1} of {spec.steps}", flush=True)  # noqa: T201 - the log
    with (job.dir / "counted.txt").open("a", encoding="utf-8") as file:
        file.write(f"{job.attempt}\n")
    del held
    job.artifact("file", job.dir / "counted.txt", "counted.txt")
    return {"steps": spec.steps, "note": spec.note, "complete": True}


def wait(job: Job, seconds: float) -> None:
    """Wait, but notice a stop within 50 ms."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not job.stop_requested:
        time.sleep(min(left, 0.05))


def misbehave(job: Job, spec: DrillSpec) -> None:
    """Do what ``spec.fault`` names."""
    if spec.fault == "raise":
        raise RuntimeError("this drill was asked to fail")
    if spec.fault == "exit":
        print("leaving without a result", flush=True)  # noqa: T201 - the log
        os._exit(3)
    if spec.fault == "ignore_stop":
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
    if spec.fault == "daemonise":
        # What a badly written engine does: a worker in a session of its own, deaf to SIGTERM, without descriptors.
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import os, signal, time\n"
                "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                "if os.fork(): os._exit(0)\n"
                "os.setsid()\n"
                "if os.fork(): os._exit(0)\n"
                "os.closerange(0, 256)\n"
                "time.sleep(3600)",
            ]
        ).wait()
    if spec.fault == "huge_log":
        line = ("x" * 1023 + "\n").encode()
        for _ in range(spec.log_mib):
            sys.stdout.buffer.write(line * 1024)
        sys.stdout.flush()
    if spec.fault == "disk_full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.dir))
    if spec.fault == "out_of_memory":
        run_out_of_memory()


def run_out_of_memory() -> None:
    """Ask for more main memory than this process may have, as a model that is too large does."""
    used = psutil.Process().memory_info().vms
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), before[1]))
    try:
        bytearray(1 << 40)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


if __name__ == "__main__":
    raise SystemExit(main("drill", run))
