"""No mystery about what a model was sent: recorded with each answer, from real servers; and how blanks, a fixed seed and
files change it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.chat import sent, uploads
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.chat.replies import Replies
from backend.chat.sent import Sent
from backend.queue.store import Store
from backend.servers import Server
from backend.workspace import ROOT, Workspace
from tests.support import scripted_model
from tests.support.served import served
from tests.support.server import ServeJob
from tests.support.stub_openai import Stub, published, stub
from tests.support.wait import until

Ask = Callable[..., tuple[Message, Sent]]


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("scripted")
    job = ServeJob(folder / "job", model=str(scripted_model.build(folder / "model")), name="scripted")
    yield job.ready()
    job.end()


@pytest.fixture
def panel(workspace: Workspace, store: Store) -> Iterator[Replies]:
    replies = Replies(workspace, store, Conversations(workspace))
    yield replies
    replies.close()
    replies.conversations.close()


@pytest.fixture
def ask(panel: Replies) -> Ask:
    """Ask and wait for the end: the answer, and what was sent for it."""

    def asked(model: str, text: str, **more: Any) -> tuple[Message, Sent]:
        params = more.pop("params", ChatParams(max_tokens=12, temperature=0))
        answer = panel.ask(more.pop("conversation", None), text, model=model, params=params, **more)
        until(lambda: panel.reply(answer.id) is None, 30, "the answer has its end")
        found = sent.find(panel.conversations, answer.id)
        assert found is not None
        return panel.conversations.message(answer.id), found

    return asked


@pytest.fixture
def server(store: Store) -> Iterator[Stub]:
    with stub() as running, published(store, running):
        yield running


def plan(**script: object) -> str:
    return "!" + json.dumps(script)


def test_prompt_request_and_response_are_kept_with_the_answer(store: Store, scripted: Server, ask: Ask) -> None:
    with served(store, scripted):
        answer, found = ask("scripted", " greet")
    assert answer.content == "Good morning, dear friend."
    assert found.prompt == "<|begin|>user said  greet assistant:  greet"
    assert "".join(found.pieces) == found.prompt
    assert found.special == [0]
    assert found.count == answer.prompt_tokens
    assert (found.engine, found.why) == ("transformers", sent.UNSAID)
    assert found.request["messages"] == [{"role": "user", "content": " greet"}]
    assert found.request["max_tokens"] == 12
    [choice] = found.response["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": answer.content},
        "finish_reason": "stop",
    }
    assert found.response["usage"]["prompt_tokens"] == answer.prompt_tokens
    assert scripted.key not in repr(found)


def test_the_record_is_read_when_the_server_is_long_gone(
    store: Store, scripted: Server, ask: Ask, workspace: Workspace
) -> None:
    with served(store, scripted):
        answer, found = ask("scripted", "greet")
    later = Conversations(workspace)
    assert sent.find(later, answer.id) == found
    later.close()


def test_blanks_around_a_message_are_sent_as_typed_or_trimmed_by_choice(
    store: Store, scripted: Server, ask: Ask
) -> None:
    with served(store, scripted):
        typed, as_typed = ask("scripted", "  greet \n")
        _, trimmed = ask("scripted", "  greet \n", params=ChatParams(temperature=0, trim_blanks=True))
    assert as_typed.request["messages"][0]["content"] == "  greet \n"
    assert as_typed.prompt.endswith("assistant:   greet \n")
    assert trimmed.request["messages"][0]["content"] == "greet"
    assert trimmed.prompt.endswith("assistant: greet")
    assert typed.content == "Good morning, dear friend."


def test_deterministic_gives_the_same_answer_where_chance_gives_another(
    store: Store, scripted: Server, ask: Ask
) -> None:
    chance = ChatParams(temperature=1, top_p=1, max_tokens=40)
    with served(store, scripted):
        free = {ask("scripted", "dice", params=chance)[0].content for _ in range(2)}
        fixed = [ask("scripted", "dice", params=chance.model_copy(update={"deterministic": True})) for _ in range(2)]
    assert len(free) == 2, "forty throws of a ten-sided die, twice"
    assert fixed[0][0].content == fixed[1][0].content
    assert {name: fixed[0][1].request[name] for name in ("temperature", "top_p", "seed")} == {
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 0,
    }


def test_the_shipped_model_answers_the_same_question_the_same_when_deterministic(
    store: Store, ask: Ask, tmp_path: Path
) -> None:
    job = ServeJob(tmp_path / "starter", model=str(ROOT / "models" / "starter"), name="starter")
    try:
        params = ChatParams(temperature=1.5, top_p=1, max_tokens=24, deterministic=True)
        with served(store, job.ready()):
            answers = [ask("starter", "What is the capital of France?", params=params) for _ in range(2)]
    finally:
        job.end()
    assert answers[0][0].content == answers[1][0].content != ""
    assert answers[0][1].count == answers[0][0].prompt_tokens
    assert "".join(answers[0][1].pieces) == answers[0][1].prompt


def test_an_engine_that_does_not_say_its_prompt_is_not_asked_and_the_request_is_there(server: Stub, ask: Ask) -> None:
    _, found = ask("stub", "Hello")
    assert (found.prompt, found.why) == ("", sent.CANNOT)
    assert found.request == server.requests()[-1]
    assert len(server.requests()) == 1


def test_an_older_server_without_that_answer_leaves_the_conversation_as_it_is(store: Store, ask: Ask) -> None:
    """The stub answers any POST as a chat: nothing that could be a prompt."""
    with stub("old") as running, published(store, running):
        from backend import servers

        job_dir = store.job_dir(store.list(verb="serve")[0].id)
        server = servers.read_server(job_dir)
        assert server is not None
        servers.publish(job_dir, replace(server, engine="transformers"))
        answer, found = ask("old", "Hello")
    assert (answer.state, answer.content) == ("done", "You said: Hello")
    assert (found.prompt, found.why) == ("", sent.UNREACHED)


def test_a_server_that_dies_in_mid_answer_leaves_its_words_the_reason_and_the_record(server: Stub, ask: Ask) -> None:
    answer, found = ask("stub", plan(tokens=50, die_at=3))
    assert answer.state == "failed"
    assert answer.content == "w0 w1 w2 "
    assert answer.error["code"] == "server_died"
    [choice] = found.response["choices"]
    assert choice["message"]["content"] == "w0 w1 w2 "
    assert choice["finish_reason"] is None
    assert "before the server said" in found.response["error"]


def test_a_refusal_is_kept_in_the_servers_own_words(server: Stub, ask: Ask) -> None:
    _, found = ask("stub", plan(status=400, code="odd", message="No such thing"))
    assert found.response == {"error": {"message": "No such thing", "type": "stub", "param": None, "code": "odd"}}
    assert found.request["messages"][0]["content"].startswith("!{")


# --- files


def red_png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "PNG")
    return out.getvalue()


def test_a_picture_and_a_text_arrive_as_content_parts(server: Stub, ask: Ask) -> None:
    files = uploads.check_all([("red.png", red_png()), ("城市.csv", "城市\n北京\n".encode("gb18030"))])
    _, found = ask("stub", "What is this?", files=files)
    [message] = server.requests()[-1]["messages"]
    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["image_url", "text"]
    assert message["content"][0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert message["content"][1]["text"] == "城市.csv:\n```\n城市\n北京\n```\n\nWhat is this?"
    kept = found.request["messages"][0]["content"][0]["image_url"]["url"]
    assert kept.startswith("data:image/png;base64,… (")


def test_a_picture_stays_in_the_conversation_for_later_questions(server: Stub, ask: Ask) -> None:
    first, _ = ask("stub", "What is this?", files=uploads.check_all([("red.png", red_png())]))
    ask("stub", "And now?", conversation=first.conversation)
    messages = server.requests()[-1]["messages"]
    assert messages[0]["content"][0]["type"] == "image_url"
    assert messages[-1] == {"role": "user", "content": "And now?"}
