"""The chat client against a real server process on loopback that misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from backend.chat.asking import fitted_stream
from backend.chat.client import Finished, stream_chat
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.errors import PanelError, ServerError
from backend.servers import Server
from tests.support.panel import free_port
from tests.support.stub_openai import Stub, stub
from tests.support.wait import until


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub() as running:
        yield running


def ask(server: Server, prompt: str, params: ChatParams | None = None, **limits: Any) -> tuple[str, Finished]:
    """The whole answer to ``prompt``; on failure the error carries what had come in ``error.params["so_far"]``."""

    async def collect() -> tuple[str, Finished]:
        pieces: list[str] = []
        stream = stream_chat(server, [{"role": "user", "content": prompt}], params or ChatParams(), **limits)
        try:
            async with contextlib.aclosing(stream) as parts:
                async for part in parts:
                    if isinstance(part, Finished):
                        return "".join(pieces), part
                    pieces.append(part)
        except PanelError as error:
            error.params["so_far"] = "".join(pieces)
            raise
        raise AssertionError("a stream without an end")

    return asyncio.run(collect())


def plan(**script: Any) -> str:
    return "!" + json.dumps(script)


def test_an_answer_comes_with_its_text_tokens_and_speed(server: Stub) -> None:
    text, end = ask(server.server, plan(tokens=20, delay_s=0.01, first_delay_s=0.1))
    assert text.split() == [f"w{n}" for n in range(20)]
    assert (end.finish_reason, end.completion_tokens, end.counted) == ("stop", 20, True)
    assert end.prompt_tokens > 0
    assert end.ttft_s is not None
    assert end.ttft_s >= 0.1
    assert end.tokens_s is not None
    assert end.tokens_s > 0


def test_chinese_and_emoji_arrive_whole(server: Stub) -> None:
    assert ask(server.server, plan(say="你好，世界😀"))[0] == "你好，世界😀"


def test_all_settings_reach_the_server_under_the_names_it_knows(server: Stub) -> None:
    params = ChatParams(temperature=0.3, top_p=0.5, max_tokens=3, seed=11)
    text, _ = ask(server.server, plan(tokens=9), params)
    assert text.split() == ["w0", "w1", "w2"]
    asked = server.requests()[-1]
    assert {k: asked[k] for k in ("temperature", "top_p", "max_tokens", "seed", "model", "stream")} == {
        "temperature": 0.3, "top_p": 0.5, "max_tokens": 3, "seed": 11, "model": "stub", "stream": True,
    }  # fmt: skip
    ask(server.server, "Hi")
    assert "seed" not in server.requests()[-1]


def test_tokens_are_estimated_and_marked_where_the_server_does_not_count(server: Stub) -> None:
    _, end = ask(server.server, plan(say="one two three four", no_usage=True))
    assert not end.counted
    assert end.completion_tokens == 5


def test_a_length_limit_is_told_apart_from_a_proper_end(server: Stub) -> None:
    assert ask(server.server, plan(tokens=3, finish="length"))[1].finish_reason == "length"


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        ({"status": 401}, "server_key", "does not accept its key"),
        ({"status": 400, "code": "bad", "message": "top_k is unknown"}, "request_refused", "top_k is unknown"),
        ({"status": 404, "message": "no such model"}, "request_refused", "no such model"),
        ({"status": 422, "message": "nonsense"}, "request_refused", "nonsense"),
        ({"status": 429}, "server_busy", "too much to do"),
        ({"status": 500, "message": "CUDA out of memory"}, "server_failed", "CUDA out of memory"),
        ({"status": 503, "message": "not ready"}, "server_failed", "not ready"),
        ({"status": 400, "code": "context_length_exceeded"}, "context_length_exceeded", "too long for 'stub'"),
        ({"status": 400, "message": "This model's maximum context length is 8 tokens"}, "context_length_exceeded", "too long"),
        ({"garbage": True}, "server_failed", "reported an error"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_said_in_plain_words(
    server: Stub, script: dict[str, Any], code: str, says: str
) -> None:
    with pytest.raises(ServerError, match=says) as caught:
        ask(server.server, plan(**script))
    assert caught.value.code == code
    assert "stub" in str(caught.value)
    assert caught.value.hint
    assert len(server.requests()) == 1, "nothing is retried in silence"


def test_a_wrong_key_is_a_key_problem(server: Stub) -> None:
    with pytest.raises(ServerError, match="does not accept its key"):
        ask(replace(server.server, key="another"), "Hi")


def test_nobody_there_is_said_as_such() -> None:
    nobody = Server(job_id=1, model="gone", base_url=f"http://127.0.0.1:{free_port()}/v1", key="k")
    with pytest.raises(ServerError, match="'gone' does not answer: it has stopped") as caught:
        ask(nobody, "Hi")
    assert caught.value.code == "server_gone"


@pytest.mark.parametrize("fault", ["die_at", "cut_at"])
def test_a_server_that_dies_in_mid_answer_leaves_what_it_said(server: Stub, fault: str) -> None:
    with pytest.raises(ServerError, match="stopped in the middle") as caught:
        ask(server.server, plan(tokens=9, **{fault: 4}))
    assert caught.value.code == "server_died"
    assert caught.value.params["so_far"].split() == ["w0", "w1", "w2", "w3"]


def test_a_server_that_breaks_off_before_it_answers_is_no_silent_empty_answer(server: Stub) -> None:
    with pytest.raises(ServerError, match="broke off before it answered"):
        ask(server.server, plan(tokens=9, cut_at=0))


@pytest.mark.parametrize(
    ("script", "limits"),
    [
        ({"first_delay_s": 30}, {"first_token_s": 0.2}),
        ({"tokens": 5, "delay_s": 30}, {"stall_s": 0.2}),
    ],
)
def test_silence_is_not_waited_for_forever(server: Stub, script: dict[str, Any], limits: dict[str, float]) -> None:
    with pytest.raises(ServerError, match="has said nothing"):
        ask(server.server, plan(**script), **limits)


def test_a_proxy_in_the_environment_is_not_asked_for_loopback(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert ask(server.server, "Hi")[0] == "You said: Hi"


def test_cancelling_closes_the_stream_and_the_server_notices(server: Stub) -> None:
    async def leave_after_three() -> list[str]:
        pieces: list[str] = []
        three = asyncio.Event()

        async def read() -> None:
            prompt = [{"role": "user", "content": plan(tokens=100_000, delay_s=0.01)}]
            async for part in stream_chat(server.server, prompt, ChatParams(max_tokens=20_000)):
                assert isinstance(part, str)
                pieces.append(part)
                if len(pieces) == 3:
                    three.set()

        task = asyncio.create_task(read())
        await three.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pieces

    assert len(asyncio.run(leave_after_three())) >= 3
    until(lambda: server.cancelled() == 1, 10, "the server saw that its reader left")


def test_cancelling_works_while_the_server_still_reads_the_prompt(server: Stub) -> None:
    async def leave() -> None:
        prompt = [{"role": "user", "content": plan(tokens=1, first_delay_s=60)}]
        parts = stream_chat(server.server, prompt, ChatParams())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(parts), 0.3)

    asyncio.run(leave())


def conversation(turns: int) -> list[Message]:
    """``turns`` turns of 8 words a prompt and 2 an answer, and a last prompt."""
    found: list[Message] = []
    for n in range(turns):
        for role, text in (("user", f"q{n} one two three four five six seven"), ("assistant", f"a{n} ok")):
            found.append(Message(len(found), "c", role, text, "done", 0.0, 0.0))
    return [*found, Message(len(found), "c", "user", "the last question", "done", 0.0, 0.0)]


async def fitted(server: Server, messages: list[Message], params: ChatParams) -> tuple[list[int], str]:
    left_out, text = [], ""
    async with contextlib.aclosing(fitted_stream(server, messages, params)) as parts:
        async for part in parts:
            if isinstance(part, int):
                left_out.append(part)
            elif isinstance(part, str):
                text += part
    return left_out, text


@pytest.mark.parametrize("said_length", [0, 2000])
def test_a_conversation_that_the_server_finds_too_long_loses_its_oldest_turns_until_it_fits(said_length: int) -> None:
    with stub(script={"limit": 40}, context_length=said_length) as server:
        params = ChatParams(system="Be brief", max_tokens=64)
        left_out, text = asyncio.run(fitted(server.server, conversation(30), params))
        assert text == "You said: the last question"
        assert left_out[0] == 0
        assert left_out == sorted(left_out)
        sent = server.requests()[-1]["messages"]
        assert sent[0] == {"role": "system", "content": "Be brief"}
        assert sent[-1]["content"] == "the last question"
        assert len(sent) == 1 + 61 - left_out[-1]
        assert len(server.requests()) <= 6


def test_a_prompt_that_alone_is_too_long_ends_with_a_clear_message_and_few_requests() -> None:
    with stub(script={"limit": 5}, context_length=4096) as server:
        messages = [*conversation(3)[:-1], Message(9, "c", "user", "word " * 30, "done", 0.0, 0.0)]
        with pytest.raises(ServerError, match="too long for 'stub': 150 characters; it reads at most 4,096 tokens"):
            asyncio.run(fitted(server.server, messages, ChatParams()))
        assert 1 < len(server.requests()) <= 5
