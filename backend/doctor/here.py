"""The machine as the checks see it. What several checks need is found out once, by the first that asks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from backend import settings as settings_module
from backend.doctor import groups, mounts
from backend.settings import Settings
from backend.workspace import Workspace, default_root

T = TypeVar("T")


@dataclass
class Here:
    """root: where ``/proc``, ``/sys``, ``/dev`` and ``/etc`` are; tests name a folder. environ: of this process. prefix:
    the folder of the Python environment that runs the panel. user: its number. now: the clock, epoch seconds.

    Making one touches no file: a workspace on a dead file system must not keep the doctor from starting.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    workspace: Workspace = field(default_factory=lambda: Workspace(default_root()))
    prefix: Path = Path(sys.prefix)
    user: int = field(default_factory=os.getuid)
    now: Callable[[], float] = time.time
    _known: dict[str, _Once] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def home(self) -> Path:
        return Path(self.environ.get("HOME") or "/")

    @property
    def settings(self) -> Settings:
        """The settings in force.

        Raises:
            PanelError: they cannot be used.
        """
        return self.once("settings", lambda: settings_module.load(self.workspace))

    @property
    def environments(self) -> Path:
        """Where the environments of engines lie, or would.

        Raises:
            PanelError: the settings cannot be used.
        """
        # Not at the top: whatever is wrong with the engines' modules is one check's trouble, not the doctor's.
        from backend.envs import places

        return places.folder(self.workspace)

    @property
    def temporary(self) -> Path:
        return Path(self.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - only looked at

    @property
    def hf_cache(self) -> tuple[Path, str]:
        """The cache of the Hugging Face libraries, and the variable that names it (empty: none does)."""
        if named := self.environ.get("HF_HUB_CACHE"):
            return Path(named).expanduser(), "HF_HUB_CACHE"
        if named := self.environ.get("HF_HOME"):
            return Path(named).expanduser() / "hub", "HF_HOME"
        if named := self.environ.get("XDG_CACHE_HOME"):
            return Path(named).expanduser() / "huggingface" / "hub", "XDG_CACHE_HOME"
        return self.home / ".cache" / "huggingface" / "hub", ""

    @property
    def pip_cache(self) -> Path:
        named, cache = self.environ.get("PIP_CACHE_DIR"), self.environ.get("XDG_CACHE_HOME")
        return Path(named).expanduser() if named else (Path(cache) if cache else self.home / ".cache") / "pip"

    @property
    def mounts(self) -> list[mounts.Mount]:
        return self.once("mounts", lambda: mounts.parse(self.lines("proc/self/mountinfo")))

    @property
    def limits(self) -> groups.Limits:
        return self.once("limits", lambda: groups.read(self.root))

    @property
    def containers(self) -> tuple[str, ...]:
        """What says that this is a container; empty where nothing does."""
        signs = [f"/{name}" for name in (".dockerenv", "run/.containerenv") if (self.root / name).exists()]
        signs += [f"{name}={self.environ[name]}" for name in ("container",) if self.environ.get(name)]
        signs += [
            name
            for name in ("KUBERNETES_SERVICE_HOST", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")
            if self.environ.get(name)
        ]
        return tuple(signs)

    def lines(self, path: str) -> list[str]:
        """The lines of a file below the root; empty where it is not there or not ours to read."""
        try:
            return (self.root / path).read_text(errors="replace").splitlines()
        except OSError:
            return []

    def line(self, path: str) -> str:
        """Its first line, without the blanks around it."""
        return next(iter(self.lines(path)), "").strip()

    def once(self, name: str, find: Callable[[], T]) -> T:
        """What ``find`` returned, or raised, the first time; who asks meanwhile waits for it."""
        with self._lock:
            entry = self._known.setdefault(name, _Once())
        return entry.get(find)


class _Once:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcome: tuple[Any, Exception | None] | None = None

    def get(self, find: Callable[[], T]) -> T:
        with self._lock:
            if self._outcome is None:
                try:
                    self._outcome = (find(), None)
                except Exception as error:  # noqa: BLE001 - every check that asks is to see it
                    self._outcome = (None, error)
        found, problem = self._outcome
        if problem is not None:
            raise problem
        return cast(T, found)


def existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that is there: what is not made yet will be made on its disk."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))


def ask(command: Sequence[str], environ: Mapping[str, str], timeout_s: float = 2.0) -> str | None:
    """What ``command`` prints, in the language of programs; None where it is not there, fails, or does not answer."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
