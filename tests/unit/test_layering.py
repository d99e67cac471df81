"""The linter itself refuses an import that crosses the rooms: every rule is broken once, in a copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ("pyproject.toml", "backend/ruff.toml", "jobs/ruff.toml", "jobs/shims/ruff.toml")

FORBIDDEN = [
    *(
        (place, name)
        for place in ("app.py", "ui/x.py", "pages/x.py")
        for name in ("torch", "transformers", "jobs", "tests")
    ),
    *(
        ("backend/queue/x.py", name)
        for name in ("streamlit", "torch", "transformers", "ui", "pages", "jobs", "app", "tests")
    ),
    *(("jobs/x.py", name) for name in ("streamlit", "ui", "pages", "app", "tests")),
    *(("jobs/shims/x.py", name) for name in ("backend", "jobs", "ui", "pages", "streamlit", "app")),
    ("ui/x.py", "pages"),
]
ALLOWED = [
    ("app.py", "streamlit"),
    ("app.py", "ui"),
    ("ui/x.py", "streamlit"),
    ("ui/x.py", "backend"),
    ("pages/x.py", "ui"),
    ("pages/x.py", "streamlit"),
    ("jobs/x.py", "torch"),
    ("jobs/x.py", "backend"),
    ("jobs/shims/x.py", "torch"),
    ("tests/unit/x.py", "torch"),
]
FORMS = ("import {0}\n", "import {0}.part\n", "from {0} import part\n", "def lazy():\n    from {0}.part import thing\n")


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """An empty tree that has our linter's configuration."""
    for name in CONFIGS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def crossings(folder: Path) -> dict[str, set[int]]:
    """``{file: lines}`` of the imports below ``folder`` that the linter refuses as banned."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--select",
        "TID251",
        "--output-format",
        "concise",
        ".",
    ]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode in (0, 1), result.stderr
    found: dict[str, set[int]] = {}
    for line in result.stdout.splitlines():
        if "TID251" in line:
            path, row, *_ = line.split(":")
            found.setdefault(path, set()).add(int(row))
    return found


def plant(folder: Path, cases: list[tuple[str, str]]) -> dict[str, int]:
    """Write the imports of ``cases`` in every form; returns how many stand in each file."""
    planted: dict[str, int] = {}
    for place, name in cases:
        for number, form in enumerate(FORMS):
            path = folder / place.replace("x.py", f"{name}_{number}.py")
            if place == "app.py":
                path = folder / "app.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(form.format(name))
            relative = path.relative_to(folder).as_posix()
            planted[relative] = planted.get(relative, 0) + 1
    return planted


def test_every_forbidden_import_is_refused(rooms: Path) -> None:
    planted = plant(rooms, FORBIDDEN)
    refused = {path: len(lines) for path, lines in crossings(rooms).items()}
    assert refused == planted


def test_every_allowed_import_passes(rooms: Path) -> None:
    plant(rooms, ALLOWED)
    assert crossings(rooms) == {}


def test_the_tree_keeps_to_its_rooms() -> None:
    assert crossings(ROOT) == {}


def test_nobody_lifts_the_ban_for_one_line() -> None:
    sources = [p for room in ("backend", "jobs", "ui", "pages") for p in (ROOT / room).rglob("*.py")]
    assert sources
    assert [str(p) for p in sources if "TID251" in p.read_text(encoding="utf-8")] == []
