"""Datasets: import and doctor of a million rows; goals: under 60 s, under 500 MB, 3 x faster than `datasets`, linear.

    python -m tests.bench.bench_data

Rows of about a kilobyte, a third of them Chinese, some of them copies, nearly copies, leaks, or with an address or a key in them.
Ours: the file is imported into a version (parsed, checked, written, hashed), then examined, near duplicates included; nothing is
known beforehand. The other side: ``datasets.load_dataset("json")``, then ``map`` with the same checks a row at a time, as one writes
them: every pattern searched in every turn, every row sketched by itself; then the same judgement of the whole. A second figure, without
a goal, gives ``map`` our own gates and batches too. All with two processes, from a cold start, in turns, without tokenizing. Memory is that of all processes together, looked at 20 times a second.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from backend.workspace import ROOT
from tests.bench.table import Row

LARGE, MIDDLE, SMALL = 1_000_000, 50_000, 10_000
TURNS = 2
GOAL_S, GOAL_MB, GOAL_RATIO, GOAL_LINEAR, GOAL_PAGE = 60.0, 500.0, 3.0, 1.25, 1.25
MASK = 2**63 - 1
"""Arrow takes a Python number for a signed one."""
BROKEN = ("write to jo.reed@farm-school.org", "call 13812345678", "key sk-proj-Ab3dEf6hIj9kLm2nOp5qRs")


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="tunedeck-bench-") as name:
        top = Path(name)
        files = {count: written(top / f"{count}.jsonl", count) for count in (SMALL, MIDDLE, LARGE)}
        size = files[LARGE].stat().st_size
        large = side("ours", files[LARGE], top)
        small = min((side("ours", files[SMALL], top) for _ in range(TURNS)), key=lambda told: told["work_s"])
        sides = [[side(which, files[MIDDLE], top) for which in ("ours", "datasets", "batched")] for _ in range(TURNS)]
    ours, theirs, batched = (median(turn[n]["work_s"] for turn in sides) for n in range(3))
    a_row = (large["work_s"] / LARGE) / (small["work_s"] / SMALL)
    whole = f"{LARGE:,} rows, {size / 1e9:.2f} GB"
    return [
        {
            "what": f"import and doctor, {whole}",
            "value": large["work_s"],
            "unit": "s",
            "goal": f"under {GOAL_S:.0f} s",
            "ok": large["work_s"] < GOAL_S,
        },
        {"what": "processor time of that, both processes", "value": large["cpu_s"], "unit": "s"},
        {"what": "of that the import", "value": large["import_s"], "unit": "s"},
        {"what": "of that the doctor", "value": large["work_s"] - large["import_s"], "unit": "s"},
        {
            "what": "memory of all its processes, peak",
            "value": large["peak_mb"],
            "unit": "MB",
            "goal": f"under {GOAL_MB:.0f} MB",
            "ok": large["peak_mb"] < GOAL_MB,
        },
        {
            "what": f"`datasets` with the same checks in map, {MIDDLE:,} rows, against ours",
            "value": theirs,
            "unit": "s",
            "ratio": theirs / ours,
            "goal": f"at least {GOAL_RATIO:.0f} x",
            "ok": theirs >= GOAL_RATIO * ours,
        },
        {
            "what": "`datasets` with our own batched functions in map, against ours",
            "value": batched,
            "unit": "s",
            "ratio": batched / ours,
        },
        {
            "what": "memory of `datasets` with two processes, peak",
            "value": median(turn[1]["peak_mb"] for turn in sides),
            "unit": "MB",
        },
        {
            "what": f"time a row with {LARGE:,} rows, against {SMALL:,}",
            "value": 1e6 * large["work_s"] / LARGE,
            "unit": "µs",
            "ratio": a_row,
            "goal": f"at most {GOAL_LINEAR} x",
            "ok": a_row <= GOAL_LINEAR,
        },
        {
            "what": "ten rows from row 900,000 of a million read, against row 9",
            "value": large["late_us"],
            "unit": "µs",
            "ratio": large["late_us"] / large["early_us"],
            "goal": f"at most {GOAL_PAGE} x",
            "ok": large["late_us"] <= GOAL_PAGE * large["early_us"],
        },
    ]


def written(path: Path, count: int) -> Path:
    """A file of ``count`` rows in the form of the OpenAI API; the same every time."""
    draw = random.Random(1734)
    words = ["".join(draw.choices("etaoinshrdlucmfwyp", k=draw.randint(2, 9))) for _ in range(6000)]
    signs = [chr(code) for code in range(0x4E00, 0x5400)]
    english = [" ".join(draw.choices(words, k=12)).capitalize() + "." for _ in range(20_000)]
    chinese = ["".join(draw.choices(signs, k=22)) + "。" for _ in range(20_000)]
    dumps = json.JSONEncoder(ensure_ascii=False).encode
    last: list[dict[str, str]] = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            text = chinese if number % 3 == 0 else english
            question = "".join(draw.choices(text, k=3)) + str(number)
            answer = "".join(draw.choices(text, k=11))
            kind = number % 200
            if kind == 7:
                answer += f" {BROKEN[number // 200 % 3]}"
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            if kind == 11:
                turns = last
            elif kind == 18:
                turns = [last[0], turns[1]]
            elif kind == 13:
                turns = [last[0], {"role": "assistant", "content": last[1]["content"] + " Now."}]
            row: dict[str, Any] = {"messages": turns}
            if kind in (18, 19):
                row["meta"] = {"split": "test"}
            file.write(dumps(row) + "\n")
            last = turns
    return path


def side(which: str, file: Path, top: Path) -> dict[str, float]:
    """Run one side in a process of its own; returns ``work_s``, ``import_s`` and ``peak_mb``."""
    with tempfile.TemporaryDirectory(dir=top) as home:
        env = {**os.environ, "TUNEDECK_WORKSPACE": f"{home}/workspace", "HF_HOME": home, "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_data", which, str(file)],
            cwd=ROOT,
            env=env | {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        watched = psutil.Process(process.pid)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(watched))
            time.sleep(0.05)
        assert process.stdout is not None
        told: dict[str, float] = json.loads(process.stdout.read().splitlines()[-1])
        process.stdout.close()
    assert process.returncode == 0
    return {**told, "peak_mb": peak / 1e6}


def _memory(process: psutil.Process) -> int:
    """Bytes of the process and all that it started; pages that several share are counted for each."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


def ours(file: Path) -> dict[str, float]:
    begin = time.perf_counter()
    from backend.data import doctor, importing
    from backend.data.store import Datasets
    from backend.workspace import open_workspace

    workspace = open_workspace()
    importing.run(workspace, file, "bench")
    imported, import_cpu = time.perf_counter() - begin, cpu()
    report = doctor.examine_version(Datasets(workspace).open("bench"))
    seconds = time.perf_counter() - begin
    wanted = {"duplicate", "near_duplicate", "leak", "personal", "secret"}
    assert wanted <= report.counts.keys(), report.counts
    told = {"work_s": seconds, "import_s": imported, "cpu_s": cpu(), "import_cpu_s": import_cpu}
    version = Datasets(workspace).open("bench")
    return told | {"early_us": _page(version, 8), "late_us": _page(version, len(version) * 9 // 10)}


def _page(version: Any, first: int) -> float:
    """Microseconds to read the ten rows from ``first`` on, as the page does; the median of many, each at another place."""
    taken = []
    for number in range(200):
        begin = time.perf_counter()
        rows = version.rows(first + number, first + number + 10)
        taken.append(time.perf_counter() - begin)
        assert len(rows) == 10
    return 1e6 * median(taken)


def cpu() -> float:
    """Seconds of processor time of this process and those that it started and that have ended."""
    return sum(os.times()[:4])


def _checked(batch: dict[str, list[Any]]) -> dict[str, Any]:
    """What ``map`` does with some rows: what the doctor does with them."""
    import xxhash

    from backend.data.doctor import sketch
    from backend.data.doctor.findings import Limits
    from backend.data.doctor.look import look
    from backend.data.rows import line, row_hash

    rows: list[Any] = [
        {"messages": messages, "meta": meta} if meta else {"messages": messages}
        for messages, meta in zip(batch["messages"], batch["meta"], strict=True)
    ]
    looked = [look(row, line(row), Limits(), None) for row in rows]
    return {
        "row": [row_hash(row) & MASK for row in rows],
        "question": [one.question & MASK for one in looked],
        "answer": [xxhash.xxh3_64_intdigest(one.answered) & MASK for one in looked],
        "language": [one.language for one in looked],
        "split": [one.split for one in looked],
        "chars": [one.chars for one in looked],
        "minima": sketch.sketches([one.asked for one in looked], [one.answered for one in looked]),
        "told": [[code for code, _values in one.told] for one in looked],
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """What ``map`` does with one row."""
    from backend.data.doctor import personal

    personal.suspects = lambda _data: list(personal.KINDS)
    found = _checked({"messages": [row["messages"]], "meta": [row["meta"]]})
    return {name: values[0] for name, values in found.items()}


def theirs(file: Path, *, batched: bool = False) -> dict[str, float]:
    begin = time.perf_counter()
    import datasets
    import numpy as np

    from backend.data.doctor.findings import Limits
    from backend.data.doctor.scan import Lines, Seen
    from backend.data.doctor.together import Together, judge

    number, small = datasets.Value("int64"), datasets.Value("uint8")
    kinds = {"row": number, "question": number, "answer": number, "language": small, "split": small, "chars": number}
    features = datasets.Features(
        {
            **kinds,
            "minima": datasets.List(datasets.Value("uint16"), length=20),
            "told": datasets.List(datasets.Value("string")),
        }
    )
    loaded = datasets.load_dataset("json", data_files=str(file), split="train")
    imported = time.perf_counter() - begin
    how: dict[str, Any] = {"num_proc": 2, "remove_columns": loaded.column_names, "features": features}
    found = loaded.map(_checked, batched=True, batch_size=256, **how) if batched else loaded.map(_plain, **how)
    assert sum(map(len, found["told"]))
    found = found.remove_columns("told").with_format("numpy")
    seen = Seen.room(len(found))
    for name in (*kinds, "minima"):
        getattr(seen, name)[:] = found[name][:]
    edges = [0]
    with file.open("rb") as rows:
        for row in rows:
            edges.append(edges[-1] + len(row))
    counts: dict[str, int] = {}
    judge(
        Together(Lines(file, np.array(edges, np.uint64)), seen, Limits()),
        lambda code, _findings, count: counts.__setitem__(code, count),
    )
    assert all(counts[code] for code in ("duplicate", "near_duplicate", "leak", "contradiction")), counts
    return {"work_s": time.perf_counter() - begin, "import_s": imported, "cpu_s": cpu(), "import_cpu_s": 0.0}


if __name__ == "__main__":
    if sys.argv[1:]:
        sides = {"ours": ours, "datasets": theirs, "batched": partial(theirs, batched=True)}
        print(json.dumps(sides[sys.argv[1]](Path(sys.argv[2]))))
    else:
        from tests.bench.table import plain

        print("\n".join(plain(measure())))
