"""What is loaded is set aside from the garbage collector once, and nothing that was set aside is kept for ever."""

from __future__ import annotations

import gc
import sys
import time
import types
import weakref
from collections.abc import Iterator

import pytest

from ui import settling


class Part:
    """Holds itself, as what Streamlit leaves of a page does: only the collector frees it."""

    def __init__(self) -> None:
        self.whole = self


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """One entry for each collection from here on; everything is settled before."""
    settling.settle()
    counted: list[int] = []
    real = gc.collect
    monkeypatch.setattr(settling.gc, "collect", lambda *args: counted.append(real(*args)))
    yield counted
    monkeypatch.undo()
    settling.settle()


def test_while_nothing_new_is_loaded_a_rerun_collects_nothing(collected: list[int]) -> None:
    settling.settle()
    settling.settle()
    assert (collected, gc.get_freeze_count() > 10_000) == ([], True)


def test_what_is_loaded_later_is_set_aside_too(collected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tunedeck_loaded_later", types.ModuleType("tunedeck_loaded_later"))
    before = gc.get_freeze_count()
    kept = [[] for _ in range(1000)]
    settling.settle()
    assert (len(kept), gc.get_freeze_count() - before >= 1000, collected) == (1000, True, []), "without a collection"


def test_what_was_set_aside_and_left_is_freed_within_the_hour(
    collected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Part()
    monkeypatch.setattr(settling, "_loaded", 0)
    settling.settle()  # set aside while it was used
    left = weakref.ref(part)
    del part
    settling.settle()
    assert (collected, left() is None) == ([], False)
    assert 0 < settling._next - time.monotonic() <= settling.ANEW_S
    monkeypatch.setattr(settling, "_next", time.monotonic())
    settling.settle()
    assert (len(collected), left()) == (1, None)
