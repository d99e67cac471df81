"""Write the locks of the engines' environments: `python scripts/lock_engines.py NAME [FLAVOUR]`.

What is wanted stands in `backend/engines/locks/NAME-FLAVOUR.in`, the lock is written beside it (`.txt`). pip resolves in an
empty environment of each Python; nothing is installed, and no GPU is needed. Both are described in
docs/decisions/0007-engine-environments.md.

    python scripts/lock_engines.py xtuner             make the locks of all its flavours anew
    python scripts/lock_engines.py xtuner cpu         this one
    python scripts/lock_engines.py --check            which locks would come out otherwise now; exit code 1 where one would
    python scripts/lock_engines.py xtuner cpu --measure   install it for real as well, to know how much disk it takes

Sections of a `.in` file, one requirement a line, with the reason behind a `#`:

    [python]       the versions it is for, such as `3.11 3.12`; the first one decides the versions of packages
    [any build]    exact pins without a hash: the index at hand may offer a build of its own (torch for the CPU)
    [packages]     resolved with everything that they ask for; what building an sdist needs stands here too
    [constraints]  versions for what comes along
    [no deps]      added without what they ask for
    [left out]     names, `*` for any, that come along and are not wanted

The CPU flavour is resolved as pip is configured here. Other flavours take the index alone, without pip's configuration, so
that torch is the build that the index has for GPUs.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.lock_pip import Pip

LOCKS = Path(__file__).resolve().parent.parent / "backend" / "engines" / "locks"
SECTIONS = ("python", "any build", "packages", "constraints", "no deps", "left out")
MACHINES = ("x86_64", "aarch64")
FIRST = ("setuptools", "wheel", "pip")
"""Before everything else: what is built needs them."""


@dataclass(frozen=True)
class Wanted:
    """One ``.in`` file: the requirements of each section."""

    engine: str
    flavour: str
    sections: dict[str, list[str]]

    @classmethod
    def read(cls, path: Path) -> Wanted:
        engine, _, flavour = path.stem.rpartition("-")
        sections: dict[str, list[str]] = {name: [] for name in SECTIONS}
        section = ""
        for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            line = re.sub(r"(^|\s)#.*", "", raw).strip()
            if line.startswith("["):
                section = line.strip("[]")
                if section not in SECTIONS:
                    raise SystemExit(f"{path}:{number}: no section is called [{section}]")
            elif line:
                sections[section].append(line)
        return cls(engine, flavour, sections)

    @property
    def pythons(self) -> list[str]:
        return " ".join(self.sections["python"]).split()

    @property
    def any_build(self) -> set[str]:
        return {canonical(pin.partition("==")[0]) for pin in self.sections["any build"]}

    def leaves_out(self, name: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in self.sections["left out"])


@dataclass(frozen=True)
class Line:
    """One package of the lock."""

    name: str
    version: str
    hashes: tuple[str, ...]
    bytes: int
    sdist: bool
    any_build: bool

    def __str__(self) -> str:
        hashes = "".join(f" --hash=sha256:{each}" for each in self.hashes)
        mark = " any build" if self.any_build else " sdist" if self.sdist else ""
        return f"{self.name}=={self.version}{hashes}  # {self.bytes}{mark}"

    @property
    def order(self) -> tuple[bool, bool, bool, str]:
        return (not self.any_build, self.name not in FIRST, self.sdist, self.name)


def canonical(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def tags(python: str, machine: str) -> frozenset[Tag]:
    """Every tag that a Linux with glibc takes."""
    version = tuple(int(part) for part in python.split("."))
    lowest = 5 if machine == "x86_64" else 17
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(42, lowest - 1, -1)]
    platforms += [f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    name = f"cp{python.replace('.', '')}"
    return frozenset(chain(cpython_tags(version, platforms=platforms), compatible_tags(version, name, platforms)))


def resolve(pip: Pip, wanted: Wanted, fixed: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Canonical name -> item of pip's report, without what is left out. ``fixed``: versions to keep to."""
    parts = wanted.sections
    limits = [*parts["constraints"], *(f"{name}=={version}" for name, version in (fixed or {}).items())]
    items = pip.resolve([*parts["any build"], *parts["packages"]], limits)
    items += pip.resolve(parts["no deps"], limits, "--no-deps")
    found = {canonical(item["metadata"]["name"]): item for item in items}
    return {name: item for name, item in found.items() if not wanted.leaves_out(name)}


def version(item: dict[str, Any]) -> str:
    """Without the local part (``+cpu``), which an index does not know."""
    return str(item["metadata"]["version"]).split("+")[0]


def line(name: str, item: dict[str, Any], files: list[dict[str, Any]], wanted: Wanted, pythons: list[str]) -> Line:
    """The line of one package: hashes of every file of this version that one of the machines would take."""
    url = unquote(item["download_info"]["url"].partition("#")[0])
    chosen = Path(url.removeprefix("file://"))
    pinned = version(item)
    if name in wanted.any_build:
        # As large as the build for the CPU that was found here, or the index's own.
        size = chosen.stat().st_size if url.startswith("file://") else _sizes(files).get(chosen.name, 0)
        return Line(name, pinned, (), size, sdist=False, any_build=True)
    wheels: dict[str, set[Tag]] = {}
    sdists: list[str] = []
    for file in files:
        try:
            _name, its, _build, its_tags = parse_wheel_filename(file["filename"])
            if str(its) == pinned or its.public == pinned:
                wheels[file["filename"]] = set(its_tags)
        except InvalidWheelFilename:
            try:
                _name, its = parse_sdist_filename(file["filename"])
            except InvalidSdistFilename:
                continue
            if str(its) == pinned:
                sdists.append(file["filename"])
    kept: set[str] = set()
    for python in pythons:
        for machine in MACHINES:
            fits = tags(python, machine)
            those = {file for file, its_tags in wheels.items() if its_tags & fits}
            if not those and wheels:
                print(f"  {name} {pinned}: no wheel for Python {python} on {machine}", file=sys.stderr)
            kept |= those or set(sdists)
    by_name = {file["filename"]: file for file in files}
    if chosen.name not in by_name or not kept:
        raise SystemExit(f"{name} {pinned}: pip chose {chosen.name}, which the index does not have")
    kept.add(chosen.name)
    theirs = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
    hashes = {file: by_name[file]["hashes"]["sha256"] for file in kept}
    if theirs and theirs != hashes[chosen.name]:
        print(f"  {chosen}: another file than the index's under the same name", file=sys.stderr)
    return Line(
        name,
        pinned,
        tuple(sorted(hashes.values())),
        int(by_name[chosen.name]["size"]),
        sdist=chosen.suffix != ".whl",
        any_build=False,
    )


def _sizes(files: list[dict[str, Any]]) -> dict[str, int]:
    return {file["filename"]: int(file["size"]) for file in files}


def lock(wanted: Wanted, folder: Path) -> tuple[list[str], list[Line]]:
    """The Pythons that the lock is for, and its lines in the order in which they are installed."""
    plain = wanted.flavour != "cpu"
    first, *others = wanted.pythons
    pip = Pip(folder, first, plain=plain)
    found = resolve(pip, wanted)
    versions = {name: version(item) for name, item in found.items()}
    pythons = [first]
    for other in others:
        there = resolve(Pip(folder, other, plain=plain), wanted, versions)
        theirs = {name: version(item) for name, item in there.items()}
        if theirs != versions:
            differ = {name for name, _ in theirs.items() ^ versions.items()}
            raise SystemExit(
                f"{wanted.engine} {wanted.flavour}: Python {other} wants others: {', '.join(sorted(differ))}"
            )
        pythons.append(other)
    files = pip.index(found)
    lines = [line(name, item, files[name], wanted, pythons) for name, item in found.items()]
    return pythons, sorted(lines, key=lambda each: each.order)


def measure(wanted: Wanted, lines: list[Line], folder: Path) -> int:
    """Install it, without running anything of it; bytes that the environment takes on disk."""
    pip = Pip(folder, wanted.pythons[0], plain=wanted.flavour != "cpu")
    place = folder / "environment"
    subprocess.run([pip.python, "-m", "venv", "--without-pip", place], check=True)
    install = ["--python", str(place / "bin" / "python"), "install", "-qq", "--no-deps", "--no-build-isolation", "-r"]
    # As the panel does it: torch, then what is ready made, then what has to be built with that.
    for any_build, sdist in ((True, False), (False, False), (False, True)):
        part = [each for each in lines if (each.any_build, each.sdist) == (any_build, sdist)]
        if part:
            file = folder / "part.txt"
            file.write_text("\n".join(str(each).partition("  #")[0] for each in part))
            pip.run(*install, file)
    return sum(found.lstat().st_blocks * 512 for found in place.rglob("*"))


def text(wanted: Wanted, pythons: list[str], lines: list[Line], installed: int) -> str:
    """The file."""
    head = [
        f"# engine: {wanted.engine}",
        f"# flavour: {wanted.flavour}",
        f"# python: {' '.join(pythons)}",
        f"# made: python scripts/lock_engines.py {wanted.engine} {wanted.flavour}",
        f"# installed_bytes: {installed}",
        "# Every package that is wanted, at its exact version, for Linux on x86_64 and aarch64; installed without asking for",
        "# more. The number is the size of the file in bytes. Written by the command above: change the .in file instead.",
    ]
    if wanted.flavour != "cpu":
        head.append(
            "# Proven where it was made: that it resolves and, where its size was measured, that it installs. No GPU was there."
        )
    return "\n".join([*head, *map(str, lines)]) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engine", nargs="?", help="its name; all where none is given")
    parser.add_argument("flavour", nargs="?", help="cpu or cuda; all where none is given")
    parser.add_argument("--check", action="store_true", help="write nothing; say what would differ")
    parser.add_argument("--measure", action="store_true", help="install it too, to know the room that it takes")
    asked = parser.parse_args(arguments)
    inputs = sorted(LOCKS.glob(f"{asked.engine or '*'}-{asked.flavour or '*'}.in"))
    if not inputs:
        raise SystemExit(f"nothing in {LOCKS} is called {asked.engine}-{asked.flavour or '*'}.in")
    differs = False
    for path in inputs:
        wanted = Wanted.read(path)
        print(f"{wanted.engine} {wanted.flavour}", flush=True)
        target = path.with_suffix(".txt")
        before = target.read_text(encoding="utf-8") if target.exists() else ""
        known = re.search(r"^# installed_bytes: (\d+)$", before, re.MULTILINE)
        with tempfile.TemporaryDirectory() as folder:
            pythons, lines = lock(wanted, Path(folder))
            installed = measure(wanted, lines, Path(folder)) if asked.measure else int(known[1]) if known else 0
        after = text(wanted, pythons, lines, installed)
        changes = sorted(set(before.splitlines()) ^ set(after.splitlines()))
        if not asked.check:
            target.write_text(after, encoding="utf-8")
        for change in changes:
            side = "+" if change in after.splitlines() else "-"
            print(f"  {side} {re.sub(r' --hash=[^ ]*', '', change)}")
        differs = differs or bool(changes)
        size = sum(each.bytes for each in lines)
        print(f"  {len(lines)} packages, {size / 1e6:.0f} MB to download, {installed / 1e6:.0f} MB installed")
    return 1 if asked.check and differs else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
