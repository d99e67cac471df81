"""Evaluations kept: a table of 60 subjects x 8 models, 15,000 questions x 2 models, and an output folder of 52 subjects brought in.

    python -m tests.bench.bench_evaluate_data

What the server does for a page, without drawing it; the median of several. The folder has the answers and their prompts of five solved examples in it.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backend.evaluate import comparing, groups, imports
from backend.evaluate.records import Answer, Run, Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import open_workspace
from tests.support.past_runs import CEVAL, Attempt

SUBJECTS, MODELS = 60, 8
QUESTIONS = 15_000
ROUNDS = 7
PAGE_MS, QUERY_MS, IMPORT_MS = 300.0, 100.0, 2000.0
EXAMPLES = (
    "以下是中国关于逻辑学考试的单项选择题,请选出其中的正确答案。\n" + "一个例子? A. 甲 B. 乙 C. 丙 D. 丁 答案: A\n" * 20
)


def measure() -> list[dict[str, Any]]:
    """Rows ``{"what", "value", "unit", "goal", "ok"}``, in ms."""
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as folder:
        store = open_runs(open_workspace(Path(folder) / "workspace"))
        try:
            return [*_table(store), *_questions(store), *_import(store, Path(folder) / "outputs")]
        finally:
            store.close()


def _table(store: EvaluateStore) -> list[dict[str, Any]]:
    ids = [
        _run(store, f"table-{number}", [f"subject-{place:02}" for place in range(SUBJECTS)], 6000)
        for number in range(MODELS)
    ]

    def page() -> None:
        for run_id in ids:
            run = store.run(run_id)
            groups.with_averages(run.set_name, store.scores(run_id))
            store.tallies(run_id)

    what = f"{SUBJECTS} subjects x {MODELS} models"
    return [
        _row(f"{what}: scores, averages and tallies", _median(page), PAGE_MS),
        _row(
            f"{what}: the first compared with each other, 6,000 questions each",
            _median(lambda: comparing.compare(store, ids)),
            PAGE_MS,
        ),
    ]


def _questions(store: EvaluateStore) -> list[dict[str, Any]]:
    names = [f"s-{place:02}" for place in range(57)]
    a, b = (_run(store, f"many-{number}", names, QUESTIONS) for number in range(2))
    what = f"{QUESTIONS:,} questions x 2 models"
    asked: dict[str, Callable[[], Any]] = {
        "a page of wrong answers": lambda: store.answers(a, outcome="wrong", offset=2000),
        "a page of all that hold a word": lambda: store.answers(a, search="word77"),
        "how far each subject is": lambda: store.tallies(a),
        "pairs, for the first time": lambda: _forgetting(store).pairs(a, b),
        "a page of what the first alone got right": lambda: store.different(a, b, "a_only"),
        "a page of what came out differently and holds a word": lambda: store.different(
            a, b, "differ", search="word77"
        ),
    }
    rows = [_row(f"{what}: {name}", _median(ask), QUERY_MS) for name, ask in asked.items()]
    return [
        *rows,
        _row(
            f"{what}: compared, with interval and sign test", _median(lambda: comparing.compare(store, [a, b])), PAGE_MS
        ),
    ]


def _forgetting(store: EvaluateStore) -> EvaluateStore:
    """``store`` without the counts that it remembers."""
    store._pairs.clear()
    return store


def _import(store: EvaluateStore, folder: Path) -> list[dict[str, Any]]:
    attempt = Attempt(folder)
    attempt.config([f"ceval-{name}" for name in CEVAL])
    for name, share in CEVAL.items():
        right, _slash, n = share.partition("/")
        attempt.subject(f"ceval-{name}", int(right), int(n))
        _lengthen(attempt, f"ceval-{name}")
    began = time.monotonic()
    found = imports.read(folder)
    imports.keep(store, found)
    took = (time.monotonic() - began) * 1000
    answers = sum(len(each.answers) for each in found)
    return [_row(f"an output folder of {len(CEVAL)} subjects and {answers:,} answers, read and kept", took, IMPORT_MS)]


def _lengthen(attempt: Attempt, name: str) -> None:
    """Five solved examples before each question, as OpenCompass keeps them twice."""
    for part in ("predictions", "results"):
        file = attempt.folder / part / "m" / f"{name}.json"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(f"{name}: an example?", json.dumps(EXAMPLES)[1:-1]), encoding="utf-8")


def _run(store: EvaluateStore, model: str, subjects: list[str], questions: int) -> int:
    run = store.begin(Run(0, model, "tunedeck", "1", model, "own", "v1"))
    each = questions // len(subjects)
    store.plan(run, [Score(name, n=each) for name in subjects])
    answers = list(_answers(model, subjects, each))
    for first in range(0, len(answers), 500):
        store.put_answers(run, answers[first : first + 500])
    store.put_scores(run, [Score(name, 50.0, each) for name in subjects])
    store.end(run, "done")
    return run


def _answers(model: str, subjects: list[str], each: int) -> Iterator[Answer]:
    words, luck = random.Random(1), random.Random(model)
    for subject in subjects:
        for number in range(each):
            asked = f"{subject} {number}: " + " ".join(f"word{words.randrange(3000)}" for _ in range(40))
            outcome = luck.choices(("right", "wrong", "unread"), (6, 3, 1))[0]
            said = f"The answer is {luck.choice('ABCD')}, because {asked[:200]}"
            yield Answer(
                subject, number, f"{subject}-{number}", asked, f"{EXAMPLES}{asked}", said, "A", "B", outcome, 0.1, 9
            )  # type: ignore[arg-type]


def _median(do: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        do()
        times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def _row(what: str, value: float, goal: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "value": round(value, 1), "unit": "ms"}
    return row if goal is None else {**row, "goal": f"under {goal:,.0f} ms", "ok": value < goal}


def main() -> None:
    for row in measure():
        print(f"{row['what']:100} {row['value']:>8.1f} {row['unit']}  {row.get('goal', '')}  {row.get('ok', '')}")


if __name__ == "__main__":
    main()
