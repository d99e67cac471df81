"""Somebody at a browser on another machine: asks the panel for what a browser's page asks for, and draws nothing here."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection

from tests.support import wire
from tests.support.panel import Panel
from tests.support.wait import until

LOOK_S = 0.1
"""Between two looks at whether a part's time has come."""


class FarBrowser:
    """A page that stays open at ``address`` (``/finetune?view=runs``), in a thread: parts of it that redraw themselves do so in
    their own time, as in a browser. Use it as a context.

    Attributes:
        finished: how many runs of the page's script have ended, those of its parts included.
    """

    def __init__(self, panel: Panel, address: str) -> None:
        self.finished = 0
        self._came: list[Delta] = []
        self._page, _mark, self._query = address.lstrip("/").partition("?")
        self._timers: dict[str, tuple[float, float]] = {}
        self._panel = panel
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(1)

    def __enter__(self) -> FarBrowser:
        self._stay = self._threads.submit(self._open)
        try:
            until(lambda: self.finished or self._stay.done(), 60, "the page has been drawn once")
        except BaseException:
            self._stop.set()  # else the thread would stay
            raise
        return self

    def __exit__(self, *_how: object) -> None:
        self._stop.set()
        self._threads.shutdown()
        self._stay.result()  # raises what went wrong meanwhile

    @property
    def text(self) -> str:
        """What has come since :meth:`forget`, as the messages have it."""
        return "".join(map(str, list(self._came)))

    def forget(self) -> None:
        """What has come counts no longer."""
        self._came = []

    @property
    def parts(self) -> list[float]:
        """After how many seconds each of its parts redraws itself."""
        return sorted(every for every, _due in self._timers.values())

    def _open(self) -> None:
        with wire.stream(self._panel, cookie=wire.log_in(self._panel)) as line:
            self._ask(line)
            while not self._stop.is_set():
                self._redraw(line)
                try:
                    message = line.recv(timeout=LOOK_S)
                except TimeoutError:
                    continue
                assert isinstance(message, bytes)
                self._took(ForwardMsg.FromString(message))

    def _ask(self, line: ClientConnection, part: str = "") -> None:
        """Send for the page, or for one part of it whose time has come."""
        message = BackMsg()
        asked = message.rerun_script
        asked.page_name, asked.query_string = self._page, self._query
        asked.fragment_id, asked.is_auto_rerun = part, bool(part)
        line.send(message.SerializeToString())

    def _redraw(self, line: ClientConnection) -> None:
        now = time.monotonic()
        for part, (every, due) in list(self._timers.items()):
            if due <= now:
                self._timers[part] = (every, now + every)
                self._ask(line, part)

    def _took(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session" and not message.metadata.run.fragment_ids:
            self._timers.clear()
        elif kind == "auto_rerun":
            every = message.auto_rerun.interval
            self._timers[message.auto_rerun.fragment_id] = (every, time.monotonic() + every)
        elif kind == "stop_auto_rerun":
            for part in message.stop_auto_rerun.fragment_ids:
                self._timers.pop(part, None)
        elif kind == "script_finished":
            self.finished += 1
        elif kind == "delta":
            self._came.append(message.delta)
