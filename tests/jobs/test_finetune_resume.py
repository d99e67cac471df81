"""A fine-tuning that is stopped, killed and robbed of its dataset goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.data.store import Datasets
from backend.finetune import control, files
from backend.queue.events import read_events
from backend.workspace import Workspace, open_workspace, read_json
from tests.support import homes
from tests.support.finetune_jobs import at_step, finish, losses, rows, run, start
from tests.support.wait import until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, list[int]]]:
    """Folders of a run that nobody disturbed and of one that was, and the exit codes of the latter's attempts."""
    home = tmp_path_factory.mktemp("home")
    with homes.working_on(home) as workspace:
        rows(workspace)
        yield _both(workspace, tmp_path_factory)


def _both(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[int]]:
    whole, broken = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("broken")
    assert run(whole, **SLOW)["ok"], (whole / "log").read_text()
    codes = []

    first = start(broken, **SLOW)
    at_step(broken, 2, first)
    first.send_signal(signal.SIGINT)  # what the queue sends to a job that is to pause
    codes.append(finish(first))

    Datasets(workspace).delete("colours")
    second = start(broken, **SLOW)
    at_step(broken, 8, second)  # steps 7 and 8 are lost: the last checkpoint is that of 6
    _wait_for_checkpoint(broken, 6, second)
    second.kill()
    codes.append(finish(second))

    codes.append(finish(start(broken, **SLOW)))
    return whole, broken, codes


SLOW: dict[str, Any] = {"accumulation": 6, "batch_size": 1}
"""Several batches to a step: its place in the data is more than a number of steps."""


def _wait_for_checkpoint(folder: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    until(lambda: any(one.step >= step for one in files.checkpoints(folder)), 60, f"checkpoint {step}")
    assert process.poll() is None, (folder / "log").read_text()


def test_losses_go_on_as_without_the_kill(runs: tuple[Path, Path, list[int]]) -> None:
    whole, broken, codes = runs
    assert codes == [130, -9, 0], (broken / "log").read_text()
    expected = losses(whole)
    assert list(expected) == list(range(1, 13))
    # The very same numbers: optimizer, learning rate, dropout and the order of the data are where they were.
    assert losses(broken) == {step: pytest.approx(loss, rel=1e-4) for step, loss in expected.items()}
    rates = [_metric(folder, "lr") for folder in (whole, broken)]
    assert rates[1] == {step: pytest.approx(rate, rel=1e-5) for step, rate in rates[0].items()}


def test_it_ends_with_the_same_model_and_the_same_judgement(runs: tuple[Path, Path, list[int]]) -> None:
    whole, broken, _ = runs
    results = [read_json(folder / "result.json") for folder in (whole, broken)]
    assert results[1]["ok"]
    assert results[1]["step"] == results[0]["step"]
    assert results[1]["eval_loss"] == pytest.approx(results[0]["eval_loss"], rel=1e-3)


def test_nothing_is_done_twice_that_was_complete(runs: tuple[Path, Path, list[int]]) -> None:
    _, broken, _ = runs
    log = (broken / "log").read_text()
    assert log.count("going on from step") == 2
    asked = [(one.step, one.prompt) for one in files.samples(broken)]
    assert len(asked) == len(set(asked))
    assert {step for step, _ in asked} == {0, 6, 12}


def test_it_goes_on_with_its_copy_of_rows_that_are_gone(runs: tuple[Path, Path, list[int]]) -> None:
    _, broken, _ = runs
    assert not Datasets(open_workspace(Path(os.environ["TUNEDECK_WORKSPACE"]))).exists("colours")
    assert (broken / "rows" / "train.jsonl").stat().st_size > 0


def test_finishing_early_keeps_the_best_as_if_all_had_been_done(tmp_path: Path) -> None:
    rows(open_workspace())
    process = start(tmp_path, max_steps=2000, eval_every=1000, save_every=1000, sample_every=1000)
    at_step(tmp_path, 2, process)
    control.finish(tmp_path)
    assert finish(process) == 0, (tmp_path / "log").read_text()
    result = read_json(tmp_path / "result.json")
    assert result["ended"] == "asked"
    assert 2 <= result["step"] < 2000
    # The state in which it was found is measured, kept and asked like any other.
    (kept,) = files.checkpoints(tmp_path)
    assert kept.eval_loss is not None
    assert kept.step == result["step"]
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


def _metric(folder: Path, name: str) -> dict[int, float]:
    return {one["step"]: one["metrics"][name] for one in read_events(folder)[0] if name in (one.get("metrics") or {})}
