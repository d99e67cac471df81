"""What real pip says on a bad day, and what we make of it; and what it is given: mirror, proxy, logins."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from backend.envs import pip
from backend.settings import Settings
from backend.workspace import Workspace
from tests.support.installs import environ
from tests.support.wheel_index import Fault, WheelIndex, wheel

PART = wheel("part", "1.0", pad=50_000)


class Asked:
    """One run of pip that fetches ``wanted``; the variables are those that our code makes of the settings."""

    def __init__(
        self, folder: Path, settings: Settings, wanted: str = PART.line().partition("  #")[0], **more: str
    ) -> None:
        self.folder, self.settings, self.workspace = folder, settings, Workspace(folder / "workspace")
        self.workspace.secrets.mkdir(parents=True, exist_ok=True)
        (folder / "wanted.txt").write_text(wanted + "\n")
        # As in a job: what pip would take from this machine is away, what the settings say is put on top.
        base = environ(folder, **more)
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(base)
            made = pip.fetching_environ(self.workspace, settings, folder)
        finally:
            os.environ.clear()
            os.environ.update(before)
        command = [sys.executable, "-m", "pip", *pip.COMMON, "download", "--no-deps", "--retries", "1"]
        command += ["--resume-retries", "1", "--log", str(folder / "log"), "-d", str(folder / "files")]
        self.process = subprocess.Popen(
            [*command, "-r", str(folder / "wanted.txt")],
            env=made,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lines(self) -> list[str]:
        said = self.process.communicate(timeout=60)[0]
        return [*pip.log_lines(self.folder / "log"), *said.splitlines()]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@contextmanager
def proxy(status: int = 0) -> Iterator[tuple[str, list[str]]]:
    """A proxy for http that passes everything on to loopback, whatever host was asked for; or only answers ``status``."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            address = self.path.replace("packages.test", "127.0.0.1")
            try:
                answer = httpx.get(address, headers={"Accept": self.headers["Accept"]}, trust_env=False)
            except httpx.ConnectError:
                answer = httpx.Response(404, headers={"Content-Type": "text/plain"})
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_each_failure_is_told_in_plain_words_with_its_evidence(tmp_path: Path, stack: ExitStack) -> None:
    def index(part: str = "", *faults: Fault, login: str = "") -> WheelIndex:
        made = stack.enter_context(WheelIndex(login=login))
        made.add(PART, wheel("part", "2.0"))
        if part:
            made.fail(part, *faults)
        return made

    (tmp_path / "forbids.txt").write_text("part==2.0\n")
    through = {"PIP_TRUSTED_HOST": "packages.test"}
    cases = {
        "env_pip_login page": (index("/simple/", Fault(403, times=9)).url, {}, {}, "403 Client Error"),
        "env_pip_login": (index(login="somebody:password").url, {}, {}, "401"),
        "env_pip_broken page": (index("/simple/", Fault(503, times=9)).url, {}, {}, "503"),
        "env_pip_broken": (index("/files/", Fault(503, times=9)).url, {}, {}, "503"),
        "env_pip_lacks": (index("/simple/", Fault(404, times=9)).url, {}, {}, "404 Client Error"),
        "env_pip_hash": (index("/files/", Fault(wrong=True)).url, {}, {}, "DO NOT MATCH"),
        "env_pip_cut_off": (index("/files/", Fault(cut=1000, times=9)).url, {}, {}, "incomplete download"),
        "env_pip_constraint": (
            index().url,
            {},
            {"PIP_CONSTRAINT": str(tmp_path / "forbids.txt")},
            "(constraint) part==2.0",
        ),
        "env_pip_unreachable": ("http://127.0.0.1:9/simple", {}, {}, "Connection refused"),
        "env_pip_proxy": ("http://packages.test/simple", {"proxy": "http://127.0.0.1:9"}, through, "port=9"),
        "env_pip_proxy asks": (
            "http://packages.test/simple",
            {"proxy": stack.enter_context(proxy(407))[0]},
            through,
            "407",
        ),
    }
    asked = {}
    for number, (name, (url, more, variables, _evidence)) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        asked[name] = Asked(folder, Settings(pip_index_url=url, **more), **variables)
    for name, run in asked.items():
        url, *_rest, evidence = cases[name]
        lines = run.lines()
        problem = pip.explain(lines, run.folder, run.workspace, run.settings)
        assert problem.code == name.split()[0], (name, lines)
        assert evidence in problem.params["line"], (name, problem.params, lines)
        assert problem.params["index"] == url
        if name in ("env_pip_hash", "env_pip_constraint", "env_pip_lacks"):
            assert problem.params["package"] == "part==1.0", name


def test_mirror_proxy_and_login_reach_pip_and_no_password_is_shown(tmp_path: Path, stack: ExitStack) -> None:
    index = stack.enter_context(WheelIndex(login="somebody:topsecret"))
    index.add(PART)
    address, seen = stack.enter_context(proxy())
    first, second = tmp_path / "1", tmp_path / "2"
    secrets = first / "workspace" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "netrc").write_text("machine 127.0.0.1 login somebody password topsecret\n")
    (secrets / "netrc").chmod(0o600)
    direct = Asked(first, Settings(pip_index_url=index.url))
    said = "\n".join(direct.lines())
    assert direct.process.returncode == 0, said
    assert "topsecret" not in said
    assert (first / "files" / PART.file).read_bytes() == PART.data
    assert all("topsecret" not in word for word in direct.process.args)

    index.login = ""
    second.mkdir()
    url = index.url.replace("127.0.0.1", "packages.test")
    there = Asked(
        second,
        Settings(pip_index_url="http://127.0.0.1:9/simple", pip_extra_index_url=url, proxy=address),
        PIP_TRUSTED_HOST="packages.test 127.0.0.1",
        PIP_NO_INDEX="1",
    )
    said = "\n".join(there.lines())
    assert there.process.returncode == 0, said
    assert [path for path in seen if path.endswith(PART.file)], "it came through the proxy"


def test_to_install_pip_sees_nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONSTRAINT", "/nowhere.txt")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("TUNEDECK_JOB_COOKIE", "1.1.x")
    found = pip.installing_environ(tmp_path)
    assert {"PIP_INDEX_URL", "PIP_CONSTRAINT", "PYTHONPATH"} & found.keys() == set()
    assert (found["PIP_CONFIG_FILE"], found["PIP_NO_INDEX"]) == (os.devnull, "1")
    assert found["TUNEDECK_JOB_COOKIE"] == "1.1.x", "a kill of the job must find its pip"


def test_a_full_disk_and_a_failed_build_are_told_apart(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    full = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert pip.explain([full], tmp_path, workspace, Settings()).code == "workspace_full"
    build = """\
  error: subprocess-exited-with-error
  × Building wheel for toy-source (pyproject.toml) did not run successfully.
  ╰─> [3 lines of output]
      running build
      fatal error: Python.h: No such file or directory
      [end of output]
  ERROR: Failed building wheel for toy-source
error: failed-wheel-build-for-install
× Failed to build installable wheels for some pyproject.toml based projects
╰─> toy-source"""
    problem = pip.explain(build.splitlines(), tmp_path, workspace, Settings())
    assert (problem.code, problem.params["package"]) == ("env_pip_build", "toy-source")
    assert problem.params["line"] == "fatal error: Python.h: No such file or directory"
    other = pip.explain(["Something new", "ERROR: It is Tuesday"], tmp_path, workspace, Settings())
    assert (other.code, str(other)) == ("env_pip_failed", "pip stopped: It is Tuesday")
