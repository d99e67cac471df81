"""The garbage collector waits while large libraries are loaded, and is there again whatever happens meanwhile."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from jobs.libraries import loading


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generations that were searched, as they were."""
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            seen.append(info["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def much() -> list[list[int]]:
    return [[n] for n in range(50_000)]


def test_inside_nothing_is_searched_and_afterwards_it_is(collections: list[int]) -> None:
    with loading():
        kept = much()
        assert collections == []
    assert gc.isenabled()
    kept += much()
    assert collections


def test_what_was_there_before_can_still_become_garbage() -> None:
    class Model:
        """With its trainer, of which each knows the other."""

    model = Model()
    model.trainer = {"model": model}  # type: ignore[attr-defined]
    gone = weakref.ref(model)
    with loading():
        pass
    del model
    gc.collect()
    assert gone() is None


def test_after_a_library_that_cannot_be_loaded_garbage_is_searched_for() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError("no such library")
    assert gc.isenabled()


def test_within_another_it_does_not_end_the_waiting(collections: list[int]) -> None:
    with loading():
        with loading():
            kept = much()
        kept += much()
        assert collections == []
    assert gc.isenabled()
