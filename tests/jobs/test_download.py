"""Downloads as real processes, with the hubs' real clients, from a hub on loopback."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend import catalog, hubs
from backend.errors import PanelError
from backend.queue.events import read_events
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.jobs import Queue
from tests.support.stub_hub import COMMIT, Fault, Repo, StubHub, tiny, weights
from tests.support.wait import until

BOTH = ("huggingface", "modelscope")
REPO = "org/tiny-chat"
TOKEN = "hf_" + "s3cret" * 5


@pytest.fixture
def hub() -> Iterator[StubHub]:
    with StubHub() as running:
        running.repos[REPO] = Repo(tiny())
        yield running


@dataclass
class Download:
    """``python -m jobs.download`` in a job folder of its own."""

    workspace: Workspace
    dir: Path
    process: subprocess.Popen[bytes]

    def end(self, timeout: float = 60) -> int:
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    @property
    def log(self) -> str:
        return (self.dir / "log").read_text()

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.dir / "result.json").read_text())
        return found

    def events(self) -> list[dict[str, Any]]:
        return read_events(self.dir)[0]

    def phases(self) -> list[str]:
        found = [str(e["phase"]) for e in self.events() if "phase" in e]
        return [p for i, p in enumerate(found) if i == 0 or p != found[i - 1]]

    def partial(self, name: str = "tiny-chat") -> Path:
        return self.workspace.downloads / f".{name}.partial"


def start(workspace: Workspace, hub: StubHub | str, folder: str = "job", **given: Any) -> Download:
    """Begin a download from ``hub`` (or its address); ``given``: fields of the spec, and env_NAME for TUNEDECK_NAME."""
    job = workspace.root.parent / folder
    job.mkdir(exist_ok=True)
    address = hub if isinstance(hub, str) else hub.url
    spec = {"repo": REPO, **{k: v for k, v in given.items() if not k.startswith("env_")}}
    (job / "spec.json").write_text(json.dumps(spec))
    environment = {
        **os.environ,
        "TUNEDECK_JOB_DIR": str(job),
        "TUNEDECK_JOB_ID": "7",
        "TUNEDECK_WORKSPACE": str(workspace.root),
        "TUNEDECK_HF_ENDPOINT": address,
        "TUNEDECK_MODELSCOPE_ENDPOINT": address,
        "TUNEDECK_HUB_TIMEOUT_S": "2",
        "TUNEDECK_DOWNLOAD_RESERVE_MIB": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        # What a person has set for other programs must not count here.
        "HF_HUB_OFFLINE": "1",
        "HF_TOKEN": "hf_of_another_program",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "MODELSCOPE_API_TOKEN": "of-another-program",
        **{f"TUNEDECK_{k.removeprefix('env_').upper()}": str(v) for k, v in given.items() if k.startswith("env_")},
    }
    with (job / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.download", str(job / "spec.json")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return Download(workspace, job, process)


def refused(download: Download, code: str) -> PanelError:
    """It failed with ``code``: the error as a person reads it, every place in its texts filled."""
    assert download.end() == 1, download.log
    error = PanelError.from_dict(download.result["error"])
    assert error.code == code, download.log
    for text in error.localized():
        assert "{" not in text, text
        assert text
    return error


@pytest.mark.parametrize("source", BOTH)
def test_a_model_is_fetched_verified_and_put_on_the_list(workspace: Workspace, hub: StubHub, source: str) -> None:
    files = hub.repos[REPO].files
    files |= {
        "pytorch_model.bin": b"p" * 50_000,
        "original/consolidated.00.pth": b"p" * 50_000,
        "onnx/model.onnx": b"o" * 50_000,
        "model.fp16.safetensors": weights(30_000),
        ".gitattributes": b"*.bin lfs",
        "LICENSE": b"free",
        "chat_template.jinja": b"{{ messages }}",
        "additional_chat_templates/tools.jinja": b"{{ tools }}",
    }
    download = start(workspace, hub, source=source)
    assert download.end() == 0, download.log

    folder = workspace.downloads / "tiny-chat"
    kept = {*tiny(), "LICENSE", "chat_template.jinja", "additional_chat_templates/tools.jinja"}
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found - {".download.json"} == kept
    assert all((folder / path).read_bytes() == files[path] for path in kept)
    card = catalog.find(workspace, "tiny-chat")
    assert (card.path, card.problem, card.made_by) == (folder, None, 7)
    assert download.result["model"] == str(folder)
    assert download.result["commit"] == (COMMIT if source == "huggingface" else "")
    assert download.phases() == ["list", "check", "download", "verify", "register"]
    last = [e for e in download.events() if e.get("phase") == "download" and "step" in e][-1]
    size = sum(len(files[path]) for path in kept)
    assert last["step"] == last["total"] == pytest.approx(size / 1e6, abs=1e-3)
    assert last["eta_s"] == 0
    assert last["metrics"]["files"] == last["metrics"]["files_total"] == len(kept)
    assert [e["artifact"]["kind"] for e in download.events() if "artifact" in e] == ["model"]
    assert "not needed: 5 files" in download.log
    assert not download.partial().exists()
    assert all(not seen.token for seen in hub.seen), "no token of another program was sent"


@pytest.mark.parametrize("source", BOTH)
def test_a_kill_in_the_middle_loses_nothing_that_had_come(workspace: Workspace, hub: StubHub, source: str) -> None:
    hub.repos[REPO].files["model.safetensors"] = weights(3_000_000)
    hub.repos[REPO].files["config.json"] += b"\n"
    hub.fail("model.safetensors", Fault(pace=600_000))
    download = start(workspace, hub, source=source)
    partial = download.partial() / "model.safetensors.incomplete"
    until(lambda: partial.exists() and partial.stat().st_size > 800_000, 60, "a part has come")
    download.process.kill()
    download.process.wait()
    assert not (workspace.downloads / "tiny-chat").exists()
    assert "tiny-chat" not in [card.name for card in catalog.models(workspace)]
    had, before = partial.stat().st_size, len(hub.seen)

    again = start(workspace, hub, source=source)
    assert again.end() == 0, again.log
    asked = [seen for seen in hub.seen[before:] if "/repo/files" not in seen.path and "/api/models/" not in seen.path]
    assert {seen.path.rsplit("/", 1)[-1] for seen in asked} == {"model.safetensors"}, "the others were here"
    assert asked[-1].first == had
    assert (workspace.downloads / "tiny-chat" / "model.safetensors").read_bytes() == weights(3_000_000)
    assert again.result["fetched_bytes"] == len(weights(3_000_000)) - had


@pytest.mark.parametrize("source", BOTH)
def test_a_stop_is_noticed_on_a_silent_line_and_the_next_attempt_goes_on(
    workspace: Workspace, hub: StubHub, source: str
) -> None:
    hub.fail("model.safetensors", Fault(cut=300_000, stall=True))
    download = start(workspace, hub, source=source, env_hub_timeout_s=60)
    partial = download.partial() / "model.safetensors.incomplete"
    until(lambda: partial.exists() and partial.stat().st_size > 200_000, 60, "some has come")
    download.process.send_signal(signal.SIGINT)
    assert download.end(8) == 130, download.log
    assert not (download.dir / "result.json").exists()
    again = start(workspace, hub, source=source)
    assert again.end() == 0, again.log
    assert catalog.find(workspace, "tiny-chat").problem is None


@pytest.mark.slow
@pytest.mark.parametrize("source", BOTH)
def test_a_line_that_breaks_a_hub_that_stumbles_and_one_that_asks_to_wait_are_lived_through(
    workspace: Workspace, hub: StubHub, source: str
) -> None:
    hub.repos[REPO].files["model.safetensors"] = weights(2_000_000)
    hub.fail(
        "model.safetensors",
        Fault(cut=700_000),
        Fault(status=503),
        Fault(status=429, headers={"Retry-After": "2"}),
        Fault(cut=300_000, stall=True),
    )
    hub.fail("/models/org", Fault(status=502), Fault(status=429, headers={"Retry-After": "1"}))
    download = start(workspace, hub, source=source)
    assert download.end(90) == 0, download.log
    fetches = hub.fetched(
        "cdn/org/tiny-chat/model.safetensors" if source == "huggingface" else "repo/model.safetensors"
    )
    assert len(fetches) == 5
    assert fetches[-1].first > 500_000, "it went on, and did not begin anew"
    assert hub.sent < 2_000_000 + 600_000
    assert (workspace.downloads / "tiny-chat" / "model.safetensors").read_bytes() == weights(2_000_000)
    assert "wait" in download.log.lower() or "retrying in 2" in download.log
    if source == "huggingface":
        assert "wait" in download.phases()


@pytest.mark.parametrize("source", BOTH)
def test_a_wrong_content_is_thrown_away_and_fetched_once_more(workspace: Workspace, hub: StubHub, source: str) -> None:
    hub.fail("model.safetensors", Fault(wrong=True))
    hub.fail("config.json", Fault(wrong=True))
    download = start(workspace, hub, source=source)
    assert download.end() == 0, download.log
    folder = workspace.downloads / "tiny-chat"
    assert (folder / "model.safetensors").read_bytes() == tiny()["model.safetensors"]
    assert (folder / "config.json").read_bytes() == tiny()["config.json"]
    assert download.phases() == ["list", "check", "download", "verify", "download", "verify", "register"]


@pytest.mark.parametrize("source", BOTH)
def test_a_content_that_stays_wrong_is_an_error_and_nothing_of_it_stays(
    workspace: Workspace, hub: StubHub, source: str
) -> None:
    hub.fail("model.safetensors", Fault(wrong=True, times=9))
    download = start(workspace, hub, source=source)
    assert "model.safetensors" in str(refused(download, "download_corrupt"))
    assert not (download.partial() / "model.safetensors").exists()
    assert not (workspace.downloads / "tiny-chat").exists()
    hub.heal()
    before = len(hub.seen)
    again = start(workspace, hub, source=source)
    assert again.end() == 0, again.log
    assert {s.path.rsplit("/", 1)[-1] for s in hub.fetched("")[before:]} <= {"model.safetensors", "files", "tiny-chat"}


@pytest.mark.slow
@pytest.mark.parametrize("source", BOTH)
def test_a_hub_that_falls_silent_or_breaks_for_good_is_named(workspace: Workspace, hub: StubHub, source: str) -> None:
    hub.fail("model.safetensors", Fault(cut=0, stall=True, times=50))
    error = refused(start(workspace, hub, source=source, env_hub_timeout_s=1), "download_cut_off")
    assert "model.safetensors" in str(error)
    assert "stays" in error.hint
    hub.heal()
    hub.fail("/models/org", Fault(status=503, times=50))
    assert "503" in str(refused(start(workspace, hub, source=source), "download_hub_broken"))
    hub.heal()
    hub.fail("/models/org", Fault(status=429, headers={"Retry-After": "0"}, times=50))
    refused(start(workspace, hub, source=source), "download_rate_limited")


@pytest.mark.parametrize("source", BOTH)
def test_a_hub_that_cannot_be_reached_is_told_with_its_address(workspace: Workspace, source: str) -> None:
    error = refused(start(workspace, "http://127.0.0.1:9", source=source), "download_unreachable")
    assert "http://127.0.0.1:9" in str(error)
    assert f"TUNEDECK_{hubs.HUBS[source].mirror.upper()}" in error.localized()[1]


@pytest.mark.parametrize("source", BOTH)
def test_a_page_that_is_no_hub_is_told(workspace: Workspace, hub: StubHub, source: str) -> None:
    hub.fail("/models/org", Fault(body=b"<html>Please log in to this network</html>", times=9))
    refused(start(workspace, hub, source=source), "download_not_a_hub")


@pytest.mark.parametrize("source", BOTH)
def test_missing_repositories_and_revisions_are_told_apart(workspace: Workspace, hub: StubHub, source: str) -> None:
    error = refused(start(workspace, hub, source=source, repo="org/other"), "download_repo_missing")
    assert "org/other" in str(error)
    error = refused(start(workspace, hub, source=source, revision="v9"), "download_revision_missing")
    assert "'v9'" in str(error)
    hub.fail("/models/org", Fault(status=401, body=b"{}"))
    refused(
        start(workspace, hub, source=source),
        "download_repo_missing" if source == "huggingface" else "download_token_missing",
    )


@pytest.mark.parametrize("source", BOTH)
def test_tokens_come_from_the_secrets_reach_only_the_hub_and_are_written_nowhere(
    workspace: Workspace, hub: StubHub, source: str
) -> None:
    hub.token = TOKEN
    hub.repos[REPO].private = True
    refused(start(workspace, hub, source=source), "download_repo_missing")
    hubs.save_token(workspace, source, "hf_" + "wrong" * 5)
    error = refused(start(workspace, hub, source=source), "download_token_refused")
    assert str(hubs.token_file(workspace, source)) in error.localized()[1]

    hub.seen.clear()
    hubs.save_token(workspace, source, f" {TOKEN}\n")
    path = hubs.token_file(workspace, source)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    download = start(workspace, hub, source=source)
    assert download.end() == 0, download.log
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {s.token for s in hub.seen if s.host.startswith("127.")} == {TOKEN}
    assert {s.token for s in hub.seen if s.host.startswith("localhost")} <= {""}
    for written in (*download.dir.rglob("*"), *workspace.downloads.rglob("*")):
        assert not written.is_file() or TOKEN.encode() not in written.read_bytes(), written


@pytest.mark.parametrize("source", BOTH)
def test_a_licence_that_was_not_accepted_is_told_with_the_page(workspace: Workspace, hub: StubHub, source: str) -> None:
    hub.repos[REPO].gated = True
    hub.token = TOKEN
    hubs.save_token(workspace, source, TOKEN)
    error = refused(start(workspace, hub, source=source), "download_gated")
    page = {
        "huggingface": "https://huggingface.co/org/tiny-chat",
        "modelscope": "https://modelscope.cn/models/org/tiny-chat",
    }
    assert page[source] in error.localized()[1]


def test_what_must_not_be_fetched_is_refused_before_anything_is(workspace: Workspace, hub: StubHub) -> None:
    small = {k: v for k, v in tiny().items() if k != "model.safetensors"}
    cases = {
        "download_unsafe_name": {**tiny(), "../../x.json": b"{}"},
        "download_pickled": {**small, "pytorch_model.bin": b"p"},
        "download_other_format": {**small, "model.Q4.gguf": b"g"},
        "download_no_model": {"README.md": b"data"},
    }
    for code, files in cases.items():
        hub.repos[REPO] = Repo(files)
        error = refused(start(workspace, hub), code)
        assert "Nothing was fetched" in error.hint
    hub.repos[REPO] = Repo(tiny(), sizes={"model.safetensors": 60 * 10**9})
    assert "60 GB" in str(refused(start(workspace, hub), "download_file_too_large"))
    hub.repos[REPO] = Repo({k: v for k, v in tiny().items() if k != "config.json"})
    refused(start(workspace, hub, source="modelscope"), "download_no_model")
    assert list(workspace.downloads.iterdir()) == []
    assert not [seen for seen in hub.seen if "resolve" in seen.path]


def test_a_disk_without_room_is_told_with_figures_and_nothing_begins(workspace: Workspace, hub: StubHub) -> None:
    hub.repos[REPO] = Repo(tiny(), sizes={"model.safetensors": 49 * 10**9})
    error = refused(start(workspace, hub, env_download_reserve_mib=10**9), "download_no_room")
    assert "49 GB" in str(error)
    assert not [seen for seen in hub.seen if "resolve" in seen.path]


def test_a_name_that_is_taken_is_told_before_the_hub_is_asked(workspace: Workspace, hub: StubHub) -> None:
    refused(start(workspace, hub, name="starter"), "model_name_taken")
    catalog.add(workspace, ROOT / "models" / "tiny", "mine")
    refused(start(workspace, hub, name="mine"), "model_name_taken")
    (workspace.downloads / "full").mkdir(parents=True)
    refused(start(workspace, hub, name="full"), "download_folder_taken")
    assert hub.seen == []


def test_the_same_again_finds_that_all_is_here_and_another_version_does_not_overwrite(
    workspace: Workspace, hub: StubHub
) -> None:
    assert start(workspace, hub).end() == 0
    catalog.remove(workspace, "tiny-chat")
    before = len(hub.fetched("resolve"))
    again = start(workspace, hub, folder="second")
    assert again.end() == 0, again.log
    assert len(hub.fetched("resolve")) == before
    assert catalog.find(workspace, "tiny-chat").problem is None
    hub.repos[REPO].files["config.json"] += b" "
    refused(start(workspace, hub, folder="third"), "download_other_version")
    other = start(workspace, hub, folder="fourth", name="Tiny 2")
    assert other.end() == 0, other.log
    assert catalog.find(workspace, "Tiny 2").path == workspace.downloads / "Tiny 2"


def test_what_changed_on_the_hub_between_two_attempts_is_not_mixed(workspace: Workspace, hub: StubHub) -> None:
    hub.repos[REPO].files["model.safetensors"] = weights(1_000_000)
    hub.fail("model.safetensors", Fault(cut=600_000, stall=True))
    first = start(workspace, hub, env_hub_timeout_s=60)
    partial = first.partial() / "model.safetensors.incomplete"
    until(lambda: partial.exists() and partial.stat().st_size > 500_000, 60, "some has come")
    first.process.kill()
    first.process.wait()
    hub.heal()
    newer = weights(1_000_064)
    hub.repos[REPO].files["model.safetensors"] = newer
    again = start(workspace, hub, "second")
    assert again.end() == 0, again.log
    assert hub.fetched("cdn")[-1].first == 0
    assert (workspace.downloads / "tiny-chat" / "model.safetensors").read_bytes() == newer
    assert again.phases() == ["list", "check", "download", "verify", "register"]


def test_two_jobs_for_one_name_do_not_meet(workspace: Workspace, hub: StubHub) -> None:
    hub.fail("model.safetensors", Fault(pace=30_000))
    first = start(workspace, hub)
    until(lambda: "download" in first.phases(), 60, "the first one fetches")
    refused(start(workspace, hub, folder="second"), "download_busy")
    first.process.send_signal(signal.SIGINT)
    assert first.end() == 130, first.log


def test_in_the_queue_it_is_cancelled_and_resumed_and_its_model_is_the_job_s(
    workspace: Workspace, store: Store, hub: StubHub
) -> None:
    hub.repos[REPO].files["model.safetensors"] = weights(3_000_000)
    hub.fail("model.safetensors", Fault(pace=300_000))
    queue = Queue(workspace, store, cpu_slots="1", hf_endpoint=hub.url, download_reserve_mib="1")
    queue.start_watcher(NO_PROXY="127.0.0.1,localhost")
    try:
        busy = queue.drill(steps=3000, step_s=0.05)
        queue.step(busy.id, 1)
        job = store.submit("download", {"repo": f"https://huggingface.co/{REPO}"})
        assert job.title == f"download {REPO}"
        until(lambda: 0.5 < store.get(job.id).progress.get("step", 0) < 3, 60, "it fetches beside a busy CPU")
        store.cancel(job.id)
        queue.reach(job.id, "cancelled")
        store.resume(job.id)
        ended = queue.reach(job.id, "succeeded", "failed", timeout=60)
    finally:
        queue.end()
    assert ended.state == "succeeded", ended.error
    assert hub.fetched("cdn")[-1].first > 400_000
    assert catalog.find(workspace, "tiny-chat").made_by == job.id
