"""The Jobs page over a real store, real job folders and, where a job must run, the real watcher."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import PanelError
from backend.queue import folder, lifecycle
from backend.queue.events import EventWriter
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT
from tests.support import by_hand
from tests.support.jobs import Queue
from tests.support.wait import until


def page(**query: str) -> AppTest:
    """The Jobs page as a person sees it who opens ``/jobs?<query>``."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("../pages/jobs.py").run()
    assert not app.exception
    return app


def rows(app: AppTest) -> list[dict[str, Any]]:
    """The rows that the table was given."""
    return list(json.loads(app.get("bidi_component")[0].proto.json)["rows"])


def text(app: AppTest) -> str:
    """Everything that is written on the page."""
    found = [*app.markdown, *app.caption, *app.code, *app.warning, *app.title]
    return "\n".join(str(element.value) for element in found) + "\n".join(bar.text or "" for bar in app.progress)


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.main.get("button")]


def end(store: Store, row: JobRow, state: str, error: PanelError | None = None, **more: Any) -> JobRow:
    """``row`` as ended in ``state``."""
    return by_hand.end(store, by_hand.begin(store, row), state, error, **more)


def write_log(store: Store, row: JobRow, data: bytes, attempt: int = 1) -> None:
    folder.log_file(store.job_dir(row.id), attempt).write_bytes(data)


def test_without_jobs_the_page_says_what_it_is_for_and_its_button_makes_one_job(store: Store) -> None:
    app = page()
    assert "No jobs yet" in text(app)
    app.button(key="jobs_practice").click().run()
    assert not app.exception
    job = store.list()[0]
    assert (job.verb, job.state) == ("drill", "queued")
    assert app.query_params["job"] == str(job.id)
    assert "Practice job" in text(app)


def test_a_double_click_makes_one_job(store: Store) -> None:
    app = page()
    app.button(key="jobs_practice").click()
    app.run()
    app.query_params.clear()
    app.run()  # as it is when the second click comes before the page has changed
    app.button(key="jobs_practice_again").click().run()
    assert len(store.list()) == 1


def test_the_list_is_newest_first_and_says_state_name_kind_owner_and_age(store: Store) -> None:
    first = end(store, store.submit("drill", {}, title="first"), "succeeded")
    store.submit("drill", {}, title="second")
    shown = rows(page())
    assert [row["title"] for row in shown] == ["second", "first"]
    assert [row["word"] for row in shown] == ["waiting", "done"]
    assert shown[1]["sub"] == f"#{first.id} · Practice job"
    assert shown[1]["owner"] == first.owner != ""
    assert shown[1]["age"] == "just now"


def test_a_running_job_shows_its_share_phase_and_time_left(store: Store) -> None:
    row = by_hand.running(store, "drill", {})
    progress = {"phase": "train", "step": 480, "total": 1920, "eta_s": 720, "metrics": {"loss": 2.98765}}
    lifecycle.note_progress(store, row.id, 1, progress, 5)
    shown = rows(page())[0]
    assert shown["share"] == 0.25
    assert shown["phase"] == "training · 480 of 1,920 · loss 2.988"
    assert shown["eta"].startswith("12 min left, done about ")


def test_filters_and_search_narrow_the_list_and_can_be_undone(store: Store) -> None:
    end(store, store.submit("drill", {}, title="alpha"), "succeeded")
    end(store, store.submit("drill", {}, title="beta"), "failed", PanelError("x", "broken"))
    store.submit("drill", {}, title="gamma")
    app = page()
    app.get_by_key("jobs_states").set_value(["failed", "active"]).run()
    assert [row["title"] for row in rows(app)] == ["gamma", "beta"]
    app.text_input(key="jobs_search").set_value("alp").run()
    assert "No job matches." in text(app)
    app.button(key="jobs_clear").click().run()
    assert len(rows(app)) == 3


def test_older_jobs_are_a_page_away_and_every_job_is_on_one_page(store: Store) -> None:
    for number in range(60):
        store.submit("drill", {}, title=f"run {number}")
    app = page()
    seen = [row["title"] for row in rows(app)]
    for _ in range(2):
        app.button(key="jobs_older").click().run()
        seen += [row["title"] for row in rows(app)]
    assert seen == [f"run {number}" for number in range(59, -1, -1)]
    assert app.button(key="jobs_older").disabled
    app.button(key="jobs_newer").click().run()
    assert rows(app)[0]["title"] == "run 34"


def test_the_queue_can_be_reordered(store: Store) -> None:
    ids = [store.submit("drill", {}, title=f"run {number}").id for number in range(4)]
    app = page()
    app.get_by_key("jobs_view").set_value("queue").run()
    app.button(key=f"top_{ids[3]}").click().run()
    assert [row.id for row in store.queue()] == [ids[3], ids[0], ids[1], ids[2]]
    app.button(key=f"down_{ids[3]}").click().run()
    assert [row.id for row in store.queue()] == [ids[0], ids[3], ids[1], ids[2]]
    app.button(key=f"up_{ids[2]}").click().run()
    assert [row.id for row in store.queue()] == [ids[0], ids[3], ids[2], ids[1]]
    app.button(key=f"down_{ids[2]}").click().run()
    assert [row.id for row in store.queue()] == [ids[0], ids[3], ids[1], ids[2]]


def test_moving_a_job_that_has_just_started_says_so(store: Store) -> None:
    first, second = store.submit("drill", {}), store.submit("drill", {})
    app = page()
    app.get_by_key("jobs_view").set_value("queue").run()
    by_hand.begin(store, second)
    app.button(key=f"up_{second.id}").click().run()
    assert not app.exception
    assert f"Job {second.id} is not waiting any more." in text(app).replace("\\", "")
    assert [row.id for row in store.queue()] == [first.id]


def test_a_waiting_job_says_why(store: Store) -> None:
    row = store.submit("drill", {"gpus": 1, "cpu": 0})
    lifecycle.note_waits(
        store, {row.id: {"code": "gpu_leased", "params": {"gpu": 0, "job": 12, "title": "x", "until": None}}}
    )
    assert "GPU 0 is leased by job 12." in text(page(job=str(row.id)))
    assert rows(page())[0]["phase"] == "GPU 0 is leased by job 12."


def test_a_failed_job_shows_its_sentence_evidence_and_log_and_can_be_resumed(store: Store) -> None:
    row = store.submit("drill", {})
    write_log(store, row, b"step 1\n\x1b[31mRuntimeError: boom\x1b[0m\n")
    error = PanelError("job_crashed", "It broke at {place}.", "Mend it.", place="step 1")
    end(store, row, "failed", error, evidence={"line": 2, "text": "RuntimeError: boom"})
    app = page(job=str(row.id))
    assert "It broke at step 1." in text(app)
    assert "Mend it." in text(app)
    assert "RuntimeError: boom" in [element.value for element in app.code]
    assert "step 1\nRuntimeError: boom" in [element.value for element in app.code]
    next(button for button in app.button if button.label == "Resume").click().run()
    assert not app.exception
    assert store.get(row.id).state == "queued"


def test_a_lost_job_says_what_lost_means_and_can_be_resumed(store: Store) -> None:
    row = end(store, store.submit("drill", {}), "lost", PanelError("job_lost", "They were killed from outside."))
    app = page(job=str(row.id))
    assert "vanished without leaving a result" in text(app)
    assert "They were killed from outside." in text(app)
    app.button(key=f"job_{row.id}_resume").click().run()
    assert store.get(row.id).state == "queued"


def test_a_done_job_shows_what_it_made(store: Store) -> None:
    row = store.submit("drill", {})
    writer = EventWriter(store.job_dir(row.id))
    writer.artifact("adapter", "/somewhere/out", "starter-me")
    writer.close()
    end(store, row, "succeeded")
    app = page(job=str(row.id))
    assert "Made the adapter **starter-me**." in text(app)
    assert "/somewhere/out" in [element.value for element in app.code]


def test_figures_of_a_long_run_are_drawn_with_a_bounded_number_of_points(store: Store) -> None:
    row = store.submit("drill", {})
    by_hand.begin(store, row)
    writer = EventWriter(store.job_dir(row.id))
    for step in range(5000):
        writer.progress("train", step, 5000, metrics={"loss": 99.0 if step == 2500 else 5000.0 / (step + 1000)})
    writer.close()
    app = page(job=str(row.id))
    charts = app.get("echarts_chart")
    assert len(charts) == 1
    from backend.queue.series import Series

    points = Series(store.job_dir(row.id)).update().curves["loss"].points
    assert len(points) <= 1200
    assert max(value for _t, _step, value in points) == 99.0
    assert points[-1][1] == 4999


def test_a_loss_that_is_no_number_is_said(store: Store) -> None:
    row = by_hand.running(store, "drill", {})
    writer = EventWriter(store.job_dir(row.id))
    writer.progress("train", 1, 5, metrics={"loss": float("nan")})
    writer.close()
    assert "loss: nan" in text(page(job=str(row.id)))


def test_the_log_follows_its_end_and_can_be_searched_and_paged(store: Store) -> None:
    row = by_hand.running(store, "drill", {})
    write_log(store, row, b"".join(b"line %05d\n" % n for n in range(20_000)))
    app = page(job=str(row.id), tab="log")
    assert app.code[0].value.splitlines()[-1] == "line 19999"
    assert len(app.code[0].value.splitlines()) == 200
    app.button(key=f"log_{row.id}_earlier").click().run()
    assert app.code[0].value.splitlines()[-1] == "line 19799"
    app.button(key=f"log_{row.id}_end").click().run()
    assert app.code[0].value.splitlines()[-1] == "line 19999"
    app.text_input(key=f"log_{row.id}_needle").set_value("LINE 0007").run()
    assert "10 lines found" in text(app)
    assert app.code[0].value.splitlines() == [f"line 0007{n}" for n in range(10)]
    app.selectbox(key=f"log_{row.id}_hit").select_index(0).run()
    assert not app.exception
    assert "line 00079" in app.code[1].value


def test_a_log_of_one_gib_costs_the_page_no_more_reading_than_a_small_one(store: Store) -> None:
    def bytes_read(job: int) -> int:
        app = page(job=str(job), tab="log")
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        before = int(fields["rchar"])
        app.run()
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        assert app.code[0].value.endswith("the last line")
        return int(fields["rchar"]) - before

    small, large = store.submit("drill", {}), store.submit("drill", {})
    for row, size in ((small, 1 << 20), (large, 1 << 30)):
        by_hand.begin(store, row)
        with folder.log_file(store.job_dir(row.id), 1).open("wb") as file:
            file.seek(size)
            file.write(b"\nthe last line\n")
    assert bytes_read(large.id) < bytes_read(small.id) + (256 << 10)


def test_each_attempt_keeps_its_log(store: Store) -> None:
    row = end(store, store.submit("drill", {}), "cancelled")
    write_log(store, row, b"first try\n", attempt=1)
    write_log(store, row, b"second try\n", attempt=2)
    app = page(job=str(row.id), tab="log")
    assert app.code[0].value == "second try"
    app.selectbox(key=f"log_{row.id}_attempt").select("1").run()
    assert app.code[0].value == "first try"


def test_the_exact_command_and_the_settings_can_be_copied(store: Store) -> None:
    row = store.submit("drill", {"steps": 7, "note": "你好"})
    shown = [element.value for element in page(job=str(row.id), tab="command").code]
    assert f"-m jobs.drill {store.job_dir(row.id) / 'spec.json'}" in shown[0]
    assert json.loads(shown[1]) == store.spec(row.id)
    assert str(store.job_dir(row.id)) in shown


def test_running_again_with_changes_makes_a_new_job_and_leaves_the_old_one(store: Store) -> None:
    row = end(store, store.submit("drill", {"steps": 7}, title="mine"), "succeeded")
    app = page(job=str(row.id), tab="again")
    app.number_input(key=f"again_{row.id}_steps").set_value(9)
    next(button for button in app.button if button.label == "Run Practice job again").click().run()
    assert not app.exception
    new = store.list()[0]
    assert new.id != row.id
    assert (new.title, new.parent, new.state) == ("mine", row.id, "queued")
    assert store.spec(new.id) == {**store.spec(row.id), "steps": 9}
    assert app.query_params["job"] == str(new.id)


def test_all_wrong_settings_are_named_at_once_and_no_job_is_made(store: Store) -> None:
    row = store.submit("drill", {})
    app = page(job=str(row.id), tab="again")
    app.get_by_key(f"again_{row.id}_mode").set_value("json").run()
    app.text_area(key=f"again_{row.id}_json").set_value('{"steps": -1, "fault": "flood", "colour": "red"}')
    next(button for button in app.button if button.label == "Run Practice job again").click().run()
    said = text(app).replace("\\", "")
    assert all(f"`{name}`" in said for name in ("steps", "fault", "colour"))
    assert len(store.list()) == 1


def test_settings_that_are_no_json_are_shown_with_their_line(store: Store) -> None:
    row = store.submit("drill", {})
    app = page(job=str(row.id), tab="again")
    app.get_by_key(f"again_{row.id}_mode").set_value("json").run()
    app.text_area(key=f"again_{row.id}_json").set_value('{\n"steps": }')
    next(button for button in app.button if button.label == "Run Practice job again").click().run()
    assert "in line 2" in text(app)


def test_deleting_says_what_it_frees_first_and_can_be_left(store: Store) -> None:
    row = end(store, store.submit("drill", {}), "succeeded")
    write_log(store, row, b"x" * (3 << 20))
    app = page(job=str(row.id))
    app.button(key=f"delete_{row.id}").click().run()
    assert "This frees 3.0 MiB" in text(app)
    app.button(key=f"delete_{row.id}_no").click().run()
    assert store.get(row.id).state == "succeeded"
    app.button(key=f"delete_{row.id}").click().run()
    app.button(key=f"delete_{row.id}_yes").click().run()
    assert not app.exception
    assert store.list() == []
    assert not store.job_dir(row.id).exists()
    assert "No jobs yet" in text(app)
    assert "3.0 MiB freed" in app.toast[0].value


def test_a_job_that_waits_or_runs_offers_no_deletion(store: Store) -> None:
    row = store.submit("drill", {})
    assert "Delete job" not in labels(page(job=str(row.id)))
    by_hand.begin(store, row)
    assert "Delete job" not in labels(page(job=str(row.id)))


@pytest.mark.parametrize("asked", ["99", "0", "-1", "abc", "1;drop", "9" * 40, "²"])
def test_a_link_to_a_job_that_is_not_there_says_so_and_leads_back(store: Store, asked: str) -> None:
    store.submit("drill", {})
    app = page(job=asked)
    assert "There is no job" in text(app)
    app.button(key="jobs_back").click().run()
    assert len(rows(app)) == 1


def test_names_are_shown_as_they_are(store: Store) -> None:
    nasty = "[click](http://x) <b>*bold*</b> :material/home: $x$ `code` 数据\u202e"
    row = store.submit("drill", {}, title=nasty)
    assert rows(page())[0]["title"] == nasty
    head = next(m.value for m in page(job=str(row.id)).markdown if "click" in m.value)
    assert "[click](" not in head
    assert ":material/home:" not in head.replace("\\:material", "")


def test_chinese_readers_read_chinese(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEDECK_LANGUAGE", "zh_CN")
    store.submit("drill", {})
    shown = rows(page())[0]
    assert shown["word"] == "等待中"


def test_a_running_job_is_cancelled_and_resumed_from_its_card(queue: Queue) -> None:
    row = queue.drill(steps=2000, step_s=0.05)
    queue.step(row.id, 3)
    app = page(job=str(row.id))
    assert "of 2,000" in text(app)
    app.button(key=f"job_{row.id}_cancel").click().run()
    queue.reach(row.id, "cancelled")
    app.run()
    assert "Stopped on request" in text(app)
    app.button(key=f"job_{row.id}_resume").click().run()
    queue.reach(row.id, "running")
    app.run()
    assert "attempt 2" in text(app)
    app.button(key=f"job_{row.id}_cancel").click().run()
    queue.reach(row.id, "cancelled")


def test_a_suspended_job_is_shown_as_stuck_and_let_go_on(queue: Queue) -> None:
    row = queue.drill(steps=2000, step_s=0.05)
    at = queue.step(row.id, 2)
    child = queue.child(row.id)
    child.send_signal(signal.SIGSTOP)
    until(lambda: queue.store.get(row.id).health == "stopped", what="the watcher sees that it is suspended")
    app = page(job=str(row.id))
    assert "stuck" in text(app)
    assert "SIGSTOP" in text(app)
    app.button(key=f"job_{row.id}_wake").click().run()
    assert not app.exception
    queue.step(row.id, int(at.progress["step"]) + 5)
    until(lambda: queue.store.get(row.id).health == "", what="the watcher sees that it goes on")
    app.run()
    assert "SIGSTOP" not in text(app)
