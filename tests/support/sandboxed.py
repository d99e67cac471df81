"""Code run shut in, as tests try it: with each set of walls, and afterwards a look at what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.agent.sandbox.running import Limits, Ran, Walls, run

EVERY = {
    "all walls": Walls(),
    "without namespaces": Walls(namespaces=False),
    "without Landlock": Walls(landlock=False),
}

TRIED = """
def tried(what):
    try:
        return what()
    except BaseException as error:
        return f"refused: {type(error).__name__}"

"""


@dataclass
class Place:
    """A folder for code, and around it what it must not touch."""

    root: Path
    walls: Walls
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.folder = self.root / "conversation" / "python"
        self.outside = self.root / "outside"
        self.outside.mkdir(parents=True)
        self.secret = self.outside / "secret.txt"
        self.secret.write_text("the-secret-of-the-house", encoding="utf-8")

    def run(self, code: str, limits: Limits | None = None, stopped: Callable[[], bool] = lambda: False) -> Ran:
        """Run it; then nothing of it runs any more, and what lies outside is as it was."""
        before = self.seen_outside()
        ran = run(TRIED + code, self.folder, walls=self.walls, limits=limits or self.limits, stopped=stopped)
        assert self.left() == []
        assert self.seen_outside() == before
        return ran

    def printed(self, code: str, limits: Limits | None = None) -> str:
        """What it printed; it has to have come to its end."""
        ran = self.run(code, limits)
        assert ran.ended == "done", ran
        assert ran.traceback is None, ran.traceback
        return ran.output.decode("utf-8", "replace")

    def seen_outside(self) -> dict[str, tuple[object, ...]]:
        """Everything outside the code's folder with rights, times and contents."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if path == self.folder or self.folder in path.parents or path == self.folder.parent:
                continue
            seen = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path)] = (seen.st_mode, seen.st_nlink, seen.st_size, seen.st_mtime_ns, content)
        return found

    def left(self) -> list[int]:
        """Processes that were started for this folder: it is the HOME of each, and of no other."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    environment = (entry / "environ").read_bytes()
                except OSError:
                    continue
                if f"HOME={os.path.realpath(self.folder)}\0".encode() in environment:
                    found.append(int(entry.name))
        return found


def unwalled(code: str, cwd: Path) -> str:
    """What the same code prints without walls: the proof that a test could fail."""
    done = subprocess.run([sys.executable, "-c", TRIED + code], cwd=cwd, capture_output=True, timeout=30, check=False)
    return done.stdout.decode("utf-8", "replace")


def names(folder: Path) -> list[str]:
    """What lies in the folder."""
    return sorted(entry.name for entry in folder.iterdir())
