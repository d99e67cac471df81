"""Reviewing: each decision is on the disk at once, holds in every version, and two people see each other's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from backend.data import edit
from backend.data.review import STATES, Review, hashes_of, of, reviewed
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.errors import DataError
from backend.workspace import ROOT, Workspace
from tests.support.wait import until


def row(question: str, answer: str = "x") -> Row:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def sets(workspace: Workspace) -> Datasets:
    return Datasets(workspace)


@pytest.fixture
def version(sets: Datasets) -> Version:
    with sets.write("farm", steps=[]) as out:
        for n in range(5):
            out.add(row(f"question {n}"))
    return sets.open("farm")


def states(review: Review, version: Version) -> list[str]:
    return [STATES[int(place)] for place in review.states(hashes_of(version))]


def test_decisions_are_seen_by_whoever_looks_next(sets: Datasets, version: Version) -> None:
    mine, theirs = of(sets, "farm"), of(sets, "farm")
    mine.decide(version[0], "accepted")
    assert states(theirs, version)[0] == "accepted"
    theirs.decide(version[1], "rejected")
    theirs.decide(version[2], "edited", row("question 2", "better"))
    assert states(mine, version) == ["accepted", "rejected", "edited", "todo", "todo"]
    mine.decide(version[0], "todo")
    assert states(theirs, version)[0] == "todo"
    assert mine.decision(version[2]).row == row("question 2", "better")
    assert mine.decision(version[1]).by
    assert mine.decision(version[1]).at > 0


def test_the_new_version_leaves_out_what_was_rejected_and_the_review_goes_on_in_it(
    sets: Datasets, version: Version
) -> None:
    review = of(sets, "farm")
    review.decide(version[0], "accepted")
    review.decide(version[1], "rejected")
    review.decide(version[2], "edited", row("question 2", "better"))
    review.add(row("by hand"))
    info = edit.apply(sets, version, {"do": "review"})
    new = sets.open("farm")
    assert [r["messages"][0]["content"] for r in new] == [
        "question 0",
        "question 2",
        "question 3",
        "question 4",
        "by hand",
    ]
    assert new[1] == row("question 2", "better")
    assert info.steps == [{"do": "review"}]
    assert states(review, new) == ["accepted", "accepted", "todo", "todo", "accepted"]
    assert review.added(hashes_of(new)) == {}, "what was written by hand stands in it now"
    assert states(review, version) == ["accepted", "rejected", "edited", "todo", "todo"], "and the old one is as it was"
    assert list(reviewed(new, review)) == list(new), "saving once more changes nothing"


def test_only_what_was_reviewed(sets: Datasets, version: Version) -> None:
    review = of(sets, "farm")
    review.decide(version[3], "accepted")
    assert [r["messages"][0]["content"] for r in reviewed(version, review, only_reviewed=True)] == ["question 3"]


def test_rows_written_by_hand_can_be_changed_and_taken_away(sets: Datasets, version: Version) -> None:
    review = of(sets, "farm")
    first, second = review.add(row("one")), review.add(row("two"))
    review.change_added(first, row("one, better"))
    review.change_added(second, None)
    assert of(sets, "farm").added() == {first: row("one, better")}


def test_an_edit_that_changes_nothing_accepts(sets: Datasets, version: Version) -> None:
    review = of(sets, "farm")
    review.decide(version[0], "edited", version[0])
    assert states(review, version)[0] == "accepted"


@pytest.mark.parametrize(
    "bad", [{}, {"messages": []}, {"messages": [{"role": "king", "content": ""}]}, {"messages": [{"role": "user"}]}]
)
def test_what_is_no_row_is_not_taken(sets: Datasets, version: Version, bad: Row) -> None:
    with pytest.raises(DataError, match="This is not a row"):
        of(sets, "farm").add(bad)
    assert of(sets, "farm").added() == {}


def test_a_line_that_a_power_cut_left_half_is_no_decision_and_spoils_none(sets: Datasets, version: Version) -> None:
    review = of(sets, "farm")
    review.decide(version[0], "accepted")
    with review.path.open("ab") as file:
        file.write(b'{"row": "12')
    review.decide(version[1], "rejected")
    assert states(of(sets, "farm"), version)[:2] == ["accepted", "rejected"]
    assert states(review, version)[:2] == ["accepted", "rejected"]


def test_many_people_at_once_lose_nothing(sets: Datasets) -> None:
    with sets.write("crowd", steps=[]) as out:
        for n in range(60):
            out.add(row(f"q{n}"))
    version = sets.open("crowd")

    def work(part: int) -> None:
        mine = of(sets, "crowd")
        for n in range(part, 60, 4):
            mine.decide(version[n], "accepted")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert set(states(of(sets, "crowd"), version)) == {"accepted"}


def test_a_kill_loses_no_decision_that_was_made(sets: Datasets, version: Version, workspace: Workspace) -> None:
    program = (
        "import sys; from backend.data.review import of; from backend.data.store import Datasets\n"
        "from backend.workspace import open_workspace\n"
        "sets = Datasets(open_workspace()); v = sets.open('farm'); r = of(sets, 'farm')\n"
        "for n in range(4):\n    r.decide(v[n], 'rejected'); print(n, flush=True)\n"
        "sys.stdin.read()"
    )
    env = {**os.environ, "TUNEDECK_WORKSPACE": str(workspace.root)}
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(4)]
    process.send_signal(signal.SIGKILL)
    until(lambda: process.poll() is not None, 10, "it is gone")
    process.stdin.close()
    process.stdout.close()
    assert told[-1] == b"3\n"
    assert states(of(sets, "farm"), version) == ["rejected"] * 4 + ["todo"]


def test_hashes_are_kept_beside_the_rows_and_made_again_where_they_are_not_whole(version: Version) -> None:
    first = hashes_of(version)
    kept = version.folder / "hashes.u64"
    kept.write_bytes(kept.read_bytes()[:12])
    assert np.array_equal(hashes_of(version), first)
    assert kept.stat().st_size == 8 * len(version)


def test_a_review_of_no_dataset_is_refused(sets: Datasets, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no dataset called"):
        of(sets, "nothing")
