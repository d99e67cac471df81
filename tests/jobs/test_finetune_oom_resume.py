"""A run that really runs out of memory, its page, and one press: the run that goes on with the smallest change comes to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backend.finetune import files
from backend.queue import folder
from backend.queue.store import Store
from backend.workspace import Workspace
from jobs.finetuning.running_out import LIMIT
from tests.support.datasets import keep, row
from tests.support.finetune_jobs import SPEC, losses
from tests.support.finetune_page import open_finetune, said
from tests.support.jobs import Queue

LIMIT_MIB = 195
"""More than a training of 16 short rows at once takes, and an evaluation of 8 long ones (170); less than one of 16 (230 to 300)."""
SHORT: dict[str, Any] = {
    **SPEC,
    "dataset": "short and long",
    "max_length": 1024,
    "packing": False,
    "batch_size": 16,
    "accumulation": 1,
    "max_steps": 6,
    "eval_every": 4,
    "save_every": 2,
    "sample_every": 6,
    "sample_prompts": ["What is 3?"],
    "lora_dropout": 0.0,
}


@pytest.fixture
def tight(workspace: Workspace, store: Store) -> Iterator[Queue]:
    """A queue whose programs may take only so much memory."""
    long = " ".join(map(str, range(600)))
    rows = [row(f"What is {n}?", f"It is {n}.") for n in range(64)]
    rows += [row(f"Count from {n}.", f"{n} {long}", split="validation") for n in range(16)]
    keep(workspace, "short and long", rows)
    running = Queue(workspace, store)
    running.start_watcher((), **{LIMIT: str(LIMIT_MIB), "OMP_NUM_THREADS": "1"})
    yield running
    running.end()


@pytest.mark.timeout(360)  # two starts of a real training, each of which loads torch
def test_out_of_memory_in_mid_run_one_press_and_the_new_run_finishes_from_the_newest_checkpoint(
    tight: Queue, store: Store
) -> None:
    first = store.submit("finetune", SHORT)
    failed = tight.reach(first.id, "failed", timeout=150)
    assert failed.error["code"] == "finetune_out_of_memory", failed.error

    app = open_finetune(view="runs", job=str(first.id))
    text = said(app)
    assert "It ran out of memory while it was being evaluated, after step 4." in text
    assert "What is enough, the smallest change first" in text
    press = next(button for button in app.button if button.key == f"run_{first.id}_oom_0")
    assert press.label == "Batches of 8, 2 to a step"
    assert "it goes on from step 2" in press.help
    press.click().run()
    assert not app.exception, app.exception

    (second,) = [each for each in store.list(verb="finetune") if each.id != first.id]
    done = tight.reach(second.id, "succeeded", "failed", timeout=150)
    log = folder.log_file(store.job_dir(second.id), 1).read_text()
    assert done.state == "succeeded", log[-3000:]
    before, after = losses(store.job_dir(first.id)), losses(store.job_dir(second.id))
    assert (list(before), list(after)) == ([1, 2, 3, 4], [3, 4, 5, 6]), (
        "from the newest checkpoint on, in the same limit"
    )
    # Half the batch, twice as often, is the same step.
    assert [after[3], after[4]] == pytest.approx([before[3], before[4]], rel=1e-2)
    assert files.checkpoints(store.job_dir(second.id))[-1].step == 6
    assert (store.result(second.id) or {})["eval_loss"] > 0, "what had not fitted was done"
    app.run()
    assert "ran out of memory" not in said(app), "the page stands at the new run"
    assert "What it made" in said(app)
