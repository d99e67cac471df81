"""MCP servers over HTTP: a real one, made with the SDK, who may in, and what an address says that is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from backend.agent.mcp_servers import Secrets, Server, add
from backend.agent.tools import Context, Result
from backend.workspace import Workspace
from jobs.agent.mcp.sessions import McpTool, Sessions
from tests.support.mcp_server import over_http


def by_name(sessions: Sessions) -> dict[str, McpTool]:
    assert sessions.problems == []
    return {tool.tool.name.partition("__")[2]: tool for tool in sessions.tools()}


def called(sessions: Sessions, context: Context, tool: str, **arguments: object) -> Result:
    return by_name(sessions)[tool].call(arguments, context)


@pytest.mark.parametrize(("kind", "path"), [("http", "/mcp"), ("sse", "/sse")])
def test_over_http_the_header_is_sent_and_the_tools_are_the_same(
    workspace: Workspace, tmp_path: Path, kind: str, path: str
) -> None:
    context = Context(workspace, tmp_path)
    with over_http(kind, "--key", "s3cret-value") as address:
        server = Server("far", "sse" if kind == "sse" else "http", url=address + path)
        add(workspace, server, Secrets(headers={"Authorization": "Bearer s3cret-value"}))
        with Sessions(workspace) as sessions:
            assert called(sessions, context, "add", a=1, b=1).text == "2"
            size = 500_000 if kind == "sse" else 10_000_000
            assert called(sessions, context, "big", size=size).files[0].stat().st_size == size
            assert not by_name(sessions)["echo"].tool.network


def test_over_the_older_http_a_result_above_its_limit_is_cut_off_and_the_next_call_works(
    workspace: Workspace, tmp_path: Path
) -> None:
    context = Context(workspace, tmp_path)
    with over_http("sse") as address:
        add(workspace, Server("far", "sse", url=address + "/sse"))
        with Sessions(workspace) as sessions:
            result = called(sessions, context, "big", size=2_000_000)
            assert result.error
            assert "sent more than 1 MiB at once and was cut off" in str(result.error)
            assert called(sessions, context, "add", a=1, b=1).text == "2"


@pytest.mark.parametrize(
    ("path", "header", "code", "says"),
    [
        ("/mcp", "Bearer wrong-secret", "mcp_unauthorized", "refuses this access (HTTP 401)"),
        ("/other", "Bearer s3cret-value", "mcp_wrong_path", "speaks MCP (HTTP 404)"),
        ("/moved", "Bearer s3cret-value", "mcp_redirected", "/mcp; nothing was sent there"),
    ],
)
def test_an_address_that_refuses_says_why_and_no_secret(
    workspace: Workspace, tmp_path: Path, path: str, header: str, code: str, says: str
) -> None:
    seen = tmp_path / "seen"
    with (
        over_http("http", "--seen", str(seen)) as elsewhere,
        over_http("http", "--key", "s3cret-value", "--moved", f"{elsewhere}/mcp?token=1") as address,
    ):
        add(workspace, Server("far", "http", url=address + path), Secrets(headers={"Authorization": header}))
        with Sessions(workspace) as sessions:
            assert sessions.tools() == []
            (problem,) = sessions.problems
    assert problem.code == code
    assert says in str(problem)
    assert not re.search("secret|s3cret|token=", json.dumps(problem.to_dict()))
    assert not seen.exists()


def test_an_address_where_nobody_is_is_named(workspace: Workspace) -> None:
    add(workspace, Server("far", "http", url="http://127.0.0.1:9/mcp"))
    with Sessions(workspace) as sessions:
        assert sessions.tools() == []
        (problem,) = sessions.problems
    assert problem.code == "mcp_unreachable"
    assert "http://127.0.0.1:9/mcp cannot be reached" in str(problem)


@pytest.mark.parametrize("called_between", [True, False])
def test_a_server_that_was_started_anew_on_its_port_is_asked_again(
    workspace: Workspace, tmp_path: Path, called_between: bool
) -> None:
    context = Context(workspace, tmp_path)
    with over_http() as address:
        add(workspace, Server("far", "http", url=address + "/mcp"))
        sessions = Sessions(workspace)
        add_up = by_name(sessions)["add"]
        assert add_up.call({"a": 1, "b": 1}, context).text == "2"
    try:
        if called_between:
            gone = add_up.call({"a": 1, "b": 2}, context)
            assert gone.error
            assert gone.error.code == "mcp_unreachable"
        with over_http("http", "--port", address.rpartition(":")[2]):
            # It does not know the session, and says so: nothing was done, so the call is made again in a new one.
            assert add_up.call({"a": 1, "b": 2}, context).text == "3"
    finally:
        sessions.close()
