"""The ``/v1`` gateway of a real panel, asked by OpenAI's own client, in front of real server processes."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from backend.queue.store import open_store
from backend.servers import publish
from backend.web.keys import Keys
from backend.web.upstream import Upstream
from backend.workspace import Workspace, open_workspace
from tests.support.panel import Panel, start_panel
from tests.support.served import served
from tests.support.stub_openai import Stub, stub
from tests.support.wait import until

Messages = list[Any]


@pytest.fixture(scope="module")
def key(home: Workspace) -> str:
    return Keys(home).create("tests")[1]


@pytest.fixture(scope="module")
def starter(home: Workspace) -> Iterator[Stub]:
    """A model called starter that answers; it runs for all tests of this module."""
    store = open_store(home)
    with stub("starter") as running, served(store, replace(running.server, aliases=("default",))):
        yield running
    store.close()


@pytest.fixture
def client(panel: Panel, key: str, starter: Stub) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{panel.url}/v1", api_key=key, max_retries=0, timeout=30) as made:
        yield made


@contextmanager
def model(home: Workspace, name: str, **script: Any) -> Iterator[Stub]:
    """One more model that runs, with a script of its own."""
    store = open_store(home)
    with stub(name, script=script) as running, served(store, running.server):
        yield running
    store.close()


def say(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def post(panel: Panel, path: str, body: bytes, key: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a request as it stands, without a client that would know better."""
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=60)
    try:
        named = {"Content-Type": "application/json", **headers}
        connection.request("POST", path, body, named | ({"Authorization": f"Bearer {key}"} if key else {}))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_the_running_models_are_listed(client: openai.OpenAI, home: Workspace) -> None:
    with model(home, "second"):
        until(lambda: [m.id for m in client.models.list()] == ["second", "starter"], 10, "both are listed")
    until(lambda: [m.id for m in client.models.list()] == ["starter"], 10, "only one is listed")
    assert client.models.retrieve("starter").owned_by == "tunedeck"
    with pytest.raises(openai.NotFoundError, match=r"'other' is not running\. Running now: starter"):
        client.models.retrieve("other")


def test_a_plain_answer_comes_through(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="starter", messages=say("你好 and good day 🌱"))
    assert answer.choices[0].message.content == "You said: 你好 and good day 🌱"
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_a_stream_comes_through_piece_by_piece(client: openai.OpenAI, home: Workspace) -> None:
    with model(home, "slow", tokens=3, delay_s=0.2) as slow:
        pieces = client.chat.completions.create(model="slow", messages=say("x"), stream=True)
        first = next(pieces)
        assert first.choices[0].delta.content == "w0 "
        assert slow.requests()[-1]["stream"] is True
        rest = [c.choices[0].delta.content for c in pieces if c.choices and c.choices[0].delta.content]
        assert rest == ["w1 ", "w2 "]


def test_the_first_piece_does_not_wait_for_the_last(panel: Panel, key: str, home: Workspace) -> None:
    with model(home, "endless", tokens=10_000, delay_s=0.1):
        body = {"model": "endless", "messages": say("x"), "stream": True}
        with reading(panel, key, body) as (answer, first):
            assert answer.status == 200
            assert answer.getheader("content-type") == "text/event-stream"
            assert b"w0" in first


def test_every_field_of_the_request_reaches_the_server_as_it_was_sent(client: openai.OpenAI, starter: Stub) -> None:
    client.chat.completions.create(
        model="starter", messages=say("a\u2028b🌱"), temperature=0.25, seed=7, extra_body={"top_k": 3}
    )
    sent = starter.requests()[-1]
    assert (sent["temperature"], sent["seed"], sent["top_k"]) == (0.25, 7, 3)
    assert sent["messages"] == say("a\u2028b🌱")


def test_a_model_answers_to_its_other_names_too(client: openai.OpenAI) -> None:
    assert client.chat.completions.create(model="default", messages=say("hello")).choices[0].message.content


def test_completions_reach_the_server_and_embeddings_only_one_that_offers_them(
    client: openai.OpenAI, starter: Stub
) -> None:
    client.completions.create(model="starter", prompt="once upon")
    assert starter.requests()[-1]["prompt"] == "once upon"
    before = len(starter.requests())
    with pytest.raises(openai.BadRequestError, match=r"does not offer embeddings\. It offers: chat, completions"):
        client.embeddings.create(model="starter", input="x")
    assert len(starter.requests()) == before


def test_a_prompt_of_a_hundred_thousand_characters_passes(client: openai.OpenAI, starter: Stub) -> None:
    client.chat.completions.create(model="starter", messages=say("长" * 100_000), max_tokens=1)
    assert len(starter.requests()[-1]["messages"][0]["content"]) == 100_000


# --- keys


@pytest.mark.parametrize("given", ["", "td-wrong", "Bearer", "null"])
def test_without_a_known_key_nothing_is_said_about_what_runs(panel: Panel, starter: Stub, given: str) -> None:
    for path in ("/v1/models", "/v1/chat/completions", "/v1/nothing", "/v1/models/starter"):
        status, data = post(panel, path, b"{}", given)
        assert (status, data["error"]["code"]) == (401, "invalid_api_key")
        assert "starter" not in json.dumps(data)


def test_the_login_does_not_open_the_gateway_and_a_key_does_not_open_the_panel(panel: Panel, key: str) -> None:
    status, _data = post(panel, "/v1/chat/completions", b"{}", panel.token)
    assert status == 401
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=20)
    try:
        connection.request("GET", f"/?token={panel.token}")
        answer = connection.getresponse()
        answer.read()
        cookie = str(answer.getheader("set-cookie")).split(";")[0]
    finally:
        connection.close()
    assert post(panel, "/v1/chat/completions", b"{}", Cookie=cookie)[0] == 401
    status, _data = post(panel, "/v1/chat/completions", b"{}", key)
    assert status == 400
    for path in ("/", "/?token=" + key):
        connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            assert connection.getresponse().status == 403
        finally:
            connection.close()


def test_a_revoked_key_is_refused_from_the_next_request_on(panel: Panel, home: Workspace, starter: Stub) -> None:
    keys = Keys(home)
    _made, text = keys.create("short-lived")
    with openai.OpenAI(base_url=f"{panel.url}/v1", api_key=text, max_retries=0) as client:
        assert client.models.list()
        keys.revoke("short-lived")
        with pytest.raises(openai.AuthenticationError, match="may have been revoked"):
            client.models.list()


def test_the_server_gets_its_own_key_and_none_of_the_clients_headers(panel: Panel, key: str, home: Workspace) -> None:
    received: list[bytes] = []
    with listener(lambda request: received.append(request) or ok({"choices": []})) as port:
        store = open_store(home)
        server = bare(port, "echo", key="the-servers-own-key")
        with served(store, server):
            body = b'{"model": "echo", "messages": []}'
            status, _data = post(panel, "/v1/chat/completions", body, key, Cookie="tunedeck=1", X_Secret="s")
        store.close()
    assert status == 200
    assert b"authorization: bearer the-servers-own-key" in received[0].lower()
    for private in (key.encode(), b"cookie", b"secret"):
        assert private not in received[0]


def test_no_key_and_no_token_stands_in_a_log(panel: Panel, key: str, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="missing", messages=say("x"))
    written = "".join(p.read_text(errors="replace") for p in (panel.workspace / "logs").iterdir())
    for secret in (key, key[3:], "stub-key", panel.token):
        assert secret not in written


def test_no_page_of_another_origin_may_read_an_answer(panel: Panel, key: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=20)
    try:
        headers = {"Origin": "http://localhost:9999", "Access-Control-Request-Method": "POST"}
        connection.request("OPTIONS", "/v1/chat/completions", headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
        assert not [name for name, _value in answer.getheaders() if name.lower().startswith("access-control")]
    finally:
        connection.close()


# --- requests that cannot be answered


def test_a_model_that_does_not_run_is_named_with_those_that_do(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"'llama {x}' is not running\. Running now: starter\.") as caught:
        client.chat.completions.create(model="llama {x}", messages=say("x"))
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"model"', "must be a JSON object"),
        (b"{}", "Name the model"),
        (b'{"model": null}', "Name the model"),
        (b'{"model": ["starter"]}', "Name the model"),
        (b'{"model": ""}', "Name the model"),
    ],
)
def test_a_request_that_makes_no_sense_is_400_with_the_reason(panel: Panel, key: str, body: bytes, said: str) -> None:
    status, data = post(panel, "/v1/chat/completions", body, key)
    assert status == 400
    assert said in data["error"]["message"]
    assert data["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/v1/../jobs", "/v1/%2e%2e/jobs", "/v1/responses"]
)
def test_a_path_that_is_not_there_is_404_in_the_same_shape(panel: Panel, key: str, path: str) -> None:
    status, data = post(panel, path, b"{}", key)
    assert (status, data["error"]["code"]) == (404, "unknown_url")
    assert "/v1/chat/completions" in data["error"]["message"]


def test_the_wrong_method_is_said(panel: Panel, key: str) -> None:
    status, data = post(panel, "/v1/models", b"{}", key)
    assert (status, data["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("declared", [True, False])
def test_a_request_that_is_too_large_is_413_however_it_is_sent(panel: Panel, key: str, declared: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=60)
    pieces = (b"x" * 1_000_000 for _ in range(40))
    try:
        headers = {"Authorization": f"Bearer {key}"} | ({"Content-Length": "40000000"} if declared else {})
        connection.request("POST", "/v1/chat/completions", pieces, headers, encode_chunked=not declared)
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["message"] == "The request is larger than 32 MiB."
    finally:
        connection.close()


# --- servers that fail


def test_the_servers_own_error_comes_through(client: openai.OpenAI, home: Workspace) -> None:
    with model(home, "strict", status=400, code="context_length_exceeded", message="The prompt is too long"):
        with pytest.raises(openai.BadRequestError, match="The prompt is too long") as caught:
            client.chat.completions.create(model="strict", messages=say("x"))
        assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ((429, {"detail": "Too busy"}), 429, "Too busy"),
        ((422, {"detail": [{"loc": ["body", "seed"], "msg": "not a number"}]}), 422, "not a number"),
        ((500, "<html>oops"), 500, "answered 500"),
        ((500, {"error": "out of memory"}), 500, "out of memory"),
        ((401, {"error": {"message": "wrong key stub-key"}}), 502, "refused the gateway"),
        ((307, ""), 502, "refused the gateway"),
    ],
)
def test_any_other_error_is_put_into_the_same_shape(
    panel: Panel, key: str, home: Workspace, answer: tuple[int, Any], status: int, said: str
) -> None:
    store = open_store(home)
    code, body = answer
    with listener(lambda _request: reply(code, body)) as port, served(store, bare(port, "odd")):
        got, data = post(panel, "/v1/chat/completions", b'{"model": "odd"}', key)
    store.close()
    assert got == status
    assert said in data["error"]["message"]
    assert "stub-key" not in json.dumps(data)


def test_a_dead_server_is_503_with_what_to_do(client: openai.OpenAI, home: Workspace) -> None:
    with model(home, "gone") as gone:
        gone.kill()
        with pytest.raises(
            openai.InternalServerError, match=r"'gone' cannot be reached\. It may have stopped"
        ) as caught:
            client.chat.completions.create(model="gone", messages=say("x"))
    assert caught.value.status_code == 503
    assert caught.value.code == "server_unavailable"


def test_a_server_that_hangs_up_without_a_word_is_502(panel: Panel, key: str, home: Workspace) -> None:
    store = open_store(home)
    for nonsense in (b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"):
        with listener(lambda _request, said=nonsense: said) as port, served(store, bare(port, "mute")):  # type: ignore[misc]
            status, data = post(panel, "/v1/chat/completions", b'{"model": "mute"}', key)
        assert (status, data["error"]["code"]) == (502, "server_broke_off"), nonsense
    store.close()


@pytest.mark.parametrize("how", ["die_at", "cut_at"])
def test_a_stream_that_breaks_off_ends_with_an_error_and_keeps_what_came(
    client: openai.OpenAI, home: Workspace, how: str
) -> None:
    said: list[str] = []

    def read() -> None:
        for chunk in client.chat.completions.create(model="fragile", messages=say("x"), stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                said.append(chunk.choices[0].delta.content)

    with model(home, "fragile", tokens=10, delay_s=0.02, **{how: 3}), pytest.raises(openai.APIError) as caught:
        read()
    assert said == ["w0 ", "w1 ", "w2 "]
    assert "broke off its answer" in str(caught.value)


def test_a_client_that_goes_away_ends_the_work_of_the_server(panel: Panel, key: str, home: Workspace) -> None:
    with model(home, "patient", tokens=100_000, delay_s=0.01) as patient:
        with reading(panel, key, {"model": "patient", "messages": say("x"), "stream": True}) as (answer, _first):
            assert answer.status == 200
            assert patient.cancelled() == 0
        until(lambda: patient.cancelled() == 1, 20, "the server was told")


def test_a_client_that_goes_away_before_the_first_token_ends_the_work_too(
    panel: Panel, key: str, home: Workspace
) -> None:
    left = threading.Event()
    asked = threading.Event()

    def never(connection: socket.socket) -> bytes:
        asked.set()
        if connection.recv(1) == b"":
            left.set()
        return b""

    store = open_store(home)
    with listener(lambda _request: b"", hold=never) as port, served(store, bare(port, "silent")):
        request = b'{"model": "silent"}'
        with socket.create_connection(("127.0.0.1", panel.port), timeout=20) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                + key.encode()
                + b"\r\nContent-Length: %d\r\n\r\n" % len(request)
                + request
            )
            assert asked.wait(20)
        assert left.wait(20)
    store.close()


def test_a_server_that_is_not_ready_is_not_asked(client: openai.OpenAI, home: Workspace) -> None:
    store = open_store(home)
    with stub("loading") as loading, served(store, loading.server) as server:
        assert client.chat.completions.create(model="loading", messages=say("x")).choices
        publish(store.job_dir(server.job_id), replace(server, ready=False))

        def refused() -> bool:
            try:
                client.chat.completions.create(model="loading", messages=say("x"))
            except openai.NotFoundError as error:
                return "Running now: starter." in str(error)
            return False

        until(refused, 10, "the model is no longer offered")
    store.close()


def test_a_server_that_sleeps_is_listed_and_one_that_does_not_wake_says_so(
    client: openai.OpenAI, home: Workspace
) -> None:
    store = open_store(home)
    with stub("sleepy") as sleepy, served(store, sleepy.server) as server:
        assert client.chat.completions.create(model="sleepy", messages=say("x")).choices
        publish(store.job_dir(server.job_id), replace(server, sleeps=True, asleep=True))

        def refused() -> openai.InternalServerError | None:
            try:
                client.chat.completions.create(model="sleepy", messages=say("x"))
            except openai.InternalServerError as error:
                return error
            return None

        error = until(refused, 10, "the server is known to sleep")
        assert error is not None
        # This one knows no /wakeup; one that does: tests/jobs/test_serve_lmdeploy.py.
        assert (error.status_code, error.code) == (503, "server_did_not_obey")
        assert error.response.headers["retry-after"] == "5"
        assert "The server of 'sleepy' did not do as it was told: HTTP 404" in str(error)
        assert "Deploy page" in str(error)
        assert client.models.retrieve("sleepy").id == "sleepy"
        publish(store.job_dir(server.job_id), replace(server, sleeps=True))
        until(lambda: refused() is None, 10, "it is known to be awake")
    store.close()


def test_a_server_that_moved_is_asked_where_it_is_now(panel: Panel, key: str, home: Workspace) -> None:
    store = open_store(home)
    body = b'{"model": "mover"}'
    with (
        listener(lambda _request: ok({"from": 1})) as one,
        listener(lambda _request: ok({"from": 2})) as two,
        served(store, bare(one, "mover")) as server,
    ):
        for _time in range(5):
            for number, port in ((1, one), (2, two)):
                publish(store.job_dir(server.job_id), replace(bare(port, "mover"), job_id=server.job_id))
                assert post(panel, "/v1/chat/completions", body, key) == (200, {"from": number})
    store.close()


def test_a_model_whose_server_was_killed_is_not_offered_for_long(panel: Panel, key: str, home: Workspace) -> None:
    store = open_store(home)
    body = b'{"model": "killed"}'
    with listener(lambda _request: ok({})) as port, served(store, bare(port, "killed"), killed=True):
        assert post(panel, "/v1/chat/completions", body, key)[0] == 200
    until(lambda: post(panel, "/v1/chat/completions", body, key)[0] == 404, 10, "the model is not offered")
    store.close()


def test_many_clients_at_once_each_get_their_own_answer(panel: Panel, key: str, starter: Stub) -> None:
    answers: dict[int, str] = {}

    def talk(number: int) -> None:
        with openai.OpenAI(base_url=f"{panel.url}/v1", api_key=key, max_retries=0, timeout=60) as own:
            stream = own.chat.completions.create(model="starter", messages=say(f"I am {number}"), stream=True)
            answers[number] = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {n: f"You said: I am {n}" for n in range(16)}


def test_closing_the_panel_does_not_wait_for_a_model_that_still_talks(tmp_path: Path) -> None:
    panel = start_panel(tmp_path / "w")
    home = open_workspace(panel.workspace)
    key = Keys(home).create("tests")[1]
    try:
        with model(home, "talker", tokens=100_000, delay_s=0.01) as talker:
            with reading(panel, key, {"model": "talker", "messages": say("x"), "stream": True}) as (answer, _first):
                panel.process.send_signal(signal.SIGINT)
                panel.process.wait(20)
                assert b'"code": "panel_closed"' in answer.read()[-400:]
            until(lambda: talker.cancelled() == 1, 20, "the server was told")
            assert talker.process.poll() is None
        assert Keys(home).list()[0].last_used is not None
    finally:
        panel.stop()


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n"])
def test_a_server_that_keeps_silent_is_given_up(begins: bytes) -> None:
    sent: list[Any] = []

    def silent(connection: socket.socket) -> bytes:
        connection.sendall(begins)
        connection.recv(1)
        return b""

    async def send(message: Any) -> None:
        sent.append(message)

    async def relay(port: int) -> None:
        upstream = Upstream(silence_s=0.1)
        try:
            await upstream.relay(bare(port, "mute"), "/chat/completions", b"{}", asyncio.Event().wait, send)  # type: ignore[arg-type]
        finally:
            await upstream.close()

    with listener(lambda _request: b"", hold=silent) as port:
        asyncio.run(relay(port))
    assert sent[0]["status"] == (200 if begins else 504)
    assert b'"code": "server_timeout"' in b"".join(m.get("body", b"") for m in sent)


# --- help


@contextmanager
def reading(panel: Panel, key: str, body: dict[str, Any]) -> Iterator[tuple[http.client.HTTPResponse, bytes]]:
    """An answer whose first piece has come and whose rest is not read; leaving the block hangs up."""
    connection = http.client.HTTPConnection("127.0.0.1", panel.port, timeout=20)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        yield answer, answer.read1(1000)
        answer.close()
    finally:
        connection.close()


@contextmanager
def listener(answer: Any, hold: Any = None) -> Iterator[int]:
    """A bare TCP server that reads one request per connection and sends back the bytes that ``answer`` makes of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                connection, _address = server.accept()
                with connection:
                    request = b""
                    while b"\r\n\r\n" not in request and (piece := connection.recv(65536)):
                        request += piece
                    if request:
                        connection.sendall(hold(connection) if hold else answer(request))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopped.set()
            socket.create_connection(server.getsockname()).close()  # wakes accept
            thread.join(20)


def reply(status: int, body: Any) -> bytes:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: {len(text)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + text


def ok(body: Any) -> bytes:
    return reply(200, body)


def bare(port: int, name: str, key: str = "stub-key") -> Any:
    from backend.servers import Server

    return Server(job_id=0, model=name, base_url=f"http://127.0.0.1:{port}/v1", key=key, since=1.0)
