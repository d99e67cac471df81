"""The last examination of this machine, kept for all sessions of a panel, and made anew when somebody asks.

It is made by a program of its own: whatever hangs or crashes there, the panel does not.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from functools import cache

from backend.doctor.run import TOTAL_S, Examination
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import ROOT

PATIENCE_S = TOTAL_S + 20.0
"""For the program and its start on a machine that is very busy."""
log = logging.getLogger("tunedeck")


class Keeper:
    """latest: the last examination that ended well; None before the first. problem: why the last one did not."""

    def __init__(self) -> None:
        self.latest: Examination | None = None
        self.problem: PanelError | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """An examination is under way."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Begin an examination, unless one is under way already. Returns at once."""
        with self._lock:
            if not self.busy:
                self._thread = threading.Thread(target=self._work, name="doctor", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Until the examination that is under way has ended; whether it has."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return not self.busy

    def _work(self) -> None:
        try:
            self.latest, self.problem = _examined(), None
        except PanelError as error:
            self.problem = error
            log.warning("doctor: %s", error)


@cache
def keeper() -> Keeper:
    """The one of this process."""
    return Keeper()


def _examined() -> Examination:
    command = [sys.executable, "-m", "backend.doctor"]
    try:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Examination.from_dict(json.loads(out))
    except subprocess.TimeoutExpired as error:
        raise _failed(f"no answer within {PATIENCE_S:.0f} s") from error
    except OSError as error:
        raise _failed(error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        said = err.decode("utf-8", "replace").strip().splitlines()
        raise _failed(said[-1] if said else f"exit code {process.returncode}") from error


def _failed(problem: str) -> PanelError:
    return PanelError(
        "doctor_failed",
        N_("This machine could not be looked at: {problem}"),
        N_("Try it in a terminal, where it says more: make doctor"),
        problem=problem,
    )
