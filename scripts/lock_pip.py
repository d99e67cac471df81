"""A recent pip in an empty environment of one Python, which lock_engines.py asks: what would be installed, and what is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

READ_INDEX = """
import json, sys
from pip._internal.commands.download import DownloadCommand
command = DownloadCommand("download", "")
with command.main_context():
    options, _ = command.parse_args([])
    session = command.get_default_session(options)
    found = {}
    for name in json.load(sys.stdin):
        answer = session.get(
            f"{options.index_url.rstrip('/')}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
        )
        answer.raise_for_status()
        found[name] = answer.json()["files"]
print(json.dumps(found))
"""
"""pip's own way to the index, so that its mirror, proxy and certificates count here too."""


class Pip:
    """A recent pip in an empty environment of one Python."""

    def __init__(self, folder: Path, version: str, *, plain: bool) -> None:
        self.folder, self.version = folder / version, version
        self.environ = {**os.environ, "PIP_CACHE_DIR": str(folder / "cache"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if plain:
            for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
                self.environ.pop(name, None)
            self.environ["PIP_CONFIG_FILE"] = os.devnull
        # sdists that would compile for a GPU as soon as they see one
        self.environ["DS_BUILD_OPS"] = "0"
        self.python = self.folder / "bin" / "python"
        if not self.python.exists():
            subprocess.run([interpreter(version), "-m", "venv", self.folder], check=True)
            self.run("install", "-qq", "--upgrade", "pip")

    def run(self, *arguments: str | Path, given: str | None = None) -> str:
        """What ``pip arguments`` prints."""
        return self.call("-m", "pip", *arguments, given=given)

    def call(self, *arguments: str | Path, given: str | None = None) -> str:
        done = subprocess.run(
            [self.python, *arguments], env=self.environ, input=given, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    def resolve(self, requirements: list[str], constraints: list[str], *options: str) -> list[dict[str, Any]]:
        """What pip would install, as the items of its report."""
        if not requirements:
            return []
        with tempfile.TemporaryDirectory() as name:
            wanted, limits, report = (Path(name) / file for file in ("wanted.txt", "limits.txt", "report.json"))
            wanted.write_text("\n".join(requirements))
            limits.write_text("\n".join(constraints))
            self.run(
                "install", "-qq", "--dry-run", "--ignore-installed", *options,
                "--report", report, "-r", wanted, "-c", limits,
            )  # fmt: skip
            found: list[dict[str, Any]] = json.loads(report.read_text())["install"]
        return found

    def index(self, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """Every file that the index has of each package (PEP 691)."""
        found: dict[str, list[dict[str, Any]]] = json.loads(
            self.call("-c", READ_INDEX, given=json.dumps(sorted(names)))
        )
        return found


def interpreter(version: str) -> str:
    """The program ``python<version>`` on the path; a shim that stands for none does not count.

    Raises:
        SystemExit: there is none.
    """
    found = shutil.which(f"python{version}")
    if found is None or subprocess.run([found, "-c", ""], capture_output=True).returncode != 0:
        raise SystemExit(f"a lock for Python {version} is made with it: put a python{version} on the PATH that starts")
    return found
