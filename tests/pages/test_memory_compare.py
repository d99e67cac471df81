"""Compare on the Memory page, over a real record and real job folders: choose, read, save, open, rename, delete."""

from __future__ import annotations

import re
import time

import pytest
from streamlit.testing.v1 import AppTest

from backend.memory import comparisons
from backend.memory.compare import compare
from backend.memory.series import MemoryStore
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.page_text import labels, text
from tests.support.recorded_runs import LMDEPLOY, Runs, served
from ui.memory import compare_chart as memory_compare_chart

LM = {"model": "starter", "engine": "lmdeploy"}


@pytest.fixture
def made(store: Store, memory: MemoryStore) -> Runs:
    return Runs(store, memory)


@pytest.fixture
def pair(made: Runs) -> list[int]:
    """Two servers that differ in their KV cache."""
    one = made.add("llama", [1.0] * 5, [8.0] * 5, spec=LM, log=LMDEPLOY, events=served())
    two = made.add("llama", [1.0] * 5, [5.0] * 5, spec={**LM, "quant_policy": 8}, log=LMDEPLOY)
    return [one, two]


def page(**query: str) -> AppTest:
    """The view in a new session, by its address."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for name, value in {"view": "compare", **query}.items():
        app.query_params[name] = value
    app.switch_page(str(ROOT / "pages" / "memory.py")).run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def tables(app: AppTest) -> list[str]:
    """The tables of comparisons, as they are sent."""
    return [str(found) for each in app.get("html") if "tdc" in str(found := getattr(each, "value", ""))]


def said(app: AppTest) -> str:
    """The table's words."""
    return " ".join(re.sub(r"<[^>]*>", " ", each) for each in tables(app))


def address(app: AppTest, name: str) -> str:
    value = app.query_params.get(name, "")
    return str(value[0] if isinstance(value, list) else value)


def numbers(ids: list[int]) -> str:
    return ",".join(map(str, ids))


def test_without_runs_the_page_says_how_to_get_some() -> None:
    app = page()
    assert "Here you lay runs over one another." in text(app)
    assert "Deploy a model" in labels(app)
    press(app, "Deploy a model")
    assert [title.value for title in app.title] == ["Deploy"]


def test_the_newest_two_of_a_kind_are_one_press_away(made: Runs, pair: list[int]) -> None:
    made.add("train", [1.0], verb="pretrain")
    app = press(page(), "Compare the newest two")
    assert address(app, "runs") == numbers(pair)
    assert "5.0 GiB −3.0 GiB · −38%" in re.sub(r"\s+", " ", said(app))
    assert len(app.get("echarts_chart")) == 1


def test_runs_are_chosen_by_hand_and_the_address_keeps_them(made: Runs, pair: list[int]) -> None:
    train = made.add("train", [3.0] * 5, verb="pretrain", spec={"batch_tokens": 4096})
    app = page()
    box = app.multiselect(key="memory_compare_runs")
    assert [option.split(" · ")[0] for option in box.options] == [
        f"#{pair[1]} llama",
        f"#{pair[0]} llama",
        f"#{train} train",
    ]
    box.set_value([train, pair[0]]).run()
    assert not app.exception
    assert address(app, "runs") == f"{train},{pair[0]}"
    again = page(runs=address(app, "runs"))
    assert again.multiselect(key="memory_compare_runs").value == [train, pair[0]]
    assert "A train" in said(again)
    again.segmented_control(key="memory_compare_group").set_value("training").run()
    # What is chosen stays chosen, whatever is offered.
    assert again.multiselect(key="memory_compare_runs").value == [train, pair[0]]


def test_gpu_and_main_memory_are_drawn_apart(store: Store, memory: MemoryStore, pair: list[int]) -> None:
    app = page(runs=numbers(pair))
    place = app.segmented_control(key="memory_compare_place")
    assert place.value == "gpu"
    place.set_value("host").run()
    assert not app.exception
    found = compare(store, memory, pair)
    option = memory_compare_chart.options(found, "gpu")["baseOption"]
    assert [line["name"] for line in option["series"]] == ["A KV 16 bit", "B KV 8 bit"]
    assert [point[1] for point in option["series"][1]["data"]] == [5.0] * 5
    assert len({line["color"] for line in option["series"]}) == 2


def test_what_is_missing_says_why_in_the_table(made: Runs, pair: list[int]) -> None:
    never = made.add("never recorded", spec={"model": "gone"})
    shown = said(page(runs=numbers([*pair, never])))
    for why in (
        "no memory was recorded while it ran",
        "its model is not there any more",
        "it never came so far that it could answer",
        "nobody has asked it anything yet",
    ):
        assert why in shown
    assert "measured: the GPU's driver tells it for each process" in shown.replace("&#x27;", "'")


def test_a_job_that_is_gone_is_left_out_in_one_press(store: Store, made: Runs, pair: list[int]) -> None:
    gone = made.add("gone")
    store.delete(gone)
    app = page(runs=numbers([*pair, gone]))
    assert f"There is no job {gone}." in text(app)
    press(app, "Leave it out")
    assert address(app, "runs") == numbers(pair)
    assert "8.0 GiB" in said(app)
    store.delete(pair[0])  # what was recorded of this one is still there
    again = page(runs=numbers(pair))
    assert "the job was deleted" in said(again)
    assert "8.0 GiB" in said(again)


def test_an_address_with_nonsense_and_too_many_runs_is_read_as_far_as_it_goes(made: Runs) -> None:
    ids = [made.add(f"run {i}", [1.0] * 2) for i in range(9)]
    app = page(runs=f"x,-1,{numbers(ids)},{ids[0]},{'9' * 40}")
    assert "The address names 9 runs; the first 8 are shown." in text(app)
    assert app.multiselect(key="memory_compare_runs").value == ids[:8]
    assert "H run 7" in said(app)


def test_a_comparison_is_saved_opened_renamed_and_deleted(workspace: Workspace, store: Store, pair: list[int]) -> None:
    app = page(runs=numbers(pair))
    app.text_input(key="memory_compare_name").set_value("KV **8** bit").run()
    press(app, "Save comparison")
    assert [toast.value for toast in app.toast] == ["Saved as 'KV \\*\\*8\\*\\* bit'."]
    assert app.text_input(key="memory_compare_name").value == ""
    app.text_input(key="memory_compare_name").set_value("KV **8** bit").run()
    press(app, "Save comparison")
    assert "There is already a comparison called" in text(app)
    for job in pair:
        store.delete(job)
    saved = page(saved="KV **8** bit")
    assert "8.0 GiB" in said(saved)
    assert {"Share as HTML", "Download CSV"} <= {b.proto.label for b in saved.get("download_button")}
    saved.text_input(key="memory_saved_shown_new").set_value("cache").run()
    press(saved, "Rename it")
    assert address(saved, "saved") == "cache"
    listed = page()
    assert "**cache**" in text(listed)
    press(listed, "Open comparison")
    assert address(listed, "saved") == "cache"
    press(listed, "Delete comparison")
    assert comparisons.saved(workspace) == []
    assert address(listed, "saved") == ""


def test_who_types_no_name_saves_under_that_of_the_runs_twice_if_need_be(workspace: Workspace, pair: list[int]) -> None:
    app = page(runs=numbers(pair))
    for _time in range(2):
        press(app, "Save comparison")
    names = {each.name for each in comparisons.saved(workspace)}
    assert len(names) == 2
    assert min(names, key=len).startswith(f"#{pair[0]} ")


def test_a_saved_comparison_that_is_gone_or_damaged_says_so(workspace: Workspace, pair: list[int]) -> None:
    assert "There is no saved comparison '../settings'." in text(page(saved="../settings")).replace("\\", "")
    workspace.comparisons.mkdir()
    (workspace.comparisons / "torn.json").write_text("{")
    app = page()
    assert "Its file cannot be read" in text(app)
    assert "Open comparison" not in labels(app)
    assert "is damaged" in text(page(saved="torn"))
    press(app, "Delete comparison")
    assert comparisons.saved(workspace) == []


def test_names_are_text_on_the_page(made: Runs) -> None:
    evil = "<img src=x onerror=alert(1)> **b** :material/delete:"
    ids = [made.add(evil, [1.0] * 2), made.add("plain", [2.0] * 2)]
    app = page(runs=numbers(ids))
    [html] = tables(app)
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_the_card_of_a_running_job_says_what_it_takes(store: Store, memory: MemoryStore) -> None:
    ended = Runs(store, memory, time.time() - 900).add("before", [4.0, 1.0])
    now = Runs(store, memory, time.time() - 4)
    job = now.add("llama", [1.0, 3.0, 2.0, 2.0], [8.0] * 4, spec=LM, state="running", events=served())
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["job"] = str(job)
    app.switch_page(str(ROOT / "pages" / "jobs.py")).run()
    assert not app.exception, app.exception
    line = next(caption.value for caption in app.caption if "GPU memory" in caption.value)
    assert line.endswith("GPU memory: 8.0 GiB now, 8.0 GiB at most · main memory: 2.0 GiB now, 3.0 GiB at most")
    app.query_params["job"] = str(ended)
    app.run()
    assert "main memory: 4.0 GiB at most" in text(app)
