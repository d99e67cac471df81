"""``python -m backend agent run`` as a process: the answer on standard output, steps beside it, one JSON document, reasons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backend.agent import mcp_servers
from backend.agent.mcp_servers import Secrets, Server
from backend.agent.store import AgentStore, lock_of
from backend.queue import locks
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.agents import final, react
from tests.support.panel import end_all_of
from tests.support.stub_openai import Stub, published, stub
from tests.support.wait import until

SUM = react("calculator", "expression=6*7")


@pytest.fixture(autouse=True)
def _short_idle(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Iterator[None]:
    monkeypatch.setenv("TUNEDECK_AGENT_IDLE_S", "0.2")
    yield
    conversations = [each.id for each in AgentStore(workspace).conversations()]
    until(lambda: not any(locks.held(lock_of(workspace, each)) for each in conversations), 20, "all workers have left")
    end_all_of(workspace)


@contextmanager
def model(store: Store, *replies: dict[str, Any]) -> Iterator[Stub]:
    with stub(script={"replies": list(replies)}) as running, published(store, running):
        yield running


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "backend", "agent", "run", "stub", *args]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
    )


def test_the_answer_stands_alone_and_the_steps_beside_it(store: Store) -> None:
    with model(store, SUM, final("It is 42.")):
        done = run("What is 6 * 7?", "--tools", "calculator", "--protocol", "react")

    assert (done.returncode, done.stdout) == (0, "It is 42.\n")
    assert 'Call: calculator({"expression": "6*7"})' in done.stderr
    assert "Repaired (" in done.stderr
    assert "Result: 42" in done.stderr


def test_json_holds_steps_repairs_and_figures(store: Store) -> None:
    with model(store, SUM, final("It is 42.")):
        done = run("What is 6 * 7?", "--tools", "calculator", "--protocol", "react", "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["state"], told["answer"], told["protocol"]) == ("done", "It is 42.", "react")
    first, second = told["steps"]
    assert first["calls"] == [
        {"tool": "calculator", "arguments": {"expression": "6*7"}, "state": "done", "result": "42", "files": [],
         "error": None, "seconds": first["calls"][0]["seconds"]}
    ]  # fmt: skip
    assert first["repairs"]
    assert second["answer"] == "It is 42."
    assert second["prompt_tokens"] > 0


def test_why_there_is_no_answer_is_said_and_the_exit_code_is_1(store: Store) -> None:
    with model(store, SUM):
        human = run("What?", "--tools", "calculator", "--protocol", "react", "--no-repair")
        machine = run("What?", "--tools", "calculator", "--protocol", "react", "--no-repair", "--json")

    assert (human.returncode, machine.returncode) == (1, 1)
    assert "repairs are switched off" in human.stderr
    assert json.loads(machine.stdout)["problem"]["code"] == "needs_repair"


def test_a_tool_that_there_is_not_is_refused_before_anything_is_asked(store: Store) -> None:
    with model(store, SUM) as server:
        done = run("What?", "--tools", "calculator,teleport")
        assert server.requests() == []

    assert done.returncode == 1
    assert "There is no tool 'teleport'" in done.stderr
    assert "calculator, python" in done.stderr


def test_a_conversation_goes_on(store: Store) -> None:
    with model(store, final("One."), final("Two.")) as server:
        first = json.loads(run("First?", "--protocol", "react", "--json").stdout)
        second = json.loads(
            run("Second?", "--protocol", "react", "--json", "--conversation", first["conversation"]).stdout
        )
        said = [m["content"] for m in server.requests()[-1]["messages"]]

    assert second["answer"] == "Two."
    assert said[-3] == "First?"


def test_what_acts_outside_is_refused_where_nobody_can_be_asked_unless_it_is_allowed(
    workspace: Workspace, store: Store
) -> None:
    server = Server("outside", "stdio", command=sys.executable, args=("-m", "tests.support.mcp_server", "stdio"))
    mcp_servers.add(workspace, server, Secrets(env={"PYTHONPATH": str(ROOT)}))
    echo = react("outside__echo", '{"text": "hello"}')
    options = ("--tools", "mcp:outside", "--protocol", "react", "--json")
    with model(store, echo, final("No."), echo, final("Yes.")):
        refused = json.loads(run("Say hello", *options).stdout)
        allowed = json.loads(run("Say hello", *options, "--allow", "outside__echo").stdout)

    assert refused["steps"][0]["calls"][0]["state"] == "refused"
    assert allowed["steps"][0]["calls"][0]["result"] == "hello"


def test_ctrl_c_stops_the_turn(workspace: Workspace, store: Store) -> None:
    with model(store, {"tokens": 5000, "delay_s": 0.02}) as server:
        running = subprocess.Popen(
            command("Tell me everything", "--protocol", "react"),
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ),
        )  # fmt: skip
        try:
            agents = AgentStore(workspace)
            until(
                lambda: [t for t in agents.live() if any(s.reply for s in agents.steps([t.id]))], 30, "it is answering"
            )
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 130
        finally:
            running.kill()
            running.communicate()
        until(lambda: server.cancelled() == 1, 10, "the server is let go")
