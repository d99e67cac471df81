"""MCP servers as they should be: a real one, made with the SDK, as a program of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.agent.mcp_servers import Secrets, Server, add
from backend.agent.tools import MOST_CHARS, Context, Result
from backend.workspace import Workspace, open_workspace
from jobs.agent.mcp.sessions import McpTool, Sessions
from tests.support.mcp_server import PIXEL, ROOT
from tests.support.wait import until

STDIO = Server("test server", "stdio", command=sys.executable, args=("-m", "tests.support.mcp_server", "stdio"))
PATHS = Secrets({"PYTHONPATH": str(ROOT)})


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def by_name(sessions: Sessions) -> dict[str, McpTool]:
    assert sessions.problems == []
    return {tool.tool.name.partition("__")[2]: tool for tool in sessions.tools()}


def called(sessions: Sessions, context: Context, tool: str, **arguments: object) -> Result:
    return by_name(sessions)[tool].call(arguments, context)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    home = open_workspace(tmp_path_factory.mktemp("mcp") / "workspace")
    add(home, STDIO, PATHS)
    return home


@pytest.fixture(scope="module")
def sessions(home: Workspace) -> Iterator[Sessions]:
    """One conversation's, for tests that leave the server as it was."""
    with Sessions(home) as opened:
        opened.tools()
        assert opened.problems == []
        yield opened


@pytest.fixture
def context(home: Workspace, tmp_path: Path) -> Context:
    return Context(home, tmp_path / "conversation")


def test_every_tool_has_a_name_that_every_protocol_takes_and_no_two_have_the_same(sessions: Sessions) -> None:
    names = [tool.tool.name for tool in sessions.tools()]
    assert len(names) == len(set(names)) == 15
    assert all(re.fullmatch(r"[a-z0-9_]{1,64}", name) for name in names)
    assert {"test_server__add", "test_server__say_it_please"} <= set(names)


def test_a_tool_with_a_chinese_name_is_called_by_that_name(sessions: Sessions, context: Context) -> None:
    chinese = next(tool for tool in sessions.tools() if tool.tool.title == "查询")
    assert len(chinese.tool.description) == 1000
    assert chinese.call({"text": "你好"}, context).text == "你好"


def test_two_numbers_are_added_and_said_once(sessions: Sessions, context: Context) -> None:
    result = called(sessions, context, "add", a=2, b=40)
    assert (result.text, result.error, result.files) == ("42", None, ())
    assert by_name(sessions)["add"].tool.parameters["required"] == ["a", "b"]


def test_of_a_result_of_ten_megabytes_a_model_reads_both_ends_and_the_file_holds_all(
    sessions: Sessions, context: Context
) -> None:
    result = called(sessions, context, "big", size=10_000_000)
    assert len(result.text) <= MOST_CHARS
    assert result.text.rstrip().endswith("999999")
    assert result.files[0].stat().st_size == 10_000_000
    assert result.shortened > 9_900_000


def test_a_picture_becomes_a_file_and_a_line_that_names_it(sessions: Sessions, context: Context) -> None:
    result = called(sessions, context, "image")
    assert result.files[0].read_bytes() == PIXEL
    assert result.text == f"Here it is.\n[image: written to the file {result.files[0].name}, 70 bytes]"


def test_damaged_data_are_left_out_and_what_is_whole_is_kept(sessions: Sessions, context: Context) -> None:
    result = called(sessions, context, "sound")
    assert [path.read_bytes() for path in result.files] == [b"RIFF"]
    assert result.text.startswith("[audio: left out, because its data are damaged]")


def test_a_resource_that_is_named_like_a_path_lies_in_the_conversations_folder(
    sessions: Sessions, context: Context
) -> None:
    result = called(sessions, context, "report")
    assert [path.parent for path in result.files] == [context.folder]
    assert result.files[0].name == "pass_wd-1.csv"
    assert result.text.endswith("\na,b")


def test_a_file_of_the_conversation_is_never_written_over(sessions: Sessions, context: Context) -> None:
    context.folder.mkdir()
    elsewhere = context.folder.parent / "elsewhere"
    (context.folder / "pass_wd-1.csv").symlink_to(elsewhere)
    assert called(sessions, context, "report").files[0].name == "pass_wd-2.csv"
    assert not elsewhere.exists()


def test_what_the_server_calls_an_error_is_one(sessions: Sessions, context: Context) -> None:
    result = called(sessions, context, "fails")
    assert result.error
    assert result.error.code == "mcp_tool_failed"
    assert "Error executing tool fails" in result.text


def test_arguments_that_do_not_fit_are_an_error_that_the_model_reads(sessions: Sessions, context: Context) -> None:
    result = called(sessions, context, "add", a="two")
    assert result.error
    assert "'test_server__add' says that it failed" in result.text


def test_a_question_to_a_person_is_dismissed_and_shown(sessions: Sessions, context: Context) -> None:
    result = called(sessions, context, "wants_confirmation")
    assert result.error
    assert result.error.code == "mcp_asked_person"
    assert "Really delete everything?" in str(result.error)
    assert result.text.endswith("the answer was cancel")
    assert called(sessions, context, "add", a=1, b=1).error is None


def test_a_tool_asks_first_unless_it_only_reads_and_a_person_has_said_so(home: Workspace) -> None:
    trusting = replace(STDIO, unasked=("add", "echo"), off=("crash",))
    with Sessions(home, [trusting]) as sessions:
        tools = by_name(sessions)
        offers = {offer.name: offer.used for offer in sessions.offered()}
    assert not tools["add"].tool.asks_first
    assert tools["echo"].tool.asks_first  # The server does not say that it only reads.
    assert (tools["add"].tool.network, tools["echo"].tool.network) == (False, True)
    assert "crash" not in tools
    assert offers["crash"] is False


@pytest.mark.parametrize("by_person", [True, False])
def test_a_call_that_is_stopped_or_too_slow_ends_soon_and_the_server_is_told(
    home: Workspace, context: Context, tmp_path: Path, by_person: bool
) -> None:
    note = tmp_path / "note"
    began = threading.Event()
    said = threading.Thread(target=lambda: until(lambda: note.exists() and note.read_text()) and began.set())
    said.start()
    with Sessions(home, call_seconds=30.0 if by_person else 1.0) as sessions:
        result = called(
            sessions, replace(context, stopped=lambda: by_person and began.is_set()), "slow", note=str(note)
        )
        assert result.error
        assert result.error.code == ("mcp_stopped" if by_person else "mcp_call_too_slow")
        assert result.seconds < 5
        until(lambda: note.read_text() == "began\ncancelled\n", 5)
        assert called(sessions, context, "add", a=1, b=1).text == "2"
    said.join()


def test_a_server_that_dies_in_a_call_is_not_asked_again_but_opened_for_the_next(
    home: Workspace, context: Context
) -> None:
    with Sessions(home) as sessions:
        result = called(sessions, context, "crash")
        assert result.error
        assert result.error.code == "mcp_server_ended"
        assert "(exit code 3). It last wrote: segfault in the cupboard" in str(result.error)
        tools = by_name(sessions)
        assert tools["add"].call({"a": 1, "b": 1}, context).text == "2"
        assert tools["crash"].call({}, context).error
        ended = tools["crash"].call({}, context)  # Opened anew, and dead again without one answer.
        last = tools["add"].call({"a": 1, "b": 1}, context)
    assert ended.error
    assert ended.error.code == "mcp_server_ended"
    assert last.error
    assert last.error.code == "mcp_gave_up"


def test_a_tool_that_the_server_gets_later_is_there_in_the_next_turn(home: Workspace, context: Context) -> None:
    with Sessions(home) as sessions:
        assert called(sessions, context, "learn").text == "learned"
        assert until(lambda: "learned" in by_name(sessions), 5)


def test_the_program_sees_four_variables_and_those_that_were_named(
    home: Workspace, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_TOKEN", "panel-secret")
    monkeypatch.setenv("CITY", "Shanghai")
    with Sessions(home, [replace(STDIO, env=("CITY", "PYTHONPATH"))]) as sessions:
        seen = json.loads(called(sessions, context, "environment").text)
    assert seen.pop("CITY") == "Shanghai"
    assert set(seen) - {"LC_CTYPE"} <= {"PATH", "HOME", "LANG", "TERM", "PYTHONPATH"}


def test_after_the_end_nothing_that_the_server_started_is_left(home: Workspace, context: Context) -> None:
    with Sessions(home) as sessions:
        pid = int(called(sessions, context, "spawn").text)
        assert alive(pid)
        before = time.monotonic()
    assert not alive(pid)
    assert time.monotonic() - before < 5


KILLED = """
import sys, time
from pathlib import Path
from backend.agent.tools import Context
from backend.workspace import open_workspace
from jobs.agent.mcp.sessions import Sessions
home = open_workspace(Path(sys.argv[1]))
opened = Sessions(home)
tools = {tool.tool.name: tool for tool in opened.tools()}
print(tools["test_server__spawn"].call({}, Context(home, Path(sys.argv[2]))).text, flush=True)
time.sleep(600)
"""


def test_when_we_are_killed_the_server_and_what_it_started_end(home: Workspace, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(home.root), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        (guard,) = _children(process.pid)
        (server,) = _children(guard)
        assert alive(pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not any(map(alive, (pid, server, guard))), 10)


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (folder / "stat").exists():
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            found += [int(folder.name)] if int(fields[1]) == pid else []
    return found


def test_no_thread_is_left_after_the_end(workspace: Workspace) -> None:
    before = set(threading.enumerate())
    Sessions(workspace).close()
    assert set(threading.enumerate()) == before
