"""What an agent may use, on its page: tools switched on and off, their settings, MCP servers; and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.agent import mcp_servers, tool_settings
from backend.agent import working as workers
from backend.agent.mcp_servers import Secrets, Server
from backend.agent.options import DEFAULT_TOOLS
from backend.errors import PanelError
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.agent_page import Worker, open_at, press, seen, sound, working


@pytest.fixture
def worker(workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(workers, "ensure", lambda _workspace, _conversation: None)
    with working(workspace) as found:
        yield found


@pytest.fixture
def page(worker: Worker) -> AppTest:
    """With a conversation that has an answer."""
    turn = worker.asked()
    worker.end(turn, answer="yes")
    return open_at(turn.conversation)


def kept(worker: Worker) -> tuple[str, ...]:
    [conversation] = worker.store.conversations()
    return conversation.options.tools


def toggle(app: AppTest, name: str) -> AppTest:
    found = next(t for t in app.toggle if str(t.key).startswith(f"agent_option_tool_{name}_"))
    return sound(found.set_value(not found.value).run())


def option(app: AppTest, kind: str, name: str) -> object:
    return next(w for w in app.get(kind) if str(w.key).startswith(f"agent_option_{name}_"))


def tools_label(app: AppTest) -> str:
    return next(b.proto.popover.label for b in app.get("popover") if b.proto.popover.label.startswith("Tools"))


def test_tools_are_switched_and_kept_with_the_conversation_in_their_order(page: AppTest, worker: Worker) -> None:
    assert tools_label(page) == "Tools (4)"
    toggle(page, "calculator")
    assert kept(worker) == DEFAULT_TOOLS[1:]
    toggle(page, "web_page")
    toggle(page, "calculator")
    assert kept(worker) == (*DEFAULT_TOOLS, "web_page")
    assert tools_label(page) == "Tools (5)"
    again = open_at(worker.store.conversations()[0].id)
    assert tools_label(again) == "Tools (5)"


def test_what_reaches_other_machines_says_so(page: AppTest) -> None:
    assert seen(page).count("reaches other machines") == 2


def test_hosts_of_web_pages_are_kept_and_wrong_ones_named(page: AppTest, worker: Worker) -> None:
    toggle(page, "web_page")
    page.text_area(key="agent_web_hosts").set_value("example.org\n*.example.com\n").run()
    press(page, "agent_keep_web_page")
    stored = tool_settings.load(worker.workspace)["web_page"]
    assert stored == {"hosts": ["example.org", "*.example.com"], "private": False}
    page.text_area(key="agent_web_hosts").set_value("https://example.org/page").run()
    press(page, "agent_keep_web_page")
    assert "'https://example.org/page' is no host that a web page can be read from." in seen(page)
    assert tool_settings.load(worker.workspace)["web_page"] == stored


def test_the_limits_of_python_are_kept(page: AppTest, worker: Worker) -> None:
    page.number_input(key="agent_python_seconds").set_value(12.5).run()
    press(page, "agent_keep_python")
    assert tool_settings.load(worker.workspace) == {"python": {"seconds": 12.5}}


def test_how_it_is_asked_is_kept_with_the_conversation(page: AppTest, worker: Worker) -> None:
    option(page, "selectbox", "protocol").set_value("react").run()  # type: ignore[attr-defined]
    option(page, "toggle", "repair").set_value(False).run()  # type: ignore[attr-defined]
    option(page, "number_input", "most_steps").set_value(3).run()  # type: ignore[attr-defined]
    option(page, "number_input", "seed").set_value(7).run()  # type: ignore[attr-defined]
    sound(page)
    options = worker.store.conversations()[0].options
    assert (options.protocol, options.repair, options.most_steps, options.seed) == ("react", False, 3, 7)


def test_an_mcp_server_is_added_with_its_values_and_switched_on(page: AppTest, worker: Worker) -> None:
    page.text_input(key="agent_mcp_name_0").set_value("files").run()
    page.text_input(key="agent_mcp_command_0").set_value("python -m files --folder '/data/my files'").run()
    page.text_area(key="agent_mcp_values_0").set_value("API_KEY=very-secret=1\nLANG_ONLY").run()
    press(page, "agent_mcp_add")
    [server] = mcp_servers.listed(worker.workspace)
    assert (server.command, server.args) == ("python", ("-m", "files", "--folder", "/data/my files"))
    assert server.env == ("LANG_ONLY", "API_KEY") or server.env == ("API_KEY", "LANG_ONLY")
    assert mcp_servers.secrets_of(worker.workspace, "files").env == {"API_KEY": "very-secret=1"}
    assert kept(worker) == (*DEFAULT_TOOLS, "mcp:files")
    assert tools_label(page) == "Tools (5)"
    assert "very-secret" not in seen(page)
    assert page.text_input(key="agent_mcp_name_1").value == ""


@pytest.mark.parametrize(
    ("name", "command", "values", "told"),
    [
        ("", "python", "", "name"),
        ("files", "python 'open", "", "A quote in the command is not closed."),
        ("files", "python", "=secret-value", "Line 1 of the values is not of the form NAME=value."),
        ("taken", "python", "", "There is an MCP server called 'taken' already."),
    ],
)
def test_an_mcp_server_with_wrong_input_is_refused_and_what_was_typed_stays(
    page: AppTest, worker: Worker, name: str, command: str, values: str, told: str
) -> None:
    mcp_servers.add(worker.workspace, Server("taken", "http", url="https://tools.example.org/mcp"))
    page.text_input(key="agent_mcp_name_0").set_value(name).run()
    page.text_input(key="agent_mcp_command_0").set_value(command).run()
    page.text_area(key="agent_mcp_values_0").set_value(values).run()
    press(page, "agent_mcp_add")
    card = next(m.value for m in page.markdown if m.value.startswith(":red[:material/error:]"))
    assert told in card.replace("\\", "")
    assert "secret-value" not in card
    assert [server.name for server in mcp_servers.listed(worker.workspace)] == ["taken"]
    assert page.text_input(key="agent_mcp_command_0").value == command


def test_a_header_without_a_value_is_refused(page: AppTest, worker: Worker) -> None:
    page.selectbox(key="agent_mcp_kind_0").set_value("http").run()
    page.text_input(key="agent_mcp_name_0").set_value("web").run()
    page.text_input(key="agent_mcp_url_0").set_value("https://tools.example.org/mcp").run()
    page.text_area(key="agent_mcp_values_0").set_value("X-A: 1\nAuthorization").run()
    press(page, "agent_mcp_add")
    assert "Line 2 of the values is not of the form Name: value." in seen(page)
    assert mcp_servers.listed(worker.workspace) == []


def test_an_mcp_server_is_switched_off_and_removed_with_its_values(page: AppTest, worker: Worker) -> None:
    mcp_servers.add(worker.workspace, Server("files", "stdio", command="python"), Secrets(env={"KEY": "very-secret"}))
    sound(page.run())
    toggle(page, "mcp:files")
    assert kept(worker) == (*DEFAULT_TOOLS, "mcp:files")
    press(page, "agent_mcp_enabled_files")
    assert [(each.name, each.enabled) for each in mcp_servers.listed(worker.workspace)] == [("files", False)]
    assert mcp_servers.secrets_of(worker.workspace, "files").env == {"KEY": "very-secret"}
    assert tools_label(page) == "Tools (4)"
    press(page, "agent_mcp_remove_files")
    assert mcp_servers.listed(worker.workspace) == []
    assert kept(worker) == DEFAULT_TOOLS


def test_a_damaged_file_of_servers_leaves_a_page_that_works(page: AppTest, worker: Worker) -> None:
    (worker.workspace.secrets / mcp_servers.FILE).write_text("{")
    sound(page.run())
    assert "in which the MCP servers are kept, is damaged." in seen(page)
    toggle(page, "calculator")
    assert kept(worker) == DEFAULT_TOOLS[1:]


@pytest.mark.parametrize(
    ("tool", "values", "code"),
    [
        ("web_page", {"hosts": ["exa mple.org"]}, "tool_host_bad"),
        ("web_page", {"hosts": ["example.org:70000"]}, "tool_host_bad"),
        ("web_page", {"hosts": [f"h{n}.example.org" for n in range(201)]}, "tool_hosts_many"),
        ("web_page", {"hosts": "example.org"}, "tool_setting_bad"),
        ("web_page", {"private": "yes"}, "tool_setting_bad"),
        ("arxiv_search", {"base_url": "ftp://example.org"}, "tool_setting_bad"),
        ("arxiv_search", {"base_url": "http://example.org:99999999"}, "tool_setting_bad"),
        ("python", {"seconds": float("nan")}, "tool_setting_bad"),
        ("python", {"memory_mib": 1}, "tool_setting_bad"),
        ("python", {"memory": 512}, "tool_setting_unknown"),
        ("calculator", {"seconds": 1}, "tool_setting_unknown"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_and_nothing_is_changed(
    workspace: Workspace, tool: str, values: dict[str, object], code: str
) -> None:
    tool_settings.keep(workspace, "python", {"seconds": 5})
    with pytest.raises(PanelError) as caught:
        tool_settings.keep(workspace, tool, values)
    assert caught.value.code == code
    assert tool_settings.load(workspace) == {"python": {"seconds": 5.0}}


def test_settings_that_were_damaged_by_hand_are_passed_over(workspace: Workspace) -> None:
    path: Path = workspace.root / tool_settings.FILE
    assert tool_settings.load(workspace) == {}
    path.write_text('{"python": {"seconds": "soon", "memory_mib": 512}, "later": {"a": 1}, "web_page": 3}')
    assert tool_settings.load(workspace) == {"python": {"memory_mib": 512.0}}
    path.write_text("[")
    assert tool_settings.load(workspace) == {}


def test_hosts_are_kept_once_and_an_empty_value_takes_the_tools_own_again(workspace: Workspace) -> None:
    kept_now = tool_settings.keep(workspace, "web_page", {"hosts": [" a.example ", "a.example", "[::1]:80"]})
    assert kept_now == {"hosts": ["a.example", "[::1]:80"]}
    assert tool_settings.keep(workspace, "arxiv_search", {"base_url": None}) == {}
