"""A failed job whose program could not say why: the card tells the cause from its log, the line, and what helps. And the box
where any log can be explained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import PanelError
from backend.queue import folder
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT
from tests.support import by_hand
from tests.support.page_text import labels, text
from ui.jobs import why as job_why

DATA = ROOT / "tests" / "data" / "diagnosis"


def failed(store: Store, verb: str, spec: dict[str, Any], log: str, error: PanelError) -> JobRow:
    """A job that ran, wrote ``log`` and failed with ``error``."""
    row = by_hand.running(store, verb, spec)
    folder.log_file(store.job_dir(row.id), 1).write_text(log, encoding="utf-8")
    return by_hand.end(store, row, "failed", error, evidence={"line": 3, "text": "its last line"})


def crashed() -> PanelError:
    return PanelError(
        "job_crashed", "The job stopped with an error: {kind}: {problem}", kind="RuntimeError", problem="x"
    )


def log(name: str) -> str:
    return (DATA / f"{name}.log").read_text(encoding="utf-8")


def card(row: JobRow) -> AppTest:
    """The Jobs page with the details of ``row``."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["job"] = str(row.id)
    app.switch_page("../pages/jobs.py").run()
    assert not app.exception
    return app


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "")


def test_the_card_says_the_cause_its_line_and_what_helps(store: Store) -> None:
    app = card(failed(store, "drill", {}, log("machine_out_of_memory"), crashed()))
    said = plain(app)
    assert "**The main memory of the machine was not enough: 13.4 GiB were asked for at once.**" in said
    assert "The job stopped with an error: RuntimeError: x" in said
    assert "What the log says, in line 3" in said
    assert "DefaultCPUAllocator: can't allocate memory" in said
    assert "Stop model servers and jobs that you do not need just now." in said
    assert "free -h" in said
    # A practice job has no batch: what it cannot have is not advised.
    assert "batch" not in said


def test_what_the_panel_can_do_is_a_button_before_another_start(store: Store) -> None:
    row = failed(store, "serve", {"model": "starter", "engine": "lmdeploy"}, log("kv_cache_too_large"), crashed())
    app = card(row)
    assert labels(app).index("Change and run again") < labels(app).index("Start again")
    assert labels(app).count("Change and run again") == 1
    package = failed(store, "drill", {}, log("module_missing"), crashed())
    assert "Open Environments" in labels(card(package))


def test_a_fix_fills_the_form_with_the_value_that_it_names(store: Store) -> None:
    row = failed(store, "serve", {"model": "starter", "engine": "lmdeploy"}, log("chat_template_bad"), crashed())
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params.update({"job": str(row.id), "tab": "again", "fix": "chat_template"})
    app.switch_page("../pages/jobs.py").run()
    assert not app.exception
    assert app.text_input(key=f"again_{row.id}_chat_template").value == ""
    assert "Already changed below: Leave the chat template empty" in plain(app)


def test_where_nobody_knows_the_card_is_as_it_was(store: Store) -> None:
    app = card(failed(store, "drill", {}, (DATA / "harmless" / "unknown.log").read_text(), crashed()))
    assert "**The job stopped with an error: RuntimeError: x**" in plain(app)
    assert "its last line" in plain(app)
    assert labels(app).count("Change and run again") == 0


def test_an_error_that_knows_its_cause_keeps_its_words(store: Store) -> None:
    app = card(failed(store, "drill", {}, log("gpu_out_of_memory"), PanelError("model_missing", "There is no model.")))
    assert "**There is no model.**" in plain(app)
    assert "GPU memory was full" not in plain(app)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (PanelError("job_killed", "Killed ({signal}).", signal="SIGKILL"), "most often by the system"),
        (PanelError("job_no_result", "Code {exit_code}.", exit_code=139), "A compiled package crashed"),
    ],
)
def test_how_the_program_ended_counts_where_its_log_is_silent(store: Store, error: PanelError, cause: str) -> None:
    app = card(failed(store, "drill", {}, "loading\n", error))
    assert cause in plain(app)
    assert "its last line" in plain(app)


def test_a_log_is_read_once_until_it_changes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    row = failed(store, "drill", {}, log("gpu_out_of_memory"), crashed())
    read: list[Path] = []
    real = job_why.diagnose
    monkeypatch.setattr(job_why, "diagnose", lambda path, **more: read.append(path) or real(path, **more))
    monkeypatch.setattr("ui.context.store", lambda: store)
    assert [job_why.finding(row).code for _look in range(3)] == ["gpu_out_of_memory"] * 3  # type: ignore[union-attr]
    assert len(read) == 1
    path = folder.log_file(store.job_dir(row.id), 1)
    path.write_text(log("disk_full"), encoding="utf-8")
    os.utime(path, (1, 1))
    assert job_why.finding(row).code == "disk_full"  # type: ignore[union-attr]
    assert len(read) == 2
    path.unlink()
    assert job_why.finding(row) is None


def box() -> AppTest:
    def script() -> None:
        from ui import diagnose_view

        diagnose_view.draw()

    app = AppTest.from_function(script, default_timeout=60).run()
    assert not app.exception
    return app


def ask(app: AppTest) -> str:
    next(b for b in app.button if b.label == "Find the cause").click().run()
    assert not app.exception
    return plain(app)


def test_a_pasted_log_is_explained() -> None:
    app = box()
    assert "Paste the log first." in ask(app)
    app.text_area(key="diagnose_text").set_value(log("gpu_out_of_memory-3"))
    said = ask(app)
    assert "**The GPU memory was full: 512.00 MiB more were asked for" in said
    assert "What the log says, in line 10" in said
    assert "nvidia-smi" in said
    assert "The GPUs that work together could not talk to each other." in said
    app.text_area(key="diagnose_text").set_value("all is well")
    assert "No known cause." in ask(app)
    app.number_input(key="diagnose_code").set_value(137)
    assert "most often by the system" in ask(app)


def test_a_file_on_the_server_or_an_upload_is_explained(tmp_path: Path) -> None:
    app = box()
    app.get_by_key("diagnose_way").set_value("path").run()
    app.text_input(key="diagnose_path").set_value(str(DATA / "torchrun_missing.log"))
    assert "torchrun was not found" in ask(app)
    app.text_input(key="diagnose_path").set_value(str(tmp_path))
    assert "is a folder, not a log" in ask(app)
    app.get_by_key("diagnose_way").set_value("upload").run()
    assert "Choose a file first." in ask(app)
    app.file_uploader[0].set_value(("a.log", log("disk_full").encode(), "text/plain"))
    assert "The disk was full." in ask(app)
