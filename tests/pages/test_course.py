"""The page Course: one step open, what was done with its figures, the way to the real page filled in; and the way back from there."""

from __future__ import annotations

import json
import time

import pytest
from streamlit.testing.v1 import AppTest

from backend.course import progress
from backend.course.lessons import STEPS
from backend.course.progress import FILE
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support.coursework import DATASET, Coursework
from tests.support.page_text import labels, text
from ui.course import links as course_links

TAKE = "Or take the course, which leads through every step"


@pytest.fixture
def work(workspace: Workspace, store: Store) -> Coursework:
    """Somebody who has begun the course."""
    progress.begin(workspace)
    return Coursework(workspace, store)


def primary(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.proto.type == "primary"]


def links(app: AppTest) -> dict[str, str]:
    """Label -> address of the links in the page's main part."""
    found = app.main.get("page_link")
    return {link.proto.label: f"{link.proto.page}?{link.proto.query_string}" for link in found}


def test_a_newcomer_finds_the_course_on_home_and_one_button_in_it(open_page: OpenPage, workspace: Workspace) -> None:
    assert TAKE in links(open_page("home"))
    app = open_page("course")
    assert primary(app) == ["Open Chat with starter"]
    assert "0 of 10 steps · about 19 min left" in app.get("progress")[0].proto.text
    assert labels(app).count("Skip this step") == len(STEPS)  # the others are folded, and can be opened early
    assert progress.read(workspace).began == pytest.approx(time.time(), abs=60)


def test_the_button_leads_to_the_page_with_its_form_filled_in(open_page: OpenPage, work: Coursework) -> None:
    work.talk()
    work.rows()
    app = open_page("course")
    assert primary(app) == ["Open Fine-tune with starter"]
    app.button(key="course_open_finetune").click().run()
    assert not app.exception
    assert app.title[0].value == "Fine-tune"
    assert app.query_params["dataset"] == DATASET
    assert app.query_params["model"] == "starter"
    assert "Course: step 3 of 10. Back to the course" in links(app)


def test_what_was_done_stands_there_with_its_figures_and_the_way_to_it(open_page: OpenPage, work: Coursework) -> None:
    conversation = work.talk()
    work.rows()
    job = work.finetune()
    app = open_page("course")
    said = text(app)
    assert "It answered in 6 words; 41 tokens/s." in said
    assert "Its name is now Robin: 44 of 46 held-out questions, the base 0." in said
    assert links(app)["Open the conversation"].endswith(f"c={conversation}")
    assert links(app)["Open run"].endswith(f"view=runs&job={job}")
    assert primary(app) == ["Open both side by side"]


def test_a_step_that_becomes_done_while_the_page_is_open_is_noticed(open_page: OpenPage, work: Coursework) -> None:
    app = open_page("course")
    assert primary(app) == ["Open Chat with starter"]
    work.talk()
    app.run()
    assert primary(app) == ["Open “Teach a name”"]
    assert list(progress.read(work.workspace).done) == ["talk"]


def test_a_step_can_be_skipped_and_done_after_all(open_page: OpenPage, work: Coursework) -> None:
    app = open_page("course")
    app.button(key="course_skip_talk").click().run()
    assert primary(app) == ["Open “Teach a name”"]
    app.button(key="course_want_talk").click().run()
    assert primary(app) == ["Open Chat with starter"]


def test_the_end_says_what_it_has_come_to(open_page: OpenPage, work: Coursework) -> None:
    work.everything()
    app = open_page("course")
    assert "You have come through the whole course." in text(app)
    assert "- Its name is now Robin: 44 of 46 held-out questions, the base 0." in text(app)
    assert "- 21.4 MiB → 9.0 MiB on disk, 58 % less." in text(app)
    assert primary(app) == []
    assert sum(label in links(app) for label in {one.label for one in course_links.SHOWN.values()}) == 9


def test_beginning_again_asks_first_and_forgets_the_progress_only(open_page: OpenPage, work: Coursework) -> None:
    work.talk()
    app = open_page("course")
    assert "Only the progress is forgotten" in text(app)
    app.button(key="course_restart").click().run()
    assert primary(app) == ["Open Chat with starter"]
    assert (work.workspace.chat_db).is_file()


def test_the_line_on_other_pages_is_for_who_came_from_the_course_and_can_be_put_away(
    open_page: OpenPage, work: Coursework
) -> None:
    back = "Course: step 1 of 10. Back to the course"
    assert back not in links(open_page("jobs"))
    progress.leave_for(work.workspace, "talk")
    app = open_page("jobs")
    assert back in links(app)
    work.talk()
    app.run()
    assert "Course: step 1 of 10 is done. Go on with the course" in links(app)
    app.button(key="course_line_away").click().run()
    assert not [label for label in links(app) if label.startswith("Course")]
    assert not [label for label in links(open_page("memory")) if label.startswith("Course")]


def test_home_leads_on_after_a_step_and_says_nothing_of_it_at_the_end(open_page: OpenPage, work: Coursework) -> None:
    work.talk()
    open_page("course")
    assert "Go on with the course: step 2, Make rows that say who it is" in links(open_page("home"))
    for step in STEPS:
        progress.skip(work.workspace, step.id)
    assert not [label for label in links(open_page("home")) if "course" in label]


def test_a_damaged_file_is_said_until_it_was_read(open_page: OpenPage, workspace: Workspace) -> None:
    (workspace.root / FILE).write_text("{")
    app = open_page("course")
    assert "The file with your progress in the course was damaged." in text(app)
    next(button for button in app.button if button.label == "I have read this").click().run()
    assert "was damaged" not in text(app)
    assert json.loads((workspace.root / FILE).read_text())["notice"] is None


def test_a_disk_that_cannot_be_written_shows_the_course_all_the_same(open_page: OpenPage, work: Coursework) -> None:
    work.talk()
    lock = work.workspace.run / progress.LOCK
    lock.unlink()
    lock.mkdir()  # whoever is root may write everywhere, but opens no folder as a file
    app = open_page("course")
    assert "It answered in 6 words; 41 tokens/s." in text(app)
    assert str(work.workspace.run) in text(app).replace("\\", "")


def test_every_link_to_evidence_leads_to_a_page() -> None:
    assert {step.id for step in STEPS} == set(course_links.SHOWN)
    assert all((ROOT / "pages" / f"{one.page}.py").is_file() for one in course_links.SHOWN.values())
