"""A run that ran out of memory, as its page shows it: what happened, the smallest change, and the press that goes on."""

from __future__ import annotations

import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import PanelError
from backend.finetune import files, out_of_memory
from backend.memory.sample import HOST, HostSample, JobUse, Sample
from backend.memory.series import open_memory
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.finetune_page import open_finetune, persona, press, said
from tests.support.handmade_run import HandmadeRun

MIB, GIB = 1 << 20, 1 << 30


@pytest.fixture
def short(store: Store, workspace: Workspace) -> HandmadeRun:
    """A run with batches of 8 that ended at step 64, its newest checkpoint at 60."""
    persona(workspace)
    run = HandmadeRun(store, model="starter", batch_size=8, accumulation=2, gradient_checkpointing=False, packing=False)
    run.begin()
    run.learn(64)
    run.save(60, 0.9)
    return run


def end(run: HandmadeRun, phase: str = "backward", **more: Any) -> AppTest:
    """It ended for want of memory; its page."""
    line = "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 67108864 bytes."
    figures = {
        "asked": 64 * MIB,
        "allocated": 3 * GIB,
        "reserved": 3 * GIB,
        "free": 60 * MIB,
        "total": 8 * GIB,
        **more,
    }
    record = files.OutOfMemory(phase, 64, time.time(), line, device="cpu", **figures)
    files.write(run.dir / files.OUT_OF_MEMORY, record)
    run.end("failed", out_of_memory.error(record))
    return open_finetune(view="runs", job=str(run.row.id))


def test_it_says_where_it_ran_out_and_how_much_was_missing(short: HandmadeRun) -> None:
    text = said(end(short))
    assert "It ran out of memory in the backward pass, after step 64." in text
    assert "0.062 GiB more were asked for at once · it held 3.0 GiB of 8.0 · 0.059 GiB were free" in text
    assert "What is enough, the smallest change first" in text
    assert "RuntimeError: DefaultCPUAllocator" in text


def test_one_press_goes_on_from_the_newest_checkpoint_with_the_smallest_change(short: HandmadeRun) -> None:
    app = end(short)
    first = next(button for button in app.button if button.key == f"run_{short.row.id}_oom_0")
    assert first.label == "Batches of 4, 4 to a step"
    assert "it goes on from step 60" in first.help
    assert "the same result, a little slower" in said(app)
    first.click().run()
    assert not app.exception, app.exception
    (new,) = [row for row in short.store.list(verb="finetune") if row.id != short.row.id]
    spec = short.store.spec(new.id)
    assert (spec["batch_size"], spec["accumulation"]) == (4, 4)
    assert spec["start_from"].endswith("checkpoints/step-00000060")
    assert spec["start_mode"] == "continue"
    assert new.parent == short.row.id
    assert app.query_params["job"] in (str(new.id), [str(new.id)])


def test_neighbours_that_grew_are_named_and_the_same_job_can_go_on(short: HandmadeRun) -> None:
    app = end(short, "neighbour", others_before=GIB, others_then=4 * GIB)
    text = said(app)
    assert "Other programs took memory that had been free when it began" in text
    assert "others held 4.0 GiB, 3.0 more than when it began" in text
    press(app, "Go on with the same settings")
    assert short.store.get(short.row.id).state == "queued"


def test_the_memory_of_these_minutes_is_drawn_with_the_moment_marked(short: HandmadeRun, workspace: Workspace) -> None:
    memory, now = open_memory(workspace), time.time()
    for second in range(20):
        use = JobUse(short.row.id, HOST, (100 + 20 * second) * MIB, "process")
        memory.append(Sample(now - 20 + second, HostSample(8 * GIB, 2 * GIB), (), (use,)))
    app = end(short)
    assert "Main memory around that moment, the triangle" in said(app)
    (drawn,) = [each for each in app.main.get("echarts_chart") if f"run_{short.row.id}_oom_chart" in each.proto.id]
    assert "out" in drawn.proto.alt


def test_after_a_kill_by_the_system_it_says_what_that_mostly_is(short: HandmadeRun) -> None:
    short.end("failed", PanelError("job_killed", "The program was killed from outside ({signal}).", signal="SIGKILL"))
    text = said(open_finetune(view="runs", job=str(short.row.id)))
    assert "The system ended it after step 64, most likely because the main memory was used up." in text
    assert "What takes less, the smallest change first" in text


def test_a_failure_of_another_kind_is_shown_as_ever(short: HandmadeRun) -> None:
    short.end("failed", PanelError("job_crashed", "It broke.", "Mend it."))
    text = said(open_finetune(view="runs", job=str(short.row.id)))
    assert "It broke." in text
    assert "ran out of memory" not in text
