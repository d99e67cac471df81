"""The fit meter where plans are made: on Deploy, on the cards of the list, before a conversion, and afterwards on the job."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.memory import trust
from backend.memory.machine import snapshot
from backend.memory.sample import HOST, HostSample, JobUse, Sample
from backend.memory.series import MemoryStore, open_memory
from backend.queue import lifecycle
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support import models
from tests.support.page_text import labels, text
from ui.fit import now as fit_now
from ui.models import fit as model_fit

GIB, MIB = 1 << 30, 1 << 20


@pytest.fixture
def record(workspace: Workspace) -> Iterator[MemoryStore]:
    """What was recorded: a real record, in which the test stands for the recorder."""
    forget()
    found = open_memory(workspace)
    yield found
    found.close()


def forget() -> None:
    """Let the pages look again at once at what they otherwise keep for some seconds."""
    for kept in (fit_now._here, fit_now._residual, fit_now._within, model_fit._latest):
        kept.clear()


def took(record: MemoryStore, row: JobRow, size: float, *, t: float | None = None) -> None:
    """Record that ``row`` had ``size`` bytes of main memory for a moment."""
    use = JobUse(row.id, HOST, int(size), "process")
    record.append(Sample(t or time.time(), HostSample(16 * GIB, 4 * GIB), jobs=(use,)))


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "")


def bar(app: AppTest) -> str:
    """The bar of the meter, as HTML."""
    return next(str(found.proto.body) for found in app.main.get("html") if "fit-bar" in str(found.proto.body))


def huge(folder: Path) -> Path:
    """A model of some 200 GiB, which is a hole on the disk."""
    return models.folder(folder, layers=64, width=16384, num_attention_heads=128, max_position_embeddings=8192)


def ended(store: Store, row: JobRow, phase: str = "ready") -> JobRow:
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', attempt = 1, progress = ? WHERE id = ?",
                   (json.dumps({"phase": phase}), row.id))  # fmt: skip
    end = {"attempt": 1, "state": "cancelled", "ended": row.created + 60, "elapsed": 60.0}
    assert lifecycle.finish(store, row.id, 1, end)
    return store.get(row.id)


def served(store: Store, record: MemoryStore, size: int | None = None) -> JobRow:
    """A server of the starter that ran, and took ``size`` at most; None: what its forecast said."""
    row = store.submit("serve", {"model": "starter", "engine": "transformers"})
    found = trust.read(store.job_dir(row.id))
    assert found is not None
    taken = found.p50 if size is None else size
    took(record, row, taken)
    return ended(store, row)


# --- on Deploy


def test_deploy_says_whether_the_starter_fits_and_shows_its_terms(open_page: OpenPage, record: MemoryStore) -> None:
    app = open_page("deploy")
    assert ":green-badge[:material/check_circle: fits]" in text(app)
    drawn = bar(app)
    assert "that are free now (estimate)" in drawn, "for those who do not see the bar"
    for term in ("weights", "KV cache", "activations", "program"):
        assert term in drawn
    assert drawn.count("fit-later") == 3, "the style's rule, the KV cache, and the activations"
    assert "Source:" not in plain(app)
    app.session_state["fit_deploy_terms"] = True
    app.run()
    said = plain(app)
    assert "layers x 2 x KV heads x head size" in said
    assert said.count("Source:") == 4
    assert "forecast" not in said.lower(), "nothing is claimed about forecasts before there was one"


def test_an_impossible_budget_says_why_and_the_way_out_is_a_press(open_page: OpenPage, record: MemoryStore) -> None:
    app = open_page("deploy")
    app.number_input(key="deploy_memory").set_value(0.2).run()
    assert ":red-badge[:material/block: does not fit]" in text(app)
    assert plain(app).count("needs at least 0.4 GiB, and may take 0.2 GiB.") == 1, "said once"
    assert "may be taken: 0.2 GiB" in bar(app)
    press(app, "Let it take 0.5 GiB")
    assert app.number_input(key="deploy_memory").value == 0.5
    assert ":green-badge" in text(app)
    assert not next(button for button in app.button if button.label == "Start starter").disabled


def test_a_model_that_is_too_large_names_its_largest_part_and_one_that_would_fit(
    open_page: OpenPage, workspace: Workspace, record: MemoryStore, tmp_path: Path
) -> None:
    catalog.add(workspace, huge(tmp_path / "huge"))
    app = open_page("deploy")
    app.selectbox(key="deploy_model").set_value("huge").run()
    assert "does not fit" in text(app)
    assert "'huge' needs about 2" in plain(app)
    press(app, "Serve starter instead")
    assert app.selectbox(key="deploy_model").value == "starter"
    assert ":green-badge[:material/check_circle: fits]" in text(app)


def test_neighbours_that_grow_are_left_their_room(open_page: OpenPage, record: MemoryStore) -> None:
    free = snapshot().ram_free
    for minute in range(50):
        used = free // 2 + minute * free // 60
        record.append(Sample(time.time() - 60 * (50 - minute), HostSample(2 * free, used)))
    app = open_page("deploy")
    said = plain(app)
    assert "Others here lately grew by up to" in said
    assert "may be counted on" in bar(app)
    left = float(app.number_input(key="deploy_memory").placeholder.split(": ")[1])
    assert left == pytest.approx(free * 5 / 6 / GIB, rel=0.05), "they grow by a sixth of what is free in ten minutes"


def test_a_model_without_a_shape_has_no_forecast_says_why_and_can_be_started(
    open_page: OpenPage, workspace: Workspace, store: Store, record: MemoryStore, tmp_path: Path
) -> None:
    odd = models.folder(tmp_path / "odd")
    config = json.loads((odd / "config.json").read_text())
    del config["num_attention_heads"]
    (odd / "config.json").write_text(json.dumps(config))
    catalog.add(workspace, odd)
    assert "No memory forecast:" in plain(open_page("models"))
    app = open_page("deploy")
    app.selectbox(key="deploy_model").set_value("odd").run()
    assert "No memory forecast:" in plain(app)
    assert "num_attention_heads" in plain(app)
    press(app, "Start odd")
    assert [row.title for row in store.queue()] == ["odd"]


def test_forecasts_that_were_held_against_peaks_say_how_good_they_were(
    open_page: OpenPage, store: Store, record: MemoryStore
) -> None:
    row = served(store, record)
    app = open_page("deploy")
    assert "Our last forecast on this machine was within 1 %." in plain(app)
    found = trust.read(store.job_dir(row.id))
    assert found is not None
    for _ in range(2):
        served(store, record, int(found.p50 * 1.1))
    forget()
    said = plain(app.run())
    assert "Our last 3 forecasts on this machine were within 9 %." in said
    assert "This one is corrected by what 3 jobs like it took." in said


def test_a_restart_may_count_on_what_the_running_server_has(
    open_page: OpenPage, store: Store, record: MemoryStore
) -> None:
    app = press(open_page("deploy"), "Start starter")
    (row,) = store.queue()
    took(record, row, 2 * GIB)
    said = plain(app.run())
    assert "2.0 GiB of it are those of the server that this one replaces." in said


# --- afterwards


def test_a_server_that_ran_shows_its_forecast_against_the_measured_peak(
    open_page: OpenPage, store: Store, record: MemoryStore
) -> None:
    row = served(store, record, GIB)
    line = "Memory: forecast 0.4–0.5 GiB, measured peak 1.0 GiB (55 % more than forecast)."
    assert line in plain(open_page("deploy"))
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["job"] = str(row.id)
    app.switch_page("../pages/jobs.py").run()
    assert line in plain(app)


def test_a_server_that_never_answered_is_not_held_against_its_forecast(
    open_page: OpenPage, store: Store, record: MemoryStore
) -> None:
    row = store.submit("serve", {"model": "starter", "engine": "transformers"})
    took(record, row, MIB)
    ended(store, row, phase="load")
    app = open_page("deploy")
    assert "it did not get as far as it was forecast for" in plain(app)
    assert "Our last forecast" not in plain(app)


# --- on the list of models


def test_every_card_of_the_list_says_in_one_line_whether_it_fits(
    open_page: OpenPage, workspace: Workspace, record: MemoryStore, tmp_path: Path
) -> None:
    catalog.add(workspace, huge(tmp_path / "huge"))
    catalog.add(workspace, models.adapter(tmp_path / "alone", "nothing"))
    lines = [c.value.replace("\\", "") for c in open_page("models").caption if "free now" in c.value]
    assert [line.split(" · ")[0] for line in lines] == [
        ":green[:material/check_circle: fits]",
        ":red[:material/block: does not fit]",
    ], "and none for an adapter without its base: its card says what it lacks"


def test_a_card_of_a_server_that_runs_says_what_it_takes(
    open_page: OpenPage, store: Store, record: MemoryStore
) -> None:
    row = store.submit("serve", {"model": "starter", "engine": "transformers"}, title="starter")
    app = open_page("models")
    assert "forecast 0.4–0.5 GiB" in plain(app)
    took(record, row, 0.6 * GIB)
    model_fit._latest.clear()
    assert "Takes 0.6 GiB (measured) · forecast 0.4–0.5 GiB" in plain(app.run())


def test_before_a_conversion_stands_what_it_takes(open_page: OpenPage, record: MemoryStore, tmp_path: Path) -> None:
    old = models.folder(tmp_path / "store" / "old")
    (old / "model.safetensors").rename(old / "pytorch_model.bin")
    os.truncate(old / "pytorch_model.bin", 400 * MIB)
    app = open_page("models")
    app.query_params["view"] = "add"
    app.query_params["folder"] = str(old.parent)
    app.run()
    assert "Convert to safetensors" in labels(app)
    assert "Takes 0.6–1.4 of" in plain(app)


# --- on a page that plans a training


def training() -> None:
    """A page: a plan that a person can change by the meter's ways out."""
    import streamlit as st

    from backend.memory.budget import Budget
    from backend.memory.forecast import TrainPlan, estimate, facts
    from ui.fit import meter as fit_meter

    config = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
              "intermediate_size": 14336, "vocab_size": 128256, "dtype": "bfloat16"}  # fmt: skip
    known = facts.from_config(config)
    plan = TrainPlan("lora", seq=2048, batch=st.session_state.get("batch", 8), checkpointing=True)
    budget = Budget(free=36 << 30, place="GPU-0", index=0, total=80 << 30)
    fit_meter.draw(
        estimate(known, plan),
        budget,
        key="train",
        ways=fit_meter.ways_of(known, plan, budget.free_after_growth),
        change=lambda fields: st.session_state.update(fields),
        able=("batch", "accumulation"),
    )


def test_a_page_that_plans_a_training_only_calls_the_meter() -> None:
    app = AppTest.from_function(training, default_timeout=30).run()
    assert not app.exception
    assert "does not fit" in text(app)
    (label,) = labels(app)
    assert "batches of 1" in label
    assert "Cut the rows at 512 tokens" in plain(app), "what the page cannot change is said"
    press(app, label)
    assert app.session_state["batch"] == 1
    assert "does not fit" not in text(app)
