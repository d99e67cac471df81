"""A model server for the length of a measurement: the very program that Deploy starts, put up and taken down again.

It is ``python -m jobs.serve`` in a folder of its own below the job's, so that a measured number is the number that a person
gets who deploys the same. It never restarts: a server that fell over in mid-measurement must be seen.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backend.errors import PanelError, ServerError
from backend.i18n import N_
from backend.queue.events import read_events
from backend.servers import Server, read_server, withdraw
from backend.specs.serve import ServeSpec
from backend.workspace import ROOT, read_json, write_json
from jobs.benching.footprint import Footprint, Use, used_on
from jobs.harness import RESULT, Job, Stopped

HOST = "127.0.0.1"
FOLDER = "servers"
LOG = "server.log"
LOAD_S = 1800.0
"""Weights of tens of GiB over a network file system take minutes; a server that has not answered by then never will."""
LEAVE_S = 10.0
TICK_S = 0.05


@dataclass(frozen=True)
class Served:
    """A server that answers. key: bearer token of this server only. load_s: seconds from the start of its engine to its first
    answer. memory: bytes (steady, peak) of the engine and all its processes since ``mark`` was called last; on_gpu: they are
    GPU memory. source: how they were found. ended: why it is gone, None while it lives. folder: holds its log."""

    base_url: str
    model: str
    key: str = field(repr=False)
    load_s: float
    memory: Callable[[], Use]
    mark: Callable[[], None]
    ended: Callable[[], PanelError | None]
    folder: Path
    engine: str
    context_length: int
    on_gpu: bool
    source: Callable[[], str]


@contextmanager
def serving(job: Job, spec: ServeSpec, label: str) -> Iterator[Served]:
    """While this block runs, ``spec`` is served on a free port of this machine, on the GPU that ``job`` has, if any.
    ``label`` names its folder.

    Raises:
        PanelError: what the server itself said why it cannot be; ``bench_server_ended``, ``bench_load_silent``.
        Stopped: the person asked to stop while it was loading.
    """
    folder = job.dir / FOLDER / slug(label)
    spec = spec.model_copy(update={"max_restarts": 0, "idle_s": 0.0})
    gpus = [] if spec.device == "cpu" else job.gpus
    before = used_on(gpus)
    process = _start(job, spec, folder)
    footprint = Footprint(process.pid, gpus, before)
    try:
        footprint.start()
        server = _wait(job, process, folder, label)
        footprint.mark()
        yield Served(
            base_url=server.base_url,
            model=server.model,
            key=server.key,
            load_s=_load_s(folder),
            memory=footprint.use,
            mark=footprint.mark,
            ended=lambda: _ended(process, folder, label),
            folder=folder,
            engine=server.engine,
            context_length=server.context_length,
            on_gpu=footprint.on_gpu,
            source=lambda: footprint.source,
        )
    finally:
        footprint.leave()
        _stop(process)
        withdraw(folder)


def slug(label: str) -> str:
    """A folder's name for ``label``; two labels of one job may not share it, so what is lost is told by a number."""
    plain = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:60]
    return plain if plain and plain == label else f"{plain or 'server'}-{zlib.crc32(label.encode()) & 0xFFFF:04x}"


def free_port(first: list[int]) -> int:
    """The first of those leased that nobody listens on, else any."""
    for port in (*first, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on this machine")


def _start(job: Job, spec: ServeSpec, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (RESULT, "events.jsonl"):  # of an earlier attempt
        (folder / name).unlink(missing_ok=True)
    withdraw(folder)
    write_json(folder / "spec.json", spec.model_dump(mode="json", exclude_defaults=True))
    environment = {
        **os.environ,
        "TUNEDECK_JOB_DIR": str(folder),
        "TUNEDECK_JOB_ATTEMPT": "1",
        "TUNEDECK_JOB_PORTS": str(free_port(job.ports)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p),
    }
    with (folder / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.serve", str(folder / "spec.json")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )


def _wait(job: Job, process: subprocess.Popen[bytes], folder: Path, label: str) -> Server:
    until = time.monotonic() + LOAD_S
    while True:
        if job.stop_requested:
            raise Stopped
        ended = _ended(process, folder, label)
        if ended is not None:
            raise ended
        server = read_server(folder)
        if server is not None and server.ready:
            return server
        if time.monotonic() > until:
            raise ServerError(
                "bench_load_silent",
                N_("'{label}' did not answer within {seconds:.0f} s."),
                N_("Look at its log. A smaller model or another engine may start faster."),
                label=label,
                seconds=LOAD_S,
                line=_last_line(folder),
            )
        time.sleep(TICK_S)


def _ended(process: subprocess.Popen[bytes], folder: Path, label: str) -> PanelError | None:
    code = process.poll()
    if code is None:
        return None
    result = read_json(folder / RESULT)
    error = result.get("error") if isinstance(result, dict) else None
    if isinstance(error, dict):
        return PanelError.from_dict(error)
    return ServerError(
        "bench_server_ended",
        N_("The server of '{label}' ended by itself (exit code {exit_code})."),
        N_("Look at its log; when memory was short, the system may have ended it."),
        label=label,
        exit_code=code,
        line=_last_line(folder),
    )


def _last_line(folder: Path) -> str:
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")


def _load_s(folder: Path) -> float:
    """From the phase ``load`` to the phase ``ready``, as its own events say."""
    at: dict[str, float] = {}
    for event in read_events(folder)[0]:
        at.setdefault(str(event.get("phase")), float(event["t"]))
    return max(0.0, at.get("ready", 0.0) - at.get("load", at.get("ready", 0.0)))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it as a person's stop would, and for certain. The engine leaves when its watcher has gone."""
    for number, seconds in ((signal.SIGINT, LEAVE_S), (signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            break
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
