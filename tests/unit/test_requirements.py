"""The requirement files name what the tree imports, exactly pinned, and nothing that leads elsewhere."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = ("requirements.txt", "requirements-dev.txt", "constraints.txt")
PRODUCT = ("app.py", "ui", "pages", "backend", "jobs")
TOOLS = ("scripts", "tests")
ELSEWHERE = ("jobs/shims/", "tests/support/read_flags.py")
"""Run by the Python of an engine's own environment, which has that engine."""
OURS = {"app", "ui", "pages", "backend", "jobs", "scripts", "tests"}


def pins(name: str) -> dict[str, str]:
    """``{canonical name: version}`` of a requirement file."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def imported(rooms: tuple[str, ...]) -> dict[str, str]:
    """``{top-level module: a file that imports it}`` of all that is neither ours nor the standard library's."""
    found: dict[str, str] = {}
    for room in rooms:
        path = ROOT / room
        for source in [path] if path.is_file() else path.rglob("*.py"):
            if source.relative_to(ROOT).as_posix().startswith(ELSEWHERE):
                continue
            for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                for name in names:
                    found[name.split(".")[0]] = source.relative_to(ROOT).as_posix()
    return {name: where for name, where in found.items() if name not in OURS and name not in sys.stdlib_module_names}


def missing(rooms: tuple[str, ...], named: set[str]) -> list[str]:
    distributions = packages_distributions()
    return [
        f"{module} (imported in {where})"
        for module, where in sorted(imported(rooms).items())
        if not {canonicalize_name(each) for each in distributions.get(module, [])} & named
    ]


def test_every_package_that_the_panel_or_a_job_imports_is_required() -> None:
    assert missing(PRODUCT, set(pins("requirements.txt"))) == []


def test_every_package_that_tests_and_tools_import_is_required() -> None:
    # packaging is a dependency of pytest that pytest's own users rely on.
    named = {*pins("requirements.txt"), *pins("requirements-dev.txt"), "packaging"}
    assert missing(TOOLS, named) == []


@pytest.mark.parametrize("name", FILES)
def test_every_version_is_exact_and_no_line_names_an_address(name: str) -> None:
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        assert (
            not line or line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z]+\])?==[0-9][A-Za-z0-9.]*", line)
        )
        assert "://" not in line


def test_torch_comes_first() -> None:
    assert (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()[0].startswith("torch==")


def test_the_constraints_are_those_of_the_requirements() -> None:
    locked = pins("constraints.txt")
    asked = pins("requirements.txt") | pins("requirements-dev.txt")
    assert {name: locked.get(name) for name in asked} == asked


def test_no_constraint_belongs_to_one_kind_of_machine_only() -> None:
    names = set(pins("constraints.txt")) - {"nvidia-ml-py"}
    assert [name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))] == []
