"""Lagent's self-test judged from what its agent did: a call that worked is shown, everything else is said."""

from __future__ import annotations

from typing import Any

import pytest

from backend.engines import engines
from backend.errors import PanelError
from jobs.selftests import lagent

FINISH = {"type": "FinishAction", "args": {"text": " The result is 42."}, "result": " The result is 42.", "error": ""}
CALL = {"type": "calculator", "args": {"expression": "12 + 30"}, "result": "42", "error": ""}


def reply(*actions: dict[str, Any], said: tuple[str, ...] = ("Thought: hm",)) -> dict[str, Any]:
    return {"actions": list(actions), "answer": " The result is 42.", "said": list(said)}


def test_a_call_its_result_and_the_answer_are_shown() -> None:
    assert lagent.figures(reply(CALL, FINISH)) == {
        "Question": "What is 12 + 30?",
        "Call": 'calculator({"expression": "12 + 30"})',
        "Result": "42",
        "Answer": "The result is 42.",
    }


def test_an_answer_without_a_call_is_no_success_however_right_it_is() -> None:
    with pytest.raises(PanelError) as caught:
        lagent.figures(reply(FINISH, said=("Thought: easy.\nFinal Answer: 42",)))
    assert caught.value.code == "lagent_no_call"
    assert "Thought: easy. ⏎ Final Answer: 42" in str(caught.value)
    with pytest.raises(PanelError, match="The model said: -"):
        lagent.figures(reply(said=()))


def test_a_call_that_failed_is_told_with_its_arguments() -> None:
    with pytest.raises(PanelError) as caught:
        lagent.figures(reply({**CALL, "args": {"inputs": "x=1"}, "result": "", "error": "invalid json format: x=1"}))
    assert caught.value.code == "lagent_call_failed"
    assert str(caught.value).startswith('Lagent called the tool with {"inputs": "x=1"}, and it failed: invalid json')


def test_it_is_offered_to_agents_and_computes_nothing() -> None:
    engine = engines()["lagent"]
    assert engine.roles == ("agent",)
    assert engine.recipe is not None
    assert engine.recipe.flavours == ("cpu",)
    assert {each.problem.code for each in engine.capabilities() if each.problem} == {"engine_missing_environment"}
