"""Measuring a server as a job and from the command line: real processes, a real server on aiohttp, and the starter model really served."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.bench import keys
from backend.bench.columns import KEYS
from backend.bench.records import read_bench, read_requests
from backend.cli import main
from backend.errors import PanelError, fill
from backend.queue.events import read_events
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.bench_server import bench_server
from tests.support.jobs import Queue
from tests.support.served import served
from tests.support.stub_openai import stub
from tests.support.wait import until


class Benching:
    """The job's program in a folder of its own, as a person could start it by hand."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.folder = workspace.root.parent / "job"
        self.folder.mkdir()

    def start(self, **spec: Any) -> subprocess.Popen[str]:
        told = {"num_prompts": 12, "output_tokens": 4, "warmup": 0, "concurrency": [2], **spec}
        (self.folder / "spec.json").write_text(json.dumps(told))
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.bench", str(self.folder / "spec.json")],
            cwd=ROOT,
            env={**os.environ, "TUNEDECK_WORKSPACE": str(self.workspace.root), "TUNEDECK_JOB_DIR": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **spec: Any) -> dict[str, Any]:
        output, _ = self.start(**spec).communicate(timeout=100)
        result = self.folder / "result.json"
        assert result.is_file(), output
        found: dict[str, Any] = json.loads(result.read_text())
        return {**found, "output": output}

    def failure(self, **spec: Any) -> tuple[str, str]:
        error = self.run(**spec)["error"]
        return error["code"], fill(error["message"], error["params"])


@pytest.fixture
def benching(workspace: Workspace) -> Benching:
    return Benching(workspace)


def test_several_loads_one_after_another_leave_figures_requests_a_table_in_the_log_and_a_knee(
    benching: Benching,
) -> None:
    with bench_server(pace_s=0.01) as server:
        result = benching.run(base_url=server.base_url, concurrency=[1, 4, 20], model="second")
    assert (result["ok"], result["levels"]) == (True, 3)
    bench = read_bench(benching.folder)
    assert bench is not None
    assert (bench.model, bench.base_url, bench.complete, bench.problem) == ("second", server.base_url, True, None)
    assert [level["concurrency"] for level in bench.levels] == [1, 4, 20]
    # At 20 people at once each of them asks at least once.
    assert [level["columns"]["number_of_requests"] for level in bench.levels] == [12, 12, 20]
    assert all(level["columns"][key] is not None for level in bench.levels for key in KEYS)
    requests = list(read_requests(benching.folder))
    assert [sum(one.concurrency == people for one in requests) for people in (1, 4, 20)] == [12, 12, 20]
    assert bench.knee == result["knee"]
    assert result["knee"]["concurrency"] in (4, 20)
    assert "concurrency: 4\nelapsed_time: " in result["output"]
    assert "per-token latency(s) percentile(50, 75, 95, 99): [0.01" in result["output"]
    events = read_events(benching.folder)[0]
    assert [event["phase"] for event in events if "phase" in event and "step" not in event][:2] == ["check", "time"]
    last = [event for event in events if "step" in event][-1]
    assert (last["step"], last["total"]) == (44, 44)


def test_a_server_that_dies_fails_the_job_and_what_was_measured_is_kept_and_marked(benching: Benching) -> None:
    with bench_server(pace_s=0.01, die_after=30) as server:
        code, message = benching.failure(base_url=server.base_url, concurrency=[2, 4], num_prompts=20)
    assert code == "bench_server_died"
    bench = read_bench(benching.folder)
    assert bench is not None
    assert bench.complete is False
    error = bench.error()
    assert isinstance(error, PanelError)
    assert str(error) == message
    assert [(level["complete"], level["ended"]) for level in bench.levels] == [(True, ""), (False, "server_died")]
    assert bench.levels[1]["columns"]["number_of_requests"] >= 1
    assert bench.levels[1]["columns"]["rps"] > 0
    assert f"after {bench.levels[1]['columns']['number_of_requests']} answers" in message


def test_a_stop_keeps_what_came_until_then(benching: Benching) -> None:
    with bench_server(pace_s=0.02) as server:
        process = benching.start(base_url=server.base_url, num_prompts=10_000)
        until(lambda: len(server.asked()) > 6, 60, "some requests were sent")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    bench = read_bench(benching.folder)
    assert bench is not None
    assert (bench.complete, bench.levels[0]["ended"]) == (False, "stopped")
    assert bench.levels[0]["columns"]["number_of_requests"] == len(list(read_requests(benching.folder))) > 0


def test_what_cannot_be_measured_fails_with_the_reason_before_anything_is_sent(
    benching: Benching, tmp_path: Path
) -> None:
    assert benching.failure(server="nobody")[0] == "model_not_running"
    wrong = tmp_path / "wrong.json"
    wrong.write_text('[{"rows": "none"}]')
    with bench_server() as server:
        assert benching.failure(base_url=server.base_url, prompts=str(wrong))[0] == "bench_prompts_shape"
        assert benching.failure(base_url=server.base_url, model="third")[0] == "bench_model_unknown"
    assert read_bench(benching.folder) is None


def test_a_server_of_ours_is_known_by_its_name_and_by_its_address_and_its_key_is_nowhere(
    benching: Benching, store: Store
) -> None:
    with stub("small", script={"tokens": 3}, context_length=100) as running, served(store, running.server) as server:
        for spec in ({"server": "small"}, {"base_url": server.base_url.removesuffix("/v1")}):
            assert benching.run(**spec)["ok"]
            bench = read_bench(benching.folder)
            assert bench is not None
            assert (bench.model, bench.job, bench.engine) == ("small", server.job_id, "stub")
            assert bench.notices == ["prompts_left_out"], "100 tokens are too few for many of the bundled prompts"
        for path in benching.folder.iterdir():
            assert server.key not in path.read_text()


def test_the_key_of_another_server_is_kept_by_a_name(
    benching: Benching, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = tmp_path / "key"
    given.write_text("the-right-one\n")
    with given.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["bench", "key", "lab", "--json"]) == 0
    assert "the-right-one" not in capsys.readouterr().out
    (path,) = benching.workspace.secrets.glob("lab*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with bench_server(key="the-right-one") as server:
        assert benching.failure(base_url=server.base_url)[0] == "bench_key_refused"
        assert benching.failure(base_url=server.base_url, key_name="other")[0] == "bench_key_unknown"
        assert benching.run(base_url=server.base_url, key_name="lab")["ok"]
    for path in benching.folder.iterdir():
        assert "the-right-one" not in path.read_text()
    keys.save(benching.workspace, "lab", "")
    assert keys.names(benching.workspace) == []
    with pytest.raises(PanelError) as caught:
        keys.save(benching.workspace, "lab", "two words")
    assert "two words" not in f"{caught.value}{caught.value.params}"
    with pytest.raises(PanelError):
        keys.read(benching.workspace, "../token")


def asked(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert main(["bench", *args, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_command_line_measures_and_gives_the_columns_as_keys(
    queue: Queue, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.jsonl").write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n')
    monkeypatch.chdir(tmp_path)
    with bench_server(pace_s=0.005) as server:
        found = asked(
            capsys, "run", "--base-url", server.base_url, "--model", "second", "--prompts", "mine.jsonl",
            "--concurrency", "2", "--num-prompts", "6", "--output-tokens", "3",
        )  # fmt: skip
        assert {body["messages"][0]["content"] for body in server.asked()[3:]} == {"Why?", "How?"}
        assert set(KEYS) <= set(found)
        assert (found["concurrency"], found["number_of_completion_tokens"], found["complete"]) == (2, 18, True)
        assert found["levels"][0]["rps"] == found["rps"] > 0
        assert found["notices"] == ["prompts_repeated"]
        assert asked(capsys, "show", str(found["job"])) == found
        assert main(["bench", "show", str(found["job"])]) == 0
        text = capsys.readouterr().out
        assert "number of completion tokens: 18" in text
        assert "sent again" in text
    gone = asked(capsys, "run", "--base-url", server.base_url, code=1)
    assert gone["error"]["code"] == "bench_server_away"
    assert asked(capsys, "run", code=1)["error"]["code"] == "spec_bad"
    assert (
        asked(capsys, "run", "--server", "x", "--concurrency", "many", code=1)["error"]["code"]
        == "bench_concurrency_bad"
    )
    assert asked(capsys, "show", "999", code=1)["error"]["code"] == "job_unknown"


@pytest.mark.slow
def test_the_starter_model_really_served_is_measured_with_prompts_of_exactly_the_length(
    queue: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    serve = queue.store.submit("serve", {"model": "starter", "device": "cpu"})
    queue.reach(serve.id, "running", timeout=60)
    until(lambda: queue.store.get(serve.id).progress.get("phase") == "ready", 90, "the starter is ready")
    found = asked(
        capsys, "run", "--server", "starter", "--concurrency", "1,2", "--num-prompts", "4", "--input-tokens", "64",
        "--output-tokens", "8", "--ignore-eos", "--warmup", "1",
    )  # fmt: skip
    assert found["complete"]
    first, second = found["levels"]
    for level in (first, second):
        assert level["errors"] == {}
        assert level["notices"] == []
        assert level["number_of_completion_tokens"] == 4 * 8, "the starter's server writes on to the full length"
        assert 4 * 60 <= level["number_of_prompt_tokens"] <= 4 * 64, "with the template, as its tokenizer counts"
        assert 0 < level["first_token_latency_min"] < level["latency_ave"]
    assert found["dialect"]["usage"] is True
    assert found["memory"]["peak"] >= found["memory"]["steady"] > 50 << 20, "of the engine, from the memory's record"
    queue.store.cancel(serve.id)
