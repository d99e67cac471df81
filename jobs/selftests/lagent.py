"""Lagent: one tool call. The starter model is served, Lagent's own ReAct agent asks it, and the tool that it calls is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import ROOT
from jobs.selftests.served import served
from jobs.selftests.testing import Test
from jobs.serving.plan import KEY_VARIABLE

SHIM = ROOT / "jobs" / "shims" / "lagent_tool_call.py"
CALL = N_("One tool call")
QUESTION = "What is 12 + 30?"
"""In the words that the starter model was trained on; the call and its arguments are its own."""
CALL_S = 180.0


def run(test: Test) -> None:
    test.check(CALL, lambda: _call(test))


def _call(test: Test) -> dict[str, str]:
    with served(test) as server:
        argv: list[str | Path] = [test.python, SHIM, server.base_url, server.model, QUESTION]
        # The key by the environment: everybody on this machine can read command lines.
        said = test.child(argv, CALL_S, environ={KEY_VARIABLE: server.key}).stdout
    return figures(json.loads(said.strip().rpartition("\n")[2]))


def figures(reply: Mapping[str, Any]) -> dict[str, str]:
    """What ``reply`` of the shim shows.

    Raises:
        PanelError: ``lagent_no_call``: the model has called no tool, with what it said; ``lagent_call_failed``.
    """
    calls = [action for action in reply["actions"] if action["type"] == "calculator"]
    if not calls:
        raise PanelError(
            "lagent_no_call",
            N_("Lagent has called no tool. The model said: {said}"),
            N_("The model answered in another form than the agent reads. The log of this job has all that it said."),
            said=" ⏎ ".join(" ".join(reply["said"]).splitlines())[:500] or "-",
        )
    call = calls[0]
    if call["error"] or not call["result"]:
        raise PanelError(
            "lagent_call_failed",
            N_("Lagent called the tool with {arguments}, and it failed: {problem}"),
            N_("The log of this job has all that the model said."),
            arguments=json.dumps(call["args"], ensure_ascii=False),
            problem=call["error"] or "-",
        )
    return {
        N_("Question"): QUESTION,
        N_("Call"): f"{call['type']}({json.dumps(call['args'], ensure_ascii=False)})",
        N_("Result"): call["result"],
        N_("Answer"): reply["answer"].strip(),
    }
