"""LMDeploy's ``lite`` in its environment, a program of its own: AWQ in 4 bits, and on a GPU SmoothQuant in int8.

It takes its calibration rows from its current folder, which is one in the job's; there its library keeps what it makes of them, too,
and all of that goes when it has ended.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from backend.catalog.weights import read_headers
from backend.engines import lmdeploy_lite
from backend.engines.lmdeploy_lite import Awq, Progress
from backend.engines.registry import engines
from backend.envs import places, running
from backend.envs.status import Status
from backend.errors import PanelError
from backend.finetune import oom_lines
from backend.i18n import N_
from backend.workspace import open_workspace
from jobs.finetuning.xtuner_child import Child
from jobs.harness import Job, Stopped
from jobs.quantizing import failing
from jobs.quantizing import rows as calibration
from jobs.quantizing.rows import Rows
from jobs.quantizing.work import Work
from jobs.serving.loading import may_run_code

HOME = "lmdeploy"
"""In the job's folder: the current folder of the program."""
ENGINE = engines()["lmdeploy"]
LAST_LINES = 20


def make(job: Job, work: Work, rows: Rows, target: Path) -> None:
    """The copy in ``target``, with its ``config.json``.

    Raises:
        PanelError: LMDeploy cannot be used here; ``awq_failed``, ``awq_no_copy``. ModelError: ``quantize_out_of_memory``.
        WorkspaceError: ``quantize_no_room``. Stopped.
    """
    found = environment()
    assert found.python is not None
    home = job.dir / HOME
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    try:
        wanted = what(work, rows, target)
        if rows.texts:
            lmdeploy_lite.write_calibration(home, rows.texts)
        argv = command(found.python, work, wanted)
        job.log(" ".join(argv))
        flavour = "cpu" if work.spec.device == "cpu" else found.flavour
        variables = running.environ(ENGINE, found.python, flavour) | lmdeploy_lite.environ(home)
        variables["OMP_WAIT_POLICY"] = "passive"
        job.phase("quantize")
        code, lines = _follow(job, argv, home, variables, Follower(job, work, calibrated=bool(rows.texts)))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if code:
        _explain(job, work, lines)
    lmdeploy_lite.finished(wanted, code, lines, "awq" if work.spec.method == "awq" else "smooth_quant")
    # What it measured, as pickles: nobody reads them, and servers refuse folders with such files.
    for file in target.glob("*.pth"):
        file.unlink()


def environment() -> Status:
    """The environment of LMDeploy.

    Raises:
        PanelError: it cannot be used, and what to do.
    """
    found = places.status(open_workspace(), "lmdeploy")
    if found.usable and found.python is not None:
        return found
    raise found.problem or PanelError(
        "quantize_no_lmdeploy",
        N_("The environment of LMDeploy is not ready: {folder}."),
        N_("Install it on the Environments page, or choose a method of llm-compressor."),
        folder=str(found.folder),
    )


def what(work: Work, rows: Rows, target: Path) -> Awq:
    """The run that ``work`` asks for. It cuts all rows, joined, into pieces and wants them longer than one piece."""
    spec = work.spec
    tokens = sum(map(len, calibration.pieces(rows, calibration.tokens(work), 1 << 30))) if rows.texts else 0
    piece = min(spec.sample_tokens, tokens // 2)
    # Its kernels compute in 16 bits, and for bfloat16 it asks CUDA.
    as_stored = work.dtype == "float16" or (work.dtype == "bfloat16" and spec.device != "cpu")
    return Awq(
        work.model,
        target,
        samples=len(rows.texts) if piece else 0,
        sample_tokens=piece,
        group=spec.group_size,
        symmetric=spec.symmetric,
        device=spec.device,
        dtype="" if as_stored else "float16",
        trust_code=may_run_code(work.model_folder),
    )


def command(python: Path, work: Work, wanted: Awq) -> list[str]:
    """The program and its arguments."""
    if work.spec.method == "smooth_quant":
        return lmdeploy_lite.smooth_command(python, wanted)
    return lmdeploy_lite.command(python, wanted)


class Follower:
    """Its lines go to the log of ``job``, and tell how far it is."""

    def __init__(self, job: Job, work: Work, *, calibrated: bool) -> None:
        self._job, self._layers = job, work.layers or _layers(work.model)
        self._progress, self._began, self._told = Progress(self._layers, calibrated=calibrated), time.monotonic(), 0

    def __call__(self, line: str) -> None:
        self._job.log(line)
        if not self._progress.read(line):
            return
        done = self._progress.done
        if int(done * self._layers) > self._told:
            self._told = int(done * self._layers)
            left = (time.monotonic() - self._began) * (1 - done) / done
            self._job.progress("quantize", self._told, self._layers, left)


def _follow(
    job: Job, argv: list[str], home: Path, variables: Mapping[str, str], follow: Follower
) -> tuple[int, list[str]]:
    """Start it, and wait until it has ended: its exit code and its last lines.

    Raises:
        Stopped: it was asked to stop, and has ended.
    """
    child = Child(argv, home, variables, follow)
    try:
        while not child.ended():
            if job.stop_requested:
                raise Stopped
            child.wait(0.2)
    finally:
        child.end()
    return child.process.returncode, child.lines()


def _layers(folder: Path) -> int:
    """How many there are, told from the names of the weights."""
    numbers = {part for name in read_headers(folder) for part in name.split(".") if part.isdigit()}
    return len(numbers) or 1


def _explain(job: Job, work: Work, lines: list[str]) -> None:
    """Raise what the end of its output says, where that is known here."""
    last = [line.strip() for line in lines if line.strip()][-LAST_LINES:]
    if any(failing.is_full(line) for line in last):
        raise failing.no_room(job.dir)
    short = next((line for line in reversed(last) if oom_lines.ran_out(line)), None)
    if short is not None:
        raise failing.out_of_memory(short[:500], work.spec.model)
