"""A turn of an agent becomes a training row: its parts in fields, corrected by hand, refused where they are broken, kept in a collection."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.agent import protocols
from backend.agent.calls import Call
from backend.agent.checks_tools import TOOLS
from backend.agent.options import Options
from backend.agent.records import Called, Turn
from backend.agent.store import AgentStore
from backend.chat.sent import Sent
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.page_text import labels, text

QUESTION, ANSWER = "How much is one franc in yen?", "It is 171.4 yen."
RATE = Call("exchange_rate", {"from": "CHF", "to": "JPY"})
OFFERED = [TOOLS["exchange_rate"].tool]


@pytest.fixture
def kept(workspace: Workspace, store: Store) -> Turn:
    """A turn that is over: a reply that was not understood, a call, the answer."""
    return finished(workspace)


def finished(workspace: Workspace, *, recorded: bool = True, answer: str | None = ANSWER) -> Turn:
    agents = AgentStore(workspace)
    try:
        turn = agents.ask(None, QUESTION, model="starter", options=Options(tools=("exchange_rate",)))
        agents.begin(turn.id)
        agents.use(turn.id, "react")
        asked = protocols.sent("react", OFFERED, "", [protocols.Turn("user", QUESTION)])
        packed = Sent(request={"messages": asked.messages}).packed() if recorded else None
        lost = agents.begin_step(turn.id, 1)
        agents.save(replace(lost, state="done", reply="?", nudge="Error"), packed)
        called = agents.begin_step(turn.id, 2)
        calls = (Called(RATE, "done", "1 CHF = 171.4 JPY"),)
        agents.save(replace(called, state="done", thought="The rate.", calls=calls), packed)
        if answer is not None:
            last = agents.begin_step(turn.id, 3)
            agents.save(replace(last, state="done", thought="I know it.", answer=answer), packed)
        agents.end(turn.id, "done" if answer is not None else "failed", answer=answer)
        return agents.turn(turn.id)
    finally:
        agents.close()


def page(turn: int) -> AppTest:
    """A page with the button of that turn, and the page of datasets beside it."""

    def script(turn_id: int) -> None:
        import streamlit as st

        from backend.workspace import ROOT
        from ui.agent import state as agent_state
        from ui.agent import trace as agent_trace

        def body() -> None:
            agent_trace.button(agent_state.store().turn(turn_id))
            agent_trace.dialog()

        here = st.Page(body, title="Agent", url_path="agent", default=True)
        st.navigation([here, st.Page(ROOT / "pages" / "datasets.py")]).run()

    app = AppTest.from_function(script, default_timeout=30, kwargs={"turn_id": turn}).run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def opened(turn: Turn) -> AppTest:
    return press(page(turn.id), "Make a training row")


def fields(app: AppTest) -> dict[str, Any]:
    """The fields by label; of several the last one."""
    return {area.label: area for area in app.text_area}


def rows(workspace: Workspace, name: str = "From agent") -> list[dict[str, Any]]:
    path = workspace.collected / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_parts_of_the_turn_stand_in_fields_and_what_is_left_out_is_told(kept: Turn, workspace: Workspace) -> None:
    app = opened(kept)
    assert [(area.label, area.value) for area in app.text_area] == [
        ("Thought", "The rate."),
        ("Arguments of exchange_rate", '{"from": "CHF", "to": "JPY"}'),
        ("Thought", "I know it."),
        ("The answer that the model should give", ANSWER),
    ]
    told = text(app)
    assert "Result: 1 CHF = 171.4 JPY" in told
    assert "1 reply is left out" in told
    assert rows(workspace) == []


def test_a_good_turn_is_kept_with_one_click_and_said_where(kept: Turn, workspace: Workspace) -> None:
    app = press(opened(kept), "Add to dataset")
    assert "Added to **From agent**, which now holds 1 row." in text(app)
    (row,) = rows(workspace)
    assert [each["role"] for each in row["messages"]] == ["system", "user", "assistant", "system", "assistant"]
    assert row["messages"][0]["content"] == protocols.system("react", OFFERED)
    assert row["lineage"]["corrected"] is False


def test_what_was_corrected_is_what_is_kept(kept: Turn, workspace: Workspace) -> None:
    app = opened(kept)
    fields(app)["Arguments of exchange_rate"].set_value('{"from": "CHF", "to": "EUR"}')
    fields(app)["The answer that the model should give"].set_value("It is 171.40 yen.")
    press(app, "Add to dataset")
    (row,) = rows(workspace)
    assert row["messages"][2]["content"].endswith('Action Input: {"from": "CHF", "to": "EUR"}')
    assert row["messages"][-1]["content"] == "Thought: I know it.\nFinal Answer: It is 171.40 yen."
    assert row["lineage"]["corrected"] is True
    assert json.loads(row["lineage"]["original"])[-1]["answer"] == ANSWER


@pytest.mark.parametrize("typed", ["{", "from=CHF", "[]"])
def test_arguments_that_are_no_json_are_refused_and_what_was_typed_stays(
    kept: Turn, workspace: Workspace, typed: str
) -> None:
    app = opened(kept)
    fields(app)["Arguments of exchange_rate"].set_value(typed)
    fields(app)["The answer that the model should give"].set_value("Changed.")
    press(app, "Add to dataset")
    assert "are no JSON object" in text(app)
    assert rows(workspace) == []
    assert fields(app)["Arguments of exchange_rate"].value == typed
    fields(app)["Arguments of exchange_rate"].set_value('{"from": "CHF", "to": "JPY"}')
    press(app, "Add to dataset")
    assert rows(workspace)[0]["messages"][-1]["content"].endswith("Changed.")


def test_a_turn_that_failed_is_kept_once_somebody_has_typed_the_answer(workspace: Workspace, store: Store) -> None:
    app = opened(finished(workspace, answer=None))
    press(app, "Add to dataset")
    assert "There is no answer to learn from." in text(app)
    fields(app)["The answer that the model should give"].set_value(ANSWER)
    press(app, "Add to dataset")
    assert rows(workspace)[0]["messages"][-1]["content"] == f"Final Answer: {ANSWER}"


def test_a_turn_whose_prompt_was_not_recorded_says_so(workspace: Workspace, store: Store) -> None:
    app = opened(finished(workspace, recorded=False))
    assert "is not known any more" in text(app)
    assert "Add to dataset" not in labels(app)


def test_the_same_row_is_not_kept_twice(kept: Turn, workspace: Workspace) -> None:
    press(opened(kept), "Add to dataset")
    app = press(opened(kept), "Add to dataset")
    assert "This row is already in **From agent**, which holds 1 row." in text(app)
    assert len(rows(workspace)) == 1
