"""``python -m backend chat`` as a process: streamed text, one JSON document, and errors that say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.panel import end_all_of
from tests.support.stub_openai import Stub, published, stub


@pytest.fixture
def server(store: Store) -> Iterator[Stub]:
    with stub() as running, published(store, running):
        yield running


def chat(*args: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend", "chat", *args]
    return subprocess.run(command, cwd=ROOT, input=text or "", capture_output=True, text=True, timeout=100)


def test_the_answer_goes_to_standard_output_and_nothing_else_does(server: Stub) -> None:
    done = chat("stub", "你好 there")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: 你好 there\n", "")


def test_the_prompt_can_come_from_standard_input_and_settings_reach_the_server(server: Stub) -> None:
    done = chat(
        "stub", "-", "--system", "Be brief", "--temperature", "0", "--seed", "3", "--max-tokens", "9", text="Hi"
    )
    assert done.stdout == "You said: Hi\n"
    asked = server.requests()[-1]
    assert (asked["temperature"], asked["seed"], asked["max_tokens"]) == (0, 3, 9)
    assert [m["content"] for m in asked["messages"]] == ["Be brief", "Hi"]


def test_deterministic_overrules_what_is_left_to_chance(server: Stub) -> None:
    chat("stub", "Hi", "--deterministic", "--temperature", "1.5")
    asked = server.requests()[-1]
    assert (asked["temperature"], asked["top_p"], asked["seed"]) == (0, 1, 0)


def test_json_is_one_document_with_the_figures(server: Stub) -> None:
    data: dict[str, Any] = json.loads(chat("stub", "Hi", "--json").stdout)
    assert data["answer"] == "You said: Hi"
    assert data["model"] == "stub"
    assert (data["completion_tokens"], data["counted"], data["finish_reason"]) == (3, True, "stop")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("starter", "Hi"), "model_not_running", "Add --start to start it now"),
        (("nothing", "Hi", "--start"), "model_unknown", "There is no model called 'nothing'"),
        (("stub", "Hi", "--temperature", "9", "--top-p", "7"), "chat_params_bad", "temperature"),
        (("stub", "  "), "prompt_empty", "nothing to send"),
        (("stub", '!{"tokens": 9, "die_at": 2}'), "server_died", "stopped in the middle"),
    ],
)
def test_what_goes_wrong_is_one_json_error_with_what_to_do(
    server: Stub, args: tuple[str, ...], code: str, says: str
) -> None:
    done = chat(*args, "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (1, code)
    assert says in f"{error['message']} {error['hint']}"
    assert error["hint"]


def test_without_json_an_error_is_a_sentence_beside_what_was_said(server: Stub) -> None:
    done = chat("stub", '!{"tokens": 9, "die_at": 2}')
    assert (done.returncode, done.stdout) == (1, "w0 w1 ")
    assert done.stderr.startswith("The server of 'stub' stopped in the middle of the answer.")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_start_brings_the_model_up_says_how_far_it_is_and_then_answers(workspace: Workspace, store: Store) -> None:
    try:
        done = chat("starter", "Hello", "--start", "--max-tokens", "32")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        assert "Starting starter" in done.stderr
        assert [row.state for row in store.list(verb="serve")] == ["running"]
    finally:
        end_all_of(workspace.root)
