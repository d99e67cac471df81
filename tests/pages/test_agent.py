"""The Agent page without a browser: each state of a turn drawn, what a person decides, and what is literal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from backend.agent import working as workers
from backend.agent.calls import Call, Repair
from backend.agent.options import Options
from backend.agent.protocols import problems
from backend.agent.records import Called
from backend.chat.sent import Sent
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.agent_page import Worker, called, keys, open_at, press, seen, sound, unfold, working
from ui.chat import text as chat_text

HOSTILE = '<img src=x onerror="alert(1)"> ![a](http://evil.example/p.png) [x](javascript:alert(1)) **bold** $y$'


@pytest.fixture
def worker(workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """Who writes what a worker would; the page starts no other."""
    monkeypatch.setattr(workers, "ensure", lambda _workspace, _conversation: None)
    with working(workspace) as found:
        yield found


def test_an_empty_page_offers_questions_that_take_tools_and_asks_with_the_options_shown(worker: Worker) -> None:
    app = open_at()
    app.selectbox(key="agent_model").set_value("starter").run()
    press(app, "agent_try_What is 15 % of 2,340?")
    [turn] = worker.store.live()
    assert (turn.text, turn.state, turn.model) == ("What is 15 % of 2,340?", "waiting", "starter")
    assert turn.options == Options()
    assert app.query_params["c"] in (turn.conversation, [turn.conversation])
    assert "waits for the program" in seen(app)
    assert app.chat_input(key="agent_prompt").disabled


def test_a_question_that_waits_too_long_gets_somebody_who_works_at_it(
    workspace: Workspace, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, started = worker.asked(), list[str]()
    monkeypatch.setattr(workers, "ensure", lambda _workspace, conversation: started.append(conversation))
    monkeypatch.setattr("ui.agent.turn.time.time", lambda: turn.created + 0.5)
    app = open_at(turn.conversation)
    assert started == []
    monkeypatch.setattr("ui.agent.turn.time.time", lambda: turn.created + 1.5)
    sound(app.run())
    assert started == [turn.conversation]


def test_a_finished_turn_shows_its_answer_and_one_line_and_draws_steps_when_they_are_opened(worker: Worker) -> None:
    mended = Repair("bare_value", "2340*0.15", '{"expression": "2340*0.15"}')
    call = called(state="done", text="\n".join(f"line {n}" for n in range(40)), seconds=0.5)
    turn = worker.finished(
        {"thought": "It is a percentage.", "calls": (call,), "repairs": (mended,), "completion_tokens": 500},
        {"answer": "351", "completion_tokens": 12},
    )
    worker.end(turn, answer="It is 351.")
    app = open_at(turn.conversation)
    [line] = [box.label for box in app.expander if box.label.startswith("2 steps")]
    assert line.startswith("2 steps · 1 tool call · 1 repair · ")
    assert line.endswith(" s · ≈ 512 tokens")
    assert "It is 351." in seen(app)
    assert "It is a percentage." not in seen(app)
    unfold(app, f"agent_steps_{turn.id}")
    told = seen(app)
    assert "It is a percentage." in told
    assert '{\n  "expression": "2340*0.15"\n}' in told
    assert "The bare value stood there, without the argument's name." in told
    assert '2340*0.15\n→ {"expression": "2340*0.15"}' in told
    assert "line 7" in told
    assert "line 8" not in told
    step = worker.store.steps([turn.id])[0]
    unfold(app, f"agent_result_{step.id}_0")
    assert "line 39" in seen(app)


def test_a_conversation_of_two_hundred_steps_draws_few_of_them(worker: Worker) -> None:
    def drawn(app: AppTest) -> int:
        return sum(1 for _ in _all(app.main))

    short = worker.finished({"calls": (called(state="done", text="1"),)})
    worker.end(short, answer="1")
    few = drawn(open_at(short.conversation))
    steps = [{"thought": f"thought {n}", "calls": (called(state="done", text="1"),)} for n in range(200)]
    turn = worker.finished(*steps)
    worker.end(turn, answer="1")
    app = open_at(turn.conversation)
    assert drawn(app) == few + 1  # its entry in the history
    unfold(app, f"agent_steps_{turn.id}")
    assert "thought 199" in seen(app)
    assert "thought 187" not in seen(app)
    assert drawn(app) < few + 12 * 12
    app.toggle(key=f"agent_all_{turn.id}").set_value(True).run()
    assert "thought 0" in seen(app)


def test_a_long_conversation_shows_its_last_twenty_questions_and_older_ones_on_demand(worker: Worker) -> None:
    conversation = None
    for number in range(25):
        turn = worker.asked(f"question {number}", conversation)
        conversation = turn.conversation
        worker.end(turn, answer="yes")
    assert conversation
    app = open_at(conversation)
    questions = [t.value for t in app.text if t.value.startswith("question")]
    assert questions == [f"question {n}" for n in range(5, 25)]
    press(app, "agent_older")
    assert len([t for t in app.text if t.value.startswith("question")]) == 25


def test_a_running_turn_shows_what_is_written_and_is_stopped(worker: Worker) -> None:
    turn = worker.asked()
    worker.begin(turn)
    worker.step(turn, state="writing", reply="Thought: I wonder")
    app = open_at(turn.conversation)
    assert "Thought: I wonder" in seen(app)
    press(app, f"agent_stop_{turn.id}")
    assert worker.store.stop_wanted(turn.id)
    assert app.button(key=f"agent_stop_{turn.id}").disabled


@pytest.mark.parametrize(("key", "word"), [("allow", True), ("refuse", False)])
def test_a_call_that_asks_is_shown_in_full_and_the_decision_is_stored(worker: Worker, key: str, word: bool) -> None:
    turn = worker.asked()
    worker.begin(turn)
    call = called("files_delete", {"path": "/data/" + "x" * 3000}, state="asking")
    step = worker.step(turn, state="asking", calls=(call,))
    app = open_at(turn.conversation)
    assert "x" * 3000 in seen(app)
    assert worker.store.decision(step.id, 0) is None
    press(app, f"agent_{key}_{step.id}_0")
    assert worker.store.decision(step.id, 0) is word


def test_always_is_kept_with_the_conversation_and_can_be_taken_back(worker: Worker) -> None:
    turn = worker.asked()
    worker.begin(turn)
    step = worker.step(turn, state="asking", calls=(called("files_delete", {}, state="asking"),))
    app = open_at(turn.conversation)
    press(app, f"agent_always_{step.id}_0")
    assert worker.store.decision(step.id, 0) is True
    assert worker.store.conversation(turn.conversation).options.unasked == ("files_delete",)
    app = open_at(turn.conversation)
    assert "Run here without asking: files\\_delete." in seen(app)
    press(app, "agent_ask_again")
    assert worker.store.conversation(turn.conversation).options.unasked == ()


def test_a_call_of_a_turn_that_is_over_asks_for_nothing_any_more(worker: Worker) -> None:
    turn = worker.asked()
    worker.begin(turn)
    step = worker.step(turn, state="asking", calls=(called("files_delete", {}, state="asking"),))
    worker.leave()
    app = unfold(open_at(turn.conversation), f"agent_steps_{turn.id}")
    assert f"agent_allow_{step.id}_0" not in keys(app)


def test_what_a_model_wrote_is_shown_literally(worker: Worker) -> None:
    call = Called(Call(HOSTILE, {"a": HOSTILE}), "done", HOSTILE, seconds=0.1)
    fault = replace(problems.broken_json(HOSTILE, HOSTILE), code="other")
    turn = worker.finished({"thought": HOSTILE, "calls": (call,), "problem": fault, "reply": HOSTILE})
    worker.end(turn, answer=HOSTILE)
    app = unfold(open_at(turn.conversation), f"agent_steps_{turn.id}")
    assert HOSTILE in [t.value for t in app.text]
    assert HOSTILE in [c.value for c in app.code]
    drawn = [str(element.value) for element in app.markdown]
    assert not any(element.allow_html for element in app.markdown)
    assert not any("![a](" in value for value in drawn)  # also in the answer: nothing is fetched
    assert [value for value in drawn if "**bold**" in value] == [chat_text.safe(HOSTILE)]


def test_pictures_that_a_tool_made_are_shown_and_what_lies_outside_is_not(worker: Worker) -> None:
    turn = worker.asked()
    worker.begin(turn)
    folder = worker.store.folder(turn.conversation) / "python"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "curve.png")
    (folder / "broken.png").write_bytes(b"no picture")
    outside = worker.workspace.root / "secret.txt"
    outside.write_text("secret")
    (folder / "link.txt").symlink_to(outside)
    names = ("python/curve.png", "python/broken.png", "python/gone.csv", "../../secret.txt", str(outside))
    call = called("python", {"code": "1"}, state="done", text="ok", files=(*names, "python/link.txt"))
    worker.step(turn, calls=(call,))
    worker.end(turn, answer="Done.")
    app = unfold(open_at(turn.conversation), f"agent_steps_{turn.id}")
    assert len(app.get("image")) == 1
    offered = [b.proto.label for b in app.get("download_button")]
    assert [label.split(" ")[0] for label in offered] == ["curve.png", "broken.png"]
    told = seen(app)
    assert told.count("lies outside its folder") == 3
    assert "python/gone.csv is gone." in told


def test_the_raw_transcript_shows_what_was_sent_and_said(worker: Worker) -> None:
    turn = worker.finished({"reply": "Action: calculator", "answer": "x"})
    [step] = worker.store.steps([turn.id])
    worker.store.save(step, Sent(engine="stub", request={"model": "stub-request"}, why="cannot").packed())
    worker.end(turn, answer="x")
    app = press(open_at(turn.conversation), f"agent_raw_{turn.id}")
    told = seen(app)
    assert "Action: calculator" in told
    assert "stub-request" in told


def test_conversations_are_found_renamed_and_deleted_after_a_confirmation(worker: Worker) -> None:
    wheat, law = worker.asked("About wheat"), worker.asked("About law")
    for turn in (wheat, law):
        worker.end(turn, answer="yes")
    app = open_at()
    app.text_input(key="agent_search").set_value("wheat").run()
    assert [key for key in keys(app) if key.startswith("agent_open_")] == [f"agent_open_{wheat.conversation}"]
    press(app, f"agent_open_{wheat.conversation}")
    app.text_input(key=f"agent_title_{wheat.conversation}").set_value("Winter *wheat*").run()
    press(app, "agent_rename")
    assert worker.store.conversation(wheat.conversation).title == "Winter *wheat*"
    assert "**Winter \\*wheat\\***" in seen(app)
    assert app.button(key="agent_delete").disabled
    app.checkbox(key=f"agent_sure_{wheat.conversation}").check().run()
    press(app, "agent_delete")
    assert [c.id for c in worker.store.conversations()] == [law.conversation]


def test_an_address_of_a_deleted_conversation_says_so(worker: Worker) -> None:
    assert "This conversation does not exist." in seen(open_at("0123456789ab"))


def _all(block: object) -> Iterator[object]:
    for child in getattr(block, "children", {}).values():
        yield child
        yield from _all(child)


@pytest.mark.parametrize("what", ["trace", "raw"])
def test_what_opens_over_the_page_leaves_the_page_whole(worker: Worker, what: str) -> None:
    turn = worker.asked()
    worker.begin(turn)
    worker.step(turn, answer="351", model_s=0.2)
    worker.end(turn, answer="351")
    worker.leave()
    app = press(open_at(turn.conversation), f"agent_{what}_{turn.id}")
    assert "could not be drawn" not in seen(app)
