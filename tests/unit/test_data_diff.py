"""What became of the rows between two versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.data.diff import Change, diff
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.workspace import open_workspace


def row(question: str, answer: str = "yes") -> Row:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def sets(tmp_path: Path) -> Datasets:
    return Datasets(open_workspace(tmp_path / "ws"))


def made(sets: Datasets, rows: list[Row], name: str = "mine") -> Version:
    with sets.write(name, steps=[]) as out:
        for entry in rows:
            out.add(entry)
    return sets.open(name, out.version.id)


def test_added_removed_and_changed_rows_are_told_apart(sets: Datasets) -> None:
    older = made(sets, [row("a"), row("b"), row("c"), row("d"), row("e")])
    newer = made(sets, [row("a"), row("b", "no"), row("d"), row("e, really"), row("f"), row("g")])
    found = diff(older, newer)
    assert (found.same, found.added, found.removed, found.changed) == (2, 2, 1, 2)
    assert found.changes(0, 10) == [
        Change("changed", 1, 1),
        Change("removed", 2, None),
        Change("changed", 4, 3),
        Change("added", None, 4),
        Change("added", None, 5),
    ]
    assert found.changes(1, 2) == [Change("removed", 2, None)]


def test_copies_are_counted_and_order_alone_is_no_change(sets: Datasets) -> None:
    older = made(sets, [row("same")] * 2001 + [row("other")])
    newer = made(sets, [row("other"), row("same")])
    found = diff(older, newer)
    assert (found.same, found.added, found.removed, found.changed) == (2, 0, 2000, 0)
    back = diff(newer, older)
    assert (back.same, back.added, back.removed, back.changed) == (2, 2000, 0, 0)


def test_an_empty_version_is_one_too(sets: Datasets) -> None:
    empty, full = made(sets, []), made(sets, [row("a"), row("b")])
    assert len(diff(empty, empty)) == 0
    assert (diff(empty, full).added, diff(full, empty).removed) == (2, 2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_the_changes_lead_from_one_to_the_other(sets: Datasets, first: list[int], second: list[int]) -> None:
    older, newer = made(sets, [row(str(n)) for n in first]), made(sets, [row(str(n)) for n in second])
    found = diff(older, newer)
    changes = found.changes(0, len(found))
    gone = {change.before for change in changes if change.before is not None}
    new = {change.after for change in changes if change.after is not None}
    assert len(changes) == found.added + found.removed + found.changed
    stays = [n for index, n in enumerate(first) if index not in gone]
    assert sorted(stays + [second[index] for index in new]) == sorted(second)
    assert found.same == len(stays)
