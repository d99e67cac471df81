"""Review on the Datasets page: decisions by button, texts that are kept as they are left, filters, and the new version."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from backend.data import doctor, review
from backend.data.review import STATES, Review, hashes_of
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.workspace import Workspace
from tests.support.datasets import keep, row, sums
from tests.support.datasets_page import open_datasets, press, said
from tests.support.page_text import labels
from ui.datasets.review_table import with_cells


def open_review(name: str = "Farm", **query: str) -> AppTest:
    return open_datasets(set=name, part="review", **query)


def states(workspace: Workspace, name: str = "Farm") -> list[str]:
    sets = Datasets(workspace)
    version = sets.open(name)
    return [STATES[int(place)] for place in review.of(sets, name).states(hashes_of(version))]


def texts(app: AppTest) -> list[str]:
    return [str(area.value) for area in app.text_area]


def progress(app: AppTest) -> str:
    return str(app.get("progress")[0].proto.text)


@pytest.fixture
def farm(workspace: Workspace) -> Review:
    keep(workspace, "Farm", sums(4))
    return review.of(Datasets(workspace), "Farm")


def test_rows_are_accepted_and_rejected_one_after_the_other_and_a_reload_shows_the_same(
    workspace: Workspace, farm: Review
) -> None:
    app = open_review()
    assert progress(app) == "reviewed 0 of 4"
    assert texts(app) == ["What is 0 plus 0?", "0 plus 0 makes 0."]
    press(app, "Accept")
    assert texts(app)[0] == "What is 1 plus 1?"
    press(app, "Reject")
    assert states(workspace) == ["accepted", "rejected", "todo", "todo"]
    again = open_review()
    assert progress(again) == "reviewed 2 of 4 · accepted 1 · rejected 1"
    assert texts(again)[0] == "What is 2 plus 2?", "it begins with the first one that is to do"


def test_undo_takes_back_what_this_tab_decided_and_leads_to_its_row(workspace: Workspace, farm: Review) -> None:
    app = open_review()
    press(app, "Accept")
    press(app, "Reject")
    press(app, "Undo")
    assert states(workspace) == ["accepted", "todo", "todo", "todo"]
    assert texts(app)[0] == "What is 1 plus 1?"
    press(app, "Undo")
    assert states(workspace)[0] == "todo"
    assert texts(app)[0] == "What is 0 plus 0?"
    assert next(button for button in app.button if button.label == "Undo").disabled


def test_undo_after_a_reload_takes_back_the_decision_about_the_row_on_the_page(
    workspace: Workspace, farm: Review
) -> None:
    farm.decide(Datasets(workspace).open("Farm")[1], "rejected")
    app = open_review(row="2")
    press(app, "Undo")
    assert states(workspace) == ["todo"] * 4


def test_a_text_is_kept_when_it_is_left_and_the_row_stays_on_the_page(workspace: Workspace, farm: Review) -> None:
    app = open_review()
    app.text_area[1].set_value("Nothing at all.").run()
    assert not app.exception, app.exception
    assert states(workspace)[0] == "edited"
    assert texts(app) == ["What is 0 plus 0?", "Nothing at all."]
    assert texts(open_review(row="1"))[1] == "Nothing at all."
    press(app, "Accept")
    assert states(workspace)[0] == "edited", "what was changed stays changed"
    assert texts(app)[0] == "What is 1 plus 1?"
    press(app, "Undo")
    assert texts(app)[1] == "0 plus 0 makes 0.", "the old text is back, not what was typed"


def test_what_a_colleague_changed_meanwhile_is_shown(workspace: Workspace, farm: Review) -> None:
    app = open_review(row="3")
    version = Datasets(workspace).open("Farm")
    theirs = review.of(Datasets(workspace), "Farm")
    theirs.decide(version[2], "edited", row("What is 2 plus 2?", "Four."))
    app.run()
    assert texts(app)[1] == "Four."
    assert "by " in said(app)


def test_turns_are_edited_one_by_one_added_and_removed(workspace: Workspace) -> None:
    talk: Row = {
        "messages": [
            {"role": "system", "content": "Be calm."},
            {"role": "user", "content": "Rain?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "rain", "arguments": "{}"}}],
            },
            {"role": "tool", "content": "4 mm", "tool_call_id": "1"},
            {"role": "assistant", "content": "Yes."},
        ],
        "tools": [{"type": "function", "function": {"name": "rain"}}],
        "meta": {"source": "manual.pdf", "quote": "It rains in May."},
    }
    keep(workspace, "Farm", [talk])
    app = open_review()
    shown = said(app)
    assert "manual.pdf" in shown
    assert "It rains in May." in [each.value for each in app.text]
    assert '"name": "rain"' in "\n".join(code.value for code in app.code)
    app.text_area[4].set_value("Yes, four millimetres.").run()
    press(app, "Add a turn")
    app.text_area[5].set_value("And tomorrow?").run()
    version = Datasets(workspace).open("Farm")
    decided = review.of(Datasets(workspace), "Farm").decision(version[0]).row
    assert decided is not None
    assert [turn["content"] for turn in decided["messages"]][3:] == ["4 mm", "Yes, four millimetres.", "And tomorrow?"]
    assert decided["tools"] == talk["tools"]
    press(app, "Remove the last turn")
    assert len(app.text_area) == 5


def test_rows_are_narrowed_by_state_by_text_and_by_what_the_doctor_found(workspace: Workspace) -> None:
    keep(workspace, "Farm", [*sums(6), row("Who?", "  Blanks before.")])
    version = Datasets(workspace).open("Farm")
    review.of(Datasets(workspace), "Farm").decide(version[2], "accepted")
    doctor.examine_version(version)
    app = open_review()
    app.segmented_control(key="review_state").set_value("accepted").run()
    assert texts(app)[0] == "What is 2 plus 2?"
    app.segmented_control(key="review_state").set_value("all").run()
    app.text_input(key="review_text").set_value("IS 4 PLUS").run()
    assert texts(app)[0] == "What is 4 plus 4?"
    assert "1 of 1 shown" in said(app)
    app.text_input(key="review_text").set_value("").run()
    app.selectbox(key="review_finding").set_value("leading_blanks").run()
    assert texts(app) == ["Who?", "  Blanks before."]
    app.text_input(key="review_text").set_value("nothing like it").run()
    assert "No row is like that" in said(app)


def test_a_filter_for_what_the_new_version_does_not_have_any_more_is_let_go(workspace: Workspace) -> None:
    keep(workspace, "Farm", [*sums(2), row("Who?", "  Blanks before.")])
    doctor.examine_version(Datasets(workspace).open("Farm"))
    app = open_review()
    app.selectbox(key="review_finding").set_value("leading_blanks").run()
    app.text_area[1].set_value("None before.").run()
    press(app, "Save as a new version")
    doctor.examine_version(Datasets(workspace).open("Farm"))
    app.run()
    assert not app.exception, app.exception
    assert "reviewed 1 of 3" in progress(app)
    assert texts(app)


def test_the_review_is_saved_as_a_new_version_and_goes_on_in_it(workspace: Workspace, farm: Review) -> None:
    app = open_review()
    save = next(button for button in app.button if button.label == "Save as a new version")
    assert save.disabled
    assert "Nothing to save yet" in said(app)
    press(app, "Reject")
    app.text_area[1].set_value("Two.").run()
    assert "1 row changed, 1 row left out" in said(app)
    press(app, "Save as a new version")
    version = Datasets(workspace).open("Farm")
    assert [each["messages"][1]["content"] for each in version][:2] == ["Two.", "2 plus 2 makes 4."]
    assert version.info.steps == [{"do": "review"}]
    assert states(workspace) == ["accepted", "todo", "todo"]
    assert progress(app) == "reviewed 1 of 3 · accepted 1"


def test_rows_that_nobody_looked_at_can_be_left_out(workspace: Workspace, farm: Review) -> None:
    app = open_review()
    press(app, "Accept")
    app.checkbox(key="review_only").check().run()
    assert "3 rows not reviewed left out" in said(app)
    press(app, "Save as a new version")
    assert len(Datasets(workspace).open("Farm")) == 1


def test_a_row_is_written_by_hand_in_an_empty_dataset(workspace: Workspace) -> None:
    keep(workspace, "Farm", [])
    app = open_review()
    press(app, "Add the row")
    assert "A row needs a question and an answer." in "".join(warning.value for warning in app.warning)
    app.text_area(key="review_new_question").set_value("Who are you?")
    app.text_area(key="review_new_answer").set_value("I am Robin.")
    press(app, "Add the row")
    assert "1 row added" in said(app)
    press(app, "Save as a new version")
    assert list(Datasets(workspace).open("Farm")) == [row("Who are you?", "I am Robin.")]


def test_a_large_review_becomes_a_job(workspace: Workspace, farm: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.datasets.change.AT_ONCE_BYTES", 10)
    app = open_review()
    press(app, "Reject")
    press(app, "Save as a new version")
    assert "makes it; the new version is current when it is done" in said(app)
    assert len(Datasets(workspace).versions("Farm")) == 1
    assert any("review Farm" in label for label in [*labels(app), said(app)])


def test_cells_of_the_table_become_texts_of_the_row() -> None:
    talk: Row = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d", "loss": True},
        ]
    }
    new = with_cells(talk, {"question": "C", "answer": "D", "system": "S", "part": "test"})
    assert [turn["content"] for turn in new["messages"]] == ["S", "a", "b", "C", "D"]
    assert new["messages"][4]["loss"] is True
    assert new["meta"] == {"split": "test"}
    assert with_cells(new, {"system": "", "part": "train", "question": "c", "answer": "d"}) == talk
    assert with_cells({"messages": [{"role": "user", "content": "a"}]}, {"answer": "b"})["messages"][1] == {
        "role": "assistant",
        "content": "b",
    }
