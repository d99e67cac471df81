"""A program whose workspace lies on a small disk: a real mount, in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from backend.workspace import ROOT

PRELUDE = """
import json, os, subprocess, sys, signal
from backend.errors import PanelError
from backend.workspace import open_workspace
from backend.queue.store import open_store
from tests.support.jobs import Queue
from tests.support.wait import until
"""


def can_mount() -> bool:
    probe = ["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


def on_disk(root: Path, options: str, program: str) -> dict[str, Any]:
    """Run ``program`` with its workspace on a new disk with these mount ``options``; what it prints last, as JSON."""
    root.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *("unshare", "-m", "--propagation", "private", "bash", "-c"),
            'mount -t tmpfs -o "$1" tmpfs "$2" && exec "$3" -c "$4"',
            *("-", options, str(root), sys.executable, PRELUDE + program),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TUNEDECK_WORKSPACE": str(root)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
