"""Turns of an agent: a real worker process, a scripted server, and everything that can go wrong between them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.agent import working
from backend.agent.store import AgentStore, lock_of
from backend.errors import ConflictError
from backend.queue import locks
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.agents import agent, final, react
from tests.support.small_disk import can_mount, on_disk
from tests.support.wait import until

SUM = react("calculator", '{"expression": "6*7"}')


@pytest.fixture(autouse=True)
def _short_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEDECK_AGENT_IDLE_S", "20")


def test_a_question_is_answered_with_a_tool_and_every_step_is_kept(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [SUM, final("It is 42.")]) as one:
        turn, (call, answer) = one.ask()
        asked = one.server.requests()

    assert (turn.state, turn.answer, turn.protocol) == ("done", "It is 42.", "react")
    assert turn.problem is None
    (called,) = call.calls
    assert (called.call.name, called.call.arguments, called.state) == ("calculator", {"expression": "6*7"}, "done")
    assert called.text.startswith("42")
    assert (call.state, call.thought) == ("done", "I need a tool.")
    assert call.model_s > 0
    assert answer.answer == "It is 42."
    assert answer.prompt_tokens
    assert asked[1]["messages"][-1]["content"] == "Response:42\n"
    assert asked[0]["stop"] == ["\nResponse:", "\nObservation:"]


def test_native_calls_come_back_under_their_ids(workspace: Workspace, store: Store) -> None:
    call = {"say": "", "calls": [{"name": "calculator", "arguments": '{"expression": "1+1"}'}], "finish": "tool_calls"}
    with agent(workspace, store, [call, {"say": "Two."}]) as one:
        turn, steps = one.ask(protocol="openai")
        first, second = one.server.requests()

    assert turn.answer == "Two.", (turn, steps)
    assert first["tools"][0]["function"]["name"] == "calculator"
    assert second["messages"][-1] == {"role": "tool", "content": "2", "tool_call_id": "call_0"}
    assert second["messages"][-2]["tool_calls"][0]["id"] == "call_0"


def test_internlm2_s_form_works_with_its_special_tokens(workspace: Workspace, store: Store) -> None:
    call = {
        "say": 'I add.<|action_start|><|plugin|>\n{"name": "calculator", "parameters": {"expression": "2+2"}}<|action_end|>'
    }
    with agent(workspace, store, [call, {"say": "Four."}]) as one:
        turn, _steps = one.ask(protocol="internlm2")
        second = one.server.requests()[1]["messages"]

    assert turn.answer == "Four."
    assert second[-1] == {"role": "environment", "content": "4", "name": "plugin"}


def test_a_call_that_is_nearly_right_is_mended_and_shown(workspace: Workspace, store: Store) -> None:
    """What the author of the course notes met: no JSON, no call, and nothing said why."""
    with agent(workspace, store, [react("calculator", "expression=6*7"), final("42")]) as one:
        turn, steps = one.ask()

    assert turn.answer == "42"
    assert steps[0].repairs
    assert steps[0].calls[0].call.arguments == {"expression": "6*7"}


def test_without_repairs_it_is_a_problem_with_a_name(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [react("calculator", "expression=6*7")]) as one:
        turn, _steps = one.ask(repair=False)

    assert (turn.state, turn.answer) == ("failed", None)
    assert turn.problem is not None
    assert turn.problem.code == "needs_repair"


def test_a_model_that_calls_a_tool_that_is_not_there_is_told_so_and_mends_it(
    workspace: Workspace, store: Store
) -> None:
    with agent(workspace, store, [react("teleport", '{"to": "Mars"}'), SUM, final("42")]) as one:
        turn, steps = one.ask()
        told = one.server.requests()[1]["messages"][-1]["content"]

    assert turn.answer == "42"
    assert len(steps) == 3
    assert steps[0].problem is not None
    assert steps[0].problem.code == "unknown_tool"
    assert "teleport, which is not among its tools" in told


def test_a_model_that_never_mends_it_ends_with_the_reason(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [react("teleport", "{}")]) as one:
        turn, steps = one.ask()

    assert turn.state == "failed"
    assert turn.problem is not None
    assert turn.problem.code == "unknown_tool"
    assert len(steps) == 3


def test_a_tool_that_is_switched_off_is_named(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [react("python", '{"code": "1"}')]) as one:
        turn, _steps = one.ask()

    assert turn.problem is not None
    assert turn.problem.code == "tool_off"


def test_the_same_call_again_and_again_is_a_loop_that_ends(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [SUM]) as one:
        turn, steps = one.ask()
        told = one.server.requests()[-1]["messages"][-1]["content"]

    assert turn.problem is not None
    assert turn.problem.code == "same_call_again"
    assert len(steps) == 4
    assert "Response:42" not in told  # it was told to answer


def test_after_its_steps_it_has_to_answer(workspace: Workspace, store: Store) -> None:
    calls = [react("calculator", f'{{"expression": "{n}+1"}}') for n in range(9)]
    with agent(workspace, store, calls) as one:
        turn, steps = one.ask(most_steps=3)

    assert turn.problem is not None
    assert turn.problem.code == "steps_used"
    assert [len(step.calls) for step in steps] == [1, 1, 0]


def test_a_tool_that_fails_goes_back_to_the_model(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [react("calculator", '{"expression": "1/0"}'), final("It cannot be divided.")]) as one:
        turn, steps = one.ask()

    assert turn.answer == "It cannot be divided."
    assert steps[0].calls[0].state == "failed"
    assert steps[0].calls[0].error["code"] == "calc_zero_division"


def test_a_tool_that_fails_four_times_ends_the_turn(workspace: Workspace, store: Store) -> None:
    calls = [react("calculator", f'{{"expression": "{n}/0"}}') for n in range(1, 9)]
    with agent(workspace, store, calls) as one:
        turn, steps = one.ask()

    assert turn.problem is not None
    assert turn.problem.code == "tools_failed"
    assert len(steps) == 4


def test_stop_in_the_middle_of_a_reply_ends_it_at_once_and_keeps_what_had_come(
    workspace: Workspace, store: Store
) -> None:
    with agent(workspace, store, [{"tokens": 2000, "delay_s": 0.02}]) as one:
        turn = one.begin()
        until(lambda: [s for s in one.store.steps([turn.id]) if "w3" in s.reply], 20, "some words have come")
        one.store.request_stop(turn.id)
        turn, (step,) = one.ended(turn, 5)
        until(lambda: one.server.cancelled() == 1, 5, "the server is let go")

    assert turn.state == "stopped"
    assert "w3" in step.reply
    assert not step.open


def test_stop_in_the_middle_of_a_tool_ends_it(workspace: Workspace, store: Store) -> None:
    endless = react("python", json.dumps({"code": "while True: pass"}))
    with agent(workspace, store, [endless]) as one:
        turn = one.begin(tools=("python",))
        until(
            lambda: [s for s in one.store.steps([turn.id]) if s.calls and s.calls[0].state == "running"], 20, "it runs"
        )
        one.store.request_stop(turn.id)
        turn, (step,) = one.ended(turn, 10)

    assert turn.state == "stopped"
    assert step.calls[0].error["code"] == "python_stopped"


def test_its_time_ends_a_turn(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [{"tokens": 5000, "delay_s": 0.05}]) as one:
        turn, _steps = one.ask(most_seconds=5)

    assert turn.problem is not None
    assert turn.problem.code == "time_used"


def test_a_worker_killed_in_the_middle_of_a_reply_loses_no_step(workspace: Workspace, store: Store) -> None:
    slow = {"tokens": 500, "delay_s": 0.05}
    with agent(workspace, store, [SUM, slow, final("42, at last.")]) as one:
        turn = one.begin()
        until(
            lambda: [s for s in one.store.steps([turn.id]) if s.number == 2 and s.reply], 20, "the second reply comes"
        )
        one.kill(turn)
        turn, steps = one.go_on(turn)

    assert (turn.state, turn.answer) == ("done", "42, at last.")
    assert [step.number for step in steps] == [1, 2]
    assert steps[0].calls[0].state == "done"


def test_a_call_in_whose_middle_the_worker_died_is_made_again_where_that_is_safe(
    workspace: Workspace, store: Store
) -> None:
    code = "import os, time\nif not os.path.exists('seen'):\n    open('seen', 'w').close()\n    time.sleep(25)\nprint('again')"
    with agent(workspace, store, [react("python", json.dumps({"code": code})), final("Done.")]) as one:
        turn = one.begin(tools=("python",))
        folder = one.store.folder(turn.conversation)
        until(lambda: list(folder.rglob("seen")), 20, "the code runs")
        one.kill(turn)
        turn, steps = one.go_on(turn)

    assert turn.answer == "Done."
    assert steps[0].calls[0].text.strip() == "again"


def test_a_failed_turn_goes_on_from_its_last_sound_step(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [SUM, {"tokens": 9, "cut_at": 3}, final("42")]) as one:
        turn, _steps = one.ask()
        assert (turn.state, turn.error["code"]) == ("failed", "server_died")
        turn, steps = one.go_on(turn)
        third = one.server.requests()[2]["messages"]

    assert turn.answer == "42"
    assert [step.state for step in steps] == ["done", "done"]
    assert third[-1]["content"] == "Response:42\n"


def test_a_model_that_is_not_there_is_an_error_with_a_way_out(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [SUM]) as one:
        one.store.ask(None, "Hello", model="nobody", options=one.begin().options)
        (other,) = [each for each in one.store.conversations() if each.model == "nobody"]
        working.ensure(workspace, other.id)
        turn, _steps = one.ended(one.store.turns(other.id)[0])

    assert turn.state == "failed"
    assert turn.error["code"] == "model_unknown"


def test_results_are_shortened_until_the_context_holds(workspace: Workspace, store: Store) -> None:
    many = react("python", json.dumps({"code": "print('word ' * 3000)"}))
    with agent(workspace, store, [many, final("A lot of words.")], limit=1500) as one:
        turn, steps = one.ask(tools=("python",))

    assert turn.answer == "A lot of words.", (turn.problem, turn.error)
    assert steps[1].left_out > 0


def test_what_does_not_fit_at_all_says_so(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [SUM], limit=20) as one:
        turn, _steps = one.ask()

    assert turn.problem is not None
    assert turn.problem.code == "context_full"


def test_a_second_question_knows_of_the_first(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [SUM, final("42"), final("You asked for 6 * 7.")]) as one:
        one.ask()
        turn, _steps = one.ask("What did I ask?")
        said = one.server.requests()[-1]["messages"]

    assert turn.answer == "You asked for 6 * 7."
    assert [m["role"] for m in said] == ["system", "user", "assistant", "system", "assistant", "user"]
    assert said[1]["content"] == "What is 6 * 7?"


def test_a_conversation_has_one_question_at_a_time(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [{"tokens": 500, "delay_s": 0.05}]) as one:
        one.begin()
        with pytest.raises(ConflictError) as refused:
            one.begin("And another?")

    assert refused.value.code == "agent_busy"


def test_two_conversations_are_worked_at_side_by_side(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [final("Yes.")], delay_s=0.05) as one:
        first = one.begin()
        one.conversation = None
        second = one.begin()
        ends = [one.ended(turn)[0] for turn in (first, second)]

    assert [turn.answer for turn in ends] == ["Yes.", "Yes."]
    assert first.conversation != second.conversation


def test_a_template_that_refuses_system_messages_in_the_middle_gets_results_from_the_user(
    workspace: Workspace, store: Store
) -> None:
    refused = {"status": 400, "code": "bad_template", "message": "System role not supported"}
    with agent(workspace, store, [SUM, refused, final("42")]) as one:
        turn, _steps = one.ask()
        last = one.server.requests()[-1]["messages"][-1]

    assert turn.answer == "42"
    assert last == {"role": "user", "content": "Response:42\n"}


def test_pictures_and_files_come_back(workspace: Workspace, store: Store) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nopen('notes.txt', 'w').write('three points')"
    with agent(workspace, store, [react("python", json.dumps({"code": code})), final("Drawn.")]) as one:
        turn, steps = one.ask(tools=("python",))
        folder = one.store.folder(turn.conversation)

    names = steps[0].calls[0].files
    assert {Path(name).name for name in names} == {"figure-1.png", "notes.txt"}
    assert all((folder / name).is_file() for name in names)


def test_a_worker_leaves_when_nothing_was_asked_for_a_while(
    workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_AGENT_IDLE_S", "0.5")
    with agent(workspace, store, [final("Yes."), final("Yes again.")]) as one:
        turn, _steps = one.ask()
        until(lambda: not locks.held(lock_of(workspace, turn.conversation)), 20, "it has left")
        turn, _steps = one.ask("And now?")

    assert turn.answer == "Yes again."


def test_a_deleted_conversation_stops_its_work_and_leaves_no_file(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [{"tokens": 5000, "delay_s": 0.02}]) as one:
        turn = one.begin()
        until(lambda: [s for s in one.store.steps([turn.id]) if "w3" in s.reply], 20, "some words have come")
        folder = one.store.folder(turn.conversation)
        one.store.delete(turn.conversation)
        until(lambda: one.server.cancelled() == 1, 10, "the server is let go")

    assert not folder.exists()
    assert one.store.conversations() == []


def test_of_several_calls_in_a_reply_those_that_stop_left_are_made_when_it_goes_on(
    workspace: Workspace, store: Store
) -> None:
    code = "import os, time\nif not os.path.exists('seen'):\n    open('seen', 'w').close()\n    time.sleep(25)"
    calls = [
        {"name": "python", "arguments": json.dumps({"code": code})},
        {"name": "calculator", "arguments": '{"expression": "1+1"}'},
    ]
    both = {"say": "", "calls": calls, "finish": "tool_calls"}
    with agent(workspace, store, [both, {"say": "Two."}]) as one:
        turn = one.begin(protocol="openai", tools=("python", "calculator"))
        folder = one.store.folder(turn.conversation)
        until(lambda: list(folder.rglob("seen")), 20, "the code runs")
        one.store.request_stop(turn.id)
        turn, (step,) = one.ended(turn)
        assert (turn.state, [called.state for called in step.calls]) == ("stopped", ["failed", "waiting"])
        turn, steps = one.go_on(turn)

    assert turn.answer == "Two."
    assert [called.text for called in steps[0].calls][1] == "2"


def test_what_was_sent_is_kept_also_of_the_reply_that_ended_the_turn(workspace: Workspace, store: Store) -> None:
    with agent(workspace, store, [SUM]) as one:
        turn, steps = one.ask(most_steps=1)
        kept = [one.store.sent(step.id) for step in steps]

    assert turn.problem is not None
    assert turn.problem.code == "steps_used"
    assert all(kept)


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_on_a_full_disk_a_conversation_can_be_read(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=2m",
        """
from backend.agent.options import Options
from backend.agent.store import AgentStore, lock_of
from backend.queue import locks
store = AgentStore(open_workspace())
turn = store.ask(None, "What?", model="m", options=Options())
lock = locks.acquire(lock_of(store.workspace, turn.conversation))
assert store.begin(turn.id)
store.begin_step(turn.id, 1)
fill = store.workspace.root / "fill"
with fill.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 65536)
    except OSError:
        pass
os.close(lock)
full = [each.state for each in store.turns(turn.conversation)]
try:
    store.ask(turn.conversation, "x" * 100_000, model="m", options=Options())
    refused = ""
except PanelError as error:
    refused = error.code
fill.unlink()
print(json.dumps({"full": full, "refused": refused, "after": store.go_on(turn.id).state, "asked": len(store.turns(turn.conversation))}))
""",
    )
    assert found == {"full": ["lost"], "refused": "workspace_full", "after": "waiting", "asked": 1}


def test_a_damaged_file_is_put_aside_and_said(workspace: Workspace) -> None:
    (workspace.root / "agent.db").write_bytes(b"rubbish" * 5000)
    agents = AgentStore(workspace)
    notice = agents.notice()
    assert notice is not None
    assert notice.code == "chat_damaged"
    assert next(iter(workspace.root.glob("agent.db.damaged-*"))).read_bytes() == b"rubbish" * 5000
    assert agents.conversations() == []
    agents.dismiss_notice()
    assert agents.notice() is None
