"""Trainings that run out of memory for real: the Trainer on the CPU in a process that may take only so much."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.finetune import out_of_memory, relief
from backend.finetune.files import OutOfMemory, build
from backend.memory.forecast import facts
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT

Tries = dict[str, list[dict[str, Any]]]


def run(folder: Path, *words: str) -> list[dict[str, Any]]:
    """What the program says of each try."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.short_of_memory", str(folder), *words],
        cwd=ROOT,
        env={
            **os.environ,
            "MALLOC_MMAP_THRESHOLD_": "65536",
        },  # or what a try gave back stays with the process for the next
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]


@pytest.fixture(scope="module")
def tries(tmp_path_factory: pytest.TempPathFactory) -> Tries:
    """All tries, by what is large in them; within more memory each comes further than the one before."""
    folder = tmp_path_factory.mktemp("short")
    found: Tries = {}
    for one in run(folder, "rows", "weights", "evaluate", "save"):
        found.setdefault(one["kind"], []).append(one)
    return found


def phases(tries: list[dict[str, Any]]) -> list[str | None]:
    return list(dict.fromkeys(one["phase"] for one in tries))


def test_with_large_batches_it_ends_in_the_forward_pass_then_in_the_backward_pass_then_not_at_all(tries: Tries) -> None:
    assert phases(tries["rows"])[-3:] == ["forward", "backward", None]


def test_with_large_weights_it_ends_while_loading_and_last_in_the_optimizer(tries: Tries) -> None:
    found = phases(tries["weights"])
    assert found[0] == "load"
    assert {"load", "backward", "optimizer", None} <= set(found)
    assert tries["weights"][-2]["phase"] == "optimizer", "its two values a weight are the last that is taken"


def test_an_evaluation_with_longer_rows_is_told_from_the_training(tries: Tries) -> None:
    assert phases(tries["evaluate"]) == ["evaluate", None]


def test_a_save_that_gathers_the_weights_is_told(tries: Tries) -> None:
    assert phases(tries["save"]) == ["save", None]


def test_what_is_written_down_says_how_much_was_missing(tries: Tries) -> None:
    last = tries["rows"][-2]
    record = build(last, OutOfMemory)
    assert record is not None
    assert last["code"] == "finetune_out_of_memory"
    assert record.device == "cpu"
    assert "DefaultCPUAllocator" in record.line
    assert record.asked is not None
    assert record.free is not None
    assert record.free <= record.asked, "what was free did not hold it"
    assert record.allocated is not None
    said = out_of_memory.told(record)
    assert said.sentence == "It ran out of memory in the backward pass, after step 0."
    assert "GiB more were asked for at once" in said.figures[0]


def test_the_smallest_change_that_is_proposed_then_really_runs(tries: Tries, tmp_path: Path) -> None:
    last = tries["rows"][-2]
    record = build(last, OutOfMemory)
    assert record is not None
    spec = FinetuneSpec(
        model="tiny",
        dataset="rows",
        method="full",
        device="cpu",
        batch_size=16,
        accumulation=1,
        max_length=128,
        packing=False,
    )
    known = facts.from_folder(Path(last["model"]))
    found = relief.reliefs(spec, record, known)
    first = found[0]
    assert (first.fields["batch_size"], first.fields["accumulation"]) == (8, 2), "half the batch, the same result"
    assert first.saving is not None
    assert first.saving > 0
    assert first.start == "continue"
    again = run(
        tmp_path, "rows", str(last["limit"]), str(first.fields["batch_size"]), str(first.fields["accumulation"])
    )
    assert [one["phase"] for one in again] == [None]
