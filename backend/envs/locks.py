"""The exact packages of one engine and flavour, read from ``backend/engines/locks/<engine>-<flavour>.txt``.

    # engine: xtuner
    # flavour: cpu
    # python: 3.11 3.12
    # installed_bytes: 1900000000
    torch==2.13.0  # 190000000 any build
    setuptools==80.10.2 --hash=sha256:…  # 1200000
    jieba==0.42.1 --hash=sha256:…  # 19200000 sdist

Every package that is wanted stands there, so nothing is resolved when it is installed. The number is the size of the file;
``sdist``: it is built when it is installed; ``any build``: no hash, since the index at hand may offer a build for this
machine (torch for the CPU). ``scripts/lock_engines.py`` writes these files.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from backend.engines.base import Engine
from backend.errors import PanelError
from backend.i18n import N_

_PACKAGE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+_-]+)"
    r"(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})*)\s+#\s*(?P<bytes>\d+)(?P<sdist> sdist)?(?P<any> any build)?\s*"
)


@dataclass(frozen=True)
class Package:
    """One package of a lock. hashes: sha256 of every file that will do, as hexadecimal digits. bytes: of the file."""

    name: str
    version: str
    hashes: tuple[str, ...]
    bytes: int
    sdist: bool = False
    any_build: bool = False

    @property
    def key(self) -> str:
        """The name as file names and indexes normalise it (PEP 503), with underscores as in wheels."""
        return canonical(self.name)

    @property
    def pin(self) -> str:
        """``name==version``."""
        return f"{self.name}=={self.version}"

    @property
    def line(self) -> str:
        """As pip reads it in a file of requirements."""
        return " ".join([self.pin, *(f"--hash=sha256:{each}" for each in self.hashes)])


@dataclass(frozen=True)
class Lock:
    """One lock. python: the versions it is for, such as ``3.11 3.12``. installed_bytes: about what the environment takes;
    0: nobody has measured it."""

    engine: str
    flavour: str
    python: str
    packages: tuple[Package, ...]
    installed_bytes: int

    @cached_property
    def digest(self) -> str:
        """Tells whether two environments are made of the same packages; comments and sizes do not count."""
        lines = [self.flavour, self.python, *(package.line for package in self.packages)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def pythons(self) -> tuple[str, ...]:
        """The versions of Python that will do, the one to prefer first."""
        return tuple(self.python.split())

    @property
    def download_bytes(self) -> int:
        """All files together."""
        return sum(package.bytes for package in self.packages)


def canonical(name: str) -> str:
    """PEP 503, with underscores: ``Typing_Extensions`` and ``typing-extensions`` are the same."""
    return re.sub(r"[-_.]+", "_", name).lower()


def find(engine: Engine, flavour: str) -> Lock | None:
    """The lock of ``engine`` for ``flavour``; None where there is none.

    Raises:
        PanelError: ``env_lock_bad``.
    """
    if engine.recipe is None or flavour not in engine.recipe.flavours:
        return None
    path = engine.recipe.lock(flavour)
    try:
        found = path.stat()
    except OSError:
        return None
    return _read(path, found.st_mtime_ns, found.st_size)


def read_file(path: Path) -> Lock:
    """The lock in ``path``.

    Raises:
        PanelError: ``env_lock_bad``.
        OSError: it cannot be read.
    """
    head: dict[str, str] = {}
    packages = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        if line.startswith("#"):
            name, colon, value = line[1:].partition(":")
            if colon:
                head.setdefault(name.strip(), value.strip())
            continue
        found = _PACKAGE.fullmatch(line)
        hashes = tuple(re.findall(r"sha256:([0-9a-f]{64})", found["hashes"])) if found else ()
        if found is None or bool(hashes) == bool(found["any"]):
            raise _bad(path, number)
        packages.append(
            Package(
                found["name"], found["version"], hashes, int(found["bytes"]), bool(found["sdist"]), bool(found["any"])
            )
        )
    if not packages or not {"engine", "flavour", "python"} <= head.keys():
        raise _bad(path, 1)
    size = head.get("installed_bytes", "0")
    return Lock(head["engine"], head["flavour"], head["python"], tuple(packages), int(size) if size.isdecimal() else 0)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, _size: int) -> Lock:
    return read_file(path)


def _bad(path: Path, number: int) -> PanelError:
    return PanelError(
        "env_lock_bad",
        N_("The list of packages {path} cannot be used: line {number} is not as it should be."),
        N_("Get the file again from where you have TuneDeck, or make it anew with scripts/lock_engines.py."),
        path=str(path),
        number=number,
    )
