"""*This machine* without a browser: it looks beside the page, shows troubles first, and gives a report away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from backend import i18n
from backend.doctor import keeper as keeper_module
from backend.doctor.findings import Finding, Fix, attention, bad, ok, say, unknown
from backend.doctor.keeper import Keeper
from backend.doctor.run import Examination
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import Workspace
from tests.support.page_text import labels, text


@pytest.fixture
def doctor(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    """The keeper of this process, which has looked at nothing yet; away from the network."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    keeper_module.keeper.cache_clear()
    kept = keeper_module.keeper()
    yield kept
    assert kept.wait(40)
    keeper_module.keeper.cache_clear()


def script() -> None:
    from ui import doctor_view

    doctor_view.draw()


def drawn() -> AppTest:
    app = AppTest.from_function(script, default_timeout=30).run()
    assert not app.exception, app.exception
    return app


def named(finding: Finding, code: str) -> Finding:
    return replace(finding, code=code, title=say(f"Title of {code}"), seconds=0.012)


def found(*findings: Finding) -> Examination:
    return Examination(time.time() - 120, 0.4, findings, {"host": "gpu-server-7", "python": "3.11"})


TROUBLES = found(
    named(
        bad(
            say("<b>{path}</b> costs $5 *now*", path="/a_b_c"),
            meaning=say(N_("Nothing can be saved.")),
            fixes=[
                Fix(say("Run it."), command="make it\nmake more"),
                Fix(say("Or look there."), place="jobs"),
                Fix(say("Or nowhere."), place="no-such-place"),
            ],
        ),
        "first",
    ),
    named(attention(say("slow"), meaning=say("…"), fixes=[Fix(say("Fewer."), setting="cpu_slots")]), "second"),
    named(unknown(say("no answer")), "third"),
    named(ok(say("{n} GiB are free.", n="7.0")), "fourth"),
)


def test_the_first_visit_looks_without_holding_the_page_up_and_then_shows_it_all(doctor: Keeper) -> None:
    began = time.monotonic()
    app = drawn()
    assert "Looking at this machine." in text(app)
    assert app.button(key="doctor_again").disabled
    assert doctor.wait(40)
    assert time.monotonic() - began > 0.2, "it really ran"
    app.run()
    assert not app.exception
    (fine,) = [each for each in app.expander if "checks are fine" in each.label]
    assert int(fine.label.split()[0]) > 20
    assert "SQLite and locks in the workspace" in text(app)
    assert not app.button(key="doctor_again").disabled


def test_troubles_come_first_and_open_what_is_fine_is_behind_one_line(doctor: Keeper) -> None:
    doctor.latest = replace(TROUBLES, at=time.time() - 120)
    app = drawn()
    said = text(app)
    assert "1 thing is bad" in said
    assert "1 needs attention" in said
    assert "1 is not known" in said
    titles = [m.value for m in app.main.markdown if m.value.startswith("**Title of")]
    assert [title.split("**")[1] for title in titles] == ["Title of first", "Title of second", "Title of third"]
    assert [each.label for each in app.expander] == ["1 check is fine"]
    assert "7.0 GiB are free." in app.expander[0].markdown[0].value
    assert "(12 ms)" in app.expander[0].markdown[0].value
    assert "Looked at 2 min ago, for 0.4 s." in said


def test_what_was_measured_is_text_and_never_markup(doctor: Keeper) -> None:
    doctor.latest = TROUBLES
    said = text(drawn())
    assert r"\<b\>/a\_b\_c\</b\> costs \$5 \*now\*" in said


def test_a_fix_is_a_command_to_copy_or_a_button_where_the_panel_has_one(doctor: Keeper) -> None:
    doctor.latest = TROUBLES
    app = drawn()
    assert "make it\nmake more" in [code.value for code in app.code]
    assert {"Open the jobs", "Open the settings"} <= set(labels(app))
    assert app.button(key="doctor_0_first_fix_1").label == "Open the jobs"
    assert app.button(key="doctor_1_second_fix_0").label == "Open the settings"
    assert "doctor_0_first_fix_2" not in [button.key for button in app.button], "no button that leads nowhere"


def test_where_nothing_is_wrong_it_says_so(doctor: Keeper) -> None:
    doctor.latest = found(named(ok(say("x")), "one"), named(ok(say("y")), "two"))
    app = drawn()
    assert "Nothing here needs you." in text(app)
    assert [each.label for each in app.expander] == ["2 checks are fine"]


def test_check_again_looks_anew_and_keeps_the_old_result_meanwhile(doctor: Keeper) -> None:
    doctor.latest = TROUBLES
    app = drawn()
    app.button(key="doctor_again").click().run()
    assert not app.exception
    assert "Title of first" in text(app)
    assert doctor.wait(40)
    app.run()
    assert "Title of first" not in text(app)
    assert "checks are fine" in app.expander[0].label


def test_a_look_that_failed_is_an_error_card_and_can_be_tried_again(doctor: Keeper) -> None:
    doctor.problem = PanelError(
        "doctor_failed", N_("This machine could not be looked at: {problem}"), problem="no room"
    )
    app = drawn()
    assert "This machine could not be looked at: no room" in text(app)
    assert not app.button(key="doctor_again").disabled
    assert doctor.latest is None


def test_the_report_names_this_machine_only_when_asked(doctor: Keeper) -> None:
    doctor.latest = TROUBLES
    app = drawn()
    reports = [code.value for code in app.code if "Title of first" in code.value]
    assert len(reports) == 2, "to read, and as JSON"
    assert not any("gpu-server-7" in each for each in reports)
    app.toggle(key="doctor_report_host").set_value(True).run()
    assert all("gpu-server-7" in code.value for code in app.code if "Title of first" in code.value)


def test_another_language_translates_what_was_found_before(doctor: Keeper) -> None:
    doctor.latest = found(named(bad(say(N_("Port {port} is taken."), port="1"), meaning=say(N_("Jobs"))), "one"))

    def chinese() -> None:
        from backend import i18n as spoken
        from ui import doctor_view

        spoken.use("zh_CN")
        doctor_view.draw()

    app = AppTest.from_function(chinese, default_timeout=30).run()
    assert not app.exception
    assert "任务" in text(app)
    i18n.use("en")
    assert "Jobs" in text(drawn())
