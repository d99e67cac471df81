"""Set-ups measured one after another by the real program: real servers, real requests, and what happens when one of them dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.bench import matrix
from backend.bench.matrix import Matrix
from backend.errors import PanelError
from backend.specs import parse
from backend.specs.bench import BenchMatrixSpec
from backend.specs.serve import ServeSpec
from backend.workspace import ROOT, Workspace, read_json
from jobs.benching import servers
from jobs.harness import Job
from tests.support.wait import until

HERE = {"model": "starter", "engine": "transformers", "device": "cpu"}
SPEC = {
    "setups": [
        {"label": "Needs a GPU", "serve": {"model": "starter", "engine": "lmdeploy"}},
        {"label": "Here", "serve": HERE},
    ],
    "sizes": [
        {"batch": 1, "input_tokens": 64, "output_tokens": 8},
        {"batch": 1, "input_tokens": 64, "output_tokens": 2000},
        {"batch": 1, "input_tokens": 9000, "output_tokens": 8},
    ],
    "num_prompts": 2,
}


class MatrixJob:
    """``python -m jobs.bench_matrix`` in a folder of its own; :meth:`end` leaves nothing behind."""

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        self.dir, self.data = folder, spec
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps(spec))
        made = parse("bench_matrix", spec)
        assert isinstance(made, BenchMatrixSpec)
        self.spec = made
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.dir / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobs.bench_matrix", str(self.dir / "spec.json")],
                cwd=ROOT,
                env={**os.environ, "TUNEDECK_JOB_DIR": str(self.dir)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(240)

    def table(self) -> Matrix:
        return matrix.read(self.dir, self.spec)

    def reach(self, row: int, state: str) -> None:
        until(lambda: self.table().rows[row].state == state, 240, f"row {row} is {state}\n{self.log()}")

    def log(self) -> str:
        return (self.dir / "log").read_text(errors="replace")

    def servers(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        left = self.servers()
        self.process.kill()
        self.process.wait(10)
        for one in left:
            one.kill()


@pytest.fixture
def job(tmp_path: Path, workspace: Workspace) -> Iterator[MatrixJob]:
    running = MatrixJob(tmp_path / "job", SPEC)
    yield running
    running.end()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_matrix_that_was_stopped_goes_on_with_what_is_missing(job: MatrixJob) -> None:
    job.start()
    until(lambda: job.table().rows[1].cells[0] is not None, 240, f"the first cell is there\n{job.log()}")
    assert job.process is not None
    mine = job.servers()
    job.process.send_signal(signal.SIGINT)
    assert job.wait() == 130, job.log()
    _gone, alive = psutil.wait_procs(mine, timeout=15)
    assert alive == [], "the server is taken down with it"
    stopped = job.table()
    first = stopped.rows[1].cells[0]
    assert first is not None
    assert first.answered
    assert stopped.rows[0].problem["code"] == "engine_needs_gpu", "a row with the reason, and no error"

    long = job.data["sizes"][1]
    job.data["sizes"][1] = {**long, "output_tokens": 9}
    (job.dir / "spec.json").write_text(json.dumps(job.data))
    kept = json.loads((job.dir / matrix.FILE).read_text())
    kept["sizes"][1]["output_tokens"] = 9  # the rest in a second instead of a minute
    (job.dir / matrix.FILE).write_text(json.dumps(kept))
    job.spec = BenchMatrixSpec.model_validate(job.data)
    job.start()
    assert job.wait() == 0, job.log()
    found = job.table()
    row = found.rows[1]
    assert (found.rows[0].state, row.state) == ("cannot", "done")
    assert row.cells[0] == first, "what was measured is not measured again"
    second = row.cells[1]
    assert second is not None
    assert second.columns["number_of_completion_tokens"] == 18
    assert second.columns["number_of_prompt_tokens"] == pytest.approx(128, abs=4), (
        "cut to 64 with the model's tokenizer"
    )
    assert 100 << 20 < second.steady <= second.peak < 4 << 30
    assert row.load_s is not None
    assert row.load_s > 0.2
    assert row.cells[2] is not None
    assert row.cells[2].problem["code"] == "bench_size_too_long"
    for ending in ("md", "csv", "html"):
        assert "Needs a GPU" in (job.dir / f"matrix.{ending}").read_text(encoding="utf-8")
    assert (read_json(job.dir / "result.json") or {})["done"] == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_that_dies_in_the_middle_leaves_a_marked_row_and_its_reason(job: MatrixJob) -> None:
    job.data["sizes"][:] = [{"batch": 1, "input_tokens": 32, "output_tokens": 3000}]
    (job.dir / "spec.json").write_text(json.dumps(job.data))
    job.spec = BenchMatrixSpec.model_validate(job.data)
    job.start()
    job.reach(1, "measuring")
    engine = next(p for p in job.servers() if "jobs.serving.engine" in p.cmdline())
    engine.kill()
    assert job.wait() == 1, job.log()
    row = job.table().rows[1]
    assert row.state == "failed"
    assert row.problem["code"] in ("engine_killed", "engine_crashed", "bench_server_died"), row.problem
    result = read_json(job.dir / "result.json") or {}
    assert result["error"]["code"] == "bench_nothing_measured"
    assert result["error"]["params"]["line"].startswith("Here:"), "what failed says more than what could not be"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_server_that_cannot_be_says_so_in_its_own_words(tmp_path: Path, workspace: Workspace) -> None:
    spec = parse("bench_matrix", SPEC)
    asked = ServeSpec(model="starter", engine="lmdeploy")
    with pytest.raises(PanelError, match="NVIDIA GPUs only"), servers.serving(Job(spec, tmp_path), asked, "Turbo Mind"):
        raise AssertionError("it cannot run here")
    assert (tmp_path / servers.FOLDER).is_dir()


def test_a_server_that_vanished_without_a_word_is_told_with_its_last_line(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]) as process:
        process.wait(30)
    (tmp_path / servers.LOG).write_text("loading\nthe last line\n\n")
    told = servers._ended(process, tmp_path, "fast")
    assert told is not None
    assert str(told) == "The server of 'fast' ended by itself (exit code 7)."
    assert told.params["line"] == "the last line"


def test_two_labels_have_two_folders() -> None:
    assert servers.slug("starter") == "starter"
    names = {servers.slug(label) for label in ("a+b", "a b", "A B", "模型一", "模型二", "", "../../etc")}
    assert len(names) == 7
    assert all("/" not in name and name.strip(".") for name in names)


def test_a_port_that_was_leased_is_taken_unless_somebody_has_it() -> None:
    import socket

    free = servers.free_port([])
    assert servers.free_port([free]) == free
    with socket.socket() as other:
        other.bind((servers.HOST, free))
        other.listen()
        assert servers.free_port([free]) != free
