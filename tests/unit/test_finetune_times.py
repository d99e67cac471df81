"""How long it will take: a rehearsal's word before that of earlier runs, theirs before arithmetic, and each says which it is."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.finetune import files, times
from backend.finetune.files import Rehearsal
from backend.finetune.plan import Plan, plan
from backend.memory import trust
from backend.queue.events import FILE as EVENTS
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.datasets import keep
from tests.support.planning import CPU, GPU, llama, spec, talk, with_gpu_torch

MIB = 1 << 20


@pytest.fixture
def talked(workspace: Workspace) -> Workspace:
    keep(workspace, "talk", talk())
    return workspace


def made(workspace: Workspace, **fields: Any) -> Plan:
    return plan(workspace, spec(**fields), CPU)


def rehearsed(store: Store, found: Plan, verb: str = "rehearse", **figures: Any) -> int:
    """A rehearsal of ``found`` that ended, with ``figures`` as what it measured."""
    settled = found.spec.model_dump(mode="json")
    job = store.submit(verb, settled)
    measured: dict[str, Any] = {
        "step_s": 2.0, "peak_bytes": 900 * MIB, "held_bytes": 900 * MIB, "before_bytes": 0, "tokens_per_step": 1024,
        "longest": 100, "load_s": 3.0, "eval_s": 1.0, "eval_rows": 10, "save_s": 0.5, "restore_s": 0.5,
        "checkpoint_bytes": 10 * MIB, "device": "cpu", "losses": [1.0], "made": time.time(), "settings": settled,
    } | figures  # fmt: skip
    files.write(store.job_dir(job.id) / files.REHEARSAL, Rehearsal(**measured))
    return job.id


def test_without_anything_measured_it_is_assumed_with_a_wide_band(talked: Workspace) -> None:
    span = made(talked).seconds
    assert span is not None
    assert span.source == "assumed"
    assert span.high >= 5 * span.low
    longer = made(talked, epochs=6).seconds
    assert longer is not None
    assert span.likely < longer.likely < 2 * span.likely, "loading and proof are done once"


def test_a_rehearsal_corrects_time_and_memory(talked: Workspace, store: Store) -> None:
    before = made(talked)
    job = rehearsed(store, before)
    after = made(talked)
    assert after.seconds is not None
    assert after.seconds.source == "rehearsal"
    assert after.steps * 2.0 < after.seconds.likely < after.steps * 2.0 + 60
    assert after.seconds.high < 1.5 * after.seconds.low
    assert after.measured_by == job
    assert after.memory is not None
    assert after.foreseen is not None
    assert after.memory.estimate.p50 == pytest.approx(900 * MIB, rel=0.01)
    assert after.memory.estimate.p95 < 1100 * MIB
    assert before.foreseen is not None
    assert after.foreseen.estimate == before.foreseen.estimate, "what the queue keeps is corrected by the queue"
    found = times.rehearsal(talked, after.spec)
    assert found is not None
    assert (found[0], found[1].step_s) == (job, 2.0)


def test_a_rehearsal_of_other_settings_says_nothing(talked: Workspace, store: Store) -> None:
    rehearsed(store, made(talked))
    assert made(talked, learning_rate=1e-5, epochs=9).measured_by, "these do not change what a step takes"
    for other in ({"max_length": 256}, {"batch_size": 1}, {"packing": False}, {"gradient_checkpointing": False}):
        found = made(talked, **other)
        assert found.seconds is not None
        assert (found.seconds.source, found.measured_by) == ("assumed", 0), other
    wider = made(talked, lora_rank=64)
    assert wider.seconds is not None
    assert (wider.seconds.source, wider.measured_by) == ("rehearsal", 0), "a step takes as long, but more memory"


def test_of_several_the_newest_counts(talked: Workspace, store: Store) -> None:
    rehearsed(store, made(talked), step_s=9.0)
    newest = rehearsed(store, made(talked), "finetune", step_s=1.0)
    found = times.rehearsal(talked, made(talked).spec)
    assert found is not None
    assert (found[0], found[1].step_s) == (newest, 1.0)


def test_earlier_runs_say_it_where_nothing_was_rehearsed(talked: Workspace, store: Store) -> None:
    job = store.submit("finetune", made(talked).spec.model_dump(mode="json"))
    lines = [{"phase": "train", "step": n, "metrics": {"loss": 1.0, "s_per_step": 5.0 - n}} for n in range(3)]
    lines.append({"phase": "merge"})
    events = store.job_dir(job.id) / EVENTS
    events.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"phase": "tr')
    span = made(talked).seconds
    assert span is not None
    assert span.source == "earlier"
    assert span.likely > 3.0 * made(talked).steps
    assert made(talked, batch_size=1).seconds != span


def test_a_damaged_record_is_no_record(talked: Workspace, store: Store) -> None:
    job = rehearsed(store, made(talked))
    (store.job_dir(job) / files.REHEARSAL).write_text("{")
    assert made(talked).measured_by == 0
    (store.job_dir(job) / "spec.json").unlink()
    assert made(talked).measured_by == 0
    talked.state_db.write_bytes(b"no database at all" * 100)
    assert made(talked).runs


def test_earlier_jobs_correct_the_memory_from_three_on(talked: Workspace, store: Store) -> None:
    before = made(talked).memory
    assert before is not None
    for _n in range(3):
        job = store.submit("finetune", made(talked).spec.model_dump(mode="json"))
        kept = trust.read(store.job_dir(job.id))
        assert kept is not None
        peak = trust.Measured(int(1.3 * kept.p50), kept.p50, time.time(), "host", True)
        trust.keep(store.job_dir(job.id), replace(kept, measured=peak))
        with store.write() as db:
            db.execute("UPDATE jobs SET state = 'succeeded', ended = ? WHERE id = ?", (time.time(), job.id))
    after = made(talked).memory
    assert after is not None
    assert after.estimate.p50 > 1.2 * before.estimate.p50


def test_the_course_notes_own_times_lie_in_the_band(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Llama 3 8B, QLoRA, one row of 512 tokens at a time, 1,920 of them: 12 min on an H800, 24 on an A100."""
    with_gpu_torch(monkeypatch, "bitsandbytes")
    name = llama(workspace, tmp_path)
    keep(workspace, "talk", talk(2000, words=60))
    for gpu, seconds in (("NVIDIA A100-SXM4-40GB", 24 * 60), ("NVIDIA H800", 12 * 60)):
        machine = replace(GPU, gpus=(replace(GPU.gpus[0], name=gpu),))
        wished = spec(name, method="qlora", batch_size=1, accumulation=16, max_steps=120, prove=False, merge=False)
        span = plan(workspace, wished, machine).seconds
        assert span is not None
        assert span.low < seconds < span.high, gpu
