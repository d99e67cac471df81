"""Forecasts that are kept with their jobs, held against what was measured, and corrected by it; and a job's memory by role."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.errors import WorkspaceError
from backend.memory import planned, roles, trust
from backend.memory.machine import Machine
from backend.memory.sample import HOST, Peak
from backend.memory.trust import COUNTED, Forecast, Measured, Part, Residual
from backend.queue import lifecycle
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import models
from tests.support.memory_record import Record

MIB, GIB = 1 << 20, 1 << 30
HERE = Machine("test", 2, 16 * GIB, 12 * GIB, None, None)


def submit(store: Store, **spec: Any) -> JobRow:
    return store.submit("serve", {"model": "starter", "engine": "transformers", **spec})


def end(store: Store, row: JobRow, phase: str = "ready", state: str = "cancelled") -> JobRow:
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', attempt = 1, progress = ? WHERE id = ?",
                   (json.dumps({"phase": phase}), row.id))  # fmt: skip
    finished = {"attempt": 1, "state": state, "ended": row.created + 60, "elapsed": 60.0}
    assert lifecycle.finish(store, row.id, 1, finished)
    return store.get(row.id)


def peak(row: JobRow, size: int, place: str = HOST) -> dict[int, list[Peak]]:
    return {row.id: [Peak(row.id, place, size, size, 5.0, "process")]}


def forecast(store: Store, row: JobRow) -> Forecast:
    found = trust.read(store.job_dir(row.id))
    assert found is not None
    return found


def ran(store: Store, record: Record, times: float) -> Forecast:
    """A server that ran, and took ``times`` what was guessed beside what can be counted."""
    row = submit(store)
    found = forecast(store, row)
    guessed = sum(part.p50 for part in found.parts if part.name not in COUNTED)
    counted = sum(part.p50 for part in found.parts) - guessed
    record.highest |= peak(row, int(counted + times * guessed))
    settled = trust.settled(store, record, end(store, row))
    assert settled is not None
    return settled


# --- kept with the job


def test_a_server_that_is_submitted_by_anybody_has_its_forecast_beside_it(store: Store) -> None:
    found = forecast(store, submit(store))
    assert (found.verb, found.engine, found.kind, found.measured) == ("serve", "transformers", "cpu", None)
    assert found.low < found.p50 < found.p95 < GIB
    parts = {part.name: part.p50 for part in found.parts}
    assert parts["weights"] == pytest.approx(2 * catalog.card("models/starter").tensor_bytes, rel=0.01)
    assert found.p50 - found.low == parts["kv_cache"] + parts["activations"], "taken when somebody asks"


def test_other_kinds_of_jobs_have_none_and_a_model_that_is_not_there_stops_no_job(store: Store) -> None:
    assert trust.read(store.job_dir(store.submit("drill", {}).id)) is None
    row = submit(store, model="gone")
    assert row.state == "queued"
    assert trust.read(store.job_dir(row.id)) is None


def test_a_forecast_that_cannot_be_made_or_written_stops_no_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    def full(*_args: object) -> None:
        raise WorkspaceError("workspace_full", "The disk is full.", "")

    with monkeypatch.context() as patch:
        patch.setattr(trust.folder, "write", full)
        assert submit(store).state == "queued"
    monkeypatch.setattr(planned, "of_job", broken)
    assert submit(store).state == "queued"
    assert not list(store.workspace.jobs.glob(f"*/{trust.FILE}"))


def test_a_forecast_that_was_edited_by_hand_is_none(store: Store) -> None:
    row = submit(store)
    path = store.job_dir(row.id) / trust.FILE
    for text in ("", "[]", "{}", '{"format": 1}', '{"format": 1, "parts": 3}', '{"format": 9, "parts": []}'):
        path.write_text(text)
        assert trust.read(store.job_dir(row.id)) is None


# --- held against what was measured


def test_the_measured_peak_joins_the_forecast_when_the_job_has_ended_and_outlives_the_record(store: Store) -> None:
    row = submit(store)
    found = forecast(store, row)
    record = Record(highest=peak(row, found.p50 + 10 * MIB))
    early = trust.settled(store, record, store.get(row.id))
    assert early is not None
    assert early.measured is None
    settled = trust.settled(store, record, end(store, row))
    assert settled is not None
    assert settled.measured == Measured(found.p50 + 10 * MIB, found.p50 + 10 * MIB, 5.0, "process", True)
    assert settled.off == pytest.approx(10 * MIB / (found.p50 + 10 * MIB))
    assert trust.settled(store, Record(), store.get(row.id)) == settled


def test_a_peak_between_the_empty_server_and_a_full_kv_cache_was_forecast(store: Store) -> None:
    found = forecast(store, submit(store))
    off = {}
    for size in (found.low - MIB, found.low, (found.low + found.p50) // 2, found.p50, found.p50 + MIB):
        off[size] = replace(found, measured=Measured(size, size, 0.0, "process", True)).off
    assert [value and round(value * size / MIB) for size, value in off.items()] == [-1, 0, 0, 0, 1]


def test_main_memory_is_no_measure_of_a_forecast_for_a_gpu(store: Store) -> None:
    row = end(store, submit(store))
    path = store.job_dir(row.id) / trust.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": "cuda"}))
    two = [Peak(row.id, HOST, GIB, GIB, 1.0, "process"), Peak(row.id, "GPU-a", 4 * GIB, 3 * GIB, 2.0, "lease"),
           Peak(row.id, "GPU-b", 5 * GIB, 3 * GIB, 3.0, "lease")]  # fmt: skip
    assert trust.settled(store, Record(highest={row.id: two[:1]}), row).measured is None  # type: ignore[union-attr]
    settled = trust.settled(store, Record(highest={row.id: two}), row)
    assert settled is not None
    assert settled.measured is not None
    assert (settled.measured.peak, settled.measured.source) == (5 * GIB, "lease")


def test_a_server_that_never_answered_says_nothing_about_forecasts(store: Store) -> None:
    row = submit(store)
    record = Record(highest=peak(row, GIB))
    settled = trust.settled(store, record, end(store, row, phase="load", state="failed"))
    assert settled is not None
    assert settled.measured is not None
    assert not settled.measured.counts
    assert trust.within(store, record) == (0, 0.0)


def test_what_a_trainer_says_that_it_has_allocated_is_another_figure(store: Store) -> None:
    row = end(store, submit(store))
    record = Record(highest={row.id: [Peak(row.id, HOST, GIB, GIB, 1.0, "trainer")]})
    assert trust.within(store, record) == (0, 0.0)
    record.highest = peak(second := end(store, submit(store)), GIB)
    assert trust.within(store, record)[0] == 1
    assert second.id != row.id


def test_what_the_servers_of_a_report_card_take_says_nothing_about_the_forecast_of_making_the_copy(
    store: Store,
) -> None:
    row = store.submit("quantize", {"model": "starter", "method": "gptq", "report": True})
    found = forecast(store, row)
    events = store.job_dir(row.id) / "events.jsonl"
    events.write_text('{"t": 10.0, "phase": "load"}\n{"t": 50.0, "phase": "report"}\n')
    two = [Peak(row.id, HOST, found.p50, found.p50, 5.0, "process"), Peak(row.id, HOST, 9 * GIB, GIB, 60.0, "process")]
    settled = trust.settled(store, Record(highest={row.id: two}), end(store, row, state="succeeded"))
    assert settled is not None
    assert settled.measured is not None
    assert settled.measured.peak == found.p50


def test_the_last_twenty_forecasts_say_how_far_they_can_be_trusted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "LAST", 3)
    record = Record()
    assert trust.within(store, record) == (0, 0.0)
    worst = abs(ran(store, record, 1.5).off or 0)
    assert trust.within(store, record) == (1, pytest.approx(100 * worst))
    second = abs(ran(store, record, 1.1).off or 0)
    ran(store, record, 1.0)
    assert trust.within(store, record) == (3, pytest.approx(100 * worst))
    ran(store, record, 1.0)
    assert trust.within(store, record) == (3, pytest.approx(100 * second)), "the oldest no longer counts"


def test_a_forecast_of_another_machine_with_the_same_workspace_does_not_count(store: Store) -> None:
    record = Record()
    ran(store, record, 1.2)
    (path,) = store.workspace.jobs.glob(f"*/{trust.FILE}")
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "another"}))
    assert trust.within(store, record) == (0, 0.0)


# --- corrected by it


def test_three_jobs_that_took_a_third_more_than_guessed_correct_the_next_forecast(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Record()
    monkeypatch.setattr(trust, "opened", lambda _store: nullcontext(record))
    first = forecast(store, submit(store))
    for _ in range(3):
        ran(store, record, 1.3)
    assert trust.residual(store, record, "serve", "transformers", "cpu").middle == pytest.approx(1.3, abs=0.01)
    assert trust.residual(store, record, "serve", "lmdeploy", "cuda") == Residual()
    after = forecast(store, submit(store))
    guessed = sum(part.p50 for part in first.parts if part.name not in COUNTED)
    assert after.p50 - first.p50 == pytest.approx(0.3 * guessed, rel=0.05)
    assert after.parts == first.parts, "what corrects the next one is measured against the raw forecast"
    assert after.p95 - after.p50 < first.p95 - first.p50, "three that agree narrow the band"
    assert abs(ran(store, record, 1.3).off or 0) < 0.01


def test_servers_that_were_hardly_asked_anything_do_not_lower_the_forecast_of_busy_ones(store: Store) -> None:
    record = Record()
    for share in (0.2, 0.5, 0.8):
        row = submit(store)
        found = forecast(store, row)
        record.highest |= peak(row, int(found.low + share * (found.p50 - found.low)))
        trust.settled(store, record, end(store, row))
    assert trust.residual(store, record, "serve", "transformers", "cpu") == Residual(
        3, 1.0, pytest.approx(1.19, abs=0.2)
    )
    for _ in range(4):
        row = submit(store)
        record.highest |= peak(row, forecast(store, row).low - 30 * MIB)
        trust.settled(store, record, end(store, row))
    assert 0.8 < trust.residual(store, record, "serve", "transformers", "cpu").middle < 1.0


@pytest.mark.parametrize(
    ("ratios", "middle"), [([], 1.0), ([3.0, 3.0], 1.0), ([1.0, 1.1, 9.0], 1.1), ([9.0] * 5, 2.0), ([0.1] * 5, 0.5)]
)
def test_few_or_wild_ratios_correct_little(ratios: list[float], middle: float) -> None:
    found = trust.from_ratios(ratios)
    assert found.middle == pytest.approx(middle)
    assert found.upper >= found.middle


def test_jobs_that_disagree_widen_the_band() -> None:
    narrow, wide = trust.from_ratios([1.0] * 6), trust.from_ratios([0.7, 0.8, 1.0, 1.0, 1.2, 1.4])
    assert wide.upper / wide.middle > 1.3 > narrow.upper / narrow.middle


def test_what_can_be_counted_is_never_corrected(workspace: Workspace) -> None:
    made = planned.of_job(workspace, "serve", {"model": "starter"}, HERE)
    assert made is not None
    after = trust.corrected(made.estimate, Residual(5, 1.5, 1.6))
    for old, new in zip(made.estimate.terms, after.terms, strict=True):
        assert new.p50 == (old.p50 if old.name in COUNTED else int(1.5 * old.p50))
    assert after.p50 == sum(term.p50 for term in after.terms)
    assert after.p95 > after.p50
    assert trust.corrected(made.estimate, Residual(2, 1.5, 1.6)) is made.estimate


# --- conversions


def test_a_conversion_is_forecast_from_its_largest_file(store: Store, tmp_path: Path) -> None:
    folder = models.folder(tmp_path / "old")
    (folder / "model.safetensors").unlink()
    for number, size in enumerate((300, 200), 1):
        file = folder / f"pytorch_model-0000{number}-of-00002.bin"
        file.touch()
        with file.open("r+b") as opened:
            opened.truncate(size * MIB)
    found = forecast(store, store.submit("convert", {"path": str(folder)}))
    assert (found.engine, found.kind) == ("convert", "cpu")
    assert found.low == pytest.approx(490 * MIB, rel=0.01)
    assert found.p50 == pytest.approx(1090 * MIB, rel=0.01)
    assert planned.converting(tmp_path / "nowhere") is None


# --- by role


def test_a_measured_figure_is_divided_without_losing_a_byte(store: Store) -> None:
    row = submit(store)
    found = forecast(store, row)
    for size in (found.low, found.p50, found.p50 + 12345, found.p95 + GIB, 7, 1):
        split = roles.split(store, row.id, size)
        assert sum(split.values()) == size
        assert all(part > 0 for part in split.values())
    assert roles.split(store, row.id, 0) == {}
    assert roles.split(store, store.submit("drill", {}).id, GIB) == {}


def test_the_weights_come_first_and_the_kv_cache_only_as_it_fills(store: Store) -> None:
    row = submit(store)
    found = forecast(store, row)
    sizes = {part.name: part.p50 for part in found.parts}
    assert roles.split(store, row.id, MIB) == {"weights": MIB}
    assert "kv_cache" not in roles.split(store, row.id, found.low)
    assert roles.split(store, row.id, found.low + 5 * MIB)["kv_cache"] == 5 * MIB
    assert "activations" not in roles.split(store, row.id, found.low + 5 * MIB)
    full = roles.split(store, row.id, found.p50)
    assert {name: full[name] for name in ("weights", "kv_cache")} == {
        name: sizes[name] for name in ("weights", "kv_cache")
    }


def test_a_cache_that_is_taken_at_the_start_is_there_before_the_guesses(store: Store, tmp_path: Path) -> None:
    row = submit(store)
    parts = (Part("weights", 4 * GIB, 4 * GIB), Part("kv_cache", 8 * GIB, 8 * GIB), Part("context", GIB, GIB))
    made = Forecast("serve", "lmdeploy", "cuda", "here", 0.0, 13 * GIB, 13 * GIB, 14 * GIB, parts)
    path = store.job_dir(row.id) / trust.FILE
    path.write_text(json.dumps({"format": trust.FORMAT, **asdict(made)}))
    assert roles.split(store, row.id, 13 * GIB) == {"weights": 4 * GIB, "kv_cache": 8 * GIB, "context": GIB}
    assert roles.split(store, row.id, 15 * GIB)["context"] == 3 * GIB
