"""The serve job as a real process with a real engine. One server answers for all of this module; what it must say is
known, because the model is scripted (see :mod:`tests.support.scripted_model`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from backend.queue.events import merge_progress, read_events
from backend.servers import Server
from tests.support.scripted_model import build
from tests.support.server import Client, ServeJob
from tests.support.wait import until

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "add", "description": "Add", "parameters": {"type": "object"}}}
]
GREETING = "Good morning, dear friend."


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeJob]:
    folder = tmp_path_factory.mktemp("serve")
    # An @ in the path is how the engine's own command line marks a revision; a blank and an emoji are just unkind.
    running = ServeJob(folder / "job", model=str(build(folder / "my model@home 😀")), name="scripted")
    yield running
    running.end()


@pytest.fixture(scope="module")
def server(job: ServeJob) -> Server:
    return job.ready()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    made = Client(server)
    yield made
    made.http.close()


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0)
    yield made
    made.close()


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a refused request, after a look at its shape."""
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


# --- being a server


def test_ready_means_published_with_a_private_file(job: ServeJob, server: Server) -> None:
    assert server.model == "scripted"
    assert server.base_url.startswith("http://127.0.0.1:")
    assert server.context_length == 4096
    assert set(server.capabilities) == {"chat", "completions", "tools"}
    assert (job.dir / "endpoint.json").stat().st_mode & 0o077 == 0
    assert job.phases() == ["check", "load", "ready"]


def test_the_key_is_in_no_log_plan_command_line_or_event(job: ServeJob, server: Server) -> None:
    assert server.key not in job.log.read_text()
    assert server.key not in (job.dir / "serving.json").read_text()
    assert server.key not in (job.dir / "events.jsonl").read_text()
    assert server.key not in " ".join(job.engine().cmdline())


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic {key}", "{key}", "Bearer {key}x"])
def test_without_the_key_nothing_is_answered(server: Server, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.format(key=server.key)}
    closed = [("GET", p) for p in ("/v1/models", "/status", "/metrics", "/nope")] + [("POST", "/v1/chat/completions")]
    for method, path in closed:
        answer = httpx.request(method, server.base_url.removesuffix("/v1") + path, headers=headers, trust_env=False)
        assert error_of(answer, 401)["code"] == "invalid_api_key"


def test_health_needs_no_key_and_tells_nothing(server: Server) -> None:
    answer = httpx.get(server.base_url.removesuffix("/v1") + "/health", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_model_list_has_this_model_under_its_name(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["scripted"]
    assert sdk.models.retrieve("scripted").id == "scripted"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("other")


@pytest.mark.parametrize("name", ["other", "scripted@v2", "/etc", "scripted "])
def test_an_unknown_model_is_a_404_that_names_the_right_one(client: Client, name: str) -> None:
    error = error_of(client.chat("greet", model=name), 404)
    assert error["code"] == "model_not_found"
    assert "'scripted'" in error["message"]


def test_the_path_and_the_revision_suffix_are_names_too_and_replies_use_the_own_name(client: Client) -> None:
    for name in ("scripted", "scripted@main", client.server.path):
        answer = client.chat("greet", model=name)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "scripted"


def test_an_unknown_address_is_an_error_in_openais_shape(client: Client) -> None:
    assert error_of(client.http.get("/nothing"), 404)["code"] == "unknown_url"
    assert error_of(client.http.get("/chat/completions"), 404)["code"] == "unknown_url"


def test_the_engines_own_routes_that_load_other_models_are_not_there(client: Client) -> None:
    root = client.server.base_url.removesuffix("/v1")
    for path in ("/load_model", "/reset", "/v1/responses"):
        assert client.http.post(root + path, json={"model": "/etc"}).status_code == 404


# --- answering


def test_plain_answer(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="scripted", messages=[{"role": "user", "content": "please greet"}])
    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    # six pieces and the end of the sequence
    assert (answer.usage.completion_tokens, answer.usage.total_tokens) == (7, answer.usage.prompt_tokens + 7)


def test_streamed_answer_says_the_same_and_counts_tokens_when_asked(sdk: openai.OpenAI, client: Client) -> None:
    stream = sdk.chat.completions.create(
        model="scripted",
        messages=[{"role": "user", "content": "greet"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == GREETING
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 7
    assert all(c.usage is None for c in chunks[:-1])
    quiet = client.events("greet")
    assert quiet[-1] == "[DONE]"
    assert not any("usage" in event for event in quiet[:-1])
    assert quiet[0]["choices"][0]["delta"]["role"] == "assistant"


def test_chinese_emoji_and_right_to_left_survive(client: Client) -> None:
    assert client.say("مرحبا שלום 👩‍👩‍👧‍👦 问候") == "你好，朋友😀！"
    text = "".join(e["choices"][0]["delta"].get("content", "") for e in client.events("🏳️‍🌈 问候")[:-1])
    assert text == "你好，朋友😀！"


def test_a_lone_surrogate_is_replaced_and_answered(client: Client) -> None:
    raw = '{"model": "scripted", "messages": [{"role": "user", "content": "\\ud83d greet"}]}'
    answer = client.http.post("/chat/completions", content=raw)
    assert answer.json()["choices"][0]["message"]["content"] == GREETING


def test_content_parts_are_joined_and_images_refused_by_name(client: Client) -> None:
    parts = [{"type": "text", "text": "please"}, {"type": "text", "text": "greet"}]
    assert client.chat([{"role": "user", "content": parts}]).json()["choices"][0]["message"]["content"] == GREETING
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    error = error_of(client.chat([{"role": "user", "content": image}]), 400)
    assert "image_url" in error["message"]


def test_completions_continue_the_text(sdk: openai.OpenAI, client: Client) -> None:
    answer = sdk.completions.create(model="scripted", prompt="please greet", max_tokens=50)
    assert answer.choices[0].text == GREETING
    events = client.events("please greet", path="/completions", max_tokens=3)
    assert "".join(e["choices"][0]["text"] for e in events[:-1]) == "Good morning,"
    assert events[-2]["choices"][0]["finish_reason"] == "length"


def test_completions_with_no_tokens_or_echo(client: Client) -> None:
    answer = client.http.post("/completions", json={"model": "scripted", "prompt": "greet", "max_tokens": 0})
    assert answer.json()["choices"][0] == {"index": 0, "finish_reason": "length", "logprobs": None, "text": ""}
    echoed = client.http.post(
        "/completions", json={"model": "scripted", "prompt": [[4]], "max_tokens": 2, "echo": True}
    )
    assert echoed.json()["choices"][0]["text"].endswith("Good morning")


# --- steering


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_token_limit_are_kept(client: Client, name: str) -> None:
    answer = client.chat("loop", **{name: 5}).json()
    assert answer["choices"][0]["message"]["content"] == "la" * 5
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_zero_is_refused_with_the_fields_name(client: Client, name: str) -> None:
    error = error_of(client.chat("greet", **{name: 0}), 400)
    assert error["param"] == name


@pytest.mark.parametrize("stop", ["friend", ["nowhere", "dear fri"], "morning, dear", "."])
def test_the_answer_ends_before_the_stop_string(client: Client, stop: str | list[str]) -> None:
    first = min(GREETING.find(s) for s in ([stop] if isinstance(stop, str) else stop) if s in GREETING)
    answer = client.chat("greet", stop=stop).json()["choices"][0]
    assert (answer["message"]["content"], answer["finish_reason"]) == (GREETING[:first], "stop")
    events = client.events("greet", stop=stop)
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1]) == GREETING[:first]


def test_a_stop_string_that_only_begins_loses_no_text(client: Client) -> None:
    assert client.say("greet", stop="friend!") == GREETING
    assert client.say("greet", stop="") == GREETING


def test_a_stop_string_ends_the_computing_too(client: Client) -> None:
    before = client.status()["tokens"]
    assert client.say("loop", stop="lalala", max_tokens=3000) == ""
    until(lambda: client.status()["computing"] == 0, 20, "the answer is over")
    assert client.status()["tokens"] - before < 1000


def test_a_seed_repeats_the_answer_and_no_seed_does_not(client: Client) -> None:
    ask: dict[str, Any] = {"temperature": 1, "max_tokens": 40}
    assert client.say("dice", seed=7, **ask) == client.say("dice", seed=7, **ask)
    assert client.say("dice", seed=7, **ask) != client.say("dice", seed=8, **ask)
    assert client.say("dice", **ask) != client.say("dice", **ask)


def test_temperature_top_k_and_top_p_are_used(client: Client) -> None:
    ask: dict[str, Any] = {"max_tokens": 60}
    assert client.say("coin", temperature=0, **ask) == "heads" * 60
    assert "tails" in client.say("coin", temperature=1, **ask)
    assert client.say("coin", temperature=1, top_k=1, **ask) == "heads" * 60
    assert client.say("coin", temperature=1, top_p=0.1, **ask) == "heads" * 60
    assert client.say("coin", temperature=0.01, **ask) == "heads" * 60
    assert len(set(client.say("dice", temperature=1, **ask))) > 3


def test_penalties_change_the_answer(client: Client) -> None:
    assert client.say("loop", max_tokens=3) == "lalala"
    assert client.say("loop", max_tokens=3, repetition_penalty=1.0, frequency_penalty=0) == "lalala"
    assert "di" in client.say("loop", max_tokens=3, repetition_penalty=3.0)
    # OpenAI's two penalties stay below the distance of these two pieces: they must at least be taken.
    assert client.say("loop", max_tokens=3, frequency_penalty=2, presence_penalty=2) == "lalala"
    assert "di" in client.say("loop", max_tokens=40, frequency_penalty=2)


def test_ignore_eos_writes_on_to_the_limit(client: Client) -> None:
    answer = client.chat("greet", ignore_eos=True, max_tokens=20).json()
    assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (20, "length")


def test_unknown_and_null_fields_are_ignored(client: Client) -> None:
    fields = {"user": "me", "metadata": None, "store": False, "top_k": 5, "n": None, "stop": None, "seed": None}
    assert client.say("greet", **fields, service_tier="auto", something_new={"a": 1}) == GREETING


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role"),
        ({"messages": "hello"}, "messages"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client: Client, fields: dict[str, Any], param: str) -> None:
    error = error_of(client.chat("greet", **fields), 400)
    assert (error["param"], error["type"]) == (param, "invalid_request_error")


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", '"x"', "[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_400(client: Client, raw: str) -> None:
    error_of(client.http.post("/chat/completions", content=raw), 400)


def test_a_missing_model_or_messages_is_named(client: Client) -> None:
    assert error_of(client.http.post("/chat/completions", json={"messages": []}), 400)["param"] == "model"
    error = error_of(client.http.post("/chat/completions", json={"model": "scripted"}), 400)
    assert (error["param"], error["code"]) == ("messages", "missing_required_parameter")


def test_a_template_that_refuses_the_conversation_says_why(client: Client) -> None:
    assert "this conversation is refused" in error_of(client.chat("refuse"), 400)["message"]


# --- length


def test_an_over_long_prompt_is_refused_with_both_counts(client: Client) -> None:
    error = error_of(client.chat("word " * 5000), 400)
    assert error["code"] == "context_length_exceeded"
    # "assistant: …" repeats the message in this template, so the count is the template's, not the text's.
    assert "4096" in error["message"]
    assert "10004" in error["message"]
    assert error_of(client.http.post("/completions", json={"model": "scripted", "prompt": "x " * 4096}), 400)


def test_a_prompt_of_100000_characters_is_refused_or_answered_but_never_garbage(client: Client) -> None:
    assert error_of(client.chat("ab " * 33_334), 400)["code"] == "context_length_exceeded"
    assert client.say("x" * 100_000 + " greet") == GREETING


def test_an_answer_that_meets_the_end_of_the_context_stops_with_length(client: Client) -> None:
    answer = client.chat("word " * 2040 + "loop", max_tokens=3000).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 4096


def test_a_request_larger_than_any_prompt_is_a_413(client: Client) -> None:
    error_of(client.chat("x" * (17 << 20)), 413)


# --- tools


def test_a_tool_call_comes_as_a_tool_call(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "please calculate"}], tools=TOOLS
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 2, "b": 3})


def test_a_streamed_tool_call_never_shows_its_json_as_text(client: Client) -> None:
    events = client.events("calculate", tools=TOOLS)
    deltas = [e["choices"][0]["delta"] for e in events[:-1]]
    assert "".join(d.get("content", "") for d in deltas) == ""
    calls = [c for d in deltas for c in d.get("tool_calls", [])]
    assert [(c["index"], c["function"]["name"]) for c in calls] == [(0, "add")]
    assert calls[0]["id"]
    assert events[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_the_result_of_a_tool_goes_back_into_the_conversation(client: Client) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}
    messages = [
        {"role": "user", "content": "calculate"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "5 greet"},
    ]
    assert client.chat(messages, tools=TOOLS).json()["choices"][0]["message"]["content"] == GREETING
    call["function"]["arguments"] = "{broken"  # type: ignore[index]
    error_of(client.chat(messages, tools=TOOLS), 400)


def test_without_tools_on_offer_json_is_just_text(client: Client) -> None:
    text = '{"name": "add", "parameters": {"a": 2, "b": 3}}'
    assert client.say("calculate") == text
    assert client.say("calculate", tools=TOOLS, tool_choice="none") == text


@pytest.mark.parametrize("limit", [100, 3])
def test_a_call_that_is_broken_or_cut_off_comes_out_as_the_text_it_is(client: Client, limit: int) -> None:
    whole = '{"name":"oops","parameters":{a: nonsense}'
    expected = whole if limit == 100 else '{"name":"oops","parameters":'
    answer = client.chat("mangle", tools=TOOLS, max_tokens=limit).json()["choices"][0]
    assert answer["message"]["content"] == expected
    assert answer["finish_reason"] == ("stop" if limit == 100 else "length")
    streamed = client.events("mangle", tools=TOOLS, max_tokens=limit)
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in streamed[:-1]) == expected


# --- leaving


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_the_computing(client: Client, stream: bool) -> None:
    before = client.status()["tokens"]
    body = {
        "model": "scripted",
        "stream": stream,
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "loop"}],
    }
    with httpx.Client(headers=client.http.headers, timeout=0.5, trust_env=False) as other:
        if stream:
            with other.stream("POST", f"{client.server.base_url}/chat/completions", json=body) as answer:
                # A piece of the answer is here, and the answer is not complete.
                next(line for line in answer.iter_lines() if '"content":"la' in line)
        else:
            with pytest.raises(httpx.ReadTimeout):
                other.post(f"{client.server.base_url}/chat/completions", json=body)
    until(lambda: client.status()["computing"] == 0, 30, "nothing is computed any more")
    assert client.status()["tokens"] - before < 3500
    assert client.say("greet") == GREETING


def test_eight_at_once_each_get_their_own_answer(client: Client) -> None:
    words = ["greet", "问候"] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client.say, words))
    assert answers == [GREETING, "你好，朋友😀！"] * 4


def test_metrics_reach_the_events(job: ServeJob, client: Client) -> None:
    client.say("greet")
    seen = until(
        lambda: (m := merge_progress({}, read_events(job.dir)[0]).get("metrics", {})).get("requests", 0) >= 1 and m,
        30,
        "a progress event tells of requests",
    )
    assert {"requests", "active", "tokens", "tokens_s", "rss_mib"} <= set(seen)


def test_zz_a_stop_during_an_answer_is_quick_and_leaves_nothing(job: ServeJob, client: Client) -> None:
    """Last in this module: it ends the server."""
    body = {"model": "scripted", "stream": True, "max_tokens": 4000, "messages": [{"role": "user", "content": "loop"}]}
    with client.http.stream("POST", "/chat/completions", json=body) as answer:
        next(answer.iter_lines())
        job.interrupt()
        assert job.wait(10) == 130
    assert job.left() == []
    assert not (job.dir / "endpoint.json").exists()
    assert not (job.dir / "result.json").exists()
