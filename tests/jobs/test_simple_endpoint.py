"""``POST /v1/simple`` of a real panel: what programs written after older course notes send, and what they get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from backend.deploy.connect import SIMPLE_PATH
from backend.queue.store import open_store
from backend.web.keys import Keys
from backend.workspace import Workspace
from tests.support.panel import Panel
from tests.support.served import served
from tests.support.stub_openai import Stub, stub
from tests.support.wait import until

HISTORY = [["What do I sow in spring?", "Peas."], ["And in summer?", "秋菜。"]]


@pytest.fixture(scope="module")
def client(panel: Panel, home: Workspace) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {Keys(home).create('notes')[1]}"}
    with httpx.Client(base_url=panel.url, headers=headers, timeout=30) as made:
        yield made


@contextmanager
def model(home: Workspace, name: str = "starter", **script: Any) -> Iterator[Stub]:
    store = open_store(home)
    with stub(name, script=script) as running, served(store, running.server):
        yield running
    store.close()


@pytest.fixture(scope="module")
def starter(home: Workspace) -> Iterator[Stub]:
    with model(home) as running:
        yield running


def test_a_prompt_with_its_history_gives_the_answer_and_the_history_that_goes_on(
    client: httpx.Client, starter: Stub
) -> None:
    asked = {"prompt": "And in autumn?", "history": HISTORY, "max_length": 20, "top_p": 0.7, "temperature": None}
    answer = client.post(SIMPLE_PATH, json=asked)
    data = answer.json()
    said = "You said: And in autumn?"
    assert (answer.status_code, data["status"], data["response"]) == (200, 200, said)
    assert data["history"] == [*HISTORY, ["And in autumn?", said]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", data["time"])
    sent = starter.requests()[-1]
    assert [(m["role"], m["content"]) for m in sent.pop("messages")] == [
        ("user", HISTORY[0][0]),
        ("assistant", HISTORY[0][1]),
        ("user", HISTORY[1][0]),
        ("assistant", HISTORY[1][1]),
        ("user", "And in autumn?"),
    ]
    assert sent == {"model": "starter", "max_tokens": 20, "top_p": 0.7}


def test_its_own_answer_can_be_sent_back_as_the_next_history(client: httpx.Client, starter: Stub) -> None:
    first = client.post(SIMPLE_PATH, json={"prompt": "One"}).json()
    second = client.post(SIMPLE_PATH, json={"prompt": "Two", "history": first["history"]}).json()
    assert second["history"] == [["One", "You said: One"], ["Two", "You said: Two"]]


def test_the_model_need_not_be_named_while_there_is_only_one(
    client: httpx.Client, home: Workspace, starter: Stub
) -> None:
    with model(home, "other", say="I am the other"):
        # The panel looks at the list of servers now and then; until it has seen the second one, there is only one.
        refused = until(lambda: (a := client.post(SIMPLE_PATH, json={"prompt": "Hi"})).status_code == 400 and a, 10)
        assert refused.json()["error"] == "Name the model in 'model'. Running now: other, starter."
        named = client.post(SIMPLE_PATH, json={"prompt": "Hi", "model": "other"})
        assert named.json()["response"] == "I am the other"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"prompt": ""}, 400, "Put your question into 'prompt', as text."),
        ({"prompt": ["Hi"]}, 400, "Put your question into 'prompt', as text."),
        ({"prompt": "Hi", "history": "before"}, 400, "'history' must be a list of pairs"),
        ({"prompt": "Hi", "history": [["alone"]]}, 400, "'history' must be a list of pairs"),
        ({"prompt": "Hi", "history": [["one", None]]}, 400, "'history' must be a list of pairs"),
        ({"prompt": "Hi", "model": "nobody"}, 404, "The model 'nobody' is not running. Running now: starter."),
        ({"prompt": "Hi", "model": 7}, 400, "Name the model in 'model'."),
        (["Hi"], 400, "The request must be a JSON object."),
        ({"prompt": '!{"status": 400, "message": "far too long"}'}, 400, "far too long"),
    ],
)
def test_what_goes_wrong_is_one_sentence_in_a_plain_shape(
    client: httpx.Client, starter: Stub, body: Any, status: int, says: str
) -> None:
    answer = client.post(SIMPLE_PATH, json=body)
    data = answer.json()
    assert (answer.status_code, data["status"]) == (status, status)
    assert data["error"].startswith(says)
    assert set(data) == {"error", "status", "time"}


def test_it_asks_for_a_key_and_for_post(client: httpx.Client, panel: Panel, starter: Stub) -> None:
    before = len(starter.requests())
    closed = httpx.post(panel.url + SIMPLE_PATH, json={"prompt": "Hi"})
    assert (closed.status_code, closed.headers["www-authenticate"]) == (401, "Bearer")
    assert closed.json()["error"].startswith("An API key is needed.")
    asked = client.get(SIMPLE_PATH)
    assert (asked.status_code, asked.headers["allow"]) == (405, "POST")
    assert asked.json()["error"] == "This path takes POST requests only."
    assert len(starter.requests()) == before


def test_a_server_that_has_died_is_an_error_and_no_empty_answer(client: httpx.Client, home: Workspace) -> None:
    with model(home, "dead") as running:
        running.kill()
        answer = client.post(SIMPLE_PATH, json={"prompt": "Hi", "model": "dead"})
    assert answer.status_code == 503
    assert "'dead' cannot be reached" in answer.json()["error"]
