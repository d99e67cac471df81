"""How turns end on the Agent page, and the way on from there: lost, stopped, failed, with a problem, with a doubt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.agent import endings
from backend.agent import working as workers
from backend.agent.calls import Call, Problem
from backend.agent.options import Options
from backend.agent.protocols import problems
from backend.errors import ServerError
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.agent_page import Worker, called, keys, open_at, press, seen, working
from tests.support.page_text import labels


@pytest.fixture
def worker(workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """Who writes what a worker would; the page starts no other."""
    monkeypatch.setattr(workers, "ensure", lambda _workspace, _conversation: None)
    with working(workspace) as found:
        yield found


def test_a_lost_turn_says_that_nothing_is_lost_and_goes_on(worker: Worker) -> None:
    turn = worker.finished({"calls": (called(state="done", text="351"),)})
    worker.leave()
    app = open_at(turn.conversation)
    assert "The program that worked at this is gone. Nothing that it had found is lost." in seen(app)
    press(app, f"agent_on_{turn.id}")
    assert worker.store.turn(turn.id).state == "waiting"
    assert len(worker.store.steps([turn.id])) == 1


def test_a_stopped_turn_goes_on_and_an_earlier_one_does_not(worker: Worker) -> None:
    first = worker.finished({"state": "failed", "reply": "half"})
    worker.end(first, "stopped")
    second = worker.finished(text="Another", conversation=first.conversation)
    worker.end(second, "stopped")
    app = open_at(first.conversation)
    assert [key for key in keys(app) if key.startswith("agent_on_")] == [f"agent_on_{second.id}"]
    press(app, f"agent_on_{second.id}")
    assert worker.store.turn(second.id).state == "waiting"


def test_an_error_of_the_server_is_the_usual_card_with_go_on(worker: Worker) -> None:
    turn = worker.finished({"state": "failed"})
    worker.end(turn, "failed", error=ServerError("server_gone", "The server of {model} is gone.", model="stub"))
    app = open_at(turn.conversation)
    assert "The server of stub is gone." in seen(app)
    press(app, f"error_agent_error_{turn.id}_fix_0")
    assert worker.store.turn(turn.id).state == "waiting"


def test_a_problem_says_what_was_expected_and_another_form_goes_on(worker: Worker) -> None:
    turn = worker.finished({"state": "failed", "reply": "?"})
    worker.end(turn, "failed", problem=problems.other_protocol("react", "internlm2", "<|action_start|>{}"))
    app = open_at(turn.conversation)
    assert "The model called a tool in the form internlm2" in seen(app)
    assert "<|action_start|>{}" in seen(app)
    assert "Use the InternLM2 form and go on" in labels(app)
    press(app, f"agent_help_{turn.id}_0")
    again = worker.store.turn(turn.id)
    assert (again.state, again.options.protocol) == ("waiting", "internlm2")
    assert worker.store.conversation(turn.conversation).options.protocol == "internlm2"


def test_repairs_that_are_off_are_switched_on_by_one_press(worker: Worker) -> None:
    turn = worker.asked(options=Options(repair=False))
    worker.begin(turn)
    worker.end(turn, "failed", problem=problems.needs_repair("bare_value", "query=x", "calculator"))
    app = open_at(turn.conversation)
    label = app.button(key=f"agent_help_{turn.id}_0").label
    assert label == "Switch repairs on and go on"
    press(app, f"agent_help_{turn.id}_0")
    assert worker.store.turn(turn.id).options.repair is True


def test_every_problem_that_there_is_is_drawn_with_a_way_on(worker: Worker) -> None:
    known = [
        problems.empty_reply(),
        problems.no_call_made("react", "e"),
        problems.tool_off("web_page", "e"),
        problems.cut_off("e"),
        problems.repeats("e"),
        problems.same_call_again(Call("calculator", {}), 3, "e"),
        endings.steps_used(8, "e"),
        endings.time_used(600),
        endings.context_full("stub"),
        endings.tools_failed("calculator", 4, "e"),
        endings.nobody_answered("x", 12),
    ]
    for problem in known:
        turn = worker.finished()
        worker.end(turn, "failed", problem=problem)
        app = open_at(turn.conversation)
        helped = any(key.startswith(f"agent_help_{turn.id}_") for key in keys(app)) or app.get("page_link")
        assert helped, problem.code


def test_a_doubt_about_an_answer_changes_what_comes_next_and_leaves_the_answer(worker: Worker) -> None:
    turn = worker.finished({"answer": "I used the tool."})
    worker.end(turn, answer="I used the tool.", problem=problems.call_in_answer("calculator", "Action: calculator"))
    app = open_at(turn.conversation)
    assert "Use ReAct from now on" in labels(app)
    press(app, next(str(b.key) for b in app.button if b.label == "Use ReAct from now on"))
    assert worker.store.conversation(turn.conversation).options.protocol == "react"
    assert worker.store.turn(turn.id).answer == "I used the tool."


@pytest.mark.parametrize(
    ("problem", "label", "name", "value"),
    [
        (problems.cut_off("e"), "Allow 1,024 tokens and go on", "max_tokens", 1024),
        (problems.tool_off("web_page", "e"), "Switch on Web page and go on", "tools", (*Options().tools, "web_page")),
        (endings.steps_used(8, "e"), "Allow 16 steps and go on", "most_steps", 16),
        (endings.time_used(600), "Allow 1,200 seconds and go on", "most_seconds", 1200),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_what_helps_is_done_by_one_press(
    worker: Worker, problem: Problem, label: str, name: str, value: object
) -> None:
    turn = worker.finished()
    worker.end(turn, "failed", problem=problem)
    app = open_at(turn.conversation)
    press(app, next(str(button.key) for button in app.button if button.label == label))
    again = worker.store.turn(turn.id)
    assert (again.state, getattr(again.options, name)) == ("waiting", value)


def test_a_press_that_comes_too_late_says_why_nothing_happened(worker: Worker) -> None:
    turn = worker.finished()
    worker.end(turn, "stopped")
    app = open_at(turn.conversation)
    other = worker.asked("Meanwhile, in another tab", turn.conversation)
    press(app, f"agent_on_{turn.id}")
    assert "The agent is still at work on your last question." in seen(app)
    assert (worker.store.turn(turn.id).state, worker.store.turn(other.id).state) == ("stopped", "waiting")
