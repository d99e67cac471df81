"""How an engine's environment is made: what its module says, and what the lock of each flavour adds (see ``locks/``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.workspace import ROOT

LOCKS = Path(__file__).with_name("locks")
PATCHES = ROOT / "jobs" / "shims" / "patches"


@dataclass(frozen=True)
class Patch:
    """Something that is wrong upstream, mended by small modules of ours that are put on the path (``PYTHONPATH``) whenever
    the environment is used; nothing in it is edited.

    name: folder below ``jobs/shims/patches``. why: for people, marked with ``N_``. package, versions: it is needed with
    these versions (a specifier such as ``"==0.2.0"``) of that distribution, and left out with others. flavours: where.
    probe: Python code that fails in the environment without the patch, and runs with it: how a test sees the day when it
    can go.
    """

    name: str
    why: str
    package: str
    versions: str
    probe: str
    flavours: tuple[str, ...] = ("cpu", "cuda")

    @property
    def folder(self) -> Path:
        return PATCHES / self.name


@dataclass(frozen=True)
class Recipe:
    """One environment.

    packages: distributions whose versions a person wants to see, the engine itself first. flavours: ``cpu`` computes on
    the CPU only, ``cuda`` on NVIDIA GPUs too; the lock of each is ``locks/<engine>-<flavour>.txt``. imports: modules that
    must load. environ: variables for every program in it. patches: see :class:`Patch`. What
    does the real thing on the starter model is the module of ``jobs/selftests`` that is named as the engine.
    """

    packages: tuple[str, ...]
    flavours: tuple[str, ...]
    imports: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    patches: tuple[Patch, ...] = ()

    def lock(self, flavour: str) -> Path:
        """The lock of ``flavour``; the file may not be there."""
        return LOCKS / f"{self.packages[0]}-{flavour}.txt"
