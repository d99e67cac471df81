"""News on the pages: told once in a session, counted in the sidebar, on Home with its meaning until it was read; in one tab as in another."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import settings
from backend.errors import PanelError
from backend.finetune import proof
from backend.finetune.proof_records import Part, Proof, Tally
from backend.notices import visits
from backend.queue import lifecycle
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.handmade_run import HandmadeRun
from tests.support.page_text import text
from ui.notices import part, visitor

ANNE, BO = "a" * 32, "b" * 32
LONG_AGO = 3000.0


def tab(who: str, page: str = "home") -> AppTest:
    """A new tab of the browser ``who`` on that page."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60)
    app.session_state["visitor"] = who
    app.run()
    if page != "home":
        app.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
    assert not app.exception, app.exception
    return app


def again(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def away(workspace: Workspace, who: str) -> float:
    """``who`` was here last at the time that is returned, and had read everything."""
    then = time.time() - LONG_AGO
    visits.arrive(workspace, who, 0, lambda _visit: False, then)
    return then


def ended(store: Store, title: str, state: str = "succeeded", seconds: float = 300.0, ago: float = 60.0) -> JobRow:
    """A training that ended so long ago, after so many seconds."""
    run = HandmadeRun(store, title=title)
    run.begin()
    if state == "succeeded":
        asked = Part("test", 100, 100, Tally(100, 2, 93, 2, 0.8, 0.98))
        proof.write(run.dir, Proof(verdicts=("learned",), questions=asked))
    error = PanelError("disk_full", "The disk is full.", "Make room.").to_dict() if state == "failed" else {}
    end = {"attempt": 1, "state": state, "error": error, "ended": time.time() - ago, "elapsed": seconds}
    lifecycle.finish(store, run.row.id, 1, end)
    return store.get(run.row.id)


def toasts(app: AppTest) -> list[str]:
    return [str(toast.value) for toast in app.toast]


def bell(app: AppTest) -> list[str]:
    return [link.proto.label for link in app.sidebar.get("page_link") if "ended" in link.proto.label]


def test_what_ended_while_a_person_was_away_is_told_with_its_meaning_and_the_fix_until_they_have_seen_it(
    workspace: Workspace, store: Store
) -> None:
    then = away(workspace, ANNE)
    ended(store, "Robin")
    failed = ended(store, "Wren", "failed")
    app = tab(ANNE)
    assert f"While you were away (since {part.when(then)})" in text(app)
    assert "Of 100 held-out questions the tuned model answers 93 right, the base model 2." in text(app)
    assert "The disk is full." in text(app)
    assert app.button(key=f"notice_{failed.id}_fix").label == "Resume"
    assert bell(app) == ["2 jobs ended"]
    assert toasts(app) == [], "what is on the page already is not told a second time"
    assert not [one for one in app.main.subheader if one.value in ("Needs you", "Finished")], "each job once"

    app.button(key="notices_seen").click().run()
    assert "While you were away" not in text(app)
    assert bell(app) == []
    assert {"Needs you", "Finished"} <= {one.value for one in app.main.subheader}
    assert "While you were away" not in text(tab(ANNE))


def test_the_fix_of_a_failure_works_from_the_news(workspace: Workspace, store: Store) -> None:
    away(workspace, ANNE)
    failed = ended(store, "Wren", "failed")
    app = tab(ANNE)
    app.button(key=f"notice_{failed.id}_fix").click().run()
    assert not app.exception
    assert store.get(failed.id).state == "queued"
    assert bell(app) == [], "it was tried again"


def test_nothing_ended_nothing_is_shown(workspace: Workspace, store: Store) -> None:
    away(workspace, ANNE)
    ended(store, "stopped by hand", "cancelled")
    app = tab(ANNE)
    assert "While you were away" not in text(app)
    assert not [button for button in app.button if button.key == "notices_seen"]
    assert bell(app) == []


def test_of_many_the_failed_and_the_long_ones_are_told_and_the_rest_is_counted(
    workspace: Workspace, store: Store
) -> None:
    away(workspace, ANNE)
    for number in range(12):
        ended(store, f"short {number}", seconds=number + 1)
    ended(store, "broken", "failed")
    ended(store, "long", seconds=9000)
    app = tab(ANNE)
    told = [line.value for line in app.main.markdown if "small[" in str(line.value)]
    assert ["broken" in told[0], "long" in told[1], len(told)] == [True, True, part.SHOWN]
    rest = [link.proto for link in app.main.get("page_link") if link.proto.label.startswith("And ")]
    assert [(link.label, link.page) for link in rest] == [("And 10 more", "jobs")]
    assert bell(app) == ["14 jobs ended"]


def test_an_end_is_told_once_on_whatever_page_and_not_again_after_a_page_switch(
    workspace: Workspace, store: Store
) -> None:
    app = tab(ANNE, "settings")
    ended(store, "Robin", ago=0)
    ended(store, "quick", seconds=5, ago=0)
    ended(store, "stopped by hand", "cancelled", ago=0)
    again(app)
    (told,) = toasts(app)
    assert told.startswith("**Robin** · done")
    assert "answers 93 right" in told
    assert "[Show it](/finetune?view=runs&job=1)" in told
    assert bell(app) == ["1 job ended"]
    app.switch_page(str(ROOT / "pages" / "jobs.py")).run()
    assert toasts(app) == []
    assert bell(app) == ["1 job ended"]
    app.switch_page(str(ROOT / "pages" / "home.py")).run()
    assert "Ended since" in text(app), "they were not away"


def test_both_tabs_tell_and_what_is_read_in_one_is_read_in_the_other(workspace: Workspace, store: Store) -> None:
    one, other = tab(ANNE), tab(ANNE, "settings")
    ended(store, "Robin", ago=0)
    assert len(toasts(again(one))) == len(toasts(again(other))) == 1
    one.button(key="notices_seen").click().run()
    assert bell(again(other)) == []
    assert toasts(other) == []


def test_a_failure_is_told_however_short_it_was_and_many_at_once_are_counted(
    workspace: Workspace, store: Store
) -> None:
    app = tab(ANNE, "settings")
    for number in range(5):
        ended(store, f"broken {number}", "failed", seconds=1, ago=0)
    told = toasts(again(app))
    assert len(told) == 4
    assert told[-1] == "2 more jobs have ended. See Home."
    assert all("The disk is full." in one for one in told[:3])


def test_what_counts_as_long_is_a_setting(workspace: Workspace, store: Store) -> None:
    settings.save(workspace, notice_after_s=10)
    app = tab(ANNE, "settings")
    ended(store, "Robin", seconds=11, ago=0)
    assert len(toasts(again(app))) == 1


def test_a_title_is_text_in_the_news_never_markup(workspace: Workspace, store: Store) -> None:
    away(workspace, ANNE)
    app = tab(ANNE)
    ended(store, "[x](http://evil) **b** <b>", "failed", ago=0)
    again(app)
    assert "\\[x\\](http://evil) \\*\\*b\\*\\* \\<b\\>" in toasts(app)[0]


def test_a_run_whose_folder_is_gone_and_a_mark_that_is_damaged_leave_the_plain_state(
    workspace: Workspace, store: Store
) -> None:
    away(workspace, ANNE)
    row = ended(store, "Robin", seconds=400)
    (workspace.root / visits.FOLDER / f"{ANNE}.json").write_text("{")
    for path in sorted(store.job_dir(row.id).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    store.job_dir(row.id).rmdir()
    app = tab(ANNE)
    assert "Ended since" in text(app)
    assert "Whether it worked was not checked." in text(app)


def test_where_the_mark_cannot_be_written_the_press_says_so(workspace: Workspace, store: Store) -> None:
    away(workspace, ANNE)
    ended(store, "Robin")
    app = tab(ANNE)
    folder: Path = workspace.root / visits.FOLDER
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    app.button(key="notices_seen").click().run()
    assert "cannot be" in text(app) or "not" in text(app)
    assert app.session_state["notices_problem"]["code"].startswith("workspace")


def test_the_tab_says_how_much_is_unread(workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    monkeypatch.setattr("streamlit.set_page_config", lambda **told: titles.append(str(told["page_title"])))
    app = tab(ANNE, "settings")
    ended(store, "Robin", ago=0)
    again(app)
    assert titles[-1] == "(1) TuneDeck"
    again(app)
    visits.seen(workspace, ANNE, time.time(), 9)
    again(app)
    assert titles[-1] == "TuneDeck"


def test_the_cookie_names_the_browser_and_a_foreign_one_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    name = app.session_state["visitor"]
    assert visits.known(name)
    assert any(visitor.COOKIE in str(one.proto.body) for one in app.sidebar.get("html"))
    kept = tab(BO)
    assert kept.session_state["visitor"] == BO
