"""A turn of an agent as a row to learn from: the form it was asked in, only the model's own parts learned, corrected by hand, kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.agent import protocols, traces
from backend.agent.calls import PROTOCOLS, Call, Problem, Protocol, Repair
from backend.agent.checks_tools import TOOLS
from backend.agent.options import Options
from backend.agent.records import Called, Step, Turn
from backend.agent.traces import Part
from backend.chat.sent import Sent
from backend.data import from_chat, importing
from backend.data.rows import Row, trained
from backend.data.schemas import from_row
from backend.data.tokens import mask, open_model
from backend.errors import ConflictError, PanelError
from backend.workspace import ROOT, Workspace

OFFERED = [TOOLS["exchange_rate"].tool, TOOLS["calculate"].tool]
RATE = Call("exchange_rate", {"from": "CHF", "to": "JPY"})
SUM = Call("calculate", {"expression": "350 * 171.4"})
QUESTION, ANSWER = "How many yen are 350 francs? 日元", "That is 59,990 yen."


def turn(protocol: Protocol | None = "react", **more: Any) -> Turn:
    options = Options(tools=("exchange_rate", "calculate"), system=str(more.pop("system", "")))
    made = Turn(7, "c1", QUESTION, "done", "starter", options, 1.0, protocol, ANSWER)
    return replace(made, **more)


def step(number: int, *calls: Called, **more: Any) -> Step:
    return Step(number, 7, number, more.pop("state", "done"), calls=calls, **more)


def worked() -> list[Step]:
    """A reply in which nothing was understood, a call that was mended, one that the tool refused, one that was right, the answer."""
    unread = step(1, reply="Action: exchange", nudge="Error: no JSON", problem=Problem("broken_json", "x", "y"))
    mended = step(
        2,
        Called(RATE, "done", "1 CHF = 171.4 JPY"),
        reply="Thought: The rate first.\nAction: exchange_rate\nAction Input: from=CHF, to=JPY",
        thought="The rate first.",
        repairs=(Repair("bare_value", "from=CHF, to=JPY", "{}"),),
    )
    failed = step(3, Called(Call("calculate", {"expression": "?"}), "failed", "no"), thought="Try.")
    right = step(4, Called(SUM, "done", "59990"), thought="Now the sum.")
    return [unread, mended, failed, right, step(5, answer=ANSWER, thought="I know it."), step(6, state="failed")]


def flan(asked: Turn, before: traces.Before = (), lang: str = "en") -> dict[str, Any]:
    """The turn as a row of Agent-FLAN, in which calls are text."""
    told = traces.told_by(traces.protocol_of(asked), OFFERED, asked.options.system, lang)
    said = traces.messages(before, asked, traces.parts(asked, worked()), told)
    if told.tools:
        return from_row(traces.own(said, told.tools), "agent-flan")
    return {"conversation": [{key: message[key] for key in ("role", "content", "loss")} for message in said]}


def read(conversation: dict[str, Any], tmp_path: Path, workspace: Workspace) -> Row:
    """``conversation`` as the reader of Agent-FLAN files understands it."""
    path = tmp_path / "traces.jsonl"
    path.write_text(json.dumps(conversation, ensure_ascii=False) + "\n")
    assert importing.inspect(path).detection.schema == "agent-flan"
    ((_number, found),) = importing.rows_of(str(path), workspace)
    assert not isinstance(found, PanelError)
    return found


def learned(row: Row) -> list[str]:
    """What a training on the shipped model learns of ``row``, a text for each run of tokens."""
    model = open_model(ROOT / "models" / "starter")
    runs: list[str] = []
    before = False
    for piece in mask.pieces(model, mask.encoded(model, row)):
        if piece.trained:
            runs = [*runs[:-1], runs[-1] + piece.text] if before else [*runs, piece.text]
        before = piece.trained
    return [text.removesuffix("<|eot_id|>") for text in runs]


def test_a_react_turn_becomes_a_conversation_in_its_own_words() -> None:
    found = flan(turn())
    system = protocols.system("react", OFFERED)
    assert found == {
        "conversation": [
            {"role": "system", "content": system, "loss": False},
            {"role": "user", "content": QUESTION, "loss": False},
            {"role": "assistant", "content": 'Thought: The rate first.\nAction: exchange_rate\nAction Input: {"from": "CHF", "to": "JPY"}', "loss": True},
            {"role": "system", "content": "Response:1 CHF = 171.4 JPY\n", "loss": False},
            {"role": "assistant", "content": 'Thought: Now the sum.\nAction: calculate\nAction Input: {"expression": "350 * 171.4"}', "loss": True},
            {"role": "system", "content": "Response:59990\n", "loss": False},
            {"role": "assistant", "content": f"Thought: I know it.\nFinal Answer: {ANSWER}", "loss": True},
        ]
    }  # fmt: skip


def test_an_internlm2_turn_has_its_special_tokens_and_results_from_the_environment() -> None:
    found = flan(turn("internlm2"))["conversation"]
    assert [each["role"] for each in found] == ["system", "system", "user", "assistant", "environment", "assistant", "environment", "assistant"]  # fmt: skip
    assert found[1]["content"] == protocols.system("internlm2", OFFERED)
    assert found[3]["content"].startswith('The rate first.<|action_start|><|plugin|>\n{"name": "exchange_rate"')
    assert found[-1] == {"role": "assistant", "content": ANSWER, "loss": True}


def test_a_turn_with_the_servers_own_tools_keeps_its_calls_in_our_row_and_has_them_as_text_elsewhere() -> None:
    told = traces.told_by("openai", OFFERED)
    said = traces.messages((), turn("openai"), traces.parts(turn("openai"), worked()), told)
    row = traces.own(said, told.tools)
    assert [tool["function"]["name"] for tool in row["tools"]] == ["exchange_rate", "calculate"]
    first = row["messages"][1]["tool_calls"][0]
    assert json.loads(first["function"]["arguments"]) == RATE.arguments
    assert row["messages"][2] == {"role": "tool", "content": "1 CHF = 171.4 JPY", "tool_call_id": first["id"]}
    flat = flan(turn("openai"))["conversation"]
    assert [each["role"] for each in flat] == ["system", "user", "assistant", "user", "assistant", "user", "assistant"]
    assert json.loads(flat[2]["content"].split("\n")[-1]) == {"name": "exchange_rate", "arguments": RATE.arguments}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_reader_of_agent_flan_learns_only_what_the_model_said(
    protocol: Protocol, tmp_path: Path, workspace: Workspace
) -> None:
    given = flan(turn(protocol))
    row = read(given, tmp_path, workspace)
    assert [each["content"] for each in row["messages"]] == [each["content"] for each in given["conversation"]]
    flags = [(each["role"], trained(each)) for each in row["messages"]]
    assert {role for role, learns in flags if learns} == {"assistant"}
    assert [learns for role, learns in flags if role == "assistant"] == [True] * 3
    texts = [each["content"] for each in given["conversation"] if each["loss"]]
    assert learned(row) == [text.strip() for text in texts]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collected_row_comes_back_whole_and_learns_only_what_the_model_said(
    protocol: Protocol, workspace: Workspace
) -> None:
    asked = turn(protocol, system="Be exact.")
    own = traces.parts(asked, worked())
    told = traces.told_by(protocol, OFFERED, "Be exact.")
    added = traces.collect(workspace, "From agent", (), asked, own, told, own)
    assert (added.duplicate, added.collection.rows) == (False, 1)
    ((_number, row, _text),) = from_chat.file(workspace, added.collection.path, "trace")
    assert not isinstance(row, PanelError)
    expected = traces.own(traces.messages((), asked, own, told), told.tools)
    assert (row["messages"], row.get("tools")) == (expected["messages"], expected.get("tools"))
    lineage = row["meta"]["lineage"]
    assert (lineage["conversation"], lineage["message"], lineage["protocol"], lineage["corrected"]) == ("c1", 7, protocol, False)  # fmt: skip
    assert traces.collect(workspace, "From agent", (), asked, own, told, own).duplicate
    if protocol == "openai":
        calls = ['{"name": "exchange_rate", "parameters": {"from": "CHF", "to": "JPY"}}', '{"name": "calculate", "parameters": {"expression": "350 * 171.4"}}']  # fmt: skip
        assert learned(row) == [*calls, ANSWER]
    else:
        assert learned(row)[-1].endswith(ANSWER)


def test_earlier_turns_are_there_to_be_understood_and_are_not_learned(tmp_path: Path, workspace: Workspace) -> None:
    before = turn(id=6, text="Hello?", answer="Hello.")
    lost = turn(id=5, text="And?", answer=None, state="failed")
    earlier = [(lost, []), (before, [step(1, answer="Hello.")])]
    row = read(flan(turn(), earlier), tmp_path, workspace)
    assert [each["content"] for each in row["messages"]][1:4] == ["Hello?", "Final Answer: Hello.", QUESTION]
    assert sum(map(trained, row["messages"])) == 3
    assert "Hello" not in "".join(learned(row))


def test_replies_that_failed_were_refused_or_had_to_be_asked_for_again_are_left_out() -> None:
    own = traces.parts(turn(), worked())
    assert [part.calls[0].call for part in own if part.calls] == [RATE, SUM]
    assert own[-1] == Part("I know it.", answer=ANSWER)
    assert traces.left_out(worked()) == 3
    refused = [step(1, Called(RATE, "refused")), step(2, Called(SUM, "unknown")), step(3, answer="I may not.")]
    refused.insert(2, step(4, Called(SUM, "done"), nudge="Error: not so"))
    assert traces.parts(turn(answer="I may not."), refused) == [Part("", answer="I may not.")]


def test_a_turn_without_an_answer_needs_one_that_a_person_types() -> None:
    failed = turn(answer=None, state="failed")
    own = traces.parts(failed, worked()[:4])
    assert own[-1] == Part("", answer="")
    with pytest.raises(ConflictError) as caught:
        traces.messages((), failed, own, traces.told_by("react", OFFERED))
    assert caught.value.code == "trace_no_answer"
    typed = [*own[:-1], Part("I know it.", answer=ANSWER)]
    assert traces.messages((), failed, typed, traces.told_by("react", OFFERED))[-1]["content"].endswith(ANSWER)


def test_what_was_corrected_is_learned_and_what_the_model_said_is_kept_beside_it(workspace: Workspace) -> None:
    own = traces.parts(turn(), worked())
    better = traces.with_arguments(own[0], [traces.arguments('{"from": "CHF", "to": "EUR"}', "exchange_rate")])
    typed = [replace(better, thought="In euros."), *own[1:]]
    told = traces.told_by("react", OFFERED)
    path = traces.collect(workspace, "From agent", (), turn(), typed, told, own).collection.path
    row = json.loads(path.read_text())
    assert row["messages"][2]["content"].endswith('Action Input: {"from": "CHF", "to": "EUR"}')
    assert row["messages"][2]["content"].startswith("Thought: In euros.")
    assert row["lineage"]["corrected"] is True
    assert json.loads(row["lineage"]["original"])[0]["calls"] == [{"name": "exchange_rate", "arguments": RATE.arguments}]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "from=CHF", "[1]", '"x"', "{'from': 'CHF'}", "[" * 100_000])
def test_arguments_that_are_no_json_object_are_refused_by_the_tools_name(text: str) -> None:
    with pytest.raises(ConflictError) as caught:
        traces.arguments(text, "exchange_rate")
    assert caught.value.code == "trace_arguments_bad"
    assert "exchange_rate" in str(caught.value)


def test_what_the_model_was_told_is_taken_from_what_was_really_sent() -> None:
    asked = protocols.sent("react", OFFERED, "Be exact.", [protocols.Turn("user", QUESTION)])
    told = traces.told_in(Sent(request={"messages": asked.messages}))
    assert told == traces.told_by("react", OFFERED, "Be exact.")
    native = protocols.sent("openai", OFFERED, "", [protocols.Turn("user", QUESTION)])
    assert traces.told_in(Sent(request={"messages": native.messages, "tools": native.tools})) == traces.told_by("openai", OFFERED)  # fmt: skip
    with pytest.raises(ConflictError) as caught:
        traces.told_in(Sent())
    assert caught.value.code == "trace_prompt_unknown"


def test_the_mark_of_a_picture_in_a_text_stands_for_no_picture() -> None:
    found = flan(turn(text="Look: <image>"))["conversation"]
    assert found[1]["content"] == "Look: < image >"


def test_the_chinese_instructions_come_with_a_chinese_turn() -> None:
    found = flan(turn(), lang="zh")["conversation"]
    assert found[0]["content"].startswith("你是一个可以调用外部工具的助手")
