"""MCP servers as they should not be: each fault is a small program that has it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from backend.agent.mcp_servers import Secrets, Server, add
from backend.agent.tools import Context
from backend.errors import PanelError
from backend.workspace import Workspace
from jobs.agent.mcp.sessions import Sessions
from tests.support.mcp_server import ROOT
from tests.support.wait import until

SCRIPT = """
import json, os, sys, time

def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + chr(10))
    sys.stdout.flush()

def tool(name, schema=None):
    return {"name": name, "inputSchema": schema or {"type": "object"}}

TOOLS = [tool("one")]

def hello(asked):
    return {"result": {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                       "serverInfo": {"name": "script", "version": "1"}}}

def listing(asked):
    return {"result": {"tools": TOOLS}}

def call(asked):
    return {"result": {"content": [{"type": "text", "text": "fine"}]}}

def serve(**others):
    answers = {"initialize": hello, "tools/list": listing, "tools/call": call, **others}
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            answer = answers.get(asked["method"], lambda _: {"error": {"code": -32601, "message": "unknown"}})(asked)
            if answer:
                say({"id": asked["id"], **answer})
"""
MODERN = """
def old(asked):
    return {"error": {"code": -32022, "message": "too old", "data": {"supported": ["2026-07-28"], "requested": "x"}}}
def discover(asked):
    return {"result": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "resultType": "complete",
                       "ttlMs": 0, "cacheScope": "public"}}
def modern(asked):
    return {"result": {"tools": TOOLS, "resultType": "complete", "ttlMs": 0, "cacheScope": "public"}}
def answer(asked):
    return {"result": {"content": [{"type": "text", "text": "fine"}], "resultType": "complete"}}
serve(**{"initialize": old, "server/discover": discover, "tools/list": modern, "tools/call": answer})
"""


def added(workspace: Workspace, body: str, *, name: str = "odd") -> Server:
    script = workspace.root / f"{name}.py"
    script.write_text(SCRIPT + body)
    server = Server(name, "stdio", command=sys.executable, args=("-I", "-S", str(script)))
    return add(workspace, server, Secrets({"KEY": "s3cret-value"}))


def problem_of(workspace: Workspace, body: str, *, seconds: float = 20.0) -> PanelError:
    """Why the tools of the server cannot be had."""
    added(workspace, body)
    with Sessions(workspace, connect_seconds=seconds) as sessions:
        assert sessions.tools() == []
        (problem,) = sessions.problems
    assert "s3cret" not in json.dumps(problem.to_dict())
    return problem


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """So many open files in this process, as a panel with many visitors has; the limit is raised where it must be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + len(list(Path("/proc/self/fd").iterdir())) + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"at most {hard} files can be open here")
    with ExitStack() as files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(count):
            files.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


def test_a_server_that_is_in_order_is_heard(workspace: Workspace, tmp_path: Path) -> None:
    added(workspace, "serve()")
    with Sessions(workspace) as sessions:
        (tool,) = sessions.tools()
        assert tool.call({}, Context(workspace, tmp_path)).text == "fine"


def test_a_server_is_heard_by_a_process_that_holds_thousands_of_files(workspace: Workspace) -> None:
    added(workspace, "serve()")
    with many_files(1_500), Sessions(workspace) as sessions:
        assert len(sessions.tools()) == 1


def test_a_server_that_never_answers_is_left_after_the_time_limit(workspace: Workspace) -> None:
    problem = problem_of(workspace, "sys.stderr.write('fetching\\n'); time.sleep(600)", seconds=1.0)
    assert problem.code == "mcp_no_answer"
    assert "within 1.0 s. It last wrote: fetching" in str(problem)


def test_a_server_that_answers_the_greeting_and_then_nothing_is_left_too(workspace: Workspace) -> None:
    body = "serve(**{'tools/list': lambda asked: time.sleep(600)})"
    assert problem_of(workspace, body, seconds=1.0).code == "mcp_no_answer"


def test_a_server_that_writes_text_between_its_messages_is_understood(workspace: Workspace) -> None:
    added(workspace, "print('Welcome!', flush=True); print(chr(123), flush=True); serve()")
    with Sessions(workspace) as sessions:
        assert len(sessions.tools()) == 1


def test_a_server_that_writes_only_text_is_shown_its_first_line(workspace: Workspace) -> None:
    problem = problem_of(workspace, "print('Listening at port 3000', flush=True); time.sleep(600)", seconds=1.0)
    assert problem.code == "mcp_rubbish"
    assert "where messages belong: Listening at port 3000" in str(problem)


@pytest.mark.parametrize("end", ["", "chr(10)"])
def test_a_server_that_writes_without_end_is_cut_off(workspace: Workspace, end: str) -> None:
    body = f"while True: sys.stdout.write('x' * 1000000 + {end or repr('')})"
    assert problem_of(workspace, body).code == "mcp_too_much"


def test_a_server_that_ends_at_once_is_shown_with_its_last_line_and_without_the_secret(workspace: Workspace) -> None:
    problem = problem_of(workspace, "sys.exit('no such account: ' + os.environ['KEY'])")
    assert problem.code == "mcp_server_ended"
    assert "(exit code 1). It last wrote: no such account: •••" in str(problem)


KILLED = """
import time
from backend.workspace import open_workspace
from jobs.agent.mcp.sessions import Sessions
opened = Sessions(open_workspace())
opened.tools()
while not opened.stderr("odd"):
    time.sleep(0.01)
print(opened.stderr("odd")[0], flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), file=sys.stderr, flush=True)
serve()
time.sleep(600)
"""


def test_a_server_that_ignores_its_end_ends_when_we_close_it(workspace: Workspace) -> None:
    added(workspace, STUBBORN)
    with Sessions(workspace) as sessions:
        sessions.tools()
        pid = int(until(lambda: sessions.stderr("odd"))[0])
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_ignores_its_end_ends_when_we_are_killed(workspace: Workspace) -> None:
    added(workspace, STUBBORN)
    with subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        process.kill()
    until(lambda: not Path(f"/proc/{pid}").exists(), 10)


def test_of_what_a_server_writes_to_stderr_the_last_200_lines_are_kept(workspace: Workspace) -> None:
    added(workspace, "print(*range(1000), sep=chr(10), file=sys.stderr, flush=True); serve()")
    with Sessions(workspace) as sessions:
        sessions.tools()
        assert until(lambda: sessions.stderr("odd")[-1:] == ["999"])
        assert sessions.stderr("odd") == [str(number) for number in range(800, 1000)]


def test_a_server_that_refuses_the_greeting_is_quoted(workspace: Workspace) -> None:
    body = "serve(initialize=lambda asked: {'error': {'code': -32000, 'message': 'licence expired'}})"
    problem = problem_of(workspace, body)
    assert problem.code == "mcp_refused"
    assert "licence expired" in str(problem)


def test_a_server_that_speaks_only_the_later_form_of_the_protocol_is_understood(
    workspace: Workspace, tmp_path: Path
) -> None:
    added(workspace, MODERN)
    with Sessions(workspace) as sessions:
        assert sessions.problems == []
        (tool,) = sessions.tools()
        assert tool.call({}, Context(workspace, tmp_path)).text == "fine"


def test_two_hundred_tools_are_all_there(workspace: Workspace) -> None:
    added(workspace, "TOOLS[:] = [tool(f'tool {number}') for number in range(200)]; serve()")
    with Sessions(workspace) as sessions:
        assert len({tool.tool.name for tool in sessions.tools()}) == 200
        assert sessions.problems == []


def test_a_list_without_end_is_cut_and_that_is_said(workspace: Workspace) -> None:
    pages = "lambda asked: {'result': {'tools': [tool(str(time.monotonic_ns()))] * 20, 'nextCursor': 'more'}}"
    added(workspace, "serve(**{'tools/list': " + pages + "})")
    with Sessions(workspace) as sessions:
        assert 0 < len(sessions.tools()) <= 500
        (problem,) = sessions.problems
    assert problem.code == "mcp_too_many_tools"


def test_a_tool_whose_schema_is_none_is_left_out_and_the_others_stay(workspace: Workspace) -> None:
    added(workspace, "TOOLS.append(tool('two', {'type': 'object', 'properties': {'a': {'type': 'objekt'}}})); serve()")
    with Sessions(workspace) as sessions:
        assert [tool.tool.name for tool in sessions.tools()] == ["odd__one"]
        (problem,) = sessions.problems
    assert problem.code == "mcp_schema_bad"
    assert "'two'" in str(problem)


def test_tools_whose_names_differ_only_in_signs_get_names_that_differ(workspace: Workspace) -> None:
    added(workspace, "TOOLS[:] = [tool('a b'), tool('a-b'), tool('x' * 90), tool('x' * 90 + 'y')]; serve()")
    with Sessions(workspace) as sessions:
        names = [tool.tool.name for tool in sessions.tools()]
    assert len(set(names)) == 4
    assert all(len(name) <= 64 for name in names)


def test_one_bad_server_does_not_take_the_others_away(workspace: Workspace) -> None:
    added(workspace, "sys.exit(1)")
    added(workspace, "serve()", name="good")
    with Sessions(workspace) as sessions:
        assert [tool.tool.name for tool in sessions.tools()] == ["good__one"]
        assert [problem.code for problem in sessions.problems] == ["mcp_server_ended"]


def test_a_program_that_is_gone_since_it_was_added_is_named(workspace: Workspace, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    add(workspace, Server("gone", "stdio", command=str(program)))
    program.unlink()
    with Sessions(workspace) as sessions:
        assert sessions.tools() == []
        (problem,) = sessions.problems
    assert f"{program}: No such file or directory" in str(problem)


def test_a_result_that_does_not_fit_the_protocol_is_an_error_of_the_call(workspace: Workspace, tmp_path: Path) -> None:
    added(workspace, "serve(**{'tools/call': lambda asked: {'result': {'content': 'no list'}}})")
    with Sessions(workspace) as sessions:
        result = sessions.tools()[0].call({}, Context(workspace, tmp_path))
    assert result.error
    assert result.error.code == "mcp_refused"
