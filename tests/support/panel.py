"""A real panel: the process that people start, on a free port, with a workspace of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from backend.web.token import Token
from backend.workspace import ROOT, open_workspace
from tests.support.wait import until


@dataclass
class Panel:
    """A running panel. ``url`` has no trailing slash; ``token`` opens it (``url + "/?token=" + token``). root: the checkout
    that it runs from."""

    workspace: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes]
    env: dict[str, str] = field(repr=False)
    root: Path = ROOT

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        token = Token(open_workspace(self.workspace)).current()
        assert token, f"no token in {self.workspace}"
        return token

    def link(self, path: str = "/") -> str:
        """The address of ``path`` with the token in it, as the panel prints it for people."""
        return f"{self.url}{path}{'&' if '?' in path else '?'}token={self.token}"

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def kill9(self) -> None:
        """Kill the panel's own process, and nothing else: watcher, jobs and servers go on."""
        self.process.kill()
        self.process.wait(20)

    def start_again(self) -> None:
        """Start the panel anew after :meth:`kill9`, on the same port and workspace."""
        self.process = _spawn(self.port, self.log, self.env, self.root)
        _await_health(self)

    def stop(self) -> None:
        """End the panel, then its watcher, servers and jobs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill9()
        end_all_of(self.workspace)

    def output(self) -> str:
        """What the panel wrote to its console."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_panel(workspace: Path, *, port: int | None = None, root: Path = ROOT, **settings: str) -> Panel:
    """Start the panel on ``workspace`` and wait until it answers; ``settings`` become ``TUNEDECK_*`` variables. ``root``:
    another checkout to start it from."""
    workspace.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TUNEDECK_", "STREAMLIT_", "PYTEST_"))}
    env |= {
        "TUNEDECK_WORKSPACE": str(workspace),
        "TUNEDECK_ENVIRONMENTS_FOLDER": str(workspace / "environments"),
        "TUNEDECK_PORT": str(port),
        "TUNEDECK_WATCHER_IDLE_S": "2",
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
    }
    env |= {f"TUNEDECK_{name.upper()}": value for name, value in settings.items()}
    log = workspace / "panel-console.log"
    panel = Panel(workspace, port, log, _spawn(port, log, env, root), env, root)
    try:
        _await_health(panel)
    except BaseException:
        panel.stop()
        raise
    return panel


def end_all_of(workspace: Path) -> None:
    """End every process that carries this test's workspace in its environment: its watcher, servers and jobs."""
    mine = [p for p in processes_of(workspace) if p.pid != os.getpid()]
    for process in mine:
        _signal(process, signal.SIGTERM)
    gone, alive = psutil.wait_procs(mine, timeout=5)
    # A supervisor that is told to stop may have started one more child; look again before the last word.
    for process in {*alive, *processes_of(workspace)} - set(gone):
        if process.pid != os.getpid():
            _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)


def processes_of(workspace: Path) -> list[psutil.Process]:
    """The processes started for ``workspace``, by their environment; not the test's own."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("TUNEDECK_WORKSPACE") == str(workspace):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue  # it ended while we looked, or it belongs to somebody else
    return found


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _spawn(port: int, log: Path, env: dict[str, str], root: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1"]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )


def _await_health(panel: Panel) -> None:
    def ready() -> bool:
        assert panel.process.poll() is None, f"the panel ended with {panel.process.returncode}:\n{panel.output()}"
        return panel.healthy()

    until(ready, 60, "the panel answers its health check")
