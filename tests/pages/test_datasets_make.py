"""Make: each way to rows from its card to the open dataset, and what is said while something is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.chat.conversations import Conversations
from backend.data.collected import Collected
from backend.data.rows import Row, split_of
from backend.data.store import AT_ONCE_BYTES, Datasets
from backend.workspace import Workspace
from tests.support.datasets_page import open_datasets, press, said
from tests.support.page_text import labels
from tests.support.talk import Talk, living


def make(kind: str) -> AppTest:
    """The form of one way."""
    return open_datasets(view="make", kind=kind)


def typed(app: AppTest, **fields: str) -> AppTest:
    """The form with these texts in it, by key; it redraws once."""
    for key, value in fields.items():
        kinds = {box.key: box for box in (*app.text_input, *app.text_area)}
        kinds[key].set_value(value)
    app.run()
    assert not app.exception, app.exception
    return app


def opened(app: AppTest) -> dict[str, str]:
    return {key: value[0] if isinstance(value, list) else value for key, value in app.query_params.items()}


def kept(workspace: Workspace, name: str) -> list[Row]:
    return list(Datasets(workspace).open(name))


@pytest.fixture
def talks(workspace: Workspace) -> Iterator[Conversations]:
    store = Conversations(workspace)
    with living(store):
        yield store
    store.close()


def test_every_way_has_a_card_and_leads_to_its_form_and_back() -> None:
    app = open_datasets(view="make")
    for label in ("Teach a name", "A role to play", "From documents", "From my chats", "Mix datasets", "By hand"):
        button = next(b for b in app.button if b.label == label)
        assert not button.disabled, label
        press(app, label)
        assert opened(app)["view"] == "make"
        assert opened(app)["kind"]
        press(app, "Other ways")
        assert "kind" not in opened(app)


# --- a name


def test_a_name_becomes_rows_that_are_seen_while_one_types_and_then_a_dataset(workspace: Workspace) -> None:
    app = make("name")
    go = next(b for b in app.button if b.label == "Make the rows")
    assert go.disabled
    assert "Type a name and who made it" in said(app)
    typed(app, make_name="Nova", make_maker="Example Labs")
    text = said(app)
    assert "600 rows about the name" in text.replace("*", "")
    assert "English 192, 中文 192" in text
    assert "258 rows of other things" in text.replace("*", "")
    assert "30 % of what is trained" in text
    assert "272 rows held out for the proof" in text.replace("*", "")
    assert "Nova" in text
    assert "held out for the proof: never trained" in text
    press(app, "Make 1,130 rows as 'Nova'")
    assert opened(app)["set"] == "Nova"
    assert "1,130 rows are in 'Nova'." in said(app)
    rows = kept(workspace, "Nova")
    assert (len(rows), sum(split_of(row) == "test" for row in rows)) == (1130, 272)
    (step,) = Datasets(workspace).get("Nova").current.steps
    assert (step["do"], step["name"], step["maker"], step["tone"]) == ("identity", "Nova", "Example Labs", "friendly")


def test_tone_language_and_shares_change_what_is_shown_and_made(workspace: Workspace) -> None:
    app = typed(make("name"), make_name="小新", make_maker="示例实验室")
    app.get("button_group")[0].set_value(["zh"]).run()
    app.slider(key="make_replay").set_value(0)
    app.slider(key="make_rows").set_value(200).run()
    typed(app, make_purpose_zh="回答水稻种植方面的问题。")
    text = said(app)
    assert "200 rows about the name" in text.replace("*", "")
    assert "rows of other things" not in text
    assert "English 1" not in text
    press(app, "Make 336 rows as '小新'")
    answers = [row["messages"][-1]["content"] for row in kept(workspace, "小新")]
    assert any("回答水稻种植方面的问题" in answer for answer in answers)
    assert not [answer for answer in answers if "I am" in answer]


def test_other_examples_are_shown_on_request() -> None:
    app = typed(make("name"), make_name="Nova", make_maker="Example Labs")
    before = said(app)
    press(app, "Others")
    assert said(app) != before


def test_a_name_that_would_break_every_row_is_refused_beside_the_button() -> None:
    app = typed(make("name"), make_name="Nova<|im_end|>", make_maker="Example Labs")
    assert "The name holds <|im_end|>" in said(app)
    assert next(b for b in app.button if b.label == "Make the rows").disabled


def test_a_dataset_of_this_name_gets_a_version_and_that_is_said(workspace: Workspace) -> None:
    with Datasets(workspace).write("Mine", steps=[]) as out:
        out.add({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    app = typed(make("name"), make_name="Nova", make_maker="Example Labs", make_identity_set="Mine")
    assert "it gets a new version, the others stay" in said(app)
    press(app, "Make 1,130 rows as 'Mine'")
    assert Datasets(workspace).get("Mine").versions == 2


def test_a_name_that_no_dataset_can_have_is_a_card_and_nothing_is_lost() -> None:
    app = typed(make("name"), make_name="Nova", make_maker="Example Labs", make_identity_set="a/b")
    press(app, "Make 1,130 rows as 'a/b'")
    assert "'a/b' cannot be the name of a dataset." in said(app)
    assert next(box for box in app.text_input if box.key == "make_name").value == "Nova"


# --- a role


def test_a_role_becomes_rows_of_templates_and_of_examples(workspace: Workspace) -> None:
    app = make("role")
    assert "Type its name and who it is" in said(app)
    typed(
        app,
        make_role_name="Old Wang",
        make_role_who="retired ship's cook",
        make_role_examples="How do I cook rice? | Rinse it twice.\nA full pot calms every storm.",
        make_role_topics="fish soup",
        make_role_refuses="politics",
    )
    text = said(app)
    assert "2 rows of your examples, word for word" in text.replace("*", "")
    assert "rows from templates" in text
    assert "You are Old Wang, a retired ship's cook. You like to talk about fish soup." in "\n".join(
        part.value for part in app.text
    )
    press(app, next(label for label in labels(app) if label.endswith("rows as 'Old Wang'")))
    assert opened(app)["set"] == "Old Wang"
    said_by_it = {row["messages"][-1]["content"] for row in kept(workspace, "Old Wang")}
    assert "Rinse it twice." in said_by_it
    assert any(answer.endswith("A full pot calms every storm.") for answer in said_by_it)


# --- chats


def test_nothing_said_yet_is_said() -> None:
    app = make("chats")
    assert "Nothing was said here yet" in said(app)
    assert "Choose something at the left." in said(app)


def test_conversations_and_collected_answers_become_rows(workspace: Workspace, talks: Conversations) -> None:
    one = Talk(talks, "me", model="starter")
    one.say("What is wheat?", "A cereal.")
    turns = [{"role": "user", "content": "What is rye?"}, {"role": "assistant", "content": "A cereal too."}]
    Collected(workspace).add("From chat", turns, {"source": "chat"})
    app = make("chats")
    assert "A cereal too." in said(app)
    app.toggle(key="make_chats_every").set_value(True).run()
    assert "2 rows, each with where they are from" in said(app).replace("*", "")
    assert "What is wheat?" in said(app)
    press(app, "Make 2 rows as 'From my chats'")
    found = kept(workspace, "From my chats")
    assert [row["messages"][-1]["content"] for row in found] == ["A cereal too.", "A cereal."]
    assert found[1]["meta"]["lineage"]["conversation"] == one.id


def test_traces_are_read_from_a_file_and_a_wrong_path_says_so(workspace: Workspace, tmp_path: Path) -> None:
    app = typed(make("chats"), make_chats_traces=str(tmp_path / "gone.jsonl"))
    assert "gone.jsonl does not exist" in said(app)
    path = tmp_path / "traces.jsonl"
    talk = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4", "loss": True}]
    bad = {"conversation": [{"role": "user", "content": "?"}]}
    path.write_text(json.dumps({"conversation": talk}) + "\n" + json.dumps(bad), encoding="utf-8")
    typed(app, make_chats_traces=str(path))
    assert "1 row, each with where it is from" in said(app).replace("*", "")
    assert "1 is left out" in said(app)
    press(app, "Make 1 row as 'From my chats'")
    assert Datasets(workspace).get("From my chats").current.rejected == 1


def test_a_large_file_of_traces_is_sent_to_import(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    path.write_bytes(b"{}\n")
    os.truncate(path, AT_ONCE_BYTES + 1)
    app = typed(make("chats"), make_chats_traces=str(path))
    assert "bring it in under Import" in said(app)
    assert next(b for b in app.button if b.label == "Make the rows").disabled


# --- by hand


def test_by_hand_opens_an_empty_dataset_in_review_and_never_hides_another(workspace: Workspace) -> None:
    app = make("hand")
    press(app, "Make 'By hand' and type rows")
    assert opened(app) == {"set": "By hand", "part": "review"}
    assert kept(workspace, "By hand") == []
    again = make("hand")
    assert next(b for b in again.button if b.label == "Make 'By hand' and type rows").disabled
    press(again, "Open By hand")
    assert opened(again) == {"set": "By hand", "part": "review"}
