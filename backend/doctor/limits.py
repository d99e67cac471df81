"""What this process and its children may use: open files, processes, memory, cores, shared memory."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

from backend.doctor import groups
from backend.doctor.findings import Finding, Fix, Text, attention, bad, check, gib, ok, say, unknown
from backend.doctor.here import Here
from backend.i18n import N_

GIB = 2**30
FEW_FILES, NO_FILES = 1024, 256
WANTED_FILES = 65536
FEW_PROCESSES = 500
"""Every core brings a thread or two to each of several libraries; a server or a training has a few hundred."""
SMALL_SHM, TINY_SHM = 1 * GIB, 65 * 2**20
"""A container has 64 MiB unless somebody asks for more."""


@check("open_files", N_("Files that a process may have open"))
def open_files(here: Here) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    line = say(N_("Limit {soft}, can be raised to {hard}."), soft=_limit(soft), hard=_limit(hard))
    if soft == resource.RLIM_INFINITY or soft >= FEW_FILES:
        yield ok(line)
        return
    able = hard == resource.RLIM_INFINITY or hard >= FEW_FILES
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    fix = (
        Fix(say(N_("Raise it in the shell that starts the panel.")), command=f"ulimit -n {wanted}")
        if able
        else Fix(
            say(N_("Ask who looks after this machine to raise it, then log in again.")),
            command=f'echo "$USER - nofile {WANTED_FILES}" | sudo tee /etc/security/limits.d/tunedeck.conf',
        )
    )
    judge = bad if soft < NO_FILES else attention
    yield judge(
        line,
        meaning=say(N_("Servers with many clients and trainings with many workers stop with 'Too many open files'.")),
        fixes=[fix],
    )


@check("processes", N_("Processes and threads"))
def processes(here: Here) -> Iterator[Finding]:
    lines: list[Text] = []
    left: list[float] = []
    soft, _hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.getuid() != 0:
        mine = _threads_of(here, os.getuid())
        lines.append(say(N_("Your limit is {limit}, {used} are in use."), limit=str(soft), used=str(mine)))
        left.append(soft - mine)
    limits = here.limits
    if limits.processes is not None and limits.processes_used is not None:
        lines.append(
            say(
                N_("The control group allows {limit}, {used} are in use."),
                limit=str(limits.processes),
                used=str(limits.processes_used),
            )
        )
        left.append(limits.processes - limits.processes_used)
    if not left:
        yield ok(say(N_("No limit but that of the system.")))
    elif min(left) < FEW_PROCESSES:
        judge = bad if min(left) < FEW_PROCESSES // 5 else attention
        fixes = [
            Fix(say(N_("Raise it in the shell that starts the panel.")), command="ulimit -u $(ulimit -H -u)"),
            Fix(say(N_("In a container, start it with a higher limit.")), command="docker run --pids-limit=-1 ..."),
        ]
        yield judge(
            *lines,
            meaning=say(
                N_("Engines start many threads, and stop with 'Resource temporarily unavailable' at the limit.")
            ),
            fixes=fixes,
        )
    else:
        yield ok(*lines)


@check("address_space", N_("Address space"))
def address_space(here: Here) -> Iterator[Finding]:
    soft, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        yield ok(say(N_("Not limited.")))
    else:
        yield bad(
            say(N_("Limited to {size} (ulimit -v)."), size=gib(soft)),
            meaning=say(N_("CUDA and mapped model files need far more addresses than memory. Engines fail to start.")),
            fixes=[
                Fix(say(N_("Take the limit away in the shell that starts the panel.")), command="ulimit -v unlimited")
            ],
        )


@check("memory", N_("Memory"))
def memory(here: Here) -> Iterator[Finding]:
    whole, swap = psutil.virtual_memory(), psutil.swap_memory()
    limits = here.limits
    lines = [
        say(
            N_("This machine has {total}, of which {free} are free, and {swap} of swap."),
            total=gib(whole.total),
            free=gib(whole.available),
            swap=gib(swap.total),
        )
    ]
    total, free = whole.total, whole.available
    limited = limits.memory is not None and limits.memory < whole.total
    if limits.memory is not None and limited:
        total = limits.memory
        free = min(free, max(0, total - (limits.used or 0)))
        lines.append(
            say(
                N_("This process may use {limit} of it (control group); {used} are in use."),
                limit=gib(total),
                used=gib(limits.used or 0),
            )
        )
        if limits.swap is not None:
            lines.append(say(N_("It may use {swap} of swap."), swap=gib(limits.swap)))
    if total < 4 * GIB or free < GIB:
        judge = bad if total < 2 * GIB or free < GIB // 4 else attention
        yield judge(
            *lines,
            meaning=say(
                N_("The kernel ends a program that wants more, without a word. The starter model needs about 1 GiB.")
            ),
            fixes=[_more_memory(limited, here)],
        )
    elif limited and total < whole.total // 2:
        yield ok(
            *lines,
            meaning=say(N_("Programs that look at the whole machine think that they have more than they may use.")),
        )
    else:
        yield ok(*lines)


def _more_memory(limited: bool, here: Here) -> Fix:
    if limited and here.containers:
        return Fix(say(N_("Start the container with more memory.")), command="docker run --memory=32g ...")
    if limited:
        return Fix(say(N_("Ask for more memory where you ask for this session, or who looks after this machine.")))
    return Fix(say(N_("Stop servers and jobs that you do not need.")), place="jobs")


@check("oom_kills", N_("Programs ended for want of memory"))
def oom_kills(here: Here) -> Iterator[Finding]:
    whole = groups.value(here.root / "proc/vmstat", "oom_kill")
    mine = here.limits.oom_kills
    lines = []
    if whole is not None:
        lines.append(say(N_("On the whole machine since its start: {count}."), count=str(whole)))
    if mine is not None:
        lines.append(say(N_("In the control group of this process: {count}."), count=str(mine)))
    readable = _kernel_log(here)
    lines.append(
        say(N_("The kernel's log can be read here."))
        if readable
        else say(N_("The kernel's log, which names the program, cannot be read here."))
    )
    if mine or (mine is None and whole):
        command = "dmesg -T | grep -i 'out of memory'" if readable else "sudo dmesg -T | grep -i 'out of memory'"
        yield attention(
            *lines,
            meaning=say(
                N_("The kernel ended programs because the memory was used up. A job that ended so says 'killed'.")
            ),
            fixes=[
                Fix(say(N_("See which programs it ended.")), command=command),
                Fix(say(N_("Run fewer jobs at a time.")), setting="cpu_slots"),
            ],
        )
    elif whole is None and mine is None:
        yield unknown(*lines)
    else:
        yield ok(*lines)


def _kernel_log(here: Here) -> bool:
    try:
        os.close(os.open(here.root / "dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@check("cores", N_("Processor cores"))
def cores(here: Here) -> Iterator[Finding]:
    whole, allowed = os.cpu_count() or 1, len(os.sched_getaffinity(0))
    lines = [
        say(N_("This machine has {count}, this process may run on {allowed}."), count=str(whole), allowed=str(allowed))
    ]
    usable: float = allowed
    if here.limits.cores is not None and here.limits.cores < allowed:
        usable = here.limits.cores
        lines.append(say(N_("The control group gives it the time of {cores}."), cores=f"{usable:g}"))
    slots = here.settings.cpu_slots
    lines.append(say(N_("Jobs that may compute on the CPU at once: {slots}."), slots=str(slots)))
    if slots > max(1.0, usable):
        yield attention(
            *lines,
            meaning=say(N_("More jobs than cores: each of them becomes slower, and none is done earlier.")),
            fixes=[Fix(say(N_("Let fewer jobs compute at once.")), setting="cpu_slots")],
        )
    else:
        yield ok(*lines)


@check("shared_memory", N_("Shared memory (/dev/shm)"))
def shared_memory(here: Here) -> Iterator[Finding]:
    folder = here.root / "dev/shm"
    fix = Fix(
        say(N_("Start the container with more."))
        if here.containers
        else say(N_("Make it larger; it holds until a restart.")),
        command="docker run --shm-size=16g ..." if here.containers else "sudo mount -o remount,size=50% /dev/shm",
    )
    meaning = say(N_("Training on several GPUs and data loaders with several workers pass their data through it."))
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield bad(say(N_("{path} is not there, or cannot be written."), path=str(folder)), meaning=meaning, fixes=[fix])
        return
    disk = os.statvfs(folder)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    line = say(N_("{free} of {total} are free."), free=gib(free), total=gib(total))
    if total <= TINY_SHM or free < 16 * 2**20:
        yield bad(line, meaning=meaning, fixes=[fix])
    elif total < SMALL_SHM:
        yield attention(line, meaning=meaning, fixes=[fix])
    else:
        yield ok(line)


def _limit(value: int) -> Text:
    return say(N_("unlimited")) if value == resource.RLIM_INFINITY else Text("{n}", {"n": str(value)})


def _threads_of(here: Here, user: int) -> int:
    """Threads of ``user``: what the limit counts. Each process's folder belongs to its user."""
    count = 0
    for folder in Path(here.root / "proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == user:
                count += (folder / "task").stat().st_nlink - 2
        except OSError:
            continue  # it ended meanwhile
    return count


CHECKS = (open_files, processes, address_space, memory, oom_kills, cores, shared_memory)
