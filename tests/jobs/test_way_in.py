"""The way in, on real panels: who gets what without the token, and what happens to panels that meet or die."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from backend.web import panel as panels
from backend.web.token import Token
from backend.workspace import ROOT, open_workspace
from tests.support.panel import Panel, end_all_of, free_port, start_panel
from tests.support.wait import until
from tests.support.wire import ask, log_in, stream

FRONTEND = b'id="root"'
"""Stands in Streamlit's page and in nothing of ours."""


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    running = start_panel(tmp_path_factory.mktemp("way-in"))
    yield running
    running.stop()


def environment(workspace: Path, **settings: str) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TUNEDECK_", "STREAMLIT_", "PYTEST_"))}
    env |= {"TUNEDECK_WORKSPACE": str(workspace), "TUNEDECK_WATCHER_IDLE_S": "2", "LC_ALL": "C.UTF-8"}
    return env | {f"TUNEDECK_{name.upper()}": value for name, value in settings.items()}


def command(*args: str, workspace: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """``python -m backend ARGS`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "backend", *args],
        cwd=workspace,  # not the checkout: it must be found from anywhere
        env={**environment(workspace, **settings), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def started(workspace: Path, *args: str, **settings: str) -> Iterator[Panel]:
    """A panel started as people start it: ``python -m backend panel start ARGS``, until it answers."""
    workspace.mkdir(parents=True, exist_ok=True)
    env, port = environment(workspace, **settings), int(settings.get("port") or args[args.index("--port") + 1])
    log = workspace / f"console-{port}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", "panel", "start", *args],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    running = Panel(workspace, port, log, process, env)
    try:
        until(lambda: process.poll() is not None or running.healthy(), 60, "the panel answers")
        assert process.poll() is None, running.output()
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
        end_all_of(workspace)


def raw(panel: Panel, request: bytes) -> bytes:
    """All that comes back for these bytes, until the panel closes or is silent for a second."""
    with socket.create_connection(("127.0.0.1", panel.port), timeout=1) as client:
        client.sendall(request)
        answer = b""
        try:
            while piece := client.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


# --- people who have the link


def test_start_prints_the_workspace_a_link_that_opens_and_the_ssh_line(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path / "made here", port=str(port)) as panel:
        printed = until(lambda: "ssh" in panel.output() and panel.output(), 10, "the link is printed")
        assert str(tmp_path / "made here") in printed
        link = re.findall(rf"http://127\.0\.0\.1:{port}/\?token=\S+", printed)[0]
        assert re.search(rf"ssh -N -L {port}:127\.0\.0\.1:{port} \S+@\S+", printed)
        cookie = log_in(panel, link)
        status, headers, body = ask(panel, "/", cookie=cookie)
        assert (status, FRONTEND in body) == (200, True)
        assert headers["x-frame-options"] == "SAMEORIGIN"
        shown = command("panel", "link", "--json", workspace=panel.workspace)
        assert json.loads(shown.stdout)["link"] == link
        # Streamlit's own address has no token: it would only lead to the locked page.
        assert "You can now view" not in printed


def test_a_deep_link_over_a_websocket_shows_the_page_inside_the_frame(panel: Panel) -> None:
    with stream(panel, cookie=log_in(panel)) as socket_:
        message = BackMsg()
        message.rerun_script.page_name = "jobs"
        socket_.send(message.SerializeToString())
        seen = set()
        while "script_finished" not in seen:
            forward = ForwardMsg()
            forward.ParseFromString(socket_.recv(timeout=30))
            seen.add(str(forward.WhichOneof("type")))
        assert "navigation" in seen


# --- strangers


PATHS = [
    "/",
    "/jobs",
    "/chat?embed=true",
    "/static/index.html",
    "/app/static/fonts/inter-latin.woff2",
    "/media/x",
    "/component/some.component/index.html",
    "/_stcore/host-config",
    "/_stcore/metrics",
    "/_stcore/upload_file/a/b",
    "/_stcore/script-health-check",
    "/_stcore/stream",
    "/_stcore/health/../stream",
    "/_stcore/health/..%2f..%2findex.html",
    "/_stcore/%68ealth/../../",
    "/_stcore/health/%2e%2e/%2e%2e/",
    "/_stcore/health%00",
    "/_stcore/health?/../../jobs",
    "/_stcore/health#/../../jobs",
    "//jobs",
    "/%2fjobs",
    "/./jobs",
    "/v1/../jobs",
    "/v1/%2e%2e/jobs",
    "/v1%2f..%2fjobs",
    "/V1/models",
    "/jobs;/_stcore/health",
    "/jobs?/_stcore/health",
    "http://127.0.0.1/jobs",
    "http://127.0.0.1/_stcore/health/../../jobs",
    "*",
    "/?token=",
    "/?token=%00",
    "/?token[]=x",
    "/?x=1;token=y",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_request_line_shows_a_page_without_the_token(panel: Panel, path: str) -> None:
    host = f"Host: 127.0.0.1:{panel.port}\r\n"
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT"):
        answer = raw(panel, f"{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 "), (method, answer[:100])
        status = int(answer.split()[1])
        assert FRONTEND not in answer
        assert b"set-cookie: tunedeck" not in answer.lower()
        opened = path.startswith("/_stcore/health") and answer.endswith((b"ok", b"\r\n\r\n")) and status == 200
        assert status in (400, 401, 403, 405, 429) or opened, (method, status)


def test_no_way_of_putting_the_request_shows_a_page_without_the_token(panel: Panel) -> None:
    host = f"Host: 127.0.0.1:{panel.port}\r\n".encode()
    tricks = [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + host + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X-Forwarded-Host: 127.0.0.1\r\nX-Original-URL: /_stcore/health\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X-Forwarded-For: 127.0.0.1\r\nX-Rewrite-URL: /_stcore/health\r\n\r\n",
        # A second request behind the open one, and one hidden in its body.
        b"GET /_stcore/health HTTP/1.1\r\n" + host + b"\r\nGET /jobs HTTP/1.1\r\n" + host + b"\r\n",
        b"GET /_stcore/health HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /jobs HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\n"
        + host
        + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n" + host + b"\r\n",
        b"GET\t/\tHTTP/1.1\r\n" + host + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ]
    for trick in tricks:
        answer = raw(panel, trick)
        assert FRONTEND not in answer, trick
        assert b"set-cookie: tunedeck" not in answer.lower(), trick


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/stream",
        "/_stcore/stream/",
        "//_stcore/stream",
        "/_stcore/health",
        "/v1/stream",
        "/x/_stcore/stream",
        "/",
    ],
)
def test_no_websocket_is_accepted_without_the_cookie(panel: Panel, path: str) -> None:
    token = panel.token
    for attempt in (
        {},
        {"path": f"{path}?token={token}"},
        {"cookie": f"tunedeck-{panel.port}={token}"},
        {"cookie": f"tunedeck-{panel.port}=1.{'0' * 64}"},
        {"subprotocols": ["streamlit", token, "session"]},
        {"origin": f"http://127.0.0.1:{panel.port}"},
    ):
        with pytest.raises(InvalidStatus) as refused:
            stream(panel, **{"path": path, **attempt})
        assert refused.value.response.status_code == 403


def test_a_page_of_another_origin_cannot_open_a_websocket_with_my_cookie(panel: Panel) -> None:
    cookie = log_in(panel)
    for origin in ("http://evil.example", "http://localhost:9999", f"http://localhost:{panel.port}", "null"):
        with pytest.raises(InvalidStatus):
            stream(panel, cookie=cookie, origin=origin)
    with stream(panel, cookie=cookie, origin=f"http://127.0.0.1:{panel.port}") as own:
        own.ping().wait(10)


def test_messages_before_the_handshake_ends_are_not_heard(panel: Panel) -> None:
    key = b"dGhlIHNhbXBsZSBub25jZQ=="
    rerun = BackMsg()
    rerun.rerun_script.page_name = "jobs"
    payload = rerun.SerializeToString()
    frame = bytes([0x82, 0x80 | len(payload), 0, 0, 0, 0]) + payload
    head = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{panel.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n\r\n"
    ).encode()
    answer = raw(panel, head + frame + frame)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"\x82" not in answer.partition(b"\r\n\r\n")[2]


def test_the_locked_page_is_what_a_browser_gets_and_it_stores_nothing(panel: Panel) -> None:
    status, headers, body = ask(panel, "/jobs")
    assert status == 403
    assert headers["cache-control"] == "no-store"
    assert b'name="token"' in body
    assert "set-cookie" not in headers


# --- wrong and replaced tokens


def test_wrong_tokens_are_slowed_down_and_who_is_in_notices_nothing(tmp_path: Path) -> None:
    running = start_panel(tmp_path / "w")
    try:
        cookie = log_in(running)
        statuses = [ask(running, f"/?token=wrong{n}")[0] for n in range(15)]
        assert statuses[:10] == [403] * 10
        assert 429 in statuses[10:12]
        status, headers, _body = ask(running, f"/?token={running.token}")
        assert (status, "set-cookie" in headers) == (429, False)
        assert int(headers["retry-after"]) in (1, 2, 3)
        assert ask(running, "/", cookie=cookie)[0] == 200
        until(lambda: ask(running, f"/?token={running.token}")[0] == 302, 20, "the right token is heard again")
    finally:
        running.stop()


def test_a_new_token_locks_out_old_cookies_old_links_and_open_pages(tmp_path: Path) -> None:
    running = start_panel(tmp_path / "w")
    try:
        old_link, cookie = running.link(), log_in(running)
        with stream(running, cookie=cookie) as open_page:
            made = command("panel", "link", "--new", workspace=running.workspace)
            assert made.returncode == 0, made.stderr
            open_page.send(BackMsg(rerun_script={"page_name": "jobs"}).SerializeToString())  # type: ignore[arg-type]
            with pytest.raises(ConnectionClosed) as closed:
                listen_for_ever(open_page)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert ask(running, "/", cookie=cookie)[0] == 403
        assert ask(running, old_link.partition(str(running.port))[2])[0] == 403
        assert ask(running, "/", cookie=log_in(running, made.stdout.split()[0]))[0] == 200
    finally:
        running.stop()


def test_a_new_token_without_a_panel_counts_from_the_next_start_on(tmp_path: Path) -> None:
    old = Token(open_workspace(tmp_path / "w")).ensure()
    said = command("panel", "link", workspace=tmp_path / "w")
    assert (said.returncode, "No panel is open" in said.stderr) == (1, True)
    made = command("panel", "link", "--new", "--json", workspace=tmp_path / "w")
    assert json.loads(made.stdout) == {"running": False, "link": None, "ssh": None}
    assert Token(open_workspace(tmp_path / "w")).current() != old


# --- panels that meet, and panels that die


def test_a_port_that_is_taken_is_said_and_nothing_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (tmp_path / "w").mkdir()
        said = command("panel", "start", "--port", str(port), workspace=tmp_path / "w")
    assert said.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use by another program" in said.stderr
    assert "TUNEDECK_PORT" in said.stderr
    assert panels.running(open_workspace(tmp_path / "w")) is None


def test_a_second_start_on_one_workspace_shows_the_first_and_another_takes_its_place_when_it_dies(
    tmp_path: Path,
) -> None:
    workspace = tmp_path / "w"
    with started(workspace, port=str(free_port())) as first:
        again = command("panel", "start", workspace=workspace, port=str(free_port()))
        assert again.returncode == 0
        assert "is open on the workspace" in again.stdout
        assert first.link() in again.stdout
        with started(workspace, "--another", port=str(free_port())) as second:
            assert second.token == first.token
            assert ask(first, "/", cookie=log_in(first))[0] == ask(second, "/", cookie=log_in(second))[0] == 200
            found = panels.running(open_workspace(workspace))
            assert found is not None
            assert found.port == first.port
            first.kill9()

            def taken_over() -> bool:
                now = panels.running(open_workspace(workspace))
                return now is not None and now.port == second.port

            until(taken_over, 20, "the second panel is the one that is known")


def test_a_killed_panel_leaves_nothing_in_the_way_of_the_next_one(tmp_path: Path) -> None:
    running = start_panel(tmp_path / "w")
    try:
        workspace = open_workspace(running.workspace)
        cookie = log_in(running)
        watcher = until(lambda: json_of(workspace.run / "watcher.json"), 20, "the watcher runs")
        running.kill9()
        assert (workspace.run / "panel.json").exists()
        assert panels.running(workspace) is None
        assert Path(f"/proc/{watcher['pid']}").exists()
        running.start_again()
        assert ask(running, "/", cookie=cookie)[0] == 200
        found = until(lambda: panels.running(workspace), 10, "the new panel is known")
        assert found.pid == running.process.pid
    finally:
        running.stop()


def test_the_panel_starts_the_watcher_and_starts_it_again_when_it_was_killed(tmp_path: Path) -> None:
    running = start_panel(tmp_path / "w")
    try:
        address = running.workspace / "run" / "watcher.json"
        first = until(lambda: json_of(address), 20, "the watcher runs")["pid"]
        os.kill(first, signal.SIGKILL)
        until(lambda: (json_of(address) or {}).get("pid") not in (None, first), 30, "another watcher runs")
        assert running.healthy()
    finally:
        running.stop()


def test_a_panel_that_is_closed_says_so_and_is_no_longer_known(tmp_path: Path) -> None:
    with started(tmp_path / "w", port=str(free_port())) as running:
        workspace = open_workspace(running.workspace)
        assert panels.running(workspace) is not None
        running.process.send_signal(signal.SIGINT)
        running.process.wait(20)
        assert panels.running(workspace) is None
        assert not (workspace.run / "panel.json").exists()
        log = (workspace.logs / "panel.log").read_text()
        assert f"panel {running.process.pid} ends" in log
        assert running.token not in log


# --- addresses


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_address_that_others_can_reach_is_refused_with_what_it_would_mean(tmp_path: Path, host: str) -> None:
    (tmp_path / "w").mkdir()
    said = command("panel", "start", "--host", host, "--port", str(free_port()), workspace=tmp_path / "w")
    assert said.returncode == 1
    assert f"would listen on {host}, which other machines can reach" in said.stderr
    assert "TUNEDECK_ALLOW_REMOTE" in said.stderr


def test_streamlit_itself_cannot_be_talked_into_listening_to_the_network(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    port = free_port()
    ended = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.port", str(port)],
        cwd=ROOT,
        env=environment(tmp_path / "w"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert "which other machines can reach" in ended.stdout + ended.stderr


def test_an_allowed_network_address_answers_to_the_names_of_this_machine_only(tmp_path: Path) -> None:
    with started(tmp_path / "w", "--host", "0.0.0.0", port=str(free_port()), allow_remote="1") as running:
        printed = until(lambda: "ssh" in running.output() and running.output(), 10, "the link is printed")
        assert "open to the network" in printed
        machine = f"{socket.gethostname()}:{running.port}"
        status, headers, _body = ask(running, f"/?token={running.token}", host=machine)
        assert status == 302
        cookie = headers["set-cookie"].split(";")[0]
        assert ask(running, "/", host=machine, cookie=cookie)[0] == 200
        assert ask(running, "/", host=f"evil.example:{running.port}", cookie=cookie)[0] == 403


@pytest.mark.parametrize("start", [["-m", "backend", "panel", "start"], ["-m", "streamlit", "run", "app.py"]])
def test_a_workspace_that_cannot_be_used_is_said_without_a_traceback(tmp_path: Path, start: list[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    ended = subprocess.run(
        [sys.executable, *start],
        cwd=ROOT,
        env=environment(blocked, port=str(free_port())),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert f"The folder {blocked} cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_starting_the_panel_loads_no_model_library_and_no_table_library() -> None:
    heavy = ["torch", "transformers", "openai", "pandas", "numpy", "aiohttp", "httpx", "typer", "pynvml"]
    code = f"import streamlit, app, sys; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert loaded.stdout.strip().splitlines()[-1:] == ["[]"], loaded.stderr


def listen_for_ever(page: ClientConnection) -> None:
    while True:
        page.recv(timeout=20)


def json_of(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return data
