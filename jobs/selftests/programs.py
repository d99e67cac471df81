"""Programs that a self-test starts: each in a session of its own, its output handed on line by line, ended with all that it
started. Not covered: what leaves that session and outlives its parent; the job's supervisor ends it by its cookie."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from backend.errors import PanelError
from backend.i18n import N_
from backend.queue import proctree

TERM_S = 5.0
"""What a program has to end by itself before it is killed."""
Argv = Sequence[str | Path]
Lines = tuple[list[str], list[str]]
"""What was printed so far to standard output and to standard error."""


@contextlib.contextmanager
def started(
    argv: Argv, folder: Path, environ: Mapping[str, str], say: Callable[[str], None], lines: Lines
) -> Iterator[subprocess.Popen[str]]:
    """``argv`` runs in ``folder`` as long as the block; ``say`` is given every line as it comes."""
    process = subprocess.Popen(
        [str(word) for word in argv],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    readers = [
        threading.Thread(target=_read, args=(stream, kept, say), name="selftest-output", daemon=True)
        for stream, kept in zip(streams, lines, strict=True)
    ]
    for reader in readers:
        reader.start()
    try:
        yield process
    finally:
        _end(process)
        for reader, stream in zip(readers, streams, strict=True):
            reader.join(2.0)
            if not reader.is_alive():  # else a stranger holds the other end, and closing would wait for it
                stream.close()


def run(
    argv: Argv,
    timeout: float,
    folder: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    ask: Callable[[], None],
) -> subprocess.CompletedProcess[str]:
    """``argv`` to its end. ``ask`` is called ten times a second; what it raises ends the program.

    Raises:
        PanelError: ``env_selftest_program``: it ended with another code than 0; ``env_selftest_slow``: it had not ended
            after ``timeout`` seconds.
    """
    lines: Lines = ([], [])
    with started(argv, folder, environ, say, lines) as process:
        deadline = time.monotonic() + timeout
        while process.poll() is None:
            ask()
            if time.monotonic() > deadline:
                raise PanelError(
                    "env_selftest_slow",
                    N_("{program} had not ended after {seconds} seconds."),
                    N_("Test again when this machine has less to do; the log shows how far it came."),
                    program=short(argv),
                    seconds=f"{timeout:.0f}",
                    line=last(lines),
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
    if process.returncode:
        raise PanelError(
            "env_selftest_program",
            N_("{program} ended with exit code {exit}: {line}"),
            N_("The log of this job has all that it said."),
            program=short(argv),
            exit=process.returncode,
            line=last(lines) or "-",
        )
    return subprocess.CompletedProcess(list(argv), 0, "\n".join(lines[0]), "\n".join(lines[1]))


def short(argv: Argv) -> str:
    """What a person calls it: the module after ``-m``, else the script, else the program."""
    words = [str(word) for word in argv]
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    scripts = [word for word in words[1:] if word.endswith(".py")]
    return Path((scripts or words)[0]).name


def last(lines: Lines) -> str:
    """The last line that says something, of the errors first."""
    return next((line.strip()[:500] for kept in reversed(lines) for line in reversed(kept) if line.strip()), "")


def _read(stream: IO[str], kept: list[str], say: Callable[[str], None]) -> None:
    for line in stream:
        kept.append(line.rstrip("\n"))
        say(kept[-1])


def _end(process: subprocess.Popen[str]) -> None:
    """End it and all that it started, also where it has ended itself and left them behind."""

    def left() -> list[psutil.Process]:
        process.poll()
        found = {}
        for pid in psutil.pids():
            with contextlib.suppress(psutil.Error, OSError):
                if os.getsid(pid) == process.pid:
                    found[pid] = psutil.Process(pid)
        with contextlib.suppress(psutil.Error):
            found.update((child.pid, child) for child in psutil.Process(process.pid).children(recursive=True))
        return [one for one in found.values() if _lives(one)]

    proctree.end_all(left, TERM_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
