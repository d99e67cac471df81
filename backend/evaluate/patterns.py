"""Patterns that a person gave as solutions, searched for where one that never ends can be ended.

Python's ``re`` holds the interpreter while it searches, and ``(a+)+$`` needs ages for thirty letters that do not fit: neither a thread nor a
time-out helps. So the search runs in a small process of its own, one for all searches, in which the kernel's timer ends what takes too long.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

from backend.errors import DataError
from backend.i18n import N_

SECONDS = 1.0
"""For one search; an ordinary one takes microseconds."""
_PROGRAM = """
import json, re, signal, sys
signal.signal(signal.SIGALRM, signal.SIG_DFL)
for line in sys.stdin:
    pattern, text, seconds = json.loads(line)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    found = re.search(pattern, text)
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps(found and found.group()), flush=True)
"""
_TRIED = 60
"""So many equal characters, and one that does not fit, let a pattern that branches at each of them run for minutes."""


class Searching:
    """The process that searches; started by the first search, and again after one that it did not survive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def search(self, pattern: str, text: str, seconds: float = SECONDS) -> str | None:
        """What ``pattern`` finds first in ``text``; None where it finds nothing. Case counts unless it says ``(?i)``.

        Raises:
            DataError: ``pattern_bad``; ``pattern_slow``: it did not end within ``seconds``.
        """
        compiled(pattern)
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                process = self._process = _started()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps([pattern, text, seconds]) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            if not line:
                self._end()
                raise _slow(pattern, seconds)
        found: str | None = json.loads(line)
        return found

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # what was still to be written had no reader any more
                        pipe.close()


_searching = Searching()
search, close = _searching.search, _searching.close
atexit.register(close)


@contextlib.contextmanager
def done_soon() -> Iterator[None]:
    """After this block the process is not needed for a while: a panel that runs for weeks keeps none."""
    try:
        yield
    finally:
        close()


def check(pattern: str) -> None:
    """Refuse a pattern that cannot be used, before a single question is asked.

    Tried on texts that make bad patterns slow: many times one of the characters that it speaks of, and then one that does not fit.

    Raises:
        DataError: ``pattern_bad``, ``pattern_empty``, ``pattern_slow``.
    """
    compiled(pattern)
    if search(pattern, "") is not None:
        raise DataError(
            "pattern_empty",
            N_("The pattern {pattern} fits every answer, even an empty one."),
            N_("Write what has to occur; .* and things followed by * or ? ask for nothing."),
            pattern=pattern[:200],
        )
    for letter in sorted({*re.findall(r"\w", pattern)[:12], "a", "0", " "}):
        search(pattern, letter * _TRIED + "\N{SECTION SIGN}")


def compiled(pattern: str) -> re.Pattern[str]:
    """``pattern`` as Python reads it.

    Raises:
        DataError: ``pattern_bad``.
    """
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(
            "pattern_bad",
            N_("The pattern {pattern} cannot be read: {problem}."),
            N_(
                "It is written as in Python's re module: \\d+ for a number, (a|b) for one of two, and a backslash before . ( ) [ ] * + ? where they are meant themselves."
            ),
            pattern=pattern[:200],
            problem=str(error),
        ) from None


def _started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )


def _slow(pattern: str, seconds: float) -> DataError:
    return DataError(
        "pattern_slow",
        N_("The pattern {pattern} did not end within {seconds} s on a text of an ordinary length."),
        N_("Something repeated stands within something repeated, as in (a+)+; write it with one repetition."),
        pattern=pattern[:200],
        seconds=seconds,
    )
