"""The engines themselves, in real environments: skipped where these are not. ``python -m pytest -m engines tests/engines``.

TUNEDECK_TEST_ENVIRONMENTS names a folder of environments, as the setting ``environments_folder`` does: NAME/current, which
``make engines`` makes, or NAME/bin/python.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.engines import engines
from backend.envs import places
from backend.envs.status import Report, Status
from backend.workspace import Workspace
from jobs.selftests.testing import run_selftest

# Before any fixture: the tests' own workspace takes all TUNEDECK_ variables away.
FOLDER = os.environ.get("TUNEDECK_TEST_ENVIRONMENTS", "")
FLAVOUR = os.environ.get("TUNEDECK_TEST_FLAVOUR", "")
"""Of environments that were made by hand, which do not tell it."""

Tested = Callable[[str], Report]
_reports: dict[str, Report] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engines)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(1200))


def flavour_of(found: Status) -> str:
    """``cpu`` or ``cuda``."""
    return FLAVOUR or ("cpu" if found.state in ("own", "builtin") else found.flavour)


@pytest.fixture
def environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Status]:
    """The environment of an engine; the test is skipped where there is none."""

    def find(name: str) -> Status:
        if FOLDER:
            monkeypatch.setenv("TUNEDECK_ENVIRONMENTS_FOLDER", FOLDER)
        found = places.status(workspace, name)
        if not found.usable:
            pytest.skip(
                f"no environment of {name} in {FOLDER} (make engines NAME={name})"
                if FOLDER
                else "TUNEDECK_TEST_ENVIRONMENTS names no folder of environments"
            )
        return found

    return find


@pytest.fixture
def tested(environment: Callable[[str], Status], tmp_path: Path) -> Tested:
    """The self-test of an engine's environment, run once for all tests."""

    def report(name: str) -> Report:
        found = environment(name)
        if name not in _reports:
            assert found.python is not None
            folder = tmp_path / "self test 自测"
            folder.mkdir()
            said: list[str] = []
            _reports[name] = run_selftest(engines()[name], found.python, flavour_of(found), folder, said.append)
            print("\n".join(said[-100:]))
        return _reports[name]

    return report
