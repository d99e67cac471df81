"""LMDeploy as the serve job runs it: real jobs, a real queue, the real file inside its environment; only the GPU and the
engine's computing are not there (see :mod:`tests.support.lmdeploy_stub`)."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from backend import catalog
from backend.chat.waiting import await_server, find_server
from backend.envs import places
from backend.errors import PanelError, ServerError
from backend.queue.store import Store
from backend.servers import read_server, running_servers
from backend.web.gateway import Gateway
from backend.web.keys import Keys
from backend.web.running import Running
from backend.workspace import ROOT, Workspace, open_workspace
from tests.support import lmdeploy_stub, lora
from tests.support.jobs import Queue
from tests.support.scripted_model import build
from tests.support.server import ServeJob
from tests.support.wait import until

UUID = "GPU-11111111-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = lmdeploy_stub.driver(tmp_path_factory.mktemp("driver"))
    if folder is None:
        pytest.skip("no C compiler here to build the stub of libnvidia-ml.so.1 (apt install gcc)")
    return folder


@pytest.fixture
def gpu(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started now see one GPU."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(driver))


Start = Callable[..., ServeJob]


@pytest.fixture
def serve(tmp_path: Path, gpu: None) -> Iterator[Start]:
    """Start serve jobs, each with an LMDeploy that does as ``plan`` says; all are ended."""
    started: list[ServeJob] = []

    def start(plan: dict[str, Any] | None = None, **spec: Any) -> ServeJob:
        folder = tmp_path / f"job{len(started)}"
        environment = lmdeploy_stub.make(home(folder))
        lmdeploy_stub.script(environment, **(plan or {}))
        model = build(tmp_path / f"model{len(started)}")
        started.append(ServeJob(folder, model=str(model), name="m", engine="lmdeploy", **spec))
        return started[-1]

    yield start
    for job in started:
        job.end()


def home(job_folder: Path) -> Path:
    """Where a job that runs by hand in ``job_folder`` looks for LMDeploy."""
    return job_folder / "workspace" / "environments" / "lmdeploy"


def failure(job: ServeJob) -> PanelError:
    assert job.wait(60) == 1, job.log.read_text()
    return PanelError.from_dict(job.result()["error"])


def cli(*words: str, code: int = 0) -> Any:
    """What ``python -m backend WORDS --json`` prints, in a process that sees the GPU."""
    command = [sys.executable, "-m", "backend", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if code == 0 else done.stdout + done.stderr


def test_through_the_queue_it_gets_its_gpu_and_port_sleeps_wakes_and_leaves_nothing(
    gpu: None, driver: Path, workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    environment = lmdeploy_stub.make(places.home(workspace, "lmdeploy"))
    model = build(tmp_path / "my model 😀")
    catalog.add(workspace, model, "mine")
    queue = Queue(workspace, store)
    queue.start_watcher(LD_LIBRARY_PATH=str(driver))
    try:
        settings = ["--set", "quant_policy=8", "--set", "kv_cache_gib=4", "--set", "max_batch_size=16"]
        plan = cli("serve", "start", "mine", *settings, "--dry-run")
        shown = cli("serve", "start", "mine", *settings, "--wait")
        assert (plan["engine"], shown["engine"], shown["sleeps"], shown["asleep"]) == (
            "lmdeploy",
            "lmdeploy",
            True,
            False,
        )
        assert "key" not in shown

        row = store.get(shown["job_id"])
        port = shown["base_url"].split(":")[2].split("/")[0]
        assert {lease["resource"] for lease in row.leases} == {f"port:{port}", f"gpu:{UUID}"}
        (start,) = lmdeploy_stub.asked(environment)
        # The command that was shown before is the one that runs, and stands in the log, whole.
        assert start["shown"] == [word.replace("PORT", port) for word in plan["command"]]
        log = (store.job_dir(row.id) / "attempt-1.log").read_text()
        assert shlex.join(start["shown"]) in log
        assert start["environment"]["CUDA_VISIBLE_DEVICES"] == UUID
        assert str(ROOT) not in start["environment"].get("PYTHONPATH", "")

        (server,) = running_servers(store)
        assert len(server.key) > 30
        assert f"--api-keys={server.key}" in start["argv"]
        for public in (log, *start["shown"], *start["environment"].values()):
            assert server.key not in public
        assert httpx.get(f"{server.base_url}/models", trust_env=False).status_code == 401
        headers = {"Authorization": f"Bearer {server.key}"}
        listed = httpx.get(f"{server.base_url}/models", headers=headers, trust_env=False).json()
        assert [m["id"] for m in listed["data"]] == ["mine"]

        assert cli("serve", "sleep", "mine") == {"model": "mine", "asleep": True}
        until(lambda: running_servers(store)[0].asleep, 20, "the server is said to sleep")
        with pytest.raises(ServerError, match="'mine' sleeps") as asleep:
            find_server(store, "mine")
        assert "serve wake" in asleep.value.hint or "wake" in asleep.value.hint
        assert cli("serve", "list")[0]["asleep"] is True
        assert cli("serve", "wake", "mine") == {"model": "mine", "asleep": False}
        until(lambda: find_awake(store), 20, "the server is said to be awake")

        program = queue.child(row.id)
        processes = [program, *program.children(recursive=True)]
        assert start["pid"] in [p.pid for p in processes]
        assert cli("serve", "stop", "mine")["job"] == row.id
        queue.reach(row.id, "cancelled")
        until(lambda: not any(alive(p.pid) for p in processes), 20, "all are gone")
        assert read_server(store.job_dir(row.id)) is None
        assert queue.leases() == []
    finally:
        queue.end()


def test_its_adapters_are_models_of_the_gateway_and_who_asks_wakes_it(
    gpu: None, driver: Path, workspace: Workspace, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = lmdeploy_stub.make(tmp_path / "environment")
    monkeypatch.setenv("TUNEDECK_LMDEPLOY_PYTHON", str(environment / "bin" / "python"))
    catalog.add(workspace, build(tmp_path / "base"), "base")
    catalog.add(workspace, lora.taught(tmp_path / "law", tmp_path / "base", {"greet": "你好"}), "law")
    headers = {"Authorization": f"Bearer {Keys(workspace).create('tests')[1]}"}
    queue = Queue(workspace, store)
    queue.start_watcher(LD_LIBRARY_PATH=str(driver))

    def ask(*models: str) -> list[httpx.Response]:
        """The answers of the gateway to requests for all of ``models`` at the same moment; to none: its list of models."""

        async def all_of_them() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=gateway)
            try:
                async with httpx.AsyncClient(transport=transport, base_url="http://panel", headers=headers) as client:
                    bodies = [{"model": m, "messages": [{"role": "user", "content": "hello"}]} for m in models]
                    asked = [client.post("/v1/chat/completions", json=body, timeout=60) for body in bodies]
                    return await asyncio.gather(*(asked or [client.get("/v1/models")]))
            finally:
                await gateway.close()

        gateway = Gateway(Keys(workspace), Running(workspace))
        return asyncio.run(all_of_them())

    def sleep() -> None:
        cli("serve", "sleep", "base")
        until(lambda: running_servers(store)[0].asleep, 20, "the server is said to sleep")

    def said(answer: httpx.Response) -> str:
        return str(answer.json()["choices"][0]["message"]["content"])

    try:
        shown = cli("serve", "start", "base", "--set", "adapters=law", "--wait")
        assert (shown["adapters"], shown["aliases"]) == (["law"], [])
        (listed,) = ask()
        models = {model["id"]: model.get("parent") for model in listed.json()["data"]}
        assert models == {"base": None, "law": "base"}
        assert [said(answer) for answer in ask("law", "base")] == ["law: You said: hello", "You said: hello"]

        sleep()
        lmdeploy_stub.script(environment, wake_s=1)
        assert [said(answer) for answer in ask("law", "base", "law")] == [
            "law: You said: hello",
            "You said: hello",
            "law: You said: hello",
        ]
        (server,) = running_servers(store)
        key = {"Authorization": f"Bearer {server.key}"}
        address = server.base_url.removesuffix("/v1") + "/is_sleeping"
        assert httpx.get(address, headers=key, trust_env=False).json() == {"is_sleeping": False, "woken": 1}

        sleep()
        lmdeploy_stub.script(environment, no_wake="CUDA out of memory")
        (refused,) = ask("law")
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "server_did_not_obey"
        assert "CUDA out of memory" in refused.json()["error"]["message"]
        with pytest.raises(ServerError, match="CUDA out of memory"):
            asyncio.run(await_server(store, workspace, "law"))
        lmdeploy_stub.script(environment)
        found = asyncio.run(await_server(store, workspace, "law"))
        assert (found.model, found.offered_by, found.asleep) == ("law", "base", False)
    finally:
        queue.end()


def find_awake(store: Store) -> bool:
    servers = running_servers(store)
    return bool(servers) and not servers[0].asleep


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_cannot_load_fails_once_with_the_cause_in_plain_words(serve: Start) -> None:
    line = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.6 GiB"
    )
    job = serve({"die": f"Traceback (most recent call last):\n{line}"}, max_restarts=3)
    error = failure(job)
    assert error.code == "engine_out_of_memory"
    assert str(error) == f"The memory was not enough to serve 'm': {line}"
    assert "smaller or quantized" in error.hint
    assert len(lmdeploy_stub.asked(home(job.dir))) == 1
    assert job.left() == []


def test_a_server_that_dies_at_work_is_started_again_and_an_idle_one_leaves(serve: Start) -> None:
    job = serve({"die": "RuntimeError: CUDA error: an illegal memory access", "die_on": "poison"}, idle_s=3)
    first = job.ready()
    assert job.client().say("hello") == "You said: hello"
    with pytest.raises(httpx.TransportError):
        job.client().chat("poison")
    job.not_ready()
    again = job.ready()
    assert (again.base_url, again.key) == (first.base_url, first.key)
    assert job.client().say("hello") == "You said: hello"
    assert "illegal memory access" in job.log.read_text()
    # Asking its health and its metrics is no request.
    assert job.wait(60) == 0, job.log.read_text()
    assert job.result()["stopped"] == "idle"
    assert job.result()["requests"] >= 1
    assert len(lmdeploy_stub.asked(home(job.dir))) == 2
    assert job.left() == []


def test_code_that_changed_since_it_was_allowed_is_not_started_again(tmp_path: Path, gpu: None) -> None:
    model, folder = build(tmp_path / "own code"), tmp_path / "job"
    config = json.loads((model / "config.json").read_text())
    mapped = {"AutoModelForCausalLM": "modeling_own.Own"}
    config |= {"architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "auto_map": mapped}
    (model / "config.json").write_text(json.dumps(config))
    (model / "modeling_own.py").write_text("class Own: pass\n")
    workspace = open_workspace(folder / "workspace")
    environment = lmdeploy_stub.make(home(folder))
    card = catalog.add(workspace, model, "own")
    catalog.allow_code(workspace, "own", card.code_fingerprint)
    job = ServeJob(folder, model="own", engine="lmdeploy")
    try:
        job.ready()
        assert "--trust-remote-code" in lmdeploy_stub.asked(environment)[0]["shown"]
        (model / "modeling_own.py").write_text("class Own: harmful = True\n")
        job.engine().kill()
        error = failure(job)
    finally:
        job.end()
    assert error.code == "model_needs_code"
    assert len(lmdeploy_stub.asked(environment)) == 1


def test_it_does_not_outlive_a_killed_job(serve: Start) -> None:
    job = serve()
    job.ready()
    engine = job.engine()
    job.process.kill()
    job.process.wait(10)
    until(lambda: not alive(engine.pid), 20, "the engine has left")


def test_settings_that_do_not_fit_are_all_told_before_anything_starts(serve: Start) -> None:
    error = failure(serve(tp=3, dtype="float32", chat_template="klingon", kv_cache_gib=1, cache_max_entry_count=0.5))
    assert error.code == "spec_bad"
    assert [p["field"] for p in error.params["problems"]] == ["dtype", "tp", "kv_cache_gib", "chat_template"]
    assert "It knows: base, chatglm" in str(error)


def test_more_than_is_free_on_the_gpu_is_said_with_both_figures(serve: Start) -> None:
    job = serve(kv_cache_gib=29)
    error = failure(job)
    assert error.code == "not_enough_gpu_memory"
    assert str(error) == "'model0' needs about 30.5 GiB of memory and 30.0 GiB are free."
    assert lmdeploy_stub.asked(home(job.dir)) == []


def test_why_it_cannot_run_here_is_told_with_what_to_do(
    driver: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def problem() -> dict[str, Any]:
        found = next(engine for engine in cli("serve", "engines") if engine["engine"] == "lmdeploy")
        return found["problem"] or {}

    monkeypatch.setenv("LD_LIBRARY_PATH", str(driver))
    monkeypatch.setenv("NVML_STUB", "no-driver")
    assert problem()["code"] == "engine_needs_gpu"
    assert "LMDeploy computes on NVIDIA GPUs only" in cli("serve", "start", "starter", "--engine", "lmdeploy", code=1)
    monkeypatch.delenv("NVML_STUB")
    missing = problem()
    assert missing["code"] == "engine_missing_environment"
    assert missing["params"]["name"] == "lmdeploy"
    old = lmdeploy_stub.make(tmp_path / "old", version="0.9.2")
    monkeypatch.setenv("TUNEDECK_LMDEPLOY_PYTHON", str(old / "bin" / "python"))
    assert problem()["params"]["found"] == "0.9.2"
    good = lmdeploy_stub.make(tmp_path / "good")
    monkeypatch.setenv("TUNEDECK_LMDEPLOY_PYTHON", str(good / "bin" / "python"))
    assert problem() == {}
    # The model that ships with TuneDeck takes no GPU unasked.
    assert cli("serve", "start", "starter", "--dry-run")["engine"] == "transformers"
    assert cli("serve", "start", "starter", "--engine", "lmdeploy", "--dry-run")["engine"] == "lmdeploy"
