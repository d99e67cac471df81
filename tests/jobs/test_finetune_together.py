"""Several processes that train together learn what one would have learned, and end together, whatever ends one of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from backend.finetune import files
from backend.workspace import ROOT, open_workspace
from tests.support.finetune_jobs import SPEC, at_step, finish, losses, rows

WHOLE: dict[str, Any] = {
    **SPEC,
    "lora_dropout": 0.0,
    "accumulation": 1,
    "sample_every": 100,
    "packing": False,
    "keep": 9,
}
"""32 rows: with batches that do not come out even, one process of two repeats a row where one alone has a smaller batch."""


pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the trainings are; the workspace in it has the rows."""
    found = tmp_path_factory.mktemp("together")
    rows(open_workspace(found / "workspace"))
    return found


@pytest.fixture(scope="module")
def two(home: Path) -> Path:
    """The folder of a training by two that nobody disturbed."""
    run(home / "two", batch_size=2, gpus=2)
    return home / "two"


def start(folder: Path, **changes: Any) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(json.dumps({**WHOLE, **changes}))
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.training_together", str(folder / "spec.json")],
            cwd=ROOT,
            env={
                **os.environ,
                "TUNEDECK_JOB_DIR": str(folder),
                "TUNEDECK_WORKSPACE": str(folder.parent / "workspace"),
                "OMP_NUM_THREADS": "1",
            },
            stdout=log,
            stderr=log,
        )


def run(folder: Path, **changes: Any) -> dict[str, Any]:
    code = finish(start(folder, **changes))
    assert code == 0, (folder / "log").read_text() + "\n".join(each.read_text() for each in folder.glob("rank-*.log"))
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def others(folder: Path) -> list[int]:
    """Ids of the processes of this training but the first."""
    wanted = ["jobs.finetuning.rank", str(folder)]
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                words = (each / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            if all(word in words for word in wanted):
                found.append(int(each.name))
    return found


def test_two_learn_what_one_learns_with_batches_of_twice_the_size(home: Path, two: Path) -> None:
    one = home / "one"
    alone = run(one, batch_size=4, gpus=1)
    both = json.loads((two / "result.json").read_text())
    assert losses(two).keys() == losses(one).keys()
    for step, loss in losses(one).items():
        assert losses(two)[step] == pytest.approx(loss, rel=2e-4), step
    assert both["eval_loss"] == pytest.approx(alone["eval_loss"], rel=2e-4)
    assert both["steps"] == alone["steps"] == 12
    assert files.checkpoints(two)[-1].tokens == files.checkpoints(one)[-1].tokens
    assert not others(two)


def test_its_capsule_repeats_it_with_as_many_processes_and_refuses_to_with_one(two: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(two / files.CAPSULE) as opened:
        opened.extractall(tmp_path)
    words = ["repeat.py", "--model", str(SPEC["model"]), "--out", "again"]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("TUNEDECK_") and k != "PYTHONPATH"}
    plain["OMP_NUM_THREADS"] = "1"

    def repeated(*how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *how, *words], cwd=tmp_path, env=plain, capture_output=True, text=True, check=False
        )

    alone = repeated()
    assert alone.returncode == 2
    assert "torchrun --standalone --nproc-per-node 2 repeat.py" in alone.stderr
    done = repeated("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "again" / "compared.json").read_text())
    assert found["points"] >= len(losses(two)) == 12
    assert found["largest_difference"] < 2e-5


def test_one_that_is_killed_ends_all_with_its_reason_and_all_go_on_as_without_it(home: Path, two: Path) -> None:
    folder = home / "broken"
    process = start(folder, gpus=2, max_steps=5000, epochs=1000, save_every=1000, eval_every=1000)
    at_step(folder, 3, process)
    (other,) = others(folder)
    os.kill(other, signal.SIGKILL)
    assert finish(process) == 1
    error = json.loads((folder / "result.json").read_text())["error"]
    assert (error["code"], error["params"]["rank"], error["params"]["exit"]) == ("finetune_rank_failed", 1, -9)

    sixth = next(one for one in files.checkpoints(two) if one.step == 6)
    shutil.copytree(sixth.path, folder / files.CHECKPOINTS / Path(sixth.path).name)
    (newest,) = files.checkpoints(folder)
    assert {each.name for each in Path(newest.path).glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    run(folder, gpus=2)
    for step, loss in losses(two).items():
        if step > newest.step:
            assert losses(folder)[step] == pytest.approx(loss, rel=2e-4), step


def test_a_stop_by_a_person_saves_and_ends_all(home: Path) -> None:
    folder = home / "stopped"
    process = start(folder, gpus=2, max_steps=5000, epochs=1000, save_every=1000, eval_every=1000)
    at_step(folder, 3, process)
    process.send_signal(signal.SIGINT)
    assert finish(process) == 130, (folder / "log").read_text()
    assert len(files.checkpoints(folder)) == 1
    assert not others(folder)
