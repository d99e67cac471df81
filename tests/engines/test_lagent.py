"""Lagent in its environment: a model calls a tool through Lagent's own agent, and what goes wrong is said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from backend.engines import engines
from backend.envs import running
from backend.envs.status import Status
from backend.errors import PanelError
from jobs.selftests import lagent
from jobs.serving.plan import KEY_VARIABLE
from tests.engines.conftest import Tested
from tests.support.stub_openai import stub

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(environment: Callable[[str], Status]) -> Ask:
    """Lagent asks a server that does what ``script`` says."""
    found = environment("lagent")
    assert found.python is not None
    environ = running.environ(engines()["lagent"], found.python, "cpu")

    def run(key: str = "", **script: Any) -> subprocess.CompletedProcess[str]:
        with stub(script=script) as server:
            argv = [str(found.python), str(lagent.SHIM), server.server.base_url, "stub", lagent.QUESTION]
            given = {**environ, KEY_VARIABLE: key or server.server.key, "http_proxy": "http://127.0.0.1:1"}
            return subprocess.run(argv, env=given, capture_output=True, text=True, timeout=120)

    return run


def test_the_starter_calls_a_tool_and_tells_what_it_got(tested: Tested) -> None:
    report = tested("lagent")
    assert [(each.name, each.outcome, str(each.problem or "")) for each in report.checks[1:]] == [
        (lagent.CALL, "passed", "")
    ]
    figures = report.checks[1].figures
    assert figures["Call"] == 'calculator({"expression": "12 + 30"})'
    assert figures["Result"] == "42"
    assert "42" in figures["Answer"]


def test_prose_instead_of_the_form_is_no_call_and_what_was_said_is_shown(ask: Ask) -> None:
    done = ask(say="Certainly! The answer is 42.")
    assert done.returncode == 0, done.stderr
    with pytest.raises(PanelError, match="has called no tool") as caught:
        lagent.figures(json.loads(done.stdout.splitlines()[-1]))
    assert "Certainly! The answer is 42." in str(caught.value)


def test_arguments_that_are_no_json_are_a_failed_call(ask: Ask) -> None:
    done = ask(say="Thought: I should.\nAction: calculator\nAction Input: expression=12 + 30")
    with pytest.raises(PanelError, match="invalid json format: expression=12"):
        lagent.figures(json.loads(done.stdout.splitlines()[-1]))


def test_the_calculator_calculates_and_does_nothing_else(ask: Ask) -> None:
    said = 'Thought: I should.\nAction: calculator\nAction Input: {"expression": "__import__(\'os\').getpid()"}'
    done = ask(say=said)
    with pytest.raises(PanelError, match="only numbers"):
        lagent.figures(json.loads(done.stdout.splitlines()[-1]))


def test_a_server_that_refuses_is_heard_and_not_asked_for_ever(ask: Ask) -> None:
    refused = ask(status=503, message="The model is asleep")
    assert refused.returncode == 1
    assert "the server said 503" in refused.stderr
    assert "The model is asleep" in refused.stderr
    assert "Incorrect API key" in ask(key="another").stderr
