"""What is told of a machine and of jobs that change: from samples, and from real rows and folders."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backend.memory.moments import MOST_NEIGHBOURS, JobsWatch, MachineWatch
from backend.memory.sample import HOST, Moment, ProcessUse
from backend.memory.series import open_memory
from backend.queue import lifecycle
from backend.queue.events import EventWriter
from backend.queue.store import Store
from tests.support.seconds import GIB, START, gpu, sample

ANNA = ProcessUse(4711, 3 * GIB, "anna", "python train.py")
OURS = ProcessUse(4712, 2 * GIB, "me", "python -m jobs.serve", 7)


def seen(watch: MachineWatch, *looks: list[ProcessUse] | None) -> list[tuple[str, str]]:
    """(kind, subject) of what is told when card 0 shows these processes, a second each; None: it is lost."""
    told = []
    for second, processes in enumerate(looks):
        device = gpu(0, processes=processes or [], lost=processes is None)
        told += [(m.kind, m.subject) for m in watch.look(sample(START + second, devices=[device]))]
    return told


def test_a_neighbour_that_comes_and_goes_is_told_with_name_and_size() -> None:
    watch = MachineWatch()
    assert seen(watch, [], [ANNA]) == []
    (came,) = watch.look(sample(START + 2, devices=[gpu(0, processes=[ANNA])]))
    details = {"pid": 4711, "user": "anna", "command": "python train.py", "size": 3 * GIB}
    assert came == Moment(START + 1, "neighbour_came", "GPU-0", "4711", details), "since it was first seen"
    assert seen(watch, [ANNA], []) == [("neighbour_left", "4711")]


def test_who_is_there_at_the_beginning_did_not_come_but_may_leave() -> None:
    assert seen(MachineWatch(), [ANNA], [ANNA]) == []
    assert seen(MachineWatch(), [ANNA], [ANNA], []) == [("neighbour_left", "4711")]


def test_a_process_that_turns_out_to_be_ours_was_never_a_neighbour() -> None:
    stranger = replace(OURS, job=None)
    assert seen(MachineWatch(), [], [stranger], [OURS], [OURS], []) == []
    assert seen(MachineWatch(), [], [stranger], [], []) == [], "nor one that is gone within a second"


def test_a_program_that_starts_others_all_the_time_does_not_hide_all_else() -> None:
    watch = MachineWatch()
    looks = [[replace(ANNA, pid=5000 + n // 2)] for n in range(300)]
    assert 0 < len(seen(watch, [], *looks)) <= MOST_NEIGHBOURS * 6


def test_a_card_that_falls_off_and_comes_back_is_told_once_each() -> None:
    watch = MachineWatch()
    assert seen(watch, [ANNA], None, None, [ANNA], [ANNA]) == [("gpu_lost", ""), ("gpu_back", "")]
    (lost,) = watch.look(sample(START + 9, devices=[]))
    assert (lost.kind, lost.place, lost.details) == ("gpu_lost", "GPU-0", {"index": 0, "name": "NVIDIA A100-SXM4-80GB"})
    assert watch.look(sample(START + 10, devices=[])) == []


def test_a_driver_that_does_not_answer_says_nothing_about_who_left() -> None:
    watch = MachineWatch()
    assert seen(watch, [ANNA]) == []
    assert watch.look(sample(START + 1, devices=[], problem="The NVIDIA driver does not answer.")) == []
    assert seen(watch, [ANNA]) == []


def test_a_slice_that_is_gone_was_taken_apart() -> None:
    watch = MachineWatch()
    watch.look(sample(START, devices=[gpu(0), gpu(1, parent="GPU-0")]))
    assert watch.look(sample(START + 1, devices=[gpu(0)])) == []


# --- jobs


def run(store: Store, job: int, ended: float | None = None, **end: object) -> None:
    """Bring a queued job to running, as its supervisor does; with ``ended``, on to its end."""
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'starting', attempt = attempt + 1 WHERE id = ?", (job,))
    attempt = store.get(job).attempt
    lifecycle.mark_running(store, job, attempt)
    if ended is not None:
        lifecycle.finish(store, job, attempt, {"attempt": attempt, "ended": ended, "state": "succeeded", **end})


def kinds(moments: list[Moment]) -> list[str]:
    return [m.kind if m.kind != "phase" else str((m.details or {})["phase"]) for m in moments]


def test_a_job_tells_its_start_its_phases_its_checkpoints_and_its_end(store: Store) -> None:
    watch, job = JobsWatch(store), store.submit("drill", {}, title="My run").id
    assert watch.look(sample(START)) == ([], []), "one that waits does nothing"
    run(store, job)
    row = store.get(job)
    assert row.started is not None
    now = row.started + 1
    (began,) = watch.look(sample(now))[0]
    assert began == Moment(row.started, "job_started", "", str(job), {"verb": "drill", "title": "My run", "attempt": 1})
    events = EventWriter(store.job_dir(job))
    events.phase("load")
    events.progress("train", 1, 10)
    events.progress("train", 2, 10)
    events.artifact("checkpoint", "/somewhere/step-2", "step 2")
    moments, ended = watch.look(sample(now + 1))
    assert kinds(moments) == ["load", "train", "checkpoint"]
    assert moments[2].details == {"path": "/somewhere/step-2", "label": "step 2"}
    assert ended == []
    assert watch.look(sample(now + 2)) == ([], [])
    events.phase("save")
    lifecycle.finish(store, job, 1, {"attempt": 1, "state": "succeeded", "ended": now + 3})
    moments, ended = watch.look(sample(now + 4))
    assert kinds(moments) == ["job_started", "save", "job_ended"]
    assert ended == [job]
    assert watch.look(sample(now + 5)) == ([], [])


def test_what_ended_while_nobody_looked_is_told_by_the_next_recorder_and_nothing_counts_twice(store: Store) -> None:
    memory = open_memory(store.workspace)
    jobs = [store.submit("drill", {}).id for _ in range(3)]
    run(store, jobs[0])
    for job in jobs[:2]:
        EventWriter(store.job_dir(job)).phase("count")
    started = store.get(jobs[0]).started
    assert started is not None
    for turn in range(3):  # a recorder each
        watch = JobsWatch(store)
        if turn == 1:
            lifecycle.finish(store, jobs[0], 1, {"attempt": 1, "state": "succeeded", "ended": started + 5})
            run(store, jobs[1], ended=started + 6)
        for second in range(2):
            for moment in watch.look(sample(started + 10 * turn + second))[0]:
                memory.add_moment(moment)
    told = [(m.subject, m.kind) for m in memory.moments(0, 1e12)]
    assert sorted(told) == sorted(
        (str(job), kind) for job in jobs[:2] for kind in ("job_started", "phase", "job_ended")
    )


def test_an_end_is_told_once_also_when_others_end_after_it(store: Store) -> None:
    watch, jobs = JobsWatch(store), [store.submit("drill", {}).id for _ in range(3)]
    ended = []
    for number, job in enumerate(jobs):
        run(store, job, ended=START + number)
        ended.append(watch.look(sample(START + number))[1])
    assert ended == [[job] for job in jobs]


def test_a_second_attempt_is_a_start_of_its_own(store: Store) -> None:
    watch, job = JobsWatch(store), store.submit("drill", {}).id
    run(store, job, ended=START + 5, state="failed", error={"code": "job_crashed"})
    first = watch.look(sample(START + 6))[0]
    store.resume(job)
    assert watch.look(sample(START + 7))[0] == []
    run(store, job)
    again = watch.look(sample(START + 8))[0]
    assert [(m.details or {})["attempt"] for m in first + again if m.kind == "job_started"] == [1, 2]


NO_MEMORY = [
    ({"code": "engine_out_of_memory", "evidence": {"text": "torch.OutOfMemoryError: CUDA out of memory. Tried …"}}, ""),
    ({"code": "engine_kv_cache_too_large", "evidence": {"text": "No enough gpu memory for kv cache"}}, ""),
    ({"code": "job_no_result", "evidence": {"text": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"}}, ""),
    ({"code": "job_crashed", "params": {"kind": "MemoryError", "problem": ""}, "evidence": {"text": "MemoryError"}}, HOST),
    (
        {"code": "job_no_result", "evidence": {"text": "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. "
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 68719476736 bytes. Error code 12"}},
        HOST,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("error", "place"), NO_MEMORY, ids=lambda v: v["code"] if isinstance(v, dict) else v)
def test_a_job_that_ran_out_of_memory_is_told_with_the_line_that_shows_it(
    store: Store, error: dict[str, object], place: str
) -> None:
    watch, job = JobsWatch(store), store.submit("drill", {}).id
    with store.write() as db:
        db.execute("INSERT INTO leases VALUES ('gpu:GPU-3', ?, 0)", (job,))
    run(store, job)
    started = store.get(job).started
    assert started is not None
    watch.look(sample(started))
    lifecycle.finish(store, job, 1, {"attempt": 1, "state": "failed", "ended": started + 1, "error": error})
    moment = watch.look(sample(started + 2))[0][-1]
    assert (moment.kind, moment.place, moment.subject) == ("out_of_memory", place or "GPU-3", str(job))
    assert moment.t == started + 1
    assert (moment.details or {})["code"] == error["code"]
    assert json.loads(json.dumps(error))["evidence"]["text"] == (moment.details or {})["text"]


@pytest.mark.parametrize(
    "error",
    [
        {
            "code": "job_crashed",
            "params": {"kind": "KeyError", "problem": "'x'"},
            "evidence": {"text": "KeyError: 'x'"},
        },
        {"code": "job_killed", "params": {"signal": "SIGKILL"}, "evidence": {"text": "step 3 of 9"}},
    ],
)
def test_other_failures_are_not_called_a_lack_of_memory(store: Store, error: dict[str, object]) -> None:
    watch, job = JobsWatch(store), store.submit("drill", {}).id
    run(store, job, ended=START + 1, state="failed", error=error)
    assert kinds(watch.look(sample(START + 2))[0]) == ["job_started", "job_ended"]


def test_a_job_killed_when_the_main_memory_had_just_been_full_most_likely_ran_out_of_it(store: Store) -> None:
    watch, job = JobsWatch(store), store.submit("drill", {}).id
    run(store, job)
    watch.look(sample(START, ram_used=63 * GIB))
    error = {"code": "job_killed", "params": {"signal": "SIGKILL"}}
    lifecycle.finish(store, job, 1, {"attempt": 1, "state": "failed", "ended": START + 1, "error": error})
    moment = watch.look(sample(START + 2, ram_used=8 * GIB))[0][-1]
    assert (moment.kind, moment.place) == ("out_of_memory", HOST)
    assert (moment.details or {})["suspected"] is True


def test_a_cancelled_job_that_never_ran_is_not_told(store: Store) -> None:
    job = store.submit("drill", {}).id
    store.cancel(job)
    assert JobsWatch(store).look(sample(START)) == ([], [])
