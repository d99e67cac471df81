"""The protocol check: its twenty tasks and their tools, what counts as right, which form is recommended, and where that is kept."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.agent import checks, checks_judging
from backend.agent.calls import PROTOCOLS, Call, Problem, Repair
from backend.agent.checks import Checked, Score
from backend.agent.checks_judging import Came, judged
from backend.agent.checks_tasks import BY_ID, TASKS, Task
from backend.agent.checks_tools import TOOLS, worth
from backend.agent.protocols.checking import fitted
from backend.agent.records import Called, Step
from backend.agent.tools import Context
from backend.errors import SpecError
from backend.specs.agent_check import AgentCheckSpec
from backend.workspace import Workspace
from tests.support import models
from tests.support.agent_tasks import ANSWERS, right_arguments, right_calls

NONE = Came("en_none", True, True)


def steps(*calls: Call, answer: str | None = None, repairs: tuple[Repair, ...] = ()) -> list[Step]:
    """A step for each call, and one for the answer."""
    made = [Step(n, 0, n, "done", calls=(Called(call, "done"),), model_s=1.0) for n, call in enumerate(calls, 1)]
    return [*made, Step(len(made) + 1, 0, len(made) + 1, "done", answer=answer, repairs=repairs, model_s=1.0)]


# --- the tasks


def test_there_are_twenty_tasks_in_two_languages_of_every_kind() -> None:
    assert Counter(task.lang for task in TASKS) == {"en": 12, "zh": 8}
    assert Counter(len(task.calls) for task in TASKS) == {0: 3, 1: 15, 2: 2}
    assert [task.near for task in TASKS if task.near] == ["calendar_add", "weather_history"]
    assert len(BY_ID) == len({task.text for task in TASKS}) == 20


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_each_task_can_be_done_with_what_it_offers(task: Task, workspace: Workspace, tmp_path: Path) -> None:
    said = ""
    for call in right_calls(task):
        assert call.name in task.tools
        assert fitted(TOOLS[call.name].tool, call.arguments, [], "") == call.arguments
        said = TOOLS[call.name].call(call.arguments, Context(workspace, tmp_path)).text
    assert task.near in ("", *task.tools)
    assert checks_judging.calls_right(task, right_calls(task))
    assert checks_judging.answer_right(task, ANSWERS[task.id])
    if task.calls:
        # What the last tool said is what the answer has to hold: it cannot be known otherwise.
        assert checks_judging.answer_right(task, said)
        assert not checks_judging.answer_right(task, task.text)


@pytest.mark.parametrize("task", [task for task in TASKS if task.near], ids=lambda task: task.id)
def test_the_tool_that_nearly_fits_is_not_right(task: Task) -> None:
    arguments = {name: right_arguments(task.calls[0]).get(name, "x") for name in TOOLS[task.near].tool.parameters["required"]}  # fmt: skip
    assert not checks_judging.calls_right(task, [Call(task.near, arguments)])
    assert not checks_judging.calls_right(task, [Call(task.near, arguments), *right_calls(task)])


def test_tools_answer_the_same_however_a_name_is_written_and_say_so_where_they_know_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    def say(name: str, **arguments: Any) -> str:
        context = Context(workspace, tmp_path)
        return TOOLS[name].call({key.rstrip("_"): value for key, value in arguments.items()}, context).text

    assert say("weather", city=" LISBON, Portugal") == say("weather", city="lisbon") == "Lisbon: 17 °C, light rain"
    assert say("weather", city="Atlantis") == "Nothing is known for {'city': 'Atlantis'}."
    assert say("unit_convert", value="150", from_="lbs", to="kg") == "150 pound = 68.04 kilogram"
    assert say("unit_convert", value="much", from_="lbs", to="kg").startswith("Nothing is known")
    assert say("calculate", expression="(3 + 4) × 5") == "35"
    assert say("calculate", expression="__import__('os')") == "This is no arithmetic expression."
    assert list(tmp_path.glob("*.txt")) == []


def test_an_expression_is_worth_its_value_and_a_bare_number_nothing() -> None:
    assert worth("4817*236") == worth("236 × 4817 =") == worth("(4817)*(236)") == 1136812
    assert worth("（1250-386）×47") == 40608
    assert worth("2^10") == 1024
    for bad in ("1136812", "", "x+1", "9**9**9", "1/0", "(" * 150, "1" + "+1" * 500):
        assert worth(bad) is None, bad


# --- what is right


@pytest.mark.parametrize(
    ("task", "name", "arguments", "right"),
    [
        ("en_weather", "weather", {"city": "lisbon"}, True),
        ("en_weather", "weather", {"city": "Lisbon, Portugal"}, True),
        ("en_weather", "weather", {"city": "Porto"}, False),
        ("en_weather", "weather", {"city": "Lisbon", "unit": "C"}, False),
        ("en_weather", "calendar", {"day": "Lisbon"}, False),
        ("en_units", "unit_convert", {"value": "26.20", "from": "Miles", "to": "KM"}, True),
        ("en_units", "unit_convert", {"value": 26, "from": "mile", "to": "km"}, False),
        ("en_units", "unit_convert", {"value": 26.2, "from": "km", "to": "mile"}, False),
        ("en_units", "unit_convert", {"value": [26.2], "from": "mile", "to": "km"}, False),
        ("en_files", "file_search", {"query": "Travel  Budget 2031"}, True),
        ("en_files", "file_search", {"query": "travel"}, False),
        ("en_sum", "calculate", {"expression": "236*4817"}, True),
        ("en_sum", "calculate", {"expression": "1136812"}, False),
        ("zh_weather", "weather", {"city": "成都市"}, True),
        ("zh_weather", "weather", {"city": "chengdu"}, True),
        ("zh_rate", "exchange_rate", {"from": "ＥＵＲ", "to": "cny"}, True),
    ],
)
def test_a_call_is_right_by_what_it_means(task: str, name: str, arguments: dict[str, Any], right: bool) -> None:
    assert checks_judging.calls_right(BY_ID[task], [Call(name, arguments)]) is right


def test_two_calls_are_right_only_in_their_order_and_each_once() -> None:
    task = BY_ID["en_two"]
    first, second = right_calls(task)
    assert checks_judging.calls_right(task, [first, second])
    for wrong in ([second, first], [first], [first, first, second], []):
        assert not checks_judging.calls_right(task, wrong)


@pytest.mark.parametrize(
    ("task", "answer", "right"),
    [
        ("en_sum", "It is 1,136,812.", True),
        ("en_sum", "It is 11,368,120", False),
        ("en_sum", "It is 1136812.0 in all", True),
        ("en_sum", None, False),
        ("en_weather", "17°C with light rain", True),
        ("en_weather", "It is 170 degrees", False),
        ("zh_near", "哈尔滨现在零下 9 度。", True),
        ("zh_near", "哈尔滨现在 9 度。", False),
        ("en_near", "A BOARD meeting at 15:00", True),
        ("en_near", "A board game", False),
        ("en_hello", "Hello!", True),
        ("en_hello", "I cannot do this", False),
        ("zh_none", "一年有十二个月", True),
        ("zh_none", "一年有 １２ 个月", True),
    ],
)
def test_an_answer_is_right_when_it_holds_the_figure_or_the_word(task: str, answer: str | None, right: bool) -> None:
    assert checks_judging.answer_right(BY_ID[task], answer) is right


def test_a_task_without_a_tool_is_not_passed_by_calling_one() -> None:
    call = Call("weather", {"city": "Paris"})
    came = judged(BY_ID["en_none"], steps(call, answer="Paris"), "Paris")
    assert (came.called, came.answered, came.passed) == (False, True, False)
    assert judged(BY_ID["en_none"], steps(answer="Paris"), "Paris").passed


def test_what_came_keeps_repairs_the_problem_and_the_time() -> None:
    problem = Problem("broken_json", "It wrote {what}.", "JSON", "x" * 5000, params={"what": "no JSON"})
    mended = Repair("bare_value", "city=Lisbon", '{"city": "Lisbon"}')
    found = [replace(steps(*right_calls(BY_ID["en_weather"]))[0], repairs=(mended,), problem=problem)]
    came = judged(BY_ID["en_weather"], found, None)
    assert (came.called, came.answered, came.repairs, came.seconds) == (True, False, ("bare_value",), 1.0)
    assert came.problem is not None
    assert len(came.problem.evidence) == 2000
    assert checks_judging.in_words(came) == 'weather(city="Lisbon") · It wrote no JSON.'
    assert checks_judging.in_words(NONE) == "no call"


def test_what_was_expected_can_be_read() -> None:
    told = [checks_judging.expected(call) for task in TASKS for call in task.calls]
    assert 'weather(city="Lisbon")' in told
    assert "calculate(expression=… = 1136812)" in told
    assert 'file_search(query="… budget …")' in told


# --- which form


def score(passed: int, *, called: int = 0, repairs: int = 0) -> Score:
    """Twenty tasks, the first of which are passed, and the next only called right."""
    mended = ("bare_value",) * repairs
    return Score(
        tuple(
            Came(task.id, n < passed + called, n < passed, repairs=mended if n == 0 else ())
            for n, task in enumerate(TASKS)
        )
    )


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ({"openai": score(3), "react": score(9), "internlm2": score(8)}, "react"),
        ({"openai": score(9, repairs=4), "react": score(9, repairs=1), "internlm2": score(2)}, "react"),
        ({"internlm2": score(9), "react": score(9), "openai": score(9)}, "openai"),
        ({"internlm2": score(9), "react": score(9)}, "react"),
        ({"openai": score(4, repairs=0), "react": score(4, called=6, repairs=3)}, "react"),
        ({}, None),
        ({"openai": score(0, called=9), "react": score(0)}, None),
    ],
)
def test_the_form_in_which_most_is_passed_is_the_best(scores: dict[str, Score], found: str | None) -> None:
    assert checks.best(Checked("m", "", 0.0, scores)) == found


def test_a_model_that_never_calls_a_tool_is_given_no_form_although_it_passes_the_tasks_without_one() -> None:
    silent = Score(tuple(Came(task.id, not task.calls, not task.calls) for task in TASKS))
    record = Checked("m", "", 0.0, {"react": silent})
    assert (silent.passed, silent.with_tool, checks.best(record)) == (3, 0, None)
    assert checks.sentence(record).startswith("No task that needs a tool was passed in any form.")


def test_what_to_do_is_one_sentence() -> None:
    told = checks.sentence(Checked("m", "", 0.0, {"react": score(17), "openai": score(2)}))
    assert told == "Use ReAct for this model: it passed 17 of 20 tasks."


# --- where it is kept


def test_a_check_is_kept_with_the_model_and_read_again(workspace: Workspace) -> None:
    problem = Problem("loop", "It said {what} again.", "Something else", helps=("try_again",), params={"what": "x"})
    came = (Came("zh_two", True, False, tuple(right_calls(BY_ID["zh_two"])), "?", ("bare_value",), problem, {}, 1.5),)
    record = Checked("a/b model 模型", "f", 12.5, {"react": Score(came)})
    checks.keep(workspace, record)
    assert checks.read(workspace, "a/b model 模型") == record
    assert [path.parent for path in workspace.root.glob("agent/checks/*.json")] == [workspace.root / "agent" / "checks"]
    assert checks.read(workspace, "a") is None


def test_forms_that_were_checked_before_stay_as_long_as_the_model_is_the_same(workspace: Workspace) -> None:
    checks.keep(workspace, Checked("m", "one", 1.0, {"react": score(3)}))
    assert set(checks.keep(workspace, Checked("m", "one", 2.0, {"openai": score(5)})).protocols) == {"react", "openai"}
    kept = checks.keep(workspace, Checked("m", "two", 3.0, {"internlm2": score(1)}))
    assert set(kept.protocols) == {"internlm2"}


@pytest.mark.parametrize("text", ["", "[]", '{"model": 1}', '{"model": "m", "fingerprint": "", "at": 1, "protocols": {"react": {"tasks": [1]}}}'])  # fmt: skip
def test_a_file_that_somebody_damaged_is_no_check(workspace: Workspace, text: str) -> None:
    checks.keep(workspace, Checked("m", "", 1.0, {}))
    next(workspace.root.glob("agent/checks/*.json")).write_text(text)
    assert checks.read(workspace, "m") is None
    assert checks.choose(workspace, "m") is None


def test_a_task_that_is_asked_no_more_and_a_later_versions_words_are_passed_over(workspace: Workspace) -> None:
    checks.keep(workspace, Checked("m", "", 1.0, {"react": Score((NONE,))}))
    path = next(workspace.root.glob("agent/checks/*.json"))
    data = json.loads(path.read_text())
    listed = data["protocols"]["react"]["tasks"]
    listed[0]["mood"] = "good"
    listed.append({**listed[0], "task": "gone"})
    data["protocols"]["telepathy"] = data["protocols"]["react"]
    path.write_text(json.dumps(data))
    assert checks.read(workspace, "m") == Checked("m", "", 1.0, {"react": Score((NONE,))})


def test_the_form_is_chosen_as_long_as_the_model_is_what_was_checked(workspace: Workspace, tmp_path: Path) -> None:
    folder = models.folder(tmp_path / "model")
    catalog.add(workspace, folder, "m")
    assert checks.choose(workspace, "m") is None
    checks.keep(workspace, Checked("m", checks.fingerprint(workspace, "m"), 1.0, {"react": score(12), "openai": score(3)}))  # fmt: skip
    assert checks.choose(workspace, "m") == "react"
    (folder / "README.md").write_text("more about it")
    assert checks.choose(workspace, "m") == "react"
    (folder / "generation_config.json").write_text('{"temperature": 0.5}')
    assert checks.choose(workspace, "m") is None
    assert catalog.find(workspace, "m").name == "m"


def test_a_model_that_is_on_no_list_has_no_fingerprint(workspace: Workspace) -> None:
    assert checks.fingerprint(workspace, "nobody") == ""


# --- how many


def test_few_tasks_are_spread_over_both_languages() -> None:
    assert {task.lang for task in checks.chosen(4)} == {"en", "zh"}
    assert len({task.id for task in checks.chosen(7)}) == 7
    assert checks.chosen(0) == checks.chosen(20) == TASKS


def test_the_spec_takes_each_form_once_and_none_that_there_is_not() -> None:
    assert AgentCheckSpec(model="m").protocols == PROTOCOLS
    assert AgentCheckSpec.model_validate({"model": "m", "protocols": ["react", "react"]}).protocols == ("react",)
    assert AgentCheckSpec(model="m").resources().cpu == 0
    for bad in ({"model": ""}, {"model": "m", "protocols": ["telepathy"]}, {"model": "m", "protocols": []}, {"model": "m", "limit": 21}):  # fmt: skip
        with pytest.raises((SpecError, ValueError)):
            AgentCheckSpec.model_validate(bad)
