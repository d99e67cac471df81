"""The frame: navigation, language, the error card of last resort, and a workspace that cannot be used."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import PanelError, SpecError
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support.page_text import text
from ui import pace, sidebar, words

SHELL = str(ROOT / "ui" / "shell.py")


def test_every_page_draws_on_an_empty_workspace(open_page: OpenPage) -> None:
    for page in sorted((ROOT / "pages").glob("*.py")):
        app = open_page(page.stem)
        assert app.title, page.stem


def test_the_script_that_streamlit_runs_does_not_lie_beside_pages() -> None:
    # Beside pages/, a deep link would run a page alone, without the frame (PagesManager.uses_pages_directory).
    assert not (Path(SHELL).parent / "pages").exists()


def test_choosing_chinese_changes_the_next_drawing_and_stays(open_page: OpenPage) -> None:
    app = open_page("home")
    app.get_by_key("language_select").set_value("zh_CN").run()
    assert app.session_state["language"] == "zh_CN"
    app.run()
    assert app.get_by_key("language_select").value == "zh_CN"


def test_a_workspace_that_cannot_be_written_gives_the_error_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNEDECK_WORKSPACE", str(tmp_path / "file" / "below"))
    app = AppTest.from_file(SHELL, default_timeout=30).run()
    assert not app.exception
    assert str(tmp_path / "file" / "below") in text(app).replace("\\", "")
    assert "Set TUNEDECK_WORKSPACE to another folder." in text(app).replace("\\", "")


def test_a_defect_in_a_page_becomes_an_error_card_with_folded_details(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.machine_view.card", lambda _found: 1 / 0)
    app = AppTest.from_file(SHELL, default_timeout=30).run()
    assert "This page could not be drawn: ZeroDivisionError" in text(app).replace("\\", "")
    assert app.expander[-1].label == "Technical details"
    assert app.exception  # the traceback is there for the report


def test_an_error_card_shows_every_wrong_field_and_keeps_text_text() -> None:
    def script() -> None:
        from backend.errors import SpecError
        from ui import errors

        problems = [{"field": "steps", "message": "must be > 0"}, {"field": "rate", "message": "*not* a number"}]
        errors.show(
            SpecError("spec_bad", "Path {path} and {listing}", path="/a_b_c/$x$", listing="…", problems=problems),
            key="x",
        )

    app = AppTest.from_function(script).run()
    shown = "\n".join(m.value for m in app.markdown)
    assert "`steps`" in shown
    assert "`rate`: \\*not\\* a number" in shown
    assert "/a\\_b\\_c/\\$x\\$" in shown


def test_the_report_of_an_error_is_english_and_complete() -> None:
    from ui.errors import _report

    error = PanelError("port_taken", "Port {port} is taken.", port=8501)
    report = _report(error, "OSError: [Errno 98]", "line 1\nline 2")
    assert "Port 8501 is taken. [port_taken]" in report
    assert "OSError: [Errno 98]" in report
    assert report.endswith("line 1\nline 2")
    assert isinstance(SpecError("a", "b"), PanelError)


def test_the_most_urgent_job_is_the_one_that_ends_first(store: Store) -> None:
    for title, progress in (("slow", '{"t": 100, "eta_s": 900}'), ("soon", '{"t": 100, "eta_s": 30}'), ("mute", "{}")):
        row = store.submit("drill", {}, title=title)
        with store.write() as db:
            db.execute("UPDATE jobs SET state = 'running', progress = ? WHERE id = ?", (progress, row.id))
    rows = store.list(states=("running",))
    urgent = sidebar.most_urgent(rows)
    assert urgent is not None
    assert urgent.title == "soon"
    assert sidebar.most_urgent([]) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3599, "1 h"),
        (3900, "1 h 5 min"),
        (86399, "1 d"),
        (187200, "2 d 4 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(640, "640 B"), (10_512_000, "10.0 MiB"), (3 * 2**40, "3072.0 GiB"), (None, "unknown")]
)
def test_sizes_take_the_unit_that_fits(count: int | None, said: str) -> None:
    assert words.size(count) == said


def test_every_state_has_a_word_an_icon_and_a_colour() -> None:
    from backend.queue.rows import STATES

    assert set(words.STATES) == set(STATES)
    assert len({look.word for look in words.STATES.values()}) == len(STATES)


def test_the_first_page_loads_neither_pandas_nor_an_engine() -> None:
    program = (
        "import sys; from streamlit.testing.v1 import AppTest; "
        f"app = AppTest.from_file({SHELL!r}, default_timeout=60).run(); assert not app.exception; assert app.title; "
        "print(sorted({'pandas', 'pyarrow', 'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("page", ["home", "models"])
def test_a_database_of_a_newer_tunedeck_gives_the_error_card(page: str, workspace: Workspace, store: Store) -> None:
    with sqlite3.connect(workspace.state_db) as db:
        db.execute("PRAGMA user_version = 9999")
    db.close()
    app = AppTest.from_file(SHELL, default_timeout=30).run()
    if page != "home":
        app.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
    assert not app.exception
    assert "newer" in text(app)
    assert len([m for m in app.markdown if ":red[:material/error:]" in m.value]) == 1


def test_timers_run_only_while_something_moves(store: Store) -> None:
    assert pace.now() is None
    row = store.submit("drill", {})
    assert pace.now() == pace.MOVING_S
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', service = 1, progress = '{\"phase\": \"load\"}'")
    assert pace.now() == pace.MOVING_S
    with store.write() as db:
        db.execute("UPDATE jobs SET started = ?", (time.time() - pace.YOUNG_S - 1,))
    assert pace.now() == pace.LONG_S
    store.submit("drill", {})
    assert pace.now() == pace.MOVING_S, "what waits may begin at any time"
    with store.write() as db:
        db.execute("DELETE FROM jobs WHERE id <> ?", (row.id,))
        db.execute('UPDATE jobs SET progress = \'{"phase": "ready"}\'')
    assert pace.now() == pace.STANDING_S
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'succeeded' WHERE id = ?", (row.id,))
    assert pace.now() is None
