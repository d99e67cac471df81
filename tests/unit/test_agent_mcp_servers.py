"""Which MCP servers a person has added: kept whole, secrets apart, and the files of other programs read or refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from backend.agent.mcp_foreign import import_servers
from backend.agent.mcp_servers import (
    FILE,
    Secrets,
    Server,
    add,
    add_all,
    change,
    listed,
    problems_of,
    remove,
    secrets_of,
)
from backend.errors import PanelError, SpecError
from backend.workspace import Workspace

FILES = Server("files", "stdio", command=sys.executable, args=("-m", "x"))
FAR = Server("far", "http", url="https://example.org/mcp")
TOKEN = "t0ken-value"


def foreign(**servers: object) -> str:
    return json.dumps({"mcpServers": servers})


def test_what_was_added_comes_back_with_the_names_of_its_secrets_and_not_their_values(workspace: Workspace) -> None:
    kept = add(workspace, replace(FILES, off=("rm",), unasked=("ls",)), Secrets({"API_TOKEN": TOKEN}))
    assert listed(workspace) == [kept] == [replace(FILES, env=("API_TOKEN",), off=("rm",), unasked=("ls",))]
    assert secrets_of(workspace, "files").env == {"API_TOKEN": TOKEN}
    assert TOKEN not in repr(kept) + repr(secrets_of(workspace, "files"))


def test_the_file_is_for_its_owner_alone_and_no_half_is_left(workspace: Workspace) -> None:
    add(workspace, FAR, Secrets(headers={"Authorization": f"Bearer {TOKEN}"}))
    path = workspace.secrets / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in workspace.secrets.iterdir()] == [FILE]


def test_a_change_keeps_the_values_of_the_names_that_stay(workspace: Workspace) -> None:
    kept = add(workspace, FILES, Secrets({"A_KEY": TOKEN, "B_KEY": "other"}))
    assert change(workspace, replace(kept, env=("A_KEY",), enabled=False)).env == ("A_KEY",)
    assert secrets_of(workspace, "files").env == {"A_KEY": TOKEN}
    assert [(each.name, each.enabled) for each in listed(workspace)] == [("files", False)]


def test_a_server_that_was_removed_leaves_no_secret(workspace: Workspace) -> None:
    add(workspace, FILES, Secrets({"A_KEY": TOKEN}))
    remove(workspace, "files")
    assert TOKEN not in (workspace.secrets / FILE).read_text()
    with pytest.raises(PanelError, match="No MCP server called 'files' was added"):
        remove(workspace, "files")


@pytest.mark.parametrize(
    ("server", "secrets", "code"),
    [
        (replace(FILES, name=""), Secrets(), "mcp_name_unfit"),
        (replace(FILES, name="a/b"), Secrets(), "mcp_name_unfit"),
        (replace(FILES, name="a\n"), Secrets(), "mcp_name_unfit"),
        (replace(FILES, name="x" * 41), Secrets(), "mcp_name_unfit"),
        (replace(FILES, command="no-such-program-here"), Secrets(), "mcp_command_missing"),
        (replace(FILES, command=""), Secrets(), "mcp_command_missing"),
        (replace(FILES, env=("A=B",)), Secrets(), "mcp_env_unfit"),
        (FILES, Secrets({"A": "x\0"}), "mcp_value_unfit"),
        (replace(FAR, url="ftp://example.org"), Secrets(), "mcp_url_unfit"),
        (replace(FAR, url="example.org/mcp"), Secrets(), "mcp_url_unfit"),
        (replace(FAR, url="https://[::1"), Secrets(), "mcp_url_unfit"),
        (replace(FAR, url="https://example.org:99999/"), Secrets(), "mcp_url_unfit"),
        (replace(FAR, url=f"https://me:{TOKEN}@example.org/"), Secrets(), "mcp_url_secret"),
        (FAR, Secrets(headers={"Host": "x"}), "mcp_header_unfit"),
        (FAR, Secrets(headers={"X Y": "x"}), "mcp_header_unfit"),
        (FAR, Secrets(headers={"Authorization": f"Bearer {TOKEN}\r\nX: y"}), "mcp_value_unfit"),
    ],
)
def test_what_does_not_fit_is_refused_without_its_secret(
    workspace: Workspace, server: Server, secrets: Secrets, code: str
) -> None:
    with pytest.raises(PanelError) as caught:
        add(workspace, server, secrets)
    assert caught.value.code == code
    assert TOKEN not in json.dumps(caught.value.to_dict())
    assert listed(workspace) == []


def test_a_chinese_name_is_a_name(workspace: Workspace) -> None:
    assert add(workspace, replace(FILES, name="文件 1")).name == "文件 1"


def test_a_name_that_differs_in_capitals_alone_is_taken_and_nothing_of_the_rest_is_kept(workspace: Workspace) -> None:
    add(workspace, FILES)
    with pytest.raises(PanelError, match="There is an MCP server called 'Files' already"):
        add_all(workspace, [(FAR, Secrets()), (replace(FILES, name="Files"), Secrets())])
    assert [server.name for server in listed(workspace)] == ["files"]


@pytest.mark.parametrize("text", ["{", "[]", '{"servers": 1}', '{"servers": [{"name": "a", "kind": "odd"}]}'])
def test_a_damaged_file_is_named_and_nothing_of_it_is_shown(workspace: Workspace, text: str) -> None:
    (workspace.secrets / FILE).write_text(text)
    with pytest.raises(PanelError) as caught:
        listed(workspace)
    assert caught.value.code == "mcp_file_damaged"
    assert str(workspace.secrets / FILE) in str(caught.value)


def test_the_values_are_hidden_in_what_a_server_says_word_by_word() -> None:
    secrets = Secrets({"A": "yes"}, {"Authorization": f"Bearer {TOKEN}"})
    assert secrets.hidden(f"yes, bad token {TOKEN}!") == "yes, bad token •••!"


def test_the_file_of_another_program_is_read(workspace: Workspace) -> None:
    text = foreign(
        files={"command": sys.executable, "args": ["-m", "x"], "env": {"API_TOKEN": TOKEN}},
        far={"url": "https://example.org/mcp", "headers": {"Authorization": f"Bearer {TOKEN}"}, "disabled": True},
        old={"type": "sse", "url": "http://127.0.0.1:3000/sse"},
    )
    import_servers(workspace, "\ufeff" + text)
    files, far, old = listed(workspace)
    assert files == replace(FILES, env=("API_TOKEN",))
    assert far == replace(FAR, headers=("Authorization",), enabled=False)
    assert (old.kind, old.url) == ("sse", "http://127.0.0.1:3000/sse")
    assert secrets_of(workspace, "far").headers == {"Authorization": f"Bearer {TOKEN}"}


def test_all_that_is_wrong_in_a_foreign_file_is_said_at_once_and_nothing_is_added(workspace: Workspace) -> None:
    add(workspace, FILES)
    text = foreign(
        **{
            "files": {"command": sys.executable},
            "a/b": {"command": "no-such-program-here", "env": {"A=B": TOKEN}},
            "odd": {"type": "carrier-pigeon", "url": "https://example.org"},
            "empty": {},
            "lists": {"command": sys.executable, "args": "-m x", "env": [TOKEN]},
            "good": {"command": sys.executable},
        }
    )
    with pytest.raises(SpecError) as caught:
        import_servers(workspace, text)
    assert [problem["field"] for problem in caught.value.problems] == [
        *["files"],
        *["a/b"] * 3,
        *["odd", "empty"],
        *["lists"] * 2,
    ]
    assert "Nothing was added. What is wrong (8): files: There is an MCP server called 'files' already." in str(
        caught.value
    )
    assert "carrier-pigeon" in str(caught.value)
    assert TOKEN not in json.dumps(caught.value.to_dict())
    assert [server.name for server in listed(workspace)] == ["files"]


def test_a_name_that_stands_twice_in_a_foreign_file_is_not_lost_in_silence(workspace: Workspace) -> None:
    one = json.dumps({"command": sys.executable})
    with pytest.raises(SpecError, match="There is an MCP server called 'a' already"):
        import_servers(workspace, f'{{"mcpServers": {{"a": {one}, "a": {one}}}}}')


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "mcp_import_no_json"),
        ('{"mcpServers": {"a": {"env": {"K": "t0ken-value"', "mcp_import_no_json"),
        ("[" * 100_000, "mcp_import_no_json"),
        ("[]", "mcp_import_empty"),
        ('{"mcpServers": {}}', "mcp_import_empty"),
        ("x" * 2_000_000, "mcp_import_empty"),
    ],
)
def test_a_text_that_is_no_such_file_is_refused(workspace: Workspace, text: str, code: str) -> None:
    with pytest.raises(PanelError) as caught:
        import_servers(workspace, text)
    assert caught.value.code == code
    assert caught.value.__cause__ is None
    assert TOKEN not in json.dumps(caught.value.to_dict())
    assert "from its first { to its last }" in caught.value.localized()[1]


def test_a_server_says_all_that_is_wrong_with_it() -> None:
    wrong = problems_of(replace(FAR, name="", url="nowhere"), Secrets(headers={"Host": "x"}))
    assert [problem.code for problem in wrong] == ["mcp_name_unfit", "mcp_url_unfit", "mcp_header_unfit"]
