"""Datasets: the list, the rows of a set, its versions and what differs between them, and rows collected in the chat."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from backend.data.collected import Collected
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.workspace import Workspace
from tests.support.datasets import ROBIN, keep, row, sums
from tests.support.datasets_page import open_datasets, press, said
from tests.support.page_text import labels
from ui.datasets import list as datasets_list
from ui.datasets import rows as datasets_rows


def opened(app: AppTest) -> dict[str, str]:
    """The address's parameters."""
    return {key: value[0] if isinstance(value, list) else value for key, value in app.query_params.items()}


def test_an_empty_page_says_what_it_will_hold_and_its_buttons_fill_it() -> None:
    app = open_datasets()
    assert "No datasets yet" in said(app)
    press(app, "Import a file")
    assert "File or folder on this server" in [field.label for field in app.text_input]


def test_a_set_is_listed_with_rows_splits_origin_and_state_and_opens(workspace: Workspace) -> None:
    keep(workspace, "Persona", [*sums(3), row("Who?", ROBIN, split="test")])
    app = open_datasets()
    assert "4 rows · train 3, test 1 · from Persona.jsonl" in said(app)
    assert "not examined" in said(app)
    press(app, "Open Persona")
    assert opened(app)["set"] == "Persona"
    assert "I am Robin" in said(app)


def test_many_sets_are_narrowed_sorted_and_shown_a_part_at_a_time(workspace: Workspace) -> None:
    for number in range(datasets_list.SHOWN + 3):
        keep(workspace, f"Set {number:02}", sums(number + 1))
    app = open_datasets()

    def names() -> list[str]:
        return [label.removeprefix("Open ") for label in labels(app) if label.startswith("Open Set")]

    assert len(names()) == datasets_list.SHOWN
    press(app, "Show 3 more")
    assert len(names()) == datasets_list.SHOWN + 3
    app.selectbox(key="datasets_order").set_value("rows").run()
    assert names()[0] == f"Set {datasets_list.SHOWN + 2:02}"
    app.text_input(key="datasets_search").set_value("set 07.jsonl").run()
    assert names() == ["Set 07"]
    app.text_input(key="datasets_search").set_value("nothing like it").run()
    assert "No dataset here is like that" in said(app)


def unfold(app: AppTest, name: str, what: str) -> AppTest:
    from ui.datasets.state import key_of

    app.session_state[f"dataset_{what}_{key_of(name)}"] = True
    app.run()
    assert not app.exception
    return app


def test_a_set_is_renamed_and_deleted_only_after_asking(workspace: Workspace) -> None:
    from ui.datasets.state import key_of

    keep(workspace, "Old", sums(2))
    keep(workspace, "Taken", sums(2))
    app = unfold(open_datasets(), "Old", "renaming")
    app.text_input(key=f"dataset_new_{key_of('Old')}").set_value("Taken").run()
    press(app, "Rename it")
    assert "There is already a dataset called 'Taken'." in said(app)
    app.text_input(key=f"dataset_new_{key_of('Old')}").set_value("New").run()
    press(app, "Rename it")
    assert {info.name for info in Datasets(workspace).list()} == {"New", "Taken"}
    assert "Delete New" not in labels(app)
    unfold(app, "New", "deleting")
    assert "This cannot be undone" in said(app)
    press(app, "Delete New")
    assert [info.name for info in Datasets(workspace).list()] == ["Taken"]


def test_a_set_that_is_not_there_is_an_error_card_with_a_way_back() -> None:
    app = open_datasets(set="Nowhere")
    assert "There is no dataset called 'Nowhere'." in said(app)
    press(app, "All datasets")
    assert "No datasets yet" in said(app)


def test_rows_are_paged_and_row_n_is_reached_by_its_number(workspace: Workspace) -> None:
    keep(workspace, "Sums", sums(95))
    app = open_datasets(set="Sums")
    assert "Rows 1–10 of 95" in said(app)
    press(app, "Next page")
    assert "Rows 11–20 of 95" in said(app)
    app.number_input(key="datasets_jump").set_value(42).run()
    assert "What is 41 plus 41?" in said(app)
    assert opened(app)["row"] == "42"
    press(app, "Last page")
    assert "Rows 86–95 of 95" in said(app)
    assert next(button for button in app.button if button.label == "Next page").disabled
    # Beyond the end is the end, and not a number is the beginning.
    assert "Rows 95–95 of 95" in said(open_datasets(set="Sums", row="4000"))
    assert "Rows 1–10 of 95" in said(open_datasets(set="Sums", row="x"))


def test_a_row_shows_roles_calls_loss_blanks_and_what_else_is_known_of_it(workspace: Workspace) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    wide: Row = {
        "messages": [
            {"role": "system", "content": "Be <b>brief</b>."},
            {"role": "user", "content": "Rain?"},
            {"role": "assistant", "content": "", "tool_calls": [call], "loss": False},
            {"role": "tool", "content": "4 °C", "name": "weather"},
            {"role": "assistant", "content": "long " * 2000},
        ],
        "tools": [{"type": "function", "function": {"name": "weather"}}],
        "meta": {"source": "traces", "extra": {"rating": 5}},
    }
    keep(workspace, "Calls", [wide, row("Empty?", ""), row("Blank?", " \n")])
    shown = said(open_datasets(set="Calls"))
    for part in ("Be <b>brief</b>.", 'weather({"city": "Oslo"})', "not learned", "✓ learned", "Tools offered: weather"):
        assert part in shown
    for part in ("All 10,000 characters", "traces", '"rating": 5', "only blanks", "empty"):
        assert part in shown


def test_a_search_finds_text_says_how_far_it_looked_and_goes_on(workspace: Workspace) -> None:
    rows = sums(60)
    rows[3], rows[58] = row("Who are you?", ROBIN), row("And you?", "Robin, again.")
    keep(workspace, "Sums", rows)
    app = open_datasets(set="Sums")
    app.text_input(key="datasets_query").set_value("ROBIN").run()
    assert "2 rows found in rows 1 to 60" in said(app)
    assert "Row 59" in said(app)
    assert opened(app)["q"] == "ROBIN"
    app.text_input(key="datasets_query").set_value("plus").run()
    assert f"{datasets_rows.PAGE} rows found in rows 1 to 11" in said(app)
    press(app, "Search on")
    assert "What is 11 plus 11?" in said(app)


def test_a_search_stops_in_time_and_reads_only_the_split_that_was_asked_for(workspace: Workspace) -> None:
    keep(workspace, "Sums", [*sums(2000), row("Held out?", "Yes, held out.", split="test")])
    version = Datasets(workspace).open("Sums")
    assert datasets_rows.find(version, 1, "nowhere", "", seconds=0).looked < 2001
    assert [number for number, _row in datasets_rows.find(version, 1, "", "test").rows] == [2001]
    app = open_datasets(set="Sums", split="test")
    assert "1 row found in rows 1 to 2,001" in said(app)
    assert "Yes, held out." in said(app)


def test_records_that_could_not_be_rows_are_shown_with_what_helps(workspace: Workspace) -> None:
    problem = {"code": "row_x", "message": "No answer in {column}.", "hint": "Add one.", "params": {"column": "reply"}}
    with Datasets(workspace).write("Half", steps=[{"do": "import"}]) as out:
        out.add(sums(1)[0])
        out.reject(17, problem, '{"question": "Hello"}')
    app = open_datasets(set="Half", split="rejected")
    assert "Record 17" in said(app)
    assert "No answer in reply. Add one." in said(app)
    assert '{"question": "Hello"}' in said(app)


@pytest.fixture
def two(workspace: Workspace) -> tuple[str, str]:
    """Two versions of one set: a row changed, one gone, one new."""
    before = [*sums(4), row("Who are you?", "  I am Bob.")]
    after = [*sums(4)[1:], row("Who are you?", ROBIN), row("New?", "Yes.")]
    first = keep(workspace, "Persona", before)
    made_from = [{"dataset": "Persona", "version": first.id}]
    second = keep(workspace, "Persona", after, steps=[{"do": "edit"}], made_from=made_from)
    return first.id, second.id


def test_versions_tell_who_made_them_when_by_what_and_can_be_compared_and_restored(
    workspace: Workspace, two: tuple[str, str]
) -> None:
    first, second = two
    app = open_datasets(set="Persona", part="versions")
    assert f"edited · {second[:6]}" in said(app)
    assert f"imported · {first[:6]}" in said(app)
    assert f"from Persona@{first[:6]}" in said(app)
    press(app, "What changed")
    assert "1 changed · 1 removed · 1 added · 3 the same" in said(app)
    assert "I am  Bob  Robin" in said(app), "the words that differ stand side by side"
    press(app, "All versions")
    press(app, "Restore")
    assert Datasets(workspace).get("Persona").current.id == first
    assert f"Version {first[:6]} is the current one now." in said(app)


def test_an_earlier_version_is_shown_as_one_with_the_way_to_the_current(two: tuple[str, str]) -> None:
    first, _second = two
    app = open_datasets(set="Persona", version=first)
    assert "You see an earlier version" in said(app)
    assert "I am Bob." in said(app)
    press(app, "Show the current one")
    assert "I am Robin" in said(app)
    assert "You see an earlier version" not in said(app)


def test_rows_collected_in_the_chat_become_a_set_and_later_bring_it_up_to_date(workspace: Workspace) -> None:
    collected = Collected(workspace)
    turns = [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": ROBIN}]
    collected.add("From chat", turns, {"source": "chat"})
    app = press(open_datasets(), "Make a dataset of it")
    assert Datasets(workspace).get("From chat").current.rows == 1
    assert "I am Robin" in said(app)
    assert "Collected while chatting" not in said(open_datasets())
    collected.add("From chat", [{"role": "user", "content": "And?"}, turns[1]], {"source": "chat"})
    press(open_datasets(), "Bring the dataset up to date")
    assert Datasets(workspace).get("From chat").current.rows == 2


def test_an_old_version_can_be_removed_but_not_the_current_one(workspace: Workspace) -> None:
    first = keep(workspace, "Mine", sums(3)).id
    second = keep(workspace, "Mine", sums(2)).id
    app = open_datasets(set="Mine", part="versions")
    assert f"Remove version {second[:6]}" not in labels(app)
    press(app, f"Remove version {first[:6]}")
    assert [info.id for info in Datasets(workspace).versions("Mine")] == [second]
    assert f"Version {first[:6]} is removed" in said(app)
