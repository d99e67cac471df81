"""Write constraints.txt: the exact version of every package that the requirement files bring along. `make lock`.

Asks pip what it would install into an empty environment (nothing is installed). Left out: what only a CUDA build of torch
brings (its own metadata pins those exactly), and the local part of a version (``2.13.0+cpu``), so that the same file fits
machines with and without a GPU.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GPU_ONLY = re.compile(r"^(nvidia-.*|cuda-.*|triton)$")
WANTED_THOUGH = {"nvidia-ml-py"}
HEADER = """\
# Exact versions of everything that requirements.txt and requirements-dev.txt bring along. Made by `make lock`; used with -c.
"""


def resolve(*files: Path) -> dict[str, str]:
    """``{name: version}`` of what pip would install for the requirement ``files``."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        asked = [argument for file in files for argument in ("-r", str(file))]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
        subprocess.run([*command, "--ignore-installed", "--report", str(report), *asked], check=True)
        found = json.loads(report.read_text())["install"]
    return {
        re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"].split("+")[0]
        for item in found
    }


def main() -> None:
    versions = resolve(ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
    kept = {name: v for name, v in versions.items() if name in WANTED_THOUGH or not GPU_ONLY.match(name)}
    lines = [f"{name}=={version}\n" for name, version in sorted(kept.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines))
    print(f"constraints.txt: {len(lines)} packages")


if __name__ == "__main__":
    main()
