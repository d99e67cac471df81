"""Which process belongs to which job, whose it is and what it is called; everything else on a GPU is a neighbour.

A process belongs to a job when its environment carries the job's cookie, or when it descends from the job's supervisor, as in
:mod:`backend.queue.proctree`. What a process belongs to is found once, when it is new: /proc is listed each time, but only
new processes are looked into. Members are held against their start time each time, so a reused number is noticed.
Not covered: a process that was started with a cleaned environment after its supervisor was killed; and processes that the
system hides from us (hidepid, another container).
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

import psutil

from backend.queue import folder
from backend.queue.proctree import COOKIE
from backend.queue.rows import JobRow
from backend.workspace import Workspace

PAGE = os.sysconf("SC_PAGE_SIZE")
SUPERVISOR = b"backend.queue.supervisor"
LOOKS = 2
"""A process is looked into this often: at first sight it may not have become its own program yet."""
CHUNK = 1 << 16
COMMAND_CHARACTERS = 60
INTERPRETERS = ("python", "pypy")
TAKES_VALUE = ("-W", "-X", "-Q", "--check-hash-based-pycs")


@dataclass(slots=True)
class Process:
    """A process as it was when it was last looked into. ticks: its start time. cookie: that it carries. supervises: the job
    that it is the supervisor of. user, command: asked for when first wanted."""

    ticks: int
    parent: int
    job: int | None = None
    cookie: str = ""
    supervises: int | None = None
    looks: int = 0
    user: str | None = None
    command: str | None = None


class Processes:
    """Every process of this machine, followed from look to look. For one thread."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._root = str(workspace.root).encode()
        self._known: dict[int, Process] = {}
        self._cookies: dict[tuple[int, int], str] = {}
        self._users: dict[int, str] = {}

    def look(self, pids: set[int], jobs: Iterable[JobRow]) -> dict[int, dict[int, int]]:
        """``{job: {pid: resident bytes}}`` of the live jobs; ``pids`` as from :func:`all_pids`, listed before the jobs were
        read: then each of these processes finds its job's row."""
        cookies = self._jobs_of_cookies(jobs)
        for pid in [pid for pid in self._known if pid not in pids]:
            del self._known[pid]
        fresh = {pid for pid in pids if pid not in self._known or self._known[pid].looks < LOOKS}
        for pid in fresh:
            self._look_into(pid)
        found: dict[int, dict[int, int]] = {}
        for pid, process in list(self._known.items()):
            if process.job is None and (process.cookie or pid in fresh):
                process.job = self._job_of(pid, cookies)
            if process.job is None:
                continue
            told = stat(pid)
            if told is None or told.ticks != process.ticks:
                del self._known[pid]  # gone, or its number is another's now, who is new at the next look
            else:
                found.setdefault(process.job, {})[pid] = told.resident
        return found

    def about(self, pid: int) -> tuple[str, str, int | None]:
        """(user, command, job) of a process that a GPU names; all empty where it cannot be seen from here."""
        told = stat(pid)
        if told is None:
            return "", "", None
        process = self._known.get(pid)
        if process is None or process.ticks != told.ticks:
            process = self._known[pid] = Process(told.ticks, told.parent)
        if process.user is None or process.looks < LOOKS:
            process.user, process.command = self._user(pid), command(pid)
        return process.user, process.command or "", process.job

    def _look_into(self, pid: int) -> None:
        told = stat(pid)
        if told is None:
            self._known.pop(pid, None)
            return
        process = self._known.get(pid)
        if process is None or process.ticks != told.ticks:
            process = self._known[pid] = Process(told.ticks, told.parent)
        process.looks += 1
        process.parent = told.parent
        process.cookie = _variable(pid, COOKIE) or process.cookie
        process.supervises = self._supervised(read(pid, "cmdline").split(b"\0"))

    def _supervised(self, arguments: list[bytes]) -> int | None:
        """The job in the command line of a supervisor of this workspace; see :mod:`backend.queue.runner`."""
        if arguments[1:4] != [b"-m", SUPERVISOR, self._root] or not arguments[4:] or not arguments[4].isdigit():
            return None
        return int(arguments[4])

    def _job_of(self, pid: int, cookies: dict[str, int]) -> int | None:
        """By the cookie, else by the parent, whose parents may be new as well."""
        seen: set[int] = set()
        while pid not in seen:
            seen.add(pid)
            process = self._known.get(pid)
            if process is None:
                return None
            if process.job is not None or process.cookie in cookies:
                return process.job if process.job is not None else cookies[process.cookie]
            parent = self._known.get(process.parent)
            if parent is not None and parent.supervises is not None:
                return parent.supervises
            pid = process.parent
        return None

    def _jobs_of_cookies(self, jobs: Iterable[JobRow]) -> dict[str, int]:
        live = {(row.id, row.attempt) for row in jobs}
        for gone in self._cookies.keys() - live:
            del self._cookies[gone]
        for job, attempt in live - self._cookies.keys():
            plan = folder.read(self._workspace.job_dir(job), folder.ATTEMPT, attempt)
            if plan is not None and isinstance(plan.get("cookie"), str):
                self._cookies[job, attempt] = plan["cookie"]
        return {cookie: job for (job, _), cookie in self._cookies.items()}

    def _user(self, pid: int) -> str:
        """Its user by name; a number where the system knows no name for it."""
        fields = read(pid, "status").partition(b"\nUid:\t")[2].split(None, 1)
        if not fields or not fields[0].isdigit():
            return ""
        uid = int(fields[0])
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]


@dataclass(frozen=True, slots=True)
class Stat:
    """What ``/proc/PID/stat`` says: parent, start in ticks since boot, resident bytes (shared ones included)."""

    parent: int
    ticks: int
    resident: int


def all_pids() -> set[int]:
    """Every process that can be seen from here."""
    return set(psutil.pids())


def stat(pid: int) -> Stat | None:
    """None where it is gone, or has ended and waits for its parent."""
    fields = read(pid, "stat").rpartition(b")")[2].split()
    if len(fields) < 22 or fields[0] in (b"Z", b"X"):
        return None
    return Stat(int(fields[1]), int(fields[19]), int(fields[21]) * PAGE)


def command(pid: int) -> str:
    """What it is called: its program, and for Python the script or module. No other argument: one could be a secret."""
    words = [word.decode("utf-8", "replace") for word in read(pid, "cmdline").rstrip(b"\0").split(b"\0")]
    # A program that renames itself writes all of its new name, blanks and all, into the first.
    program = PurePath((words[0].split() or [""])[0]).name
    if not program:
        name = read(pid, "comm").decode("utf-8", "replace").strip()
    elif program.startswith(INTERPRETERS) and len(words) > 1:
        name = f"{program} {_script(words[1:])}".strip()
    else:
        name = program
    return "".join(character for character in name if character.isprintable())[:COMMAND_CHARACTERS]


def _script(arguments: list[str]) -> str:
    """``train.py``, ``-m jobs.finetune``, ``-c``; "" where the interpreter was given none."""
    words = iter(arguments)
    for word in words:
        if word in TAKES_VALUE:
            next(words, None)
        elif word == "-m":
            return f"-m {next(words, '')}"
        elif word.startswith("-") and word.endswith("c") and not word.startswith("--"):
            return "-c"
        elif not word.startswith("-"):
            return PurePath(word).name
    return ""


def _variable(pid: int, name: str) -> str:
    """A variable of its environment; "" where there is none or it is another user's process."""
    marked = b"\0" + read(pid, "environ")
    found = marked.partition(b"\0" + name.encode() + b"=")[2]
    return found.partition(b"\0")[0].decode("ascii", "replace")


def read(pid: int, name: str) -> bytes:
    """A file of /proc/PID, without the layers of ``open``: this is called hundreds of times a second."""
    with contextlib.suppress(OSError):
        file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            whole = os.read(file, CHUNK)
            while len(whole) % CHUNK == 0 and (more := os.read(file, CHUNK)):
                whole += more
            return whole
        finally:
            os.close(file)
    return b""
