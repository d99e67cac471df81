"""A workspace in which a team has worked for a month: 100 models, 50 datasets, 5,000 jobs, 30 days of memory samples, and what
comes with them. Made in seconds, through the panel's own stores or in the same shapes as they write; nothing in it ever ran.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass

from backend import catalog
from backend.chat.conversations import Conversations
from backend.evaluate.store import EvaluateStore, open_runs
from backend.memory.sample import Moment
from backend.memory.series import MemoryStore, open_memory
from backend.memory.tiers import DAY, MINUTE, QUARTER, SECOND, SHIFT, TEN
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import benchmarks, models
from tests.support.agent_page import called, working
from tests.support.coursework import DATASET, TUNED, Coursework
from tests.support.datasets import keep, sums
from tests.support.evaluated import evaluated
from tests.support.handmade_run import QUESTIONS, HandmadeRun
from tests.support.seconds import busy, past
from tests.support.talk import Talk, living

MODELS, DATASETS, JOBS, DAYS = 100, 50, 5_000, 30
TALKS, AGENTS, EVALUATIONS, FINETUNES, QUANTIZES, BENCHES = 300, 100, 60, 20, 10, 40
MESSAGES, STEPS, ROWS, RECORDED_S = 400, 500, 2_000, 660
"""Of the longest conversation, of a training, of the largest dataset; seconds that the recorder told one by one."""
VERBS = ("drill", "serve", "import_data", "examine_data", "count_tokens", "change_data", "export_data", "download")
STATES = ("succeeded", "succeeded", "succeeded", "failed", "cancelled", "lost")
SUBJECTS = {f"subject_{n:02}": 20 for n in range(12)}
LARGEST = "rows-00"
FAILED = {
    "code": "out_of_memory",
    "message": "The memory did not suffice.",
    "hint": "Take a smaller batch.",
    "params": {},
    "evidence": {"line": 3, "text": "torch.OutOfMemoryError: CUDA out of memory."},
}


@dataclass(frozen=True)
class Large:
    """What of it is looked at in full. moving: the job that runs."""

    talk: str
    agent: str
    dataset: str
    finetunes: tuple[int, ...]
    quantize: int
    bench: int
    matrix: int
    evaluations: tuple[int, ...]
    failed: int
    moving: int


def fill(workspace: Workspace, store: Store) -> Large:
    """All of it, the oldest first."""
    now = time.time()
    work = Coursework(workspace, store)
    _models(workspace)
    for number in range(DATASETS - 1):
        rows = sums(ROWS if number == 0 else 40)
        keep(workspace, f"rows-{number:02}", rows)
    keep(workspace, LARGEST, sums(ROWS + 1), steps=[{"do": "edit"}], made_from=[])
    work.rows()
    special = FINETUNES + QUANTIZES + BENCHES + EVALUATIONS + 2
    _jobs(store, JOBS - special, now)
    finetunes = tuple(_finetune(store, number) for number in range(FINETUNES))
    quantize = [work.quantize() for _ in range(QUANTIZES)][-1]
    bench = [benchmarks.bench(store, 1, 2, 4, 8).id for _ in range(BENCHES - 1)][-1]
    matrix = benchmarks.ended_matrix(store, workspace).id
    with closing(open_runs(workspace)) as runs:
        evaluations = tuple(_evaluation(store, runs, number, now) for number in range(EVALUATIONS))
    work.serve("starter")
    moving = _moving(store)
    failed = store.list(states=("failed",), limit=1)[0].id
    with closing(open_memory(workspace)) as memory:
        _memory(memory, now)
    return Large(
        _talks(workspace), _agents(workspace), LARGEST, finetunes, quantize, bench, matrix, evaluations, failed, moving
    )


def _models(workspace: Workspace) -> None:
    """Of ten models one is an adapter of another and one a copy that a job made smaller."""
    top = workspace.root / "found"
    base = ""
    for number in range(MODELS - 1):  # the starter is the hundredth
        path = top / f"model-{number:03}"
        if number % 10 == 8:
            catalog.add(workspace, models.adapter(path, base, shapes=models.lora_shapes()))
        elif number % 10 == 9:
            made = catalog.Lineage(job=number, verb="quantize", base=f"model-{number - 9:03}", created=1.0)
            catalog.receive(workspace, models.folder(path), path.name, made)
        else:
            base = str(models.folder(path))
            catalog.add(workspace, path)


def _jobs(store: Store, count: int, now: float) -> None:
    """``count`` jobs that have ended in the last month, with what pages read of their folders."""
    apart = DAYS * DAY / count
    rows, specs = [], []
    for number in range(1, count + 1):
        verb, state = VERBS[number % len(VERBS)], STATES[number % len(STATES)]
        began = now - DAYS * DAY + number * apart - 900
        spec = {"steps": 5} if verb == "drill" else {"model": f"model-{number % MODELS:03}", "dataset": LARGEST}
        told = {"t": began + 300, "phase": "done", "step": 10, "total": 10, "metrics": {"tokens_s": 100.0}}
        error = json.dumps(FAILED) if state == "failed" else "{}"
        rows.append(
            (
                number,
                verb,
                f"Run {number}",
                state,
                *(began, began, began + 300),
                number,
                verb == "serve",
                json.dumps(told),
                error,
            )
        )
        specs.append((number, spec, state))
    with store.write() as db:
        db.executemany(
            "INSERT INTO jobs (id, verb, title, state, attempt, created, started, ended, elapsed, position, service,"
            " progress, error, owner, resources) VALUES (?, ?, ?, ?, 1, ?, ?, ?, 300, ?, ?, ?, ?, 'me', '{\"cpu\": 1}')",
            rows,
        )
    for number, spec, state in specs:
        folder = store.job_dir(number)
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(json.dumps(spec))
        if state == "succeeded":
            (folder / "result.json").write_text(json.dumps({"ok": True, "attempt": 1}))


def _finetune(store: Store, number: int) -> int:
    """A training with its curves, checkpoints and answers; the last one failed."""
    run = HandmadeRun(store, title=f"Teach {number}", steps=STEPS, model="starter", dataset=DATASET)
    run.planned()
    run.rehearsed()
    run.begin()
    run.learn(STEPS)
    for step in range(100, STEPS + 1, 100):
        run.save(step, eval_loss=1.0)
        run.answer(step, *("I am Robin." for _ in QUESTIONS))
    if number == FINETUNES - 1:
        with store.write() as db:
            db.execute("UPDATE jobs SET error = ? WHERE id = ?", (json.dumps(FAILED), run.row.id))
        run.end("failed")
    else:
        run.end("succeeded", result={"model": TUNED})
    return run.row.id


def _evaluation(store: Store, runs: EvaluateStore, number: int, now: float) -> int:
    job = HandmadeRun(store, verb="evaluate", title=f"Evaluation {number}", model="starter")
    job.begin()
    share, began = 0.4 + number / 200, now - (EVALUATIONS - number) * 3600
    run = evaluated(
        runs, f"model-{number % 8:03}", SUBJECTS, right=share, unread=0.02, seed=number, job=job.row.id, began=began
    )
    job.end("succeeded", result={"run": run})
    return run


def _moving(store: Store) -> int:
    """A training that goes on, with half of its curves told."""
    run = HandmadeRun(store, title="The one that runs", steps=STEPS, model="starter", dataset=DATASET)
    run.planned()
    run.begin()
    run.learn(STEPS // 2)
    return run.row.id


def _memory(memory: MemoryStore, now: float) -> None:
    """Eight GPUs: the last minutes as the recorder wrote them, before that the blocks that a month leaves."""
    for back in range(RECORDED_S, -1, -1):
        memory.append(busy(now - back, RECORDED_S - back))
    start = now - DAYS * DAY
    past(memory, now - DAY, now - RECORDED_S, (SECOND,))
    past(memory, start, now - RECORDED_S, (TEN, MINUTE, QUARTER, SHIFT))
    for number in range(DAYS * 24):
        memory.add_moment(Moment(start + 3600 * number, "phase", "", str(100 + number % 8), {"phase": "train"}))


def _talks(workspace: Workspace) -> str:
    """Conversations of two questions each, and one long one; the long one."""
    with closing(Conversations(workspace)) as talks, living(talks, "large") as owner:
        for number in range(TALKS):
            talk = Talk(talks, owner, model="starter")
            for turn in range(2):
                talk.say(f"Question {turn} of {number}: how does wheat grow?", "It needs water and light. " * 20)
        long = Talk(talks, owner, model="starter")
        for turn in range(MESSAGES // 2):
            long.say(f"Question {turn}: how does wheat grow?", "It needs water and light. " * 40)
        return long.id


def _agents(workspace: Workspace) -> str:
    """Conversations with an agent, and one of twenty turns; that one."""
    long = ""
    with working(workspace) as worker:
        for number in range(AGENTS + 19):
            call = called(state="done", text="351", seconds=0.1)
            conversation = long if number >= AGENTS else None
            turn = worker.finished({"calls": (call,)}, {"answer": "351"}, conversation=conversation)
            long = worker.end(turn, answer="351").conversation
    return long
