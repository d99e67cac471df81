"""The tool that tells how the panel stands: of a real queue, published servers and recorded memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backend.agent.tools import Context, Result
from backend.errors import PanelError
from backend.memory import machine
from backend.memory.sample import Sample
from backend.memory.series import MemoryStore
from backend.queue.store import Store
from backend.servers import Server, withdraw
from backend.workspace import Workspace
from jobs.agent.tools.panel_status import PanelStatus
from jobs.agent.tools.status_words import safe, span
from tests.support import memory_samples as samples
from tests.support.jobs import Queue
from tests.support.served import served
from tests.support.wait import until

NOW = 1_790_000_000.0


def status(workspace: Workspace, about: object = None) -> Result:
    context = Context(workspace, workspace.root / "conversation")
    return PanelStatus().call({} if about is None else {"about": about}, context)


def told(workspace: Workspace, about: str | None = None) -> str:
    result = status(workspace, about)
    assert result.error is None, result.text
    return result.text


def change(store: Store, job: int, **values: object) -> None:
    """Put a job's row into a state that would take a GPU to reach."""
    names = ", ".join(f"{name} = ?" for name in values)
    with store.write() as db:
        db.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*values.values(), job))


def test_an_empty_panel_says_so(workspace: Workspace) -> None:
    text = told(workspace)
    assert text.startswith("Jobs: none.\n\nModel servers: none run.\n\nMain memory: ")
    total = machine.ram()[0] / (1 << 30)
    assert f" of {total:.1f} GiB taken.\n" in text


def test_a_job_that_really_runs_is_told_with_its_progress_and_one_that_waits_with_its_reason(
    workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    queue = Queue(workspace, store, cpu_slots="1")
    queue.start_watcher()
    try:
        first = queue.drill(steps=2000, step_s=0.05)
        second = queue.drill(steps=1)
        queue.step(first.id, 3)
        queue.reach(second.id, "queued")
        reason = (
            f"  job {second.id} (drill) '{second.title}': all CPU slots are taken by others, such as job {first.id}"
        )
        text = until(lambda: _with(reason, told(workspace, "jobs")), what="the second one waits")
    finally:
        queue.end()
    assert "1 running" in text
    assert f"  job {first.id} (drill) '{first.title}': " in text
    assert " of 2000 (" in text


def _with(words: str, text: str) -> str:
    return text if words in text else ""


def test_time_left_and_figures_are_told(workspace: Workspace, store: Store) -> None:
    job = store.submit("drill", {"steps": 5}, title="Fine-tune starter").id
    progress = {"t": time.time(), "phase": "train", "step": 10, "total": 1920, "eta_s": 660, "metrics": {"loss": 2.991}}
    change(store, job, state="running", started=time.time() - 180, progress=json.dumps(progress))
    text = told(workspace, "jobs")
    assert (
        f"  job {job} (drill) 'Fine-tune starter': train, 10 of 1920 (1 %), about 11 min left, runs for 3 min, loss 2.991"
        in text
    )


def test_figures_that_are_no_numbers_are_left_out(workspace: Workspace, store: Store) -> None:
    job = store.submit("drill", {"steps": 5}, title="odd").id
    progress = {"t": "nan", "phase": None, "step": "nan", "total": 0, "eta_s": "inf", "metrics": {"loss": "nan"}}
    change(store, job, state="running", progress=json.dumps(progress), health="quiet")
    assert f"  job {job} (drill) 'odd': running, silent for long" in told(workspace, "jobs").splitlines()


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (
            {"code": "gpu_memory", "params": {"gpu": 0, "needed_mib": 1, "free_mib": 1}},
            "not enough free memory on GPU 0",
        ),
        ({"code": "no_gpu", "params": {}}, "this machine has no GPU: it cannot start"),
        (
            {"code": "cpu_busy", "params": {"job": 7, "until": 3600}},
            "such as job 7, for about 60 min more",
        ),
        ({"code": "behind", "params": {}}, ": behind"),
        ({"code": "new_reason", "params": {}}, ": new_reason"),
        ({}, "it starts as soon as it can"),
    ],
)
def test_why_a_job_waits_is_told(workspace: Workspace, store: Store, wait: dict[str, Any], words: str) -> None:
    job = store.submit("drill", {"steps": 5}).id
    if "until" in wait.get("params", {}):  # seconds from now: these rows were made long before the test runs
        wait = {**wait, "params": {**wait["params"], "until": time.time() + wait["params"]["until"]}}
    change(store, job, wait=json.dumps(wait))
    assert words in told(workspace, "jobs")


def test_of_many_waiting_jobs_the_first_are_told_and_the_others_counted(workspace: Workspace, store: Store) -> None:
    for _ in range(25):
        store.submit("drill", {"steps": 1})
    text = told(workspace, "jobs")
    assert text.count("(drill)") == 20
    assert "… and 5 more" in text


def test_a_failed_job_is_told_with_its_reason_and_without_where_things_lie(workspace: Workspace, store: Store) -> None:
    job = store.submit("drill", {"steps": 5}).id
    inside = workspace.root / "models" / "mine"
    error = PanelError(
        "broken", "{path} and {inside} cannot be read", path="/data/secret-project/model", inside=str(inside)
    )
    change(store, job, state="failed", ended=time.time() - 7200, error=json.dumps(error.to_dict()))
    text = told(workspace, "jobs")
    assert (
        f"job {job} (drill) 'drill' failed 2 h ago: …/model and workspace/models/mine cannot be read (broken)" in text
    )
    assert "secret-project" not in text
    assert str(workspace.root) not in text


def test_servers_are_told_without_their_keys_and_addresses(workspace: Workspace, store: Store) -> None:
    server = Server(
        0, "starter", "http://127.0.0.1:5555/v1", "s3cret-key", "lmdeploy", "/data/models/starter", 4096,
        since=time.time() - 600, adapters=("starter-me",),
    )  # fmt: skip
    with served(store, server) as running:
        text = told(workspace, "servers")
        everything = told(workspace)
    line = f"  starter: ready; job {running.job_id}; lmdeploy; context 4,096 tokens; can do: chat, completions; adapters: starter-me; since 10 min"
    assert text == f"Model servers:\n{line}"
    for hidden in ("s3cret", "5555", "/data/models"):
        assert hidden not in everything


@pytest.mark.parametrize(("values", "state"), [({"ready": False}, "not ready"), ({"asleep": True}, "asleep")])
def test_a_server_that_cannot_answer_is_told_as_such(
    workspace: Workspace, store: Store, values: dict[str, bool], state: str
) -> None:
    with served(store, Server(0, "starter", "http://127.0.0.1:1/v1", "k", **values)):  # type: ignore[arg-type]
        assert f"starter: {state};" in told(workspace, "servers")


def test_a_server_that_has_not_said_where_it_listens_is_starting(workspace: Workspace, store: Store) -> None:
    with served(store, Server(0, "starter", "http://127.0.0.1:1/v1", "k")) as running:
        withdraw(store.job_dir(running.job_id))
        assert told(workspace, "servers") == f"Model servers:\n  job {running.job_id} (serve) 'Serve starter': starting"


def test_memory_is_told_by_place_with_who_has_it_and_when_it_comes_back(
    workspace: Workspace, store: Store, memory: MemoryStore
) -> None:
    job = store.submit("drill", {"steps": 5}, title="Train").id
    progress = {"t": time.time(), "phase": "train", "eta_s": 720}
    change(store, job, state="running", started=time.time(), progress=json.dumps(progress))
    gpu = samples.card(
        0, 30.0, load=0.5,
        processes=(samples.process(1, 20.0, "me", job=job), samples.process(2, 10.0, "alice", "python steal.py --token=abc")),
    )  # fmt: skip
    used = (samples.use(job, 20.0, "GPU-0"), samples.use(job, 2.0))
    memory.append(Sample(time.time(), samples.host(), (gpu, samples.card(1, None), samples.card(2, lost=True)), used))
    text = told(workspace, "memory")
    assert text == (
        "Main memory: 16.0 GiB of 64.0 GiB taken.\n"
        f"  2.0 GiB: job {job} (drill) 'Train'\n"
        f"  In about 12 min job {job} gives back 2.0 GiB, then 50.0 GiB are free.\n"
        "GPU 0 (NVIDIA A100-SXM4-80GB): 30.0 GiB of 80.0 GiB taken, 50.0 GiB free, 50% busy\n"
        f"  20.0 GiB: job {job} (drill) 'Train'\n"
        f"  In about 12 min job {job} gives back 20.0 GiB, then 70.0 GiB are free.\n"
        "  10.0 GiB: other programs of user alice\n"
        "GPU 1 (NVIDIA A100-SXM4-80GB): ? of 80.0 GiB taken, ? free\n"
        "GPU 2 (NVIDIA A100-SXM4-80GB): lost; it does not answer"
    )


def test_an_old_record_is_not_taken_for_now(workspace: Workspace, memory: MemoryStore) -> None:
    memory.append(Sample(time.time() - 60, samples.host(used=1.0, total=12345.0)))
    assert "12345.0 GiB" not in told(workspace, "memory")


def test_a_driver_that_fails_is_told(workspace: Workspace, memory: MemoryStore) -> None:
    memory.append(Sample(time.time(), samples.host(), problem="Driver/library version mismatch"))
    assert "GPUs cannot be asked: Driver/library version mismatch" in told(workspace, "memory")


@pytest.mark.parametrize(
    ("about", "there"),
    [
        ("jobs", (True, False, False)),
        ("SERVERS", (False, True, False)),
        ("memory", (False, False, True)),
        ("all", (True, True, True)),
    ],
)
def test_only_what_is_asked_about_is_told(workspace: Workspace, about: str, there: tuple[bool, ...]) -> None:
    text = told(workspace, about)
    assert tuple(word in text for word in ("Jobs: ", "Model servers: ", "Main memory: ")) == there


@pytest.mark.parametrize("about", ["secrets", 5, ["jobs"]])
def test_an_argument_that_does_not_fit_is_named(workspace: Workspace, about: object) -> None:
    result = status(workspace, about)
    assert result.error is not None
    assert result.error.code == "tool_argument_unfit"
    assert "one of: all, jobs, memory, servers" in result.text


def test_a_database_that_is_damaged_is_an_error_and_no_crash(workspace: Workspace) -> None:
    workspace.state_db.write_bytes(b"no database at all" * 1000)
    result = status(workspace)
    assert result.error is not None
    assert result.error.code == "workspace_damaged"


def test_it_changes_nothing(workspace: Workspace, store: Store) -> None:
    store.submit("drill", {"steps": 1})
    before = store.version()
    told(workspace)
    assert store.version() == before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see /etc/passwd now", "see …/passwd now"),
        ("'/a/b c'", "'…/b c'"),
        ("~/models/x", "…/x"),
        ("10/20 and 1/2 tokens/s", "10/20 and 1/2 tokens/s"),
        ("http://example.org/a/b", "http://example.org/a/b"),
        ("https://user:pass@example.org/", "https://***@example.org/"),
        ("token hf_abcdefghijklmnop", "token ***"),
        ("{root}/jobs/000001", "workspace/jobs/000001"),
        ("{root}", "workspace"),
        ("{root}-other/x", "…/x"),
        ("/{root}", "…/workspace"),
    ],
)
def test_paths_and_secrets_are_shortened(workspace: Workspace, text: str, shown: str) -> None:
    assert safe(text.format(root=workspace.root), workspace) == shown


def test_secrets_of_the_environment_are_left_out(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "plain-words-as-a-key")
    assert safe("it says plain-words-as-a-key", workspace) == "it says ***"


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "120 min"), (7200, "2 h"), (200_000, "2 days")]
)  # fmt: skip
def test_a_time_is_told_in_one_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_no_page_and_no_torch_is_loaded_for_it() -> None:
    code = (
        "import sys, jobs.agent.tools.panel_status; print(sorted({'torch', 'streamlit', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
