"""Tests on a real GPU: skipped where NVML shows none. ``python -m pytest -m gpu tests/gpu`` on a machine that has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.queue.resources import Card, cards


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture
def card() -> Card:
    """The first GPU of this machine."""
    found = cards()
    if not found:
        pytest.skip("this machine shows no NVIDIA GPU")
    return found[0]
