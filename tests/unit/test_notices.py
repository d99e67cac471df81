"""What is news to whom: marks of each browser, absences, clocks that go back, files that are damaged."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from backend.errors import PanelError
from backend.notices import news, visits
from backend.notices.visits import AWAY_S, DAY_S, FOLDER, Visit
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import Workspace

ANNE, BO = "a" * 32, "b" * 32
LONG_S = 120.0
NOW = 1_790_000_000.0
BROKE = PanelError("out_of_memory", "It did not fit.")


def ended(store: Store, title: str, at: float, state: str = "succeeded", seconds: float = 5.0) -> JobRow:
    """A job that ended at ``at`` after ``seconds``."""
    row = store.submit("drill", {}, title=title)
    error = BROKE.to_dict() if state == "failed" else {}
    with store.write() as db:
        db.execute(
            "UPDATE jobs SET state = ?, attempt = 1, started = ?, ended = ?, elapsed = ?, error = ? WHERE id = ?",
            (state, at - seconds, at, seconds, json.dumps(error), row.id),
        )
    return store.get(row.id)


def come(workspace: Workspace, store: Store, who: str, now: float) -> tuple[Visit, list[str]]:
    """``who`` looks at ``now``: the visit, and the titles of what is news."""
    visit = visits.arrive(
        workspace, who, news.top(store), lambda known: bool(news.news(store, known, LONG_S, now)), now
    )
    return visit, [row.title for row in news.news(store, visit, LONG_S, now)]


def test_on_the_first_visit_nothing_is_news(workspace: Workspace, store: Store) -> None:
    ended(store, "old failure", NOW - 50, "failed")
    assert come(workspace, store, ANNE, NOW)[1] == []


def test_what_ended_while_a_person_was_away_is_news_until_they_have_read_it_and_then_never_again(
    workspace: Workspace, store: Store
) -> None:
    come(workspace, store, ANNE, NOW)
    ended(store, "short", NOW + 1000)
    ended(store, "long", NOW + 2000, seconds=600)
    ended(store, "broken", NOW + 3000, "failed")
    ended(store, "stopped by hand", NOW + 3100, "cancelled", seconds=900)
    visit, titles = come(workspace, store, ANNE, NOW + 4000)
    assert titles == ["broken", "long", "short"], "failed first, then the longest; what was cancelled is no news"
    assert (visit.left, visit.back) == (NOW, NOW + 4000)

    visits.seen(workspace, ANNE, NOW + 3000, news.top(store), NOW + 4010)
    visit, titles = come(workspace, store, ANNE, NOW + 4020)
    assert (visit.left, titles) == (0, []), "that absence is over"
    assert come(workspace, store, ANNE, NOW + 9000)[1] == []


def test_under_the_eyes_of_a_person_only_long_jobs_and_failures_are_news(workspace: Workspace, store: Store) -> None:
    come(workspace, store, ANNE, NOW)
    ended(store, "short", NOW + 10, seconds=LONG_S - 1)
    ended(store, "long", NOW + 20, seconds=LONG_S)
    ended(store, "broken", NOW + 30, "lost")
    assert come(workspace, store, ANNE, NOW + 40)[1] == ["broken", "long"]


def test_what_one_person_has_read_is_still_news_to_another_one_of_the_same_workspace(
    workspace: Workspace, store: Store
) -> None:
    for who in (ANNE, BO):
        come(workspace, store, who, NOW)
    ended(store, "training", NOW + 1000, seconds=600)
    for who in (ANNE, BO):
        come(workspace, store, who, NOW + 2000)
    visits.seen(workspace, ANNE, NOW + 1000, news.top(store), NOW + 2010)
    assert come(workspace, store, ANNE, NOW + 2020)[1] == []
    assert come(workspace, store, BO, NOW + 2020)[1] == ["training"]


def test_an_absence_with_something_unread_goes_on_at_the_next_one_and_one_without_is_forgotten(
    workspace: Workspace, store: Store
) -> None:
    come(workspace, store, ANNE, NOW)
    assert come(workspace, store, ANNE, NOW + 1000)[0].left == NOW
    visit, _titles = come(workspace, store, ANNE, NOW + 2000)
    assert visit.left == NOW + 1000, "nothing had ended in the first absence"
    ended(store, "short", NOW + 2500)
    come(workspace, store, ANNE, NOW + 3000)
    visit, titles = come(workspace, store, ANNE, NOW + 4000)
    assert (visit.left, titles) == (NOW + 2000, ["short"])


def test_a_failure_that_was_tried_again_is_no_news_any_more(workspace: Workspace, store: Store) -> None:
    come(workspace, store, ANNE, NOW)
    ended(store, "training", NOW + 10, "failed")
    assert come(workspace, store, ANNE, NOW + 20)[1] == ["training"]
    store.submit("drill", {}, title="training")
    assert come(workspace, store, ANNE, NOW + 30)[1] == []


def test_however_many_jobs_came_since_a_failure_that_was_tried_again_is_known(store: Store) -> None:
    failed, left = ended(store, "night", NOW, "failed"), ended(store, "left", NOW, "failed")
    ended(store, "night", NOW + 10)
    for place in range(210):
        ended(store, f"later {place}", NOW + 20 + place)
    assert news.retried(store, [failed, left]) == {failed.id}


def test_after_the_clock_went_back_the_numbers_of_jobs_tell_what_is_new(workspace: Workspace, store: Store) -> None:
    ended(store, "read before", NOW - 10, "failed")
    come(workspace, store, ANNE, NOW)
    earlier = NOW - 5 * 3600
    ended(store, "after the jump", earlier - 60, "failed")
    visit, titles = come(workspace, store, ANNE, earlier)
    assert visit.turned(earlier)
    assert titles == ["after the jump"]
    visits.seen(workspace, ANNE, earlier, news.top(store), earlier)
    assert come(workspace, store, ANNE, earlier + 10)[1] == []
    ended(store, "later", NOW + 50, "failed")
    assert come(workspace, store, ANNE, NOW + 100)[1] == ["later"], "times tell it again"


@pytest.mark.parametrize("damage", ["", "{", "[]", "\x00\x01", '{"read": "x"', "[" * 5000])
def test_a_damaged_mark_counts_as_read_a_day_ago_and_is_whole_again_afterwards(
    workspace: Workspace, store: Store, damage: str
) -> None:
    come(workspace, store, ANNE, NOW)
    (workspace.root / FOLDER / f"{ANNE}.json").write_text(damage)
    ended(store, "two days ago", NOW - 2 * DAY_S, "failed")
    ended(store, "this morning", NOW - 3600, "failed")
    assert come(workspace, store, ANNE, NOW)[1] == ["this morning"]
    visits.seen(workspace, ANNE, NOW - 3600, news.top(store), NOW)
    assert come(workspace, store, ANNE, NOW + 1)[1] == []


def test_marks_of_wrong_types_count_as_missing(workspace: Workspace, store: Store) -> None:
    come(workspace, store, ANNE, NOW)
    (workspace.root / FOLDER / f"{ANNE}.json").write_text('{"read": NaN, "top": "7", "here": true, "left": null}')
    assert come(workspace, store, ANNE, NOW)[0].read == 0.0


def test_the_mark_is_written_once_a_minute_not_at_every_look(workspace: Workspace, store: Store) -> None:
    come(workspace, store, ANNE, NOW)
    file = workspace.root / FOLDER / f"{ANNE}.json"
    before = file.stat().st_ino
    come(workspace, store, ANNE, NOW + 30)
    assert file.stat().st_ino == before
    come(workspace, store, ANNE, NOW + 90)
    assert file.stat().st_ino != before


def test_browsers_that_came_longest_ago_are_forgotten(
    workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "MOST", 3)
    for number in range(5):
        come(workspace, store, f"{number}" * 32, NOW + number)
    assert len(list((workspace.root / FOLDER).glob("*.json"))) == 3


def test_where_nothing_can_be_written_a_person_still_sees_the_page_and_is_told_at_the_press(
    workspace: Workspace, store: Store
) -> None:
    come(workspace, store, ANNE, NOW)
    ended(store, "training", NOW + 10, "failed")
    folder: Path = workspace.root / FOLDER
    (folder / f"{ANNE}.json").rename(workspace.root / "kept.json")
    folder.rmdir()
    folder.write_text("in the way")
    assert come(workspace, store, ANNE, NOW + AWAY_S)[1] == []
    with pytest.raises(PanelError):
        visits.seen(workspace, ANNE, NOW, 1, NOW)


def test_only_names_that_the_panel_gave_reach_the_disk() -> None:
    assert visits.known(ANNE)
    assert not any(
        visits.known(name) for name in ("", "../../etc/passwd", "A" * 32, "a" * 15, "a" * 65, "a" * 31 + "\n")
    )


def test_of_many_the_newest_are_looked_at(workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "MOST", 5)
    for number in range(8):
        ended(store, f"job {number}", NOW + number, "failed")
    found = news.news(store, Visit(read=NOW - 1), LONG_S, NOW + 100)
    assert {row.title for row in found} == {f"job {number}" for number in range(3, 8)}
    assert news.until(found) == NOW + 7


def test_a_mark_made_now_is_not_from_the_future() -> None:
    assert not Visit(read=time.time()).turned(time.time())
