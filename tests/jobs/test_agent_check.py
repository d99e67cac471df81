"""The protocol check as a real process, over a real server on loopback: what is scored, kept, gone on with, and told in a shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.agent import checks
from backend.agent.calls import PROTOCOLS
from backend.agent.checks_tasks import TASKS
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.agent_tasks import replies
from tests.support.jobs import Queue
from tests.support.stub_openai import published, stub
from tests.support.wait import until


def start(workspace: Workspace, **spec: Any) -> subprocess.Popen[str]:
    job = folder(workspace)
    job.mkdir(exist_ok=True)
    (job / "spec.json").write_text(json.dumps({"model": "stub", **spec}))
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.agent_check", str(job / "spec.json")],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_WORKSPACE": str(workspace.root), "TUNEDECK_JOB_DIR": str(job)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def folder(workspace: Workspace) -> Path:
    return workspace.root.parent / "job"


def ended(process: subprocess.Popen[str], workspace: Workspace) -> tuple[int, dict[str, Any], str]:
    output, _ = process.communicate(timeout=100)
    result = folder(workspace) / "result.json"
    return process.returncode, json.loads(result.read_text()) if result.is_file() else {}, output


def scored(workspace: Workspace) -> int:
    path = folder(workspace) / "checked.json"
    return sum(map(len, json.loads(path.read_text())["came"].values())) if path.exists() else 0


def test_a_model_that_does_everything_rightly_passes_all_tasks_in_every_form(
    workspace: Workspace, store: Store
) -> None:
    said = [reply for protocol in PROTOCOLS for reply in replies(protocol)]
    with stub(script={"replies": said}) as server, published(store, server):
        code, result, output = ended(start(workspace), workspace)
        assert code == 0, output
        assert len(server.requests()) == len(said) == 3 * (15 * 2 + 2 * 3 + 3)
    for protocol in PROTOCOLS:
        told = result["protocols"][protocol]
        assert (told["passed"], told["called"], told["answered"], told["of"]) == (20, 20, 20, 20), output
        assert (told["repaired"], told["problems"]) == (0, {})
    assert result["use"] == "openai"
    record = checks.read(workspace, "stub")
    assert record is not None
    assert {name: score.passed for name, score in record.protocols.items()} == dict.fromkeys(PROTOCOLS, 20)
    assert checks.choose(workspace, "stub") == "openai"


def test_a_model_that_knows_one_form_only_is_recommended_that_one(workspace: Workspace, store: Store) -> None:
    said = [reply for _protocol in PROTOCOLS for reply in replies("react", checks.chosen(4))]
    with stub(script={"replies": said}) as server, published(store, server):
        code, result, output = ended(start(workspace, limit=4, protocols=["react"]), workspace)
    assert (code, result["use"], result["protocols"]["react"]["passed"]) == (0, "react", 4), output
    assert "Use ReAct for this model: it passed 4 of 4 tasks." in output


def test_calls_that_were_nearly_right_are_passed_and_counted_as_repaired(workspace: Workspace, store: Store) -> None:
    tasks = checks.chosen(2)
    said = replies("react", tasks)
    said[0]["say"] = said[0]["say"].replace('{"city": "Lisbon"}', "city=Lisbon")
    with stub(script={"replies": said}) as server, published(store, server):
        code, result, output = ended(start(workspace, limit=2, protocols=["react"]), workspace)
    told = result["protocols"]["react"]
    assert (code, told["passed"], told["repaired"]) == (0, 2, 1), output


def test_a_model_that_only_talks_fails_what_needs_a_tool(workspace: Workspace, store: Store) -> None:
    with stub(script={"say": "I cannot do that."}) as server, published(store, server):
        code, result, output = ended(start(workspace, protocols=["openai"]), workspace)
    told = result["protocols"]["openai"]
    assert (code, result["use"], told["passed"], told["called"], told["answered"]) == (0, None, 0, 3, 0), output
    assert "No task that needs a tool was passed in any form." in output
    assert checks.choose(workspace, "stub") is None


def test_a_form_that_the_server_refuses_is_scored_and_does_not_end_the_check(
    workspace: Workspace, store: Store
) -> None:
    script = {"status": 400, "code": "bad_template", "message": "Conversation roles must alternate"}
    with stub(script=script) as server, published(store, server):
        code, result, output = ended(start(workspace, limit=2, protocols=["internlm2"]), workspace)
    assert (code, result["protocols"]["internlm2"]["passed"]) == (0, 0), output
    record = checks.read(workspace, "stub")
    assert record is not None
    assert {each.error["code"] for each in record.protocols["internlm2"].tasks} == {"request_refused"}


def test_a_server_that_dies_ends_the_check_and_what_was_scored_stays(workspace: Workspace, store: Store) -> None:
    said = [*replies("react", TASKS[:2]), {"say": "x y z", "die_at": 1}]
    with stub(script={"replies": said}) as server, published(store, server):
        code, result, output = ended(start(workspace, protocols=["react"]), workspace)
    assert (code, result["error"]["code"]) == (1, "server_died"), output
    assert scored(workspace) == 2
    assert checks.read(workspace, "stub") is None


def test_a_stopped_check_goes_on_with_what_is_not_scored(workspace: Workspace, store: Store) -> None:
    said = replies("react")
    slow = {**said[4], "first_delay_s": 60}
    with stub(script={"replies": [*said[:4], slow]}) as server, published(store, server):
        process = start(workspace, protocols=["react"])
        until(lambda: len(server.requests()) == 5, 60, "the third task is asked")
        process.send_signal(signal.SIGINT)
        code, result, output = ended(process, workspace)
        assert (code, result) == (130, {}), output
    assert scored(workspace) == 2
    with stub(script={"replies": said[4:]}) as server, published(store, server):
        code, result, output = ended(start(workspace, protocols=["react"]), workspace)
        assert len(server.requests()) == len(said) - 4
    assert (code, result["protocols"]["react"]["passed"]) == (0, 20), output


def test_a_model_that_changed_meanwhile_is_asked_everything_again(workspace: Workspace, store: Store) -> None:
    folder(workspace).mkdir()
    came = {"react": [{"task": "en_weather", "called": True, "answered": True}]}
    (folder(workspace) / "checked.json").write_text(json.dumps({"fingerprint": "of before", "came": came}))
    said = replies("react", checks.chosen(2))
    with stub(script={"replies": said}) as server, published(store, server):
        code, _result, output = ended(start(workspace, limit=2, protocols=["react"]), workspace)
        assert (code, len(server.requests())) == (0, len(said)), output


def test_the_shell_prints_a_line_for_each_form_and_one_document(workspace: Workspace, store: Store) -> None:
    said = replies("react", checks.chosen(2))
    command = [sys.executable, "-m", "backend", "agent", "check", "stub", "--show"]
    none = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (none.returncode, json.loads(none.stdout)["error"]["code"]) == (1, "agent_check_none")
    with stub(script={"replies": said}) as server, published(store, server):
        assert ended(start(workspace, limit=2, protocols=["react"]), workspace)[0] == 0
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100).stdout.splitlines()
    assert told == [
        "react: 2 of 2 passed; called right 2, answered right 2, repaired 0",
        "Use ReAct for this model: it passed 2 of 2 tasks.",
    ]
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    data = json.loads(done.stdout)
    assert (data["use"], data["protocols"]["react"]["passed"]) == ("react", 2)
    first = data["protocols"]["react"]["tasks"][0]
    assert (first["task"], first["expected"], first["passed"]) == ("en_weather", ['weather(city="Lisbon")'], True)


@pytest.mark.slow
def test_the_shipped_model_is_served_and_checked_in_one_command(
    workspace: Workspace, store: Store, queue: Queue
) -> None:
    command = [sys.executable, "-m", "backend", "agent", "check", "starter", "--limit", "2", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(done.stdout)
    assert {name: score["of"] for name, score in data["protocols"].items()} == dict.fromkeys(PROTOCOLS, 2)
    assert data["fingerprint"] == checks.fingerprint(workspace, "starter") != ""
