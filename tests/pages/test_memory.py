"""Memory: what is free now and who has the rest, when more will be, what happened at any time; on a machine with GPUs of every
kind, and on one without."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from backend.errors import PanelError
from backend.memory.alerts import Alert
from backend.memory.sample import HOST, Moment, Sample
from backend.memory.series import MemoryStore
from backend.queue import folder, lifecycle
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.pages.conftest import OpenPage
from tests.support import by_hand
from tests.support.memory_samples import GIB, card, process, record, running, still, use
from tests.support.page_text import labels, text
from ui import words
from ui.memory import alerts as memory_alerts
from ui.memory import live as memory_live


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """What one page read a second ago, another may show; the next test's page may not."""
    st.cache_data.clear()


def page(open_page: OpenPage, **query: str) -> AppTest:
    """The page at that address."""
    app = open_page("memory")
    if query:
        app.query_params.update(query)
        app.run()
        assert not app.exception, app.exception
    return app


def plain(app: AppTest) -> str:
    """All that is read on the page, the bars included."""
    bars = "\n".join(element.proto.body for element in app.main.get("html"))
    return f"{text(app)}\n{bars}".replace("\\", "")


def links(app: AppTest) -> list[tuple[str, str]]:
    """(label, query) of all links of the main part."""
    return [(link.proto.label.replace("\\", ""), link.proto.query_string) for link in app.main.get("page_link")]


def charts(app: AppTest) -> list[dict[str, object]]:
    return [json.loads(element.proto.spec) for element in app.main.get("echarts_chart")]


def row(*cells: str) -> str:
    """A row of the table of programs."""
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


# --- now


def test_a_recorder_that_has_just_begun_says_so_and_nothing_is_called_wrong(open_page: OpenPage) -> None:
    app = page(open_page)
    assert "The recorder has just begun." in plain(app)
    assert not app.main.get("alert")
    assert "Nothing was recorded in this time." in "".join(info.value for info in page(open_page, view="past").info)


def test_without_a_gpu_main_memory_tells_each_job_and_when_more_is_free(
    open_page: OpenPage, store: Store, memory: MemoryStore
) -> None:
    now = time.time()
    job = running(store, "Count <b>sheep</b>", now, eta_s=1200)
    served = running(store, "starter", now, service=True)
    memory.append(still(now, jobs=[use(job.id, 2.0), use(served.id, 1.5)]))
    said = plain(page(open_page))
    assert "Live: figures of this second" in said
    assert "<b>48.0 GiB</b>free · 16.0 of 64.0 GiB in use" in said
    assert "#1 Count &lt;b&gt;sheep&lt;/b&gt;</span><em>2.0 GiB</em>" in said
    assert "other programs and the system</span><em>12.5 GiB</em>" in said
    assert "free</span><em>48.0 GiB</em>" in said
    assert "processor 42 % busy · no swap · 120.0 GiB of disk free" in said
    assert f"50.0 GiB free at about {words.clock(now + 1200)}, when #1 Count &lt;b&gt;sheep&lt;/b&gt; is done" in said
    assert "Stays until somebody stops it: #2 starter" in said


def test_the_table_is_sent_only_while_it_is_open_and_says_where_each_figure_is_from(
    open_page: OpenPage, store: Store, memory: MemoryStore
) -> None:
    now = time.time()
    job = running(store, "Learn", now)
    processes = (process(1, 30.0, "tutor", "python -m jobs.finetune", job.id), process(2, None, "bob", "python x.py"))
    device = card(0, 42.0, processes=processes)
    memory.append(still(now, [device], [use(job.id, 30.0, "GPU-0"), use(job.id, 1.0)]))
    app = page(open_page)
    assert "python x.py" not in plain(app)
    learn = f'<a href="/jobs?job={job.id}" target="_blank" rel="noopener">#1 Learn</a>'
    app.session_state["memory_programs"] = True
    app.run()
    said = plain(app)
    assert row("GPU 0", "30.0 GiB", "tutor", "python -m jobs.finetune", learn, "measured by the driver") in said
    assert row("GPU 0", "unknown", "bob", "python x.py", "", "not told by the driver") in said
    assert row("Main memory", "1.0 GiB", job.owner, "", learn, "measured in the system") in said
    assert "The NVIDIA driver tells it for each process." in said
    assert "bob: how much each has is not told</span><em>12.0 GiB</em>" in said


def test_each_gpu_says_who_has_it_and_what_the_driver_does_not_tell_has_a_reason(
    open_page: OpenPage, store: Store, memory: MemoryStore
) -> None:
    now = time.time()
    job = running(store, "Learn", now)
    cards = [
        card(
            0,
            61.0,
            processes=(process(9, 20.0, "ada"), process(8, 10.0, "ada")),
            load=0.37,
            power_w=210.4,
            power_limit_w=400.0,
            temperature_c=61.0,
            throttle=("hw_thermal_slowdown",),
        ),
        card(1, 33.0, hidden=True),
        card(2, 6.0),
        replace(card(2, 4.0, 10.0), uuid="MIG-a", parent="GPU-2", name="1g.10gb"),
        replace(card(2, 1.0, 10.0), uuid="MIG-b", parent="GPU-2", name="1g.10gb"),
        card(3, None, None, name="NVIDIA GB10"),
        card(4, None, None, lost=True),
    ]
    memory.append(still(now, cards, [use(job.id, 30.0, "GPU-0", "lease")]))
    app = page(open_page)
    said = plain(app)
    assert "ada · 2 processes</span><em>30.0 GiB</em>" in said
    assert "37 % busy · 210 of 400 W · 61 °C · slowed down: it is too hot" in said
    assert "programs that the driver does not name</span><em>33.0 GiB</em>" in said
    assert "<b>GPU 2, slice 1</b> 1g.10gb" in said
    assert "<b>GPU 2, slice 2</b>" in said
    assert "in its slices</span><em>6.0 GiB</em>" in said
    assert "The driver does not tell how much memory it has" in said
    assert "It does not answer any more: it fell off the bus." in said
    assert "**GPU 4 is lost**" in "".join(alert.value for alert in app.error)
    assert ("#1 Learn", "job=1") in links(app)
    # Ours is a plain colour, what is not ours is striped, the rest has a pattern of its own: never the colour alone.
    assert 'class="u"></i><span>ada' in said
    assert 'class="h"></i><span>programs' in said


def test_what_a_job_needs_its_memory_for_is_told_by_role_and_marked_as_estimated(
    open_page: OpenPage, store: Store, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    job = running(store, "starter", now, service=True)
    split = {"weights": 15 * GIB, "kv_cache": 5 * GIB}
    monkeypatch.setattr("backend.memory.roles.split", lambda _store, _job, size: split if size == 20 * GIB else {})
    memory.append(still(now, [card(0, 20.0)], [use(job.id, 20.0, "GPU-0"), use(job.id, 1.0)]))
    said = plain(page(open_page))
    assert "#1 starter · weights</span><em>15.0 GiB</em>" in said
    assert "#1 starter · KV cache</span><em>5.0 GiB</em>" in said
    assert said.count("What a job needs its memory for is estimated; its size is measured.") == 1


def test_old_figures_are_called_old_and_so_is_the_recorder(open_page: OpenPage, memory: MemoryStore) -> None:
    memory.append(still(time.time() - 600))
    app = page(open_page)
    assert "The newest figures are 10 min old" in plain(app)
    assert "**Memory is not recorded**" in "".join(alert.value for alert in app.warning)


def test_a_driver_that_does_not_answer_is_said(open_page: OpenPage, memory: MemoryStore) -> None:
    memory.append(still(time.time(), problem="The NVIDIA driver does not answer."))
    app = page(open_page)
    said = "".join(alert.value for alert in app.warning)
    assert "The GPUs cannot be asked: The NVIDIA driver does not answer." in said


def test_ten_tabs_cost_the_store_one_reading(
    workspace: Workspace, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.append(still(time.time()))
    asked: list[int] = []
    real = MemoryStore.latest

    def latest(self: MemoryStore) -> Sample | None:
        asked.append(1)
        return real(self)

    monkeypatch.setattr(MemoryStore, "latest", latest)
    assert len({memory_live.newest(str(workspace.root)) for _tab in range(10)}) == 1
    assert len(asked) == 1


def test_a_refresh_of_eight_gpus_is_a_few_kilobytes(open_page: OpenPage, store: Store, memory: MemoryStore) -> None:
    now = time.time()
    job = running(store, "Fine-tune starter on 'My persona'", now, eta_s=600)
    cards = [card(index, 41.0, processes=(process(9, 20.0, "ada"), process(8, 10.0, "bob"))) for index in range(8)]
    uses = [use(job.id, 10.0, device.uuid) for device in cards]
    record(memory, now, 320, lambda t: still(t, cards, uses, used=16 + t % 7))
    bars = [element.proto.body for element in page(open_page).main.get("html") if "<style>" not in element.proto.body]
    assert len(bars) == 9
    assert sum(len(bar.encode()) for bar in bars) < 9 * 1400
    assert all("data:image/svg+xml" in bar for bar in bars)


# --- alerts


@pytest.mark.parametrize(
    ("alert", "title", "sentence"),
    [
        (
            Alert("nearly_full", 0.0, HOST, "", {"used": 63 * GIB, "total": 64 * GIB}),
            "Main memory is nearly full",
            "63.0 GiB of 64.0 GiB",
        ),
        (
            Alert(
                "leak", 1.0, HOST, "job:1", {"per_hour": 2 * GIB, "since": 1e9, "grown": 3 * GIB, "full_at": 1.0001e9}
            ),
            "#1 Learn takes more and more",
            "It has grown by 3.0 GiB on Main memory since",
        ),
        (
            Alert("leak", 1.0, HOST, "user:ada", {"per_hour": GIB, "since": 1e9, "grown": GIB, "full_at": None}),
            "ada takes more and more",
            "steadily, by 1.0 GiB an hour.",
        ),
        (
            Alert("leak", 1.0, HOST, "job:77", {"per_hour": GIB, "since": 1e9, "grown": GIB, "full_at": None}),
            "#77 takes more and more",
            "steadily",
        ),
        (Alert("gpu_lost", 0.0, "", "", {"index": 3, "name": ""}), "GPU 3 is lost", "fell off the bus"),
        (
            Alert("disk_full", 5.0, "", "", {"since": 5.0}),
            "The disk is full: memory is not recorded",
            "Jobs are not disturbed.",
        ),
        (Alert("recorder_stopped", 5.0, "", "", {"last": 5.0}), "Memory is not recorded", "The last figures are of"),
    ],
)
def test_every_alert_says_what_is_wrong_and_what_to_do(store: Store, alert: Alert, title: str, sentence: str) -> None:
    running(store, "Learn", time.time())
    assert memory_alerts.title(alert).replace("\\", "") == title
    assert sentence in memory_alerts.sentence(alert)


def test_what_is_wrong_is_one_line_in_the_sidebar_of_every_page(open_page: OpenPage, memory: MemoryStore) -> None:
    now = time.time()
    record(memory, now, 30, lambda t: still(t, [card(0, 79.5), card(1, None, None, lost=True)]))
    app = open_page("home")
    memory_alerts.looking.submit(lambda: None).result(20)  # the look that the page asked for is done
    app.run()
    said = [link.proto.label for link in app.sidebar.get("page_link")]
    assert "GPU 1 is lost (and 1 more)" in said
    told = "".join(element.value for element in [*page(open_page).error, *page(open_page).warning])
    assert "**GPU 0 is nearly full**  \n79.5 GiB of 80.0 GiB are in use." in told


def test_home_and_the_sidebar_lead_to_the_page(open_page: OpenPage) -> None:
    app = open_page("home")
    assert any("GiB RAM free" in link.proto.label for link in app.sidebar.get("page_link"))
    assert "See who uses the memory" in [label for label, _query in links(app)]


# --- the past


def test_the_past_shows_a_gap_as_a_gap_and_what_happened(
    open_page: OpenPage, store: Store, memory: MemoryStore
) -> None:
    now = time.time()
    job = running(store, "Learn", now)
    record(
        memory,
        now,
        300,
        lambda t: None if 100 < now - t < 200 else still(t, [card(0, 30.0)], [use(job.id, 20.0, "GPU-0")]),
    )
    memory.add_moment(Moment(now - 290, "job_started", "", str(job.id), {"title": "Learn", "attempt": 1}))
    memory.add_moment(Moment(now - 250, "phase", "", str(job.id), {"phase": "train"}))
    told = {"pid": 77, "user": "ada", "command": "python x.py", "size": 20 * GIB}
    memory.add_moment(Moment(now - 50, "neighbour_came", "GPU-0", "77", told))
    app = page(open_page, view="past", range="15m")
    said = plain(app)
    assert "**GPU 0** :gray[at most 30.0 GiB of 80.0 GiB in use, at " in said
    assert ":violet-badge[:material/play_circle: job started] #1 Learn" in said
    assert "somebody else came] ada · process 77 · python x.py · 20.0 GiB :gray[GPU 0]" in said
    assert "next phase" not in said
    next(toggle for toggle in app.toggle if toggle.label == "With phases and checkpoints").set_value(True).run()
    assert "next phase] #1 Learn · training" in plain(app)
    gpu, _host = charts(app)
    assert [series["name"] for series in gpu["series"]] == ["#1 Learn", "everything else", "line: in use", "moments"]  # type: ignore[attr-defined]
    marks = gpu["series"][-1]["data"]  # type: ignore[index]
    assert [mark["tooltip"]["formatter"].split("<br>")[0] for mark in marks] == [
        "<b>job started</b>",
        "<b>next phase</b>",
        "<b>somebody else came</b>",
    ]
    assert "python x.py" in marks[-1]["tooltip"]["formatter"]


def test_a_minute_shows_who_had_the_memory_then_and_only_its_job(
    open_page: OpenPage, store: Store, memory: MemoryStore
) -> None:
    now = time.time()
    job, other = running(store, "Too large", now), running(store, "Other", now)
    record(memory, now - 600, 120, lambda t: still(t, jobs=[use(job.id, 3.0), use(other.id, 1.0)]))
    memory.add_moment(Moment(now - 600, "out_of_memory", HOST, str(job.id), {"code": "x", "text": "MemoryError"}))
    memory.add_moment(Moment(now - 650, "job_started", "", str(other.id), {}))
    app = page(open_page, view="past", at=f"{now - 600:.0f}", job=str(job.id))
    said = plain(app)
    assert "#1 Too large</span><em>3.0 GiB</em>" in said
    assert any(heading.value.startswith("Who had it at ") for heading in app.subheader)
    assert "out of memory] #1 Too large · MemoryError :gray[Main memory]" in said
    assert "job started" not in said
    next(toggle for toggle in app.toggle if toggle.label == "Only job #1").set_value(False).run()
    assert "job started] #2 Other" in plain(app)


def test_a_moment_in_the_list_opens_its_minute(open_page: OpenPage, memory: MemoryStore) -> None:
    now = round(time.time())
    record(memory, now, 60, still)
    memory.add_moment(Moment(now - 30, "clock_jumped", "", "", {"seconds": -3600.0}))
    app = page(open_page, view="past")
    assert "the clock was set] back by 1 h" in plain(app)
    next(button for button in app.button if button.label == "This minute").click().run()
    assert not app.exception
    assert app.query_params == {"view": "past", "at": str(now - 30)}


def test_a_job_alone_in_the_address_shows_its_whole_life(
    open_page: OpenPage, store: Store, memory: MemoryStore
) -> None:
    now = time.time()
    job = running(store, "Learn", now)
    record(memory, now - 4000, 200, lambda t: still(t, jobs=[use(job.id, 3.0)]))
    app = page(open_page, view="past", job=str(job.id))
    assert "Nothing was recorded" not in "".join(info.value for info in app.info)
    assert "#1 Learn" in [series["name"] for series in charts(app)[0]["series"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "query",
    [
        {"at": "abc"},
        {"at": "-5"},
        {"at": "1e300"},
        {"at": "nan"},
        {"at": "1"},
        {"at": "99999999999"},
        {"job": "x"},
        {"job": "99999999"},
        {"range": "zz"},
        {"from": "200", "to": "100"},
        {"from": "1", "to": "99999999999"},
    ],
)
def test_an_address_that_makes_no_sense_still_draws(
    open_page: OpenPage, memory: MemoryStore, query: dict[str, str]
) -> None:
    memory.append(still(time.time()))
    app = page(open_page, view="past", **query)
    assert app.title[0].value == "Memory"
    assert app.get_by_key("memory_range").options, "another range can be chosen"


def test_a_window_of_ones_own_stands_in_the_address(open_page: OpenPage, memory: MemoryStore) -> None:
    now = time.time()
    record(memory, now, 30, still)
    app = page(open_page, view="past", **{"from": f"{now - 900:.0f}", "to": f"{now:.0f}"})
    assert [field.label for field in app.datetime_input] == ["From", "To"]
    app.get_by_key("memory_range").set_value("24h").run()
    assert app.query_params == {"view": "past", "range": "24h"}


# --- from a job


CRASHED = PanelError("job_crashed", "The job stopped with an error: {kind}: {problem}", kind="MemoryError", problem="")


def failed(store: Store, error: PanelError, log: str = "") -> int:
    row = by_hand.running(store, "drill", {})
    folder.log_file(store.job_dir(row.id), 1).write_text(log, encoding="utf-8")
    lifecycle.finish(store, row.id, 1, {"attempt": 1, "state": "failed", "ended": 1e9, "error": error.to_dict()})
    return row.id


@pytest.mark.parametrize(
    ("error", "log"),
    [
        (PanelError("engine_out_of_memory", "The memory was not enough."), ""),
        (CRASHED, "Traceback (most recent call last):\nMemoryError\n"),
    ],
)
def test_a_job_that_ran_out_of_memory_leads_to_its_minute_with_one_click(
    open_page: OpenPage, store: Store, error: PanelError, log: str
) -> None:
    job = failed(store, error, log)
    app = open_page("jobs")
    app.query_params["job"] = str(job)
    app.run()
    next(button for button in app.button if button.label == "See the memory at that minute").click().run()
    assert not app.exception
    assert app.title[0].value == "Memory"
    assert app.query_params == {"view": "past", "at": "1000000000", "job": str(job)}


def test_a_job_that_failed_of_something_else_only_leads_to_its_own_memory(open_page: OpenPage, store: Store) -> None:
    job = failed(store, PanelError("model_missing", "There is no model."))
    app = open_page("jobs")
    app.query_params["job"] = str(job)
    app.run()
    assert "See the memory at that minute" not in labels(app)
    assert ("Its memory", f"view=past&job={job}") in links(app)
