"""``agent parse`` as a script and as a person see it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main

REPLY = "Thought: I look.\nAction: arxiv_search\nAction Input: query=InternLM2 Technical Report"


def ask(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    assert main(["agent", "parse", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def file(folder: Path, text: str | bytes, name: str = "回复 reply.txt") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_a_repaired_call_is_shown_with_what_was_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = ask(capsys, file(tmp_path, REPLY))
    assert (made["outcome"], made["thought"], made["problem"]) == ("repaired", "I look.", None)
    assert made["calls"] == [{"name": "arxiv_search", "arguments": {"query": "InternLM2 Technical Report"}}]
    assert [each["code"] for each in made["repairs"]] == ["key_value"]
    strict = ask(capsys, file(tmp_path, REPLY), "--no-repair")
    assert (strict["outcome"], strict["problem"]["code"]) == ("problem", "needs_repair")


def test_a_person_reads_it_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "parse", file(tmp_path, REPLY)]) == 0
    said = capsys.readouterr().out
    assert 'Call: arxiv_search({"query": "InternLM2 Technical Report"})' in said
    assert "Repaired (key_value): query=InternLM2" in said
    assert main(["agent", "parse", file(tmp_path, "Action: launch\nAction Input: {}")]) == 0
    said = capsys.readouterr().out
    assert "Problem (unknown_tool): The model called launch, which is not among its tools." in said
    assert "Seen: Action: launch" in said


def test_tools_are_taken_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = file(
        tmp_path,
        json.dumps([{"type": "function", "function": {"name": "weather", "parameters": schema}}]),
        "tools.json",
    )
    reply = file(tmp_path, '<tool_call>{"name": "weather", "arguments": {"city": "巴黎"}}</tool_call>')
    made = ask(capsys, reply, "--protocol", "openai", "--tools", tools)
    assert made["calls"] == [{"name": "weather", "arguments": {"city": "巴黎"}}]


def test_standard_input_and_json_lines_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"reply": REPLY, "protocol": "react"}, {"reply": "Two.", "protocol": "openai"}, {"reply": {"content": ""}}]
    text = "\n".join(json.dumps(row) for row in rows)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    made = ask(capsys, "-")
    assert [each["outcome"] for each in made["replies"]] == ["repaired", "answer", "problem"]
    assert made["counts"] == {
        "replies": 3,
        "outcomes": {"repaired": 1, "answer": 1, "problem": 1},
        "problems": {"empty_reply": 1},
        "repairs": {"key_value": 1},
    }
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main(["agent", "parse", "-"]) == 0
    assert "Problem empty_reply: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "agent_file_empty"),
        (b" \n", "agent_file_empty"),
        (b"\xff\xfe\x00bad", "agent_file_no_text"),
        (b"x" * ((10 << 20) + 1), "agent_file_large"),
        (b'{"reply": "a"}\nnothing', "agent_replies_bad"),
        (b'{"reply": "a", "protocol": "soap"}', "agent_protocol_unknown"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: str
) -> None:
    error = ask(capsys, file(tmp_path, content), code=1)["error"]
    assert error["code"] == code
    assert error["message"]
    assert "{{" not in error["hint"]
    assert error["hint"]


def test_a_missing_file_a_folder_and_an_unknown_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, str(tmp_path / "none"), code=1)["error"]["code"] == "agent_file_missing"
    assert ask(capsys, str(tmp_path), code=1)["error"]["code"] == "agent_file_unreadable"
    assert ask(capsys, file(tmp_path, "x"), "--protocol", "soap", code=1)["error"]["code"] == "agent_protocol_unknown"


@pytest.mark.parametrize(
    "tools", ["no json", "{}", "[]", "[1]", '[{"name": 3}]', '[{"name": "a", "parameters": 3}]', "[" * 5000]
)
def test_a_wrong_list_of_tools_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], tools: str) -> None:
    error = ask(capsys, file(tmp_path, "x"), "--tools", file(tmp_path, tools, "tools.json"), code=1)["error"]
    assert error["code"] == "agent_tools_bad"


def test_ten_megabytes_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = ask(capsys, file(tmp_path, b"{" * (10 << 20)), "--protocol", "openai")
    assert made["outcome"] in ("answer", "problem")
