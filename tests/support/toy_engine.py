"""A checkout with one engine more: ``toy``, whose environment is a few tiny wheels and whose self-test takes a blink.

    checkout = checkout_with_engine(tmp_path)         # copies what is ours, links what is large
    index.add(*checkout.packages)                     # tests/support/wheel_index.py, or checkout.fill(FOLDER) for a bundle
    checkout.root                                     # start panels, watchers and commands with this as their folder

The self-test fails while the file ``TOY_FAILS`` names is there, and waits while the file ``TOY_HOLDS`` names is there.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from backend.workspace import ROOT
from tests.support.wheel_index import Package, sdist, wheel

COPIED = ("backend", "jobs", "ui", "pages", "app.py", "locale", ".streamlit", "tests")
LINKED = ("models", "docs", "pyproject.toml", "requirements.txt", "constraints.txt", "scripts")
ENGINE = '''
"""A toy: it exists in tests only."""

from __future__ import annotations

from backend.engines.base import Capability
from backend.engines.recipes import Recipe
from backend.errors import PanelError


class ToyEngine:
    name = "toy"
    title = "Toy Engine"
    purpose = "Plays, and does nothing else."
    roles = ()
    recipe = Recipe(packages=("toy", "toy-part"), flavours=("cpu", "cuda"), imports=("toy",), environ={"TOY": "plays"})

    def unavailable(self) -> PanelError | None:
        return None

    def capabilities(self) -> list[Capability]:
        return [Capability("Play")]


ENGINE = ToyEngine()
'''
SELFTEST = '''
"""What the toy can do."""

from __future__ import annotations

import os
import time
from pathlib import Path

from backend.errors import PanelError
from jobs.selftests.testing import Test


def run(test: Test) -> None:
    def play() -> dict[str, str]:
        while Path(os.environ.get("TOY_HOLDS", "/nowhere")).exists():
            test.child([test.python, "-c", "import time; time.sleep(0.2)"], 10)
        if Path(os.environ.get("TOY_FAILS", "/nowhere")).exists():
            raise PanelError("toy_broken", "The toy is broken: it was told to be.")
        done = test.child([test.python, "-m", "toy"], 10)
        return {"Played": done.stdout.strip()}

    test.check("Play a little", play)
'''
PLAY = 'import os\nif __name__ == "__main__":\n    print("toy", __version__, os.environ["TOY"])\n'
BACKEND = """
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    lines = dict(l.split(": ", 1) for l in open("PKG-INFO").read().splitlines() if ": " in l)
    name, version = lines["Name"].replace("-", "_"), lines["Version"]
    info, file = f"{name}-{version}.dist-info", f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, file), "w") as archive:
        archive.write(f"{name}.py")
        archive.write("PKG-INFO", f"{info}/METADATA")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{info}/RECORD", "")
    return file
"""


@dataclass
class Checkout:
    """root: the copy. packages: what its lock names; the index must have them."""

    root: Path
    packages: list[Package]
    python: str = "3.11 3.12"

    def lock(self, packages: list[Package] | None = None, *, any_build: tuple[str, ...] = ()) -> None:
        """Write the locks of both flavours, of these packages."""
        self.packages = self.packages if packages is None else packages
        lines = [package.line(any_build=package.name in any_build) for package in self.packages]
        for flavour in ("cpu", "cuda"):
            head = ["# engine: toy", f"# flavour: {flavour}", f"# python: {self.python}", "# installed_bytes: 2000000"]
            path = self.root / "backend" / "engines" / "locks" / f"toy-{flavour}.txt"
            path.write_text("\n".join([*head, *lines]) + "\n")

    def fill(self, folder: Path) -> None:
        """All package files into ``folder``: an offline bundle without a manifest."""
        folder.mkdir(parents=True, exist_ok=True)
        for package in self.packages:
            (folder / package.file).write_bytes(package.data)


def toy_packages(version: str = "1.0", *, pad: int = 120_000, source: bool = False) -> list[Package]:
    """The engine and a part of it; with ``source`` also a package that is built from its source, and what builds it."""
    found = [wheel("toy", version, code=PLAY), wheel("toy-part", version, pad=pad)]
    if source:
        found += [wheel("setuptools", "80.0", "toy_build", code=BACKEND), sdist("toy-source", version, "toy_build")]
    return found


def checkout_with_engine(folder: Path, packages: list[Package] | None = None) -> Checkout:
    """A checkout below ``folder`` that has the toy. About a tenth of a second: code is copied, what is large is linked."""
    root = folder / "checkout"
    root.mkdir(parents=True)
    for name in COPIED:
        _copy(ROOT / name, root / name)
    for name in LINKED:
        if (ROOT / name).exists():
            (root / name).symlink_to(ROOT / name)
    (root / "backend" / "engines" / "toy.py").write_text(ENGINE.lstrip())
    (root / "backend" / "engines" / "locks").mkdir(exist_ok=True)
    (root / "jobs" / "selftests" / "toy.py").write_text(SELFTEST.lstrip())
    checkout = Checkout(root, toy_packages() if packages is None else packages)
    checkout.lock()
    return checkout


def _copy(source: Path, target: Path) -> None:
    """Code is copied, since a module finds the checkout by where it lies; large files are linked."""

    def take(one: str, other: str) -> str:
        if Path(one).stat().st_size > 200_000:
            Path(other).symlink_to(one)
        else:
            shutil.copy2(one, other)
        return other

    if source.is_dir():
        # What was compiled goes along with the times of its sources, or the first start would compile all of it again.
        shutil.copytree(source, target, copy_function=take, ignore=shutil.ignore_patterns("node_modules"))
    elif source.exists():
        shutil.copy2(source, target)
