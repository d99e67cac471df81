"""How a server lives and ends: crashes, hangs, idleness, a stop, models that cannot be served. Real processes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from backend import catalog
from backend.cli import main as cli
from backend.engines import serving
from backend.errors import ConflictError, ModelError, NotFoundError, PanelError
from backend.queue.store import Store
from backend.servers import read_server, running_servers
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace
from tests.support.jobs import Queue
from tests.support.scripted_model import build
from tests.support.server import ServeJob
from tests.support.wait import until

Start = Callable[..., ServeJob]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Start serve jobs; all are ended."""
    started: list[ServeJob] = []

    def start(**spec: Any) -> ServeJob:
        started.append(ServeJob(tmp_path / f"job{len(started)}", **spec))
        return started[-1]

    yield start
    for job in started:
        job.end()


def failure(job: ServeJob) -> PanelError:
    """The error of a job that must fail."""
    assert job.wait(60) == 1, job.log.read_text()
    assert job.result()["ok"] is False
    return PanelError.from_dict(job.result()["error"])


def test_a_hung_then_killed_engine_comes_back_and_an_idle_one_leaves(serve: Start) -> None:
    job = serve(model="starter", idle_s=4, max_restarts=1)
    server = job.ready()
    engine = job.engine()

    engine.suspend()
    job.not_ready()
    assert "hung" in job.phases()
    engine.resume()
    job.ready()  # with all of its idle time before it: nobody could ask while it hung

    engine.kill()
    job.not_ready()
    again = job.ready()
    assert (again.base_url, again.key) == (server.base_url, server.key)
    assert job.engine().pid != engine.pid
    assert job.client().say("Hello", max_tokens=3)

    assert job.wait(60) == 0, job.log.read_text()
    assert job.result()["stopped"] == "idle"
    assert job.result()["requests"] >= 1
    assert job.phases() == ["check", "load", "ready", "hung", "ready", "restart", "load", "ready"]
    assert "SIGKILL" in job.log.read_text()
    assert not (job.dir / "endpoint.json").exists()
    assert job.left() == []


def test_an_engine_that_dies_too_often_ends_the_job_with_the_cause(serve: Start) -> None:
    job = serve(model="starter", max_restarts=1)
    first = job.engine()
    first.kill()
    until(lambda: any(p.pid != first.pid for p in job.processes()), 30, "it was started again")
    job.engine().kill()
    error = failure(job)
    assert error.code == "engine_killed"
    assert str(error) == "The engine that served 'starter' was killed from outside (signal SIGKILL), 2 times."
    assert "memory" in error.hint
    assert job.left() == []


def test_an_engine_does_not_outlive_a_killed_job(serve: Start) -> None:
    job = serve(model="starter")
    engine = job.engine()
    job.process.kill()
    job.process.wait(10)
    until(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE, 20, "the engine has left")


def test_a_model_that_the_engine_cannot_load_fails_once_with_its_last_words(serve: Start, tmp_path: Path) -> None:
    folder = build(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "architectures": ["YetiForCausalLM"], "model_type": "yeti"})
    )
    error = failure(serve(model=str(folder)))
    assert error.code == "engine_architecture_unknown"
    assert "yeti" in str(error)


def test_a_truncated_model_is_named_before_anything_is_loaded(serve: Start, tmp_path: Path) -> None:
    folder = build(tmp_path / "cut off 😀")
    weights = folder / "model.safetensors"
    size = weights.stat().st_size
    os.truncate(weights, size - 1)
    job = serve(model=str(folder))
    error = failure(job)
    assert error.code == "model_truncated"
    assert f"has {size - 1} of {size} bytes" in str(error)
    assert str(weights) in str(error)
    assert job.phases() == ["check"]
    assert str(error) in job.log.read_text()


def test_a_model_that_is_not_there_and_one_without_a_chat_template_are_named(serve: Start, tmp_path: Path) -> None:
    missing, plain = serve(model="/nowhere/at/all"), serve(model=str(build(tmp_path / "base", chat=False)))
    assert failure(missing).code == "model_missing"
    error = failure(plain)
    assert error.code == "model_no_chat_template"
    assert "completions only" in error.hint
    assert plain.phases() == ["check"]


def test_a_memory_that_is_not_enough_is_said_with_both_figures(serve: Start, tmp_path: Path) -> None:
    folder = build(tmp_path / "huge")
    config = json.loads((folder / "config.json").read_text())
    # The KV cache of this context alone would be 256 TiB.
    grown = {**config, "num_hidden_layers": 2**16, "num_key_value_heads": 2**14, "num_attention_heads": 1}
    (folder / "config.json").write_text(json.dumps({**grown, "head_dim": 64}))
    error = failure(serve(model=str(folder)))
    assert error.code == "not_enough_memory"
    assert "GiB of memory" in str(error)


def test_several_at_once_share_the_engine_and_keep_their_own_sampling(serve: Start, tmp_path: Path) -> None:
    job = serve(model=str(build(tmp_path / "m", context=100_000)), continuous_batching="on")
    client = job.client()
    # One prompt larger than the cache would end the engine's worker for good.
    assert client.server.context_length <= 32768
    asks: list[dict[str, Any]] = [
        {"text": "coin", "temperature": 0, "max_tokens": 40},
        {"text": "coin", "temperature": 1, "max_tokens": 40},
        {"text": "coin", "temperature": 0.01, "max_tokens": 40},
        {"text": "greet"},
        {"text": "问候", "temperature": 0.7},
    ] * 2
    with ThreadPoolExecutor(len(asks)) as pool:
        answers = list(pool.map(lambda ask: client.say(**ask), asks))
    assert answers[0] == answers[5] == answers[2] == answers[7] == "heads" * 40
    assert "tails" in answers[1] + answers[6]
    assert answers[3] == answers[8] == "Good morning, dear friend."
    assert answers[4] == answers[9] == "你好，朋友😀！"
    assert client.chat("word " * 40_000).json()["error"]["code"] == "context_length_exceeded"
    assert client.chat("greet", repetition_penalty=1.5).json()["error"]["param"] == "repetition_penalty"

    before = client.status()["tokens"]
    body = {
        "model": client.server.model,
        "stream": True,
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "loop"}],
    }
    with client.http.stream("POST", "/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    until(lambda: client.status()["computing"] == 0, 20, "the answer of a client that left is not computed any more")
    assert client.status()["tokens"] - before < 8000
    assert client.say("greet") == "Good morning, dear friend."

    job.interrupt()
    assert job.wait(10) == 130
    assert job.left() == []


def test_through_the_queue_a_double_click_makes_one_server_and_a_stop_leaves_nothing(
    queue: Queue, store: Store, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    first = serving.start(store, workspace, "starter")
    assert serving.start(store, workspace, "starter").id == first.id
    assert cli(["serve", "start", "starter", "--wait", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["job_id"], shown["model"]) == (first.id, "starter")
    assert "key" not in shown

    (server,) = running_servers(store)
    assert server.base_url == shown["base_url"]
    row = store.get(first.id)
    assert [lease["resource"] for lease in row.leases] == [f"port:{server.base_url.split(':')[2].split('/')[0]}"]
    client = openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0)
    for text in ("Hello", "你好"):
        answer = client.chat.completions.create(
            model="starter", messages=[{"role": "user", "content": text}], max_tokens=9
        )
        assert answer.usage is not None
        assert answer.usage.completion_tokens >= 1
    client.close()

    program = queue.child(first.id)
    processes = [program, *program.children(recursive=True)]
    assert len(processes) >= 2
    assert cli(["serve", "list", "--json"]) == 0
    assert server.key not in capsys.readouterr().out
    assert cli(["serve", "stop", "starter", "--json"]) == 0
    queue.reach(first.id, "cancelled")
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes), 20, "all are gone")
    assert read_server(store.job_dir(first.id)) is None
    assert running_servers(store) == []
    # The next press makes the next server.
    assert serving.start(store, workspace, "starter").id != first.id


def test_a_server_takes_no_cpu_slot_and_comes_back_after_a_reboot() -> None:
    spec = ServeSpec(model="starter")
    assert spec.resources().model_dump() == {"cpu": 0, "gpus": 0, "gpu_mib": 0, "ports": 1}
    assert ServeSpec(model="starter", device="cuda").resources().gpus == 1
    assert ServeSpec(model="starter", device="cuda", gpu_mib=4000).resources().gpus == 0
    assert spec.auto_resume > 10
    assert spec.service


def test_what_cannot_be_served_is_refused_before_a_job_is_made(
    store: Store, workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="no model called 'nothing'"):
        serving.start(store, workspace, "nothing")
    folder = build(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    with pytest.raises(ModelError, match="does not write text"):
        serving.start(store, workspace, str(folder))
    (folder / "config.json").write_text(
        json.dumps({**config, "quantization_config": {"quant_method": "awq", "bits": 4}})
    )
    with pytest.raises(ModelError, match="quantized with awq"):
        serving.start(store, workspace, str(folder))
    assert store.list() == []


def test_two_models_with_one_name_are_not_mistaken_for_each_other(
    store: Store, workspace: Workspace, tmp_path: Path
) -> None:
    one, other = build(tmp_path / "a" / "same"), build(tmp_path / "b" / "same")
    row = serving.start(store, workspace, str(one))
    assert serving.start(store, workspace, str(one)).id == row.id
    with pytest.raises(ConflictError, match="serves another model under the name 'same'"):
        serving.start(store, workspace, str(other))
    assert serving.start(store, workspace, str(other), name="other").id != row.id
    assert catalog.find(workspace, str(one)).path == one


def test_cancelling_a_server_that_never_started_needs_no_engine(store: Store, workspace: Workspace) -> None:
    row = serving.start(store, workspace, "starter")
    assert serving.stop(store, "starter").state == "cancelled"
    with pytest.raises(PanelError, match="No server for the model 'starter'"):
        serving.stop(store, "starter")
    assert serving.start(store, workspace, "starter").id > row.id


def test_an_interrupt_while_loading_is_a_stop_and_not_a_crash(serve: Start) -> None:
    job = serve(model="starter")
    engine = job.engine()
    job.process.send_signal(signal.SIGINT)
    assert job.wait(10) == 130
    assert not engine.is_running()
    assert "restart" not in job.phases()
