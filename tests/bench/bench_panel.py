"""The panel against `streamlit hello`: start, first page in the browser, memory, what it loads.

Both sides are started in turns, each time as people start them (``python -m backend panel start``), with a browser that
has never been there. Goals: start at most 2 x, first page at most 1.5 x, memory after five sessions at most 250 MiB and flat, at most
5 % of a core for a page that stands open.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from playwright.sync_api import Browser

from backend.web.token import Token
from backend.workspace import ROOT, open_workspace
from tests.bench.table import Row
from tests.support.browser import chromium, settle
from tests.support.panel import end_all_of, free_port
from tests.support.wait import until

RUNS = 7
SESSIONS = 5
OPEN_S = 20
MIB = 1 << 20
PAGES = ("/", "/chat", "/models", "/deploy", "/jobs", "/environments", "/settings")
HEAVY = ("torch", "transformers")


@dataclass
class Side:
    """One of the two programs, running. ``address(path)`` lets a new browser in."""

    process: subprocess.Popen[bytes]
    started: float
    address: Callable[[str], str]
    console: Path

    def wait_for_answer(self, port: int) -> float:
        """Seconds from the start of the process to the first HTTP 200, to 20 ms."""
        request = b"GET /_stcore/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

        def answered() -> float | None:
            assert self.process.poll() is None, f"the panel ended:\n{self.console.read_text(errors='replace')}"
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    connection.sendall(request)
                    good = connection.recv(64).startswith(b"HTTP/1.1 200")
            except OSError:
                return None  # not listening yet
            return time.monotonic() - self.started if good else None

        return until(answered, 60, "the panel answers") or 0.0

    def memory_mib(self) -> float:
        """Resident memory of the process that serves the pages."""
        return psutil.Process(self.process.pid).memory_info().rss / MIB


@contextmanager
def ours(**environment: str) -> Iterator[tuple[Side, float]]:
    """Our panel with an empty workspace; gives it and its seconds to the first answer."""
    with tempfile.TemporaryDirectory() as folder:
        workspace, port = Path(folder) / "workspace", free_port()
        env = {"TUNEDECK_WORKSPACE": str(workspace), "TUNEDECK_PORT": str(port), "TUNEDECK_WATCHER_IDLE_S": "1"}

        def address(path: str) -> str:
            return f"http://127.0.0.1:{port}{path}?token={Token(open_workspace(workspace)).current()}"

        try:
            with running(
                [sys.executable, "-m", "backend", "panel", "start"], env | environment, port, address, folder
            ) as side:
                yield side
        finally:
            end_all_of(workspace)


@contextmanager
def hello() -> Iterator[tuple[Side, float]]:
    """`streamlit hello`, with the same server options where they matter."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "hello", "--server.port", str(port), "--server.headless", "true"]
    command += [
        "--server.address",
        "127.0.0.1",
        "--server.fileWatcherType",
        "none",
        "--browser.gatherUsageStats",
        "false",
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, {}, port, lambda path: f"http://127.0.0.1:{port}{path}", folder, cwd=folder) as side,
    ):
        yield side


@contextmanager
def running(
    command: list[str], env: dict[str, str], port: int, address: Callable[[str], str], folder: str, cwd: str = str(ROOT)
) -> Iterator[tuple[Side, float]]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TUNEDECK_", "STREAMLIT_"))}
    console = Path(folder) / "console.log"
    with console.open("wb") as out:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env=clean | env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    side = Side(process, started, address, console)
    try:
        yield side, side.wait_for_answer(port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def first_page(browser: Browser, side: Side) -> float:
    """Seconds until a browser that has never been here shows the first page and nothing runs any more."""
    context = browser.new_context()
    try:
        page = context.new_page()
        begin = time.monotonic()
        page.goto(side.address("/"))
        settle(page)
        page.wait_for_selector("[data-testid='stHeading'], [data-testid='stMarkdown']")
        return time.monotonic() - begin
    finally:
        context.close()


def memory(browser: Browser, side: Side, pages: tuple[str, ...]) -> list[float]:
    """MiB after 1, 5 and 10 sessions that looked at ``pages`` and stay open."""
    contexts, seen = [], []
    try:
        for number in range(1, 2 * SESSIONS + 1):
            context = browser.new_context()
            contexts.append(context)
            page = context.new_page()
            for path in pages:
                page.goto(side.address(path))
                settle(page)
            if number in (1, SESSIONS, 2 * SESSIONS):
                seen.append(side.memory_mib())
    finally:
        for context in contexts:
            context.close()
    return seen


def kept_busy(browser: Browser, side: Side) -> float:
    """The share of a core, in percent, that the panel takes while the page of memory, which moves each second, stands open; all others were
    looked at before."""
    context = browser.new_context()
    try:
        page = context.new_page()
        for path in (*PAGES, "/memory"):
            page.goto(side.address(path))
            settle(page)
        process = psutil.Process(side.process.pid)
        used, began = sum(process.cpu_times()[:2]), time.monotonic()
        time.sleep(OPEN_S)
        return 100 * (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
    finally:
        context.close()


def loaded_modules(console: Path) -> set[str]:
    """What a process started with ``PYTHONPROFILEIMPORTTIME=1`` has imported so far, by its own account."""
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \| +(\S+)$", console.read_text(errors="replace"), re.MULTILINE)
    return set(names)


def measure() -> list[Row]:
    starts: dict[str, list[float]] = {"ours": [], "hello": []}
    pages: dict[str, list[float]] = {"ours": [], "hello": []}
    sides = {"hello": hello, "ours": ours}
    with chromium() as browser:
        for turn in range(RUNS + 1):
            for name, side in sides.items():
                with side() as (process, seconds):
                    drawn = first_page(browser, process)
                if turn:  # the first turn of each warms the disk
                    starts[name].append(seconds)
                    pages[name].append(drawn)
        with hello() as (process, _):
            hello_memory = memory(browser, process, ("/",))
        with ours() as (process, _):
            busy = kept_busy(browser, process)
            our_memory = memory(browser, process, PAGES)
        with ours(PYTHONPROFILEIMPORTTIME="1") as (process, _):
            memory(browser, process, PAGES)
            modules = loaded_modules(process.console)
    if "streamlit" not in modules:
        raise RuntimeError("the list of imported modules is empty: this figure would mean nothing")
    start, page = median(starts["ours"]), median(pages["ours"])
    start_ratio, page_ratio = start / median(starts["hello"]), page / median(pages["hello"])
    heavy = [name for name in HEAVY if name in modules]
    growth = our_memory[2] / our_memory[1]
    return [
        {"what": "streamlit hello: start to first HTTP 200", "value": median(starts["hello"]), "unit": "s"},
        {
            "what": "panel: start to first HTTP 200",
            "value": start,
            "unit": "s",
            "ratio": start_ratio,
            "goal": "at most 2 x hello, wish 1.3 x",
            "ok": start_ratio <= 2,
        },
        {"what": "streamlit hello: first page drawn, fresh process", "value": median(pages["hello"]), "unit": "s"},
        {
            "what": "panel: first page drawn, fresh process",
            "value": page,
            "unit": "s",
            "ratio": page_ratio,
            "goal": "at most 1.5 x hello",
            "ok": page_ratio <= 1.5,
        },
        {
            "what": f"panel: a core's share while the page of memory stands open, {OPEN_S} s",
            "value": busy,
            "unit": "%",
            "goal": "at most 5 %",
            "ok": busy <= 5,
        },
        {"what": "streamlit hello: memory after five sessions", "value": hello_memory[1], "unit": "MiB"},
        {
            "what": "panel: memory after five sessions of five pages",
            "value": our_memory[1],
            "unit": "MiB",
            "ratio": our_memory[1] / hello_memory[1],
            "goal": "at most 250 MiB",
            "ok": our_memory[1] <= 250,
        },
        {
            "what": "panel: memory after ten sessions",
            "value": our_memory[2],
            "unit": "MiB",
            "ratio": growth,
            "goal": "flat: at most 1.1 x that after five",
            "ok": growth <= 1.1,
        },
        {
            "what": f"panel: modules loaded, of these {' and '.join(HEAVY)}",
            "value": len(heavy),
            "unit": f"of {len(modules):,}",
            "goal": "none",
            "ok": not heavy,
        },
    ]
