"""What the review on the Datasets page works on: the rows of a version with what was decided about each, rows written by hand,
and which of them are asked for. Decisions are on the disk; the session only knows what it may take back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from backend.data import review as reviews
from backend.data.review import STATES, Decision, Review, State
from backend.data.rows import Row, parse, row_hash
from backend.data.store import AT_ONCE_BYTES
from backend.data.versions import Version
from backend.i18n import N_, _
from ui import words
from ui.datasets import state as datasets_state

LOOKS = {
    "todo": words.Look(N_("to do"), ":material/radio_button_unchecked:", "gray"),
    "accepted": words.Look(N_("accepted"), ":material/check_circle:", "green"),
    "edited": words.Look(N_("edited"), ":material/edit:", "violet"),
    "rejected": words.Look(N_("rejected"), ":material/cancel:", "red"),
}
ANY = "all"
UNDO = "review_undo_stack"
MOST_UNDO = 200
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Item:
    """One row under review. row: as it stands in its version. shown: as it is after what was decided. added: its name, where
    it was written by hand and stands in no version yet."""

    place: int
    row: Row
    decision: Decision
    added: str = ""

    @property
    def shown(self) -> Row:
        return self.decision.row or self.row

    @property
    def key(self) -> str:
        return self.added or f"{row_hash(self.row):016x}"


@dataclass(frozen=True)
class Seen:
    """The rows of ``version`` and those that were written by hand, behind them. states: of all, by place in ``STATES``."""

    version: Version
    review: Review
    added: dict[str, Row]
    states: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.states)

    def item(self, place: int) -> Item:
        """The row at ``place``, counted from 0."""
        if place < len(self.version):
            row = self.version[place]
            return Item(place, row, self.review.decision(row))
        name = list(self.added)[place - len(self.version)]
        return Item(place, self.added[name], Decision("edited"), name)

    def items(self, places: Places) -> list[Item]:
        """Several rows; what lies side by side is read at once."""
        if len(places) and places[-1] - places[0] < 4 * len(places) and places[-1] < len(self.version):
            first = int(places[0])
            rows = self.version.rows(first, int(places[-1]) + 1)
            picked = [(int(place), rows[int(place) - first]) for place in places]
            return [Item(place, row, self.review.decision(row)) for place, row in picked]
        return [self.item(int(place)) for place in places]

    def counts(self) -> dict[str, int]:
        """Rows in each state."""
        found = np.bincount(self.states, minlength=len(STATES))
        return {state: int(found[place]) for place, state in enumerate(STATES)}


def seen(version: Version) -> Seen:
    """The rows of ``version`` with everything that anybody has decided so far."""
    home = version.folder.parent.parent
    review = _review(str(home))
    with _patience(version):
        hashes = _hashes(str(version.folder), version)
    added = review.added(hashes)
    edited = np.full(len(added), STATES.index("edited"), np.uint8)
    return Seen(version, review, added, np.concatenate([review.states(hashes), edited]))


def _patience(version: Version) -> contextlib.AbstractContextManager[Any]:
    """What is seen while all rows of a large version are read once."""
    large = version.info.bytes > AT_ONCE_BYTES
    return st.spinner(_("Reading all rows once…")) if large else contextlib.nullcontext()


@st.cache_resource(show_spinner=False, max_entries=16)
def _review(home: str) -> Review:
    return Review(Path(home))


@st.cache_resource(show_spinner=False, max_entries=4)
def _hashes(folder: str, _version: Version) -> npt.NDArray[np.uint64]:
    return reviews.hashes_of(_version)


def narrowed(all_: Seen, state: str, finding: str, text: str) -> Places:
    """The places of the rows that are asked for. finding: a code of the doctor; empty as ``text``: any."""
    keep = np.ones(len(all_), bool)
    if state in STATES:
        keep &= all_.states == list(STATES).index(state)
    if finding:
        found = np.zeros(len(all_), bool)
        found[[row - 1 for row in found_rows(all_.version, finding) if row <= len(all_)]] = True
        keep &= found
    if text.strip():
        keep &= _holding(all_, text.strip().casefold())
    return np.flatnonzero(keep)


def found_rows(version: Version, code: str) -> list[int]:
    """Numbers of the rows, from 1, in which the doctor found ``code``."""
    report = _report(version)
    return [finding.row for finding in report.of(code) if finding.row] if report is not None else []


def findings(version: Version) -> dict[str, int]:
    """What the doctor found in single rows, by code, with how many; empty where nobody asked it."""
    report = _report(version)
    if report is None:
        return {}
    rows = {finding.code for finding in report.findings if finding.row}
    return {code: count for code, count in report.counts.items() if code in rows}


def _report(version: Version) -> Any:
    from backend.data import doctor  # what it needs, a review without it need not load

    return doctor.read_report(version)


def _holding(all_: Seen, needle: str) -> npt.NDArray[np.bool_]:
    with _patience(all_.version):
        of_version = _search(str(all_.version.folder), needle, all_.version)
    of_added = [needle in _said(row) for row in all_.added.values()]
    return np.concatenate([of_version, np.asarray(of_added, bool)])


@st.cache_data(show_spinner=False, max_entries=8)
def _search(folder: str, needle: str, _version: Version) -> npt.NDArray[np.bool_]:
    found = (needle in _said(parse(line)) for line in _version.lines())
    return np.fromiter(found, bool, len(_version))


def _said(row: Row) -> str:
    return "\n".join(message["content"] for message in row["messages"]).casefold()


def decide(all_: Seen, item: Item, state: State, to: Row | None = None, *, undo: bool = True) -> None:
    """Write a decision down; the session remembers what it replaces."""
    with datasets_state.problems():
        if undo:
            stack: list[tuple[str, Item]] = st.session_state.setdefault(UNDO, [])
            stack.append((all_.version.dataset, item))
            del stack[:-MOST_UNDO]
        if not item.added:
            all_.review.decide(item.row, state, to)
        elif state == "rejected":
            all_.review.change_added(item.added, None)
        elif to is not None:
            all_.review.change_added(item.added, to)


def take_back(all_: Seen) -> int | None:
    """Undo the last decision of this tab about this dataset; returns the place of its row, None where there was none."""
    stack: list[tuple[str, Item]] = st.session_state.get(UNDO) or []
    at = next((at for at in reversed(range(len(stack))) if stack[at][0] == all_.version.dataset), None)
    if at is None:
        return None
    item = stack.pop(at)[1]
    with datasets_state.problems():
        if item.added:
            all_.review.change_added(item.added, item.row)
        else:
            all_.review.decide(item.row, item.decision.state, item.decision.row)
    return item.place


def can_undo(version: Version) -> bool:
    """Whether :func:`take_back` would find something."""
    return any(dataset == version.dataset for dataset, _item in st.session_state.get(UNDO) or [])
