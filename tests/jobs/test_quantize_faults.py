"""A quantization that is killed, stopped, or runs out of something: nothing half-made is left, and it goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.workspace import ROOT, Workspace, read_json
from jobs.harness import Job
from jobs.quantizing import compressor, failing, stages
from jobs.quantizing.rows import Rows
from jobs.quantizing.work import Work
from tests.jobs.test_disk_faults import can_mount, on_disk
from tests.support.quantize_jobs import TINY, contents, run, spec

pytestmark = pytest.mark.filterwarnings("ignore")

KILLED = """
import os, signal, sys
from jobs import quantize
from jobs.harness import Job, main

class Doomed(Job):
    def phase(self, phase):
        super().phase(phase)
        if phase == sys.argv[2]:
            os.kill(os.getpid(), signal.SIGKILL)

def run(job):
    job.__class__ = Doomed
    return quantize.run(job)

main("quantize", run, [sys.argv[1]])
"""


def killed(folder: Path, phase: str) -> None:
    """A job in ``folder`` that is killed when it comes to ``phase``."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(spec(folder)), phase],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_JOB_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr


def test_killed_after_the_engine_it_goes_on_with_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, before = tmp_path / "job", contents(TINY)
    killed(folder, "check")
    partial = folder / stages.PARTIAL
    assert read_json(partial / stages.MARKER)["from"]["how"]["method"] == "rtn"
    assert not (folder / "quantized").exists()
    weights = (partial / "model.safetensors").stat().st_ino
    monkeypatch.setattr(compressor, "make", lambda *_: pytest.fail("it quantizes again"))
    result = run(folder)
    assert result["ok"], result
    assert (folder / "quantized" / "model.safetensors").stat().st_ino == weights
    assert result["engine_seconds"] > 0
    assert not partial.exists()
    assert "quantized already" in capsys.readouterr().out
    assert contents(TINY) == before


def test_what_an_engine_left_unfinished_is_made_anew(tmp_path: Path) -> None:
    # What a kill in the middle of writing leaves: some of the files, and no marker.
    folder = tmp_path / "job"
    partial = folder / stages.PARTIAL
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_bytes(b"half")
    (partial / "left-over.json").write_text("{}")
    result = run(folder)
    assert result["ok"], result
    assert result["bytes_after"] > 100_000
    assert not (folder / "quantized" / "left-over.json").exists()
    assert not partial.exists()
    # Its model is another one now: what was made of the old one is not taken for a copy of it.
    base = tmp_path / "base"
    shutil.copytree(TINY, base)
    os.utime(base / "model.safetensors", (1, 1))
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "model_folder": str(base)}))
    made = (folder / "quantized" / "model.safetensors").stat()
    assert run(folder)["ok"]
    anew = (folder / "quantized" / "model.safetensors").stat()
    assert (anew.st_ino, anew.st_mtime_ns) != (made.st_ino, made.st_mtime_ns)  # a number may be given again


def test_a_stop_is_heeded_between_rows_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Job] = []

    def check(self: compressor.Watch) -> None:
        self.job.stop_requested = True
        stopped.append(self.job)
        self.job.check_stop()

    monkeypatch.setattr(compressor.Watch, "check", check)
    monkeypatch.setenv("TUNEDECK_JOB_DIR", str(tmp_path / "job"))
    from jobs import quantize
    from jobs.harness import EXIT_STOPPED, main

    file = spec(tmp_path / "job", method="gptq")
    assert main("quantize", quantize.run, [str(file)]) == EXIT_STOPPED
    assert len(stopped) == 1  # at the first row of the first matrix
    left = sorted(one.name for one in (tmp_path / "job").iterdir())
    assert left == ["calibration.json", "calibration.jsonl", "events.jsonl", "plan.json", "spec.json"]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            "quantize_out_of_memory",
            "2.00 GiB",
        ),
        (OSError(28, "No space left on device"), "quantize_no_room", "became full while the copy was written"),
        (
            RuntimeError("I/O error: No space left on device (os error 28)"),
            "quantize_no_room",
            "The model is untouched",
        ),
        (
            ValueError("symbolically traced variables"),
            "quantize_engine_failed",
            "llm-compressor could not make a smaller",
        ),
    ],
)
def test_what_an_engine_runs_out_of_is_said_and_nothing_half_made_is_left(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, words: str
) -> None:
    def make(job: Job, work: Work, rows: Rows, target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(compressor, "make", make)
    result = run(tmp_path / "job")
    assert result["error"]["code"] == code
    from backend.errors import PanelError

    assert words in str(PanelError.from_dict(result["error"]))
    assert not (tmp_path / "job" / stages.PARTIAL).exists()
    assert not (tmp_path / "job" / "quantized").exists()


def test_a_base_whose_template_changed_since_stops_it(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(TINY, base)
    killed_plan = tmp_path / "job"
    assert run(killed_plan, model=str(base))["ok"]
    shutil.rmtree(killed_plan / "quantized")
    settings: dict[str, Any] = json.loads((base / "generation_config.json").read_text())
    (base / "generation_config.json").write_text(json.dumps({**settings, "eos_token_id": [3]}))
    result = run(killed_plan, model=str(base))
    assert result["error"]["code"] == "template_changed"
    assert not (killed_plan / "quantized").exists()


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_a_disk_that_fills_up_while_the_copy_is_written_leaves_nothing_half_and_it_can_be_resumed(
    tmp_path: Path,
) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=40m",
        """
import warnings
warnings.simplefilter("ignore")
from tests.support.quantize_jobs import TINY, contents, run
from jobs.quantizing import compressor
os.environ["TUNEDECK_DOWNLOAD_RESERVE_MIB"] = "0"
workspace = open_workspace()
folder, filler, before = workspace.root / "job", workspace.root / "filler", contents(TINY)
phase = compressor.Job.phase

def crowded(self, name):
    phase(self, name)
    if name == "save" and not filler.exists():
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                pass
            file.truncate(file.tell() - 131072)  # room for the small files, and not for the weights

compressor.Job.phase = crowded
first = run(folder)
left = sorted(one.name for one in folder.iterdir())
filler.unlink()
filler.touch()
second = run(folder)
print(json.dumps({"first": first, "left": left, "second": second, "untouched": contents(TINY) == before}))
""",
    )
    assert found["first"]["error"]["code"] == "quantize_no_room"
    assert not {"quantized", stages.PARTIAL} & set(found["left"])
    assert found["second"]["ok"], found["second"]
    assert found["untouched"]


def test_a_full_disk_is_told_from_other_failures() -> None:
    assert failing.full(RuntimeError("SafetensorError: Error while serializing: I/O error: No space left on device"))
    assert not failing.full(RuntimeError("no such device"))
