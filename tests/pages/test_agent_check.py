"""The check of how a model calls tools, as a page shows it: the button, the job meanwhile, the scores, and what to use."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog, i18n
from backend.agent import checks
from backend.agent.calls import Call, Problem
from backend.agent.checks import Checked, Score
from backend.agent.checks_judging import Came
from backend.agent.checks_tasks import TASKS
from backend.errors import PanelError
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import by_hand
from tests.support.page_text import labels, text

MODEL = "starter"


@pytest.fixture
def app(store: Store) -> AppTest:
    """A page with the check of the shipped model, and the page of jobs beside it."""

    def page() -> None:
        import streamlit as st

        from backend.workspace import ROOT
        from ui.agent import check as agent_check

        here = st.Page(lambda: agent_check.draw("starter"), title="Check", url_path="check", default=True)
        st.navigation([here, st.Page(ROOT / "pages" / "jobs.py")]).run()

    return AppTest.from_function(page, default_timeout=30)


def show(app: AppTest) -> str:
    app.run()
    assert not app.exception, app.exception
    return text(app)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception


def jobs(store: Store) -> list[JobRow]:
    return store.list(verb="agent_check", limit=10)


def score(passed: int) -> Score:
    problem = Problem("bare", "It wrote {what}.", "JSON", params={"what": "*no* JSON"})
    wrong = (Call("calendar", {"day": "today"}),)
    return Score(
        tuple(
            Came(task.id, True, True) if n < passed else Came(task.id, False, False, wrong, "I do not know", problem=problem)
            for n, task in enumerate(TASKS)
        )
    )  # fmt: skip


def kept(workspace: Workspace, fingerprint: str | None = None) -> Checked:
    mark = checks.fingerprint(workspace, MODEL) if fingerprint is None else fingerprint
    record = Checked(MODEL, mark, time.time() - 120, {"react": score(17), "openai": score(4)})
    return checks.keep(workspace, record)


def test_a_model_that_nobody_checked_has_a_button_that_begins_one_job(app: AppTest, store: Store) -> None:
    assert "Use " not in show(app)
    press(app, "Check how 'starter' calls tools")
    assert [store.spec(row.id)["model"] for row in jobs(store)] == [MODEL]
    assert "waiting" in text(app)
    assert "Check how 'starter' calls tools" not in labels(app)


def test_a_job_of_another_model_is_not_shown(app: AppTest, store: Store) -> None:
    store.submit("agent_check", {"model": "another"})
    assert "waiting" not in show(app)
    assert labels(app) == ["Check how 'starter' calls tools"]


def test_a_check_that_runs_shows_how_far_it_is(app: AppTest, store: Store) -> None:
    by_hand.running(store, "agent_check", {"model": MODEL})
    assert "running" in show(app)
    assert "Cancel" in labels(app)


def test_a_check_that_failed_says_why_and_can_be_begun_again(app: AppTest, store: Store) -> None:
    row = by_hand.running(store, "agent_check", {"model": MODEL})
    error = PanelError("server_died", "The server stopped in the middle.", "Look at its log.")
    by_hand.end(store, row, "failed", error)
    assert "The server stopped in the middle." in show(app)
    assert "Check how 'starter' calls tools" in labels(app)


def test_the_scores_of_each_form_stand_under_what_to_use(app: AppTest, workspace: Workspace) -> None:
    kept(workspace)
    told = show(app)
    assert "**Use ReAct for this model: it passed 17 of 20 tasks.**" in told
    frame = app.table[0].value
    assert frame["Form"].tolist() == ["Server's own tools", "ReAct"]
    assert frame["Passed"].tolist() == ["4 of 20", "17 of 20"]
    assert "Checked 2 min ago." in told
    assert "changed since" not in told
    assert "Check 'starter' again" in labels(app)


def test_each_task_can_be_looked_at_with_what_was_expected_and_what_came(app: AppTest, workspace: Workspace) -> None:
    kept(workspace)
    show(app)
    assert [tab.label for tab in app.tabs] == ["Server's own tools", "ReAct"]
    first, second = (table.value for table in app.table[1:])
    assert len(first) == 20
    marks = [frame[" "].str.contains("check_circle").sum() for frame in (first, second)]
    assert marks == [4, 17]
    failed = first.iloc[6]
    assert failed["Expected"] == "calculate(expression=… = 1136812) · “1136812”"
    assert failed["Came"] == 'calendar(day="today") · “I do not know” · It wrote \\*no\\* JSON.'


def test_a_model_that_changed_since_is_to_be_checked_again(app: AppTest, workspace: Workspace) -> None:
    kept(workspace, "another")
    assert "The model has changed since: check it again." in show(app)
    assert catalog.find(workspace, MODEL).builtin


def test_a_model_that_calls_no_tool_is_recommended_no_form(app: AppTest, workspace: Workspace) -> None:
    checks.keep(workspace, Checked(MODEL, "", time.time(), {"react": score(0)}))
    assert ":material/warning: **No task that needs a tool was passed in any form." in show(app)


def test_in_chinese_the_tasks_and_figures_are_the_same(app: AppTest, workspace: Workspace) -> None:
    kept(workspace)
    i18n.use("zh_CN")
    show(app)
    assert len(app.table[1].value) == 20
