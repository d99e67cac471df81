"""Runs over one another: aligned at their start, each figure with its source, and what a run leaves out says why."""

from __future__ import annotations

import shutil

import pytest

from backend import catalog
from backend.errors import ConflictError, NotFoundError
from backend.memory import figures
from backend.memory.compare import Comparison, compare
from backend.memory.figures import FIGURES, GIB, MISSING, Figure
from backend.memory.runs import by_group, labels, runs
from backend.memory.series import MemoryStore
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import models
from tests.support.recorded_runs import LMDEPLOY, Runs, served


@pytest.fixture
def made(store: Store, memory: MemoryStore) -> Runs:
    return Runs(store, memory)


def values(comparison: Comparison, name: str) -> list[float | None]:
    return [row.figures[name].value for row in comparison.rows]


def sources(comparison: Comparison, name: str) -> list[str]:
    return [row.figures[name].source for row in comparison.rows]


def test_the_table_of_the_course_is_filled_by_measurement(
    workspace: Workspace, store: Store, memory: MemoryStore, made: Runs
) -> None:
    whole = models.folder(workspace.root / "there" / "llama", torch_dtype="float16")
    small = models.folder(
        workspace.root / "there" / "awq", quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128}
    )
    ids = []
    for folder, share, gib in ((whole, 0.8, 32.4), (whole, 0.5, 26.1), (whole, 0.01, 15.8), (small, 0.01, 6.6)):
        spec = {"model": str(folder), "engine": "lmdeploy", "cache_max_entry_count": share, "max_batch_size": 8}
        ids.append(
            made.add(folder.name, [1.0] * 12, [gib / 2] * 4 + [gib] * 8, spec=spec, log=LMDEPLOY, events=served())
        )
    found = compare(store, memory, ids)
    assert [row.run.setup.weights for row in found.rows] == ["bf16", "bf16", "bf16", "W4A16"]
    assert found.labels() == [
        "A bf16 · cache 0.8",
        "B bf16 · cache 0.5",
        "C bf16 · cache 0.01",
        "D W4A16 · cache 0.01",
    ]
    assert [row.run.setup.cache_word() for row in found.rows][::3] == [
        "16 bit · 0.8 of free memory",
        "16 bit · 0.01 of free memory",
    ]
    assert values(found, "gpu_peak") == [int(gib * GIB) for gib in (32.4, 26.1, 15.8, 6.6)]
    assert values(found, "gpu_steady") == values(found, "gpu_peak")
    assert values(found, "ram_peak") == [GIB] * 4
    assert values(found, "disk") == [catalog.card(each).size_bytes for each in (whole, whole, whole, small)]
    assert values(found, "load") == pytest.approx([4.0] * 4)
    assert values(found, "tokens_s") == pytest.approx([40.0] * 4)
    first = found.rows[0].figures["gpu_peak"]
    assert [figures.difference("gpu_peak", first, row.figures["gpu_peak"]) for row in found.rows] == [
        "the same",
        "−6.3 GiB · −19%",
        "−16.6 GiB · −51%",
        "−25.8 GiB · −80%",
    ]
    assert found.devices == (("NVIDIA A100-SXM4-40GB", 40 * GIB),)
    assert {row.run.setup.engine for row in found.rows} == {"LMDeploy TurboMind"}


def test_what_was_really_started_counts_not_what_was_left_open(store: Store, memory: MemoryStore, made: Runs) -> None:
    spec = {"model": "starter", "engine": "auto"}
    plan = {"dtype": "float32", "context_length": 1024, "batching": False}
    ours = made.add("ours", [1.0], spec=spec, plan=plan)
    line = f"{LMDEPLOY.replace('turbomind', 'pytorch')} --session-len=4096 --quant-policy=8"
    theirs = made.add("theirs", [1.0], spec=spec, log=line)
    nobody = made.add("nobody", [1.0], spec=spec)
    setups = {run.id: run.setup for run in runs(store, memory)}
    assert (setups[ours].engine, setups[ours].weights, setups[ours].context) == ("transformers", "fp32", 1024)
    assert setups[ours].cache_word() == "grows with the conversation"
    assert (setups[theirs].engine, setups[theirs].kv_bits, setups[theirs].context) == ("LMDeploy PyTorch", 8, 4096)
    assert (setups[nobody].engine, setups[nobody].kv_bits, setups[nobody].cache_word()) == ("", 0, "not said")


def test_runs_are_listed_by_group_and_the_newest_first(store: Store, memory: MemoryStore, made: Runs) -> None:
    first = made.add("first", [1.0])
    train = made.add("train", [1.0], verb="pretrain", spec={"batch_tokens": 8192})
    second = made.add("second", [1.0])
    made.add("never recorded")
    found = runs(store, memory)
    assert [run.id for run in found] == [second, train, first]
    assert {group: [run.id for run in each] for group, each in by_group(found).items()} == {
        "serving": [second, first],
        "training": [train],
        "other": [],
    }
    assert found[1].label() == "8,192 tokens a step"
    assert [run.id for run in runs(store, memory, limit=1)] == [second]


def test_a_label_says_only_what_sets_a_run_apart(store: Store, memory: MemoryStore, made: Runs) -> None:
    lm = {"model": "starter", "engine": "lmdeploy"}
    one = made.add("m", [1.0], spec=lm)
    two = made.add("m", [1.0], spec={**lm, "quant_policy": 4})
    same = made.add("m", [1.0], spec=lm)
    other = made.add("n", [1.0], spec=lm)
    known = {run.id: run for run in runs(store, memory)}
    assert labels([known[one], known[two]]) == ["KV 16 bit", "KV 4 bit"]
    assert labels([known[one], known[same]]) == [f"#{one}", f"#{same}"]
    assert labels([known[one], known[other]]) == ["m", "n"]
    assert labels([known[one], known[two], known[same]]) == [f"KV 16 bit #{one}", "KV 4 bit", f"KV 16 bit #{same}"]


def test_curves_begin_at_the_start_of_their_job_and_keep_their_gaps(
    store: Store, memory: MemoryStore, made: Runs
) -> None:
    late = made.add("late", [None] * 6 + [1.0] * 4)
    torn = made.add("torn", [1.0] * 3 + [None] * 4 + [2.0] * 3)
    found = compare(store, memory, [late, torn])
    points = [[(round(t, 1), size) for t, size in row.host.points()] for row in found.rows if row.host]
    assert points[0] == [(t + 0.5, GIB) for t in range(6, 10)]
    assert [size for _t, size in points[1]] == [GIB] * 3 + [None] * 4 + [2 * GIB] * 3
    assert points[1][0][0] == 0.5
    assert [row.gpu for row in found.rows] == [None, None]


def test_a_long_run_is_drawn_with_few_points_and_its_spike_stays(store: Store, memory: MemoryStore, made: Runs) -> None:
    spike: list[float | None] = [1.0] * 2000
    spike[1234] = 7.0
    found = compare(store, memory, [made.add("long", spike), made.add("short", [1.0] * 5)])
    curve = found.rows[0].host
    assert curve is not None
    assert len(curve.values) <= 620  # the grid may begin and end beyond the run
    assert max(value for value in curve.values if value is not None) == 7 * GIB
    assert values(found, "ram_peak") == [7 * GIB, GIB]
    assert values(found, "ram_steady") == [GIB, GIB]


def test_what_lies_on_several_gpus_is_added_up(store: Store, memory: MemoryStore, made: Runs) -> None:
    two = made.add("two", [1.0] * 5, [3.0] * 5, gpus=("GPU-a", "GPU-b"), source="lease")
    one = made.add("one", [1.0] * 5, [5.0] * 5, gpus=("GPU-a",))
    found = compare(store, memory, [two, one])
    assert values(found, "gpu_peak") == [6 * GIB, 5 * GIB]
    curve = found.rows[0].gpu
    assert curve is not None
    assert (set(curve.values), curve.devices) == ({6 * GIB}, 2)
    assert "since the job had it for itself" in found.rows[0].figures["gpu_peak"].about()
    assert len(found.devices) == 2


def test_a_run_without_a_figure_says_why(store: Store, memory: MemoryStore, made: Runs) -> None:
    ids = [
        made.add("gone model", [1.0], spec={"model": "gone"}),
        made.add("never recorded", spec={"model": "starter"}, state="running"),
        made.add("convert", [1.0], verb="convert", state="failed"),
        made.add("test", [1.0], verb="test_env", state="succeeded"),
        made.add("train", [1.0], verb="pretrain", state="running"),
        made.add("hidden", [1.0], spec={"model": "starter"}, resources={"gpus": 1}),
    ]
    found = compare(store, memory, ids)
    assert sources(found, "disk") == ["model_gone", "files", "nothing_made", "no_model", "nothing_made", "files"]
    assert sources(found, "gpu_peak") == ["no_gpu", "no_samples", "no_gpu", "no_gpu", "no_gpu", "gpu_hidden"]
    assert sources(found, "load") == [
        "never_ready",
        "not_ready",
        "no_loading",
        "no_loading",
        "no_step",
        "never_ready",
    ]
    assert sources(found, "tokens_s") == [
        "nobody_asked",
        "nobody_asked",
        "no_tokens",
        "no_tokens",
        "not_told",
        "nobody_asked",
    ]
    assert found.live
    for row in found.rows:
        assert set(row.figures) == set(FIGURES)
        for figure in row.figures.values():
            about = figure.about()
            assert about.startswith(f"{figure.tag()}: "), about
            assert (figure.value is None) == (figure.source in MISSING)


def test_speed_comes_from_what_a_server_counted(store: Store, memory: MemoryStore, made: Runs) -> None:
    def report(t: float, tokens: float, **more: float) -> dict[str, object]:
        return {"t": t, "phase": "ready", "step": 1, "metrics": {"requests": 1, "tokens": tokens, **more}}

    spec = {"model": "starter"}
    told = [report(5, 0), report(60, 300, tokens_s=100.0), report(64, 400, tokens_s=25.0)]
    # It began anew: its counters fell, and what it wrote before is not lost.
    anew = [report(5, 0), report(9, 100, tokens_s=50.0), report(20, 60, tokens_s=20.0)]
    # LMDeploy does not tell how long it was busy: a report after a pause says nothing of its speed.
    counted = [report(5, 0), report(65, 500), report(69, 900), report(73, 1300), report(133, 1300)]
    short = [report(5, 0), report(9, 3, tokens_s=1.0)]
    ids = [made.add(str(i), [1.0], spec=spec, events=each) for i, each in enumerate((told, anew, counted, short))]
    ids.append(
        made.add("train", [1.0], verb="pretrain", events=[{"t": 3, "phase": "train", "metrics": {"tokens_s": 9.0}}])
    )
    found = compare(store, memory, ids)
    assert sources(found, "tokens_s") == ["busy", "busy", "counted", "too_short", "metric"]
    assert values(found, "tokens_s") == pytest.approx([400 / 7, 160 / 5, 100.0, None, 9.0])
    assert [row.figures["tokens_s"].kind for row in found.rows] == [
        "reported",
        "reported",
        "measured",
        "missing",
        "reported",
    ]


def test_a_training_has_loaded_at_its_first_step_and_leaves_a_model(
    store: Store, memory: MemoryStore, made: Runs, workspace: Workspace
) -> None:
    folder = models.folder(workspace.root / "made")
    events = [
        {"t": 1, "phase": "load", "step": 3},
        {"t": 7, "phase": "train"},
        {"t": 9, "phase": "train", "step": 1},
        {"t": 12, "artifact": {"kind": "model", "path": str(folder), "label": "made"}},
    ]
    job = made.add("train", [1.0] * 3, verb="pretrain", state="succeeded", events=events)
    found = compare(store, memory, [job, made.add("other", [1.0])])
    assert found.rows[0].figures["load"] == Figure(9.0, "first_step")
    assert found.rows[0].figures["disk"] == Figure(catalog.card(folder).size_bytes, "files")
    shutil.rmtree(folder)
    assert compare(store, memory, [job, job + 1]).rows[0].figures["disk"].source == "model_gone"


def test_a_job_that_is_deleted_meanwhile_keeps_what_was_recorded(store: Store, memory: MemoryStore, made: Runs) -> None:
    gone, here = made.add("gone", [2.0] * 5), made.add("here", [1.0] * 5)
    store.delete(gone)
    assert [run.id for run in runs(store, memory)] == [here]
    found = compare(store, memory, [gone, here])
    assert (found.rows[0].run.deleted, found.rows[0].run.title) == (True, f"#{gone}")
    assert values(found, "ram_peak") == [2 * GIB, GIB]
    assert sources(found, "load")[0] == "job_deleted"
    assert found.rows[0].host is not None
    never = made.add("never recorded")
    store.delete(never)
    with pytest.raises(NotFoundError) as error:
        compare(store, memory, [here, never])
    assert error.value.code == "job_unknown"


def test_too_few_and_too_many_runs_are_refused(store: Store, memory: MemoryStore, made: Runs) -> None:
    ids = [made.add(str(i), [1.0]) for i in range(9)]
    assert len(compare(store, memory, ids[:8]).rows) == 8
    for wrong in ([], ids[:1], [ids[0], ids[0]], ids):
        with pytest.raises(ConflictError) as error:
            compare(store, memory, wrong)
        assert error.value.code == "memory_runs_count"
    assert str(error.value) == "A comparison lays 2 to 8 runs over one another; these are 9."
