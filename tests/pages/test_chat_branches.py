"""Conversations that can be worked with: edit and send again, switch between branches, find a place, keep and reuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

from backend.chat.answers import Answers
from backend.chat.live import Live
from backend.chat.params import ChatParams
from backend.chat.prompts import Prompts
from backend.chat.records import Message
from backend.chat.replies import Replies
from backend.chat.uploads import check
from backend.data.collected import Collected
from backend.workspace import Workspace
from tests.support.chat_page import choose, here, plan, press, reopen, said, say
from tests.support.page_text import text
from tests.support.stub_openai import Stub
from tests.support.talk import Talk
from ui.chat import messages as chat_messages
from ui.chat import state as chat_state

pytestmark = pytest.mark.usefixtures("panel")


def ids(app: AppTest, panel: Replies) -> list[int]:
    return [m.id for m in panel.conversations.messages(here(app))]


def edit(app: AppTest, message: int, content: str) -> AppTest:
    """Open the editor of an earlier message, change it, send it."""
    press(app, f"chat_edit_{message}")
    app.text_area(key=f"chat_edit_text_{message}").set_value(content)
    return press(app, f"chat_resend_{message}")


def long_talk(panel: Replies, turns: int) -> Talk:
    panel._live_lock()
    talk = Talk(panel.conversations, panel.owner, model="stub")
    for n in range(turns):
        talk.say(f"q{n}?", f"a{n}" + (" about wheat" if n in (3, 4) else ""))
    return talk


def test_an_edited_message_is_sent_with_what_stood_before_it_and_the_old_branch_comes_back(
    server: Stub, chat: AppTest, panel: Replies
) -> None:
    for prompt in ("One", "Two", "Three"):
        say(chat, prompt)
    second = ids(chat, panel)[2]
    edit(chat, second, "Zwei")
    assert said(chat) == ["One", "You said: One", "Zwei", "You said: Zwei"]
    assert [m["content"] for m in server.requests()[-1]["messages"]] == ["One", "You said: One", "Zwei"]
    assert "2/2" in text(chat)
    press(chat, f"chat_before_{ids(chat, panel)[2]}")
    assert said(chat)[2:] == ["Two", "You said: Two", "Three", "You said: Three"]
    assert "1/2" in text(chat)
    # What is shown is what is sent, and a new session sees the same.
    say(chat, "Four")
    sent = [m["content"] for m in server.requests()[-1]["messages"]]
    assert sent == ["One", "You said: One", "Two", "You said: Two", "Three", "You said: Three", "Four"]
    later = reopen(here(chat))
    assert said(later)[-1] == "You said: Four"
    press(later, f"chat_after_{second}")
    assert said(later)[2] == "Zwei"


def test_editing_can_be_given_up_and_an_empty_edit_is_refused_where_it_was_typed(
    server: Stub, chat: AppTest, panel: Replies
) -> None:
    say(chat, "One")
    first = ids(chat, panel)[0]
    edit(chat, first, "  ")
    assert "There is nothing to send." in text(chat)
    assert chat.text_area(key=f"chat_edit_text_{first}").value == "  "
    press(chat, f"chat_edit_cancel_{first}")
    assert said(chat) == ["One", "You said: One"]
    assert len(server.requests()) == 1


def test_regenerate_shows_which_of_several_answers_this_is(server: Stub, chat: AppTest, panel: Replies) -> None:
    say(chat, "Pick")
    first = ids(chat, panel)[1]
    press(chat, f"chat_again_{first}")
    second = ids(chat, panel)[1]
    assert "2/2" in text(chat)
    assert chat.button(key=f"chat_after_{second}").disabled
    press(chat, f"chat_before_{second}")
    assert ids(chat, panel)[1] == first


def test_an_earlier_answer_can_be_asked_for_again_from_its_menu(server: Stub, chat: AppTest, panel: Replies) -> None:
    say(chat, "One")
    say(chat, "Two")
    choose(chat, ids(chat, panel)[1], "again")
    assert said(chat) == ["One", "You said: One"]
    assert "2/2" in text(chat)


def test_a_message_follows_what_this_page_shows_though_another_tab_has_switched(
    server: Stub, chat: AppTest, panel: Replies
) -> None:
    say(chat, "One")
    first = ids(chat, panel)[0]
    other = reopen(here(chat))
    edit(other, first, "Uno")
    say(chat, "Two")
    assert said(chat) == ["One", "You said: One", "Two", "You said: Two"]
    assert [m["content"] for m in server.requests()[-1]["messages"]] == ["One", "You said: One", "Two"]


def test_a_found_place_opens_in_its_branch_with_what_lies_around_it(
    server: Stub, chat: AppTest, panel: Replies
) -> None:
    talk = long_talk(panel, 60)
    first = panel.conversations.messages(talk.id)[0]
    talk.say("rye?", instead_of=first.id)
    chat.text_input(key="chat_search_beside").set_value("about WHEAT").run()
    keys = [str(b.key) for b in chat.button if str(b.key).startswith("chat_place_beside_")]
    assert [b.label for b in chat.button if b.key in keys] == [
        ":small[a4 **about wheat**]",
        ":small[a3 **about wheat**]",
    ]
    press(chat, keys[1])
    drawn = said(chat)
    assert "a3 about wheat" in drawn
    assert drawn[0] == "q0?"
    assert len(drawn) < 40
    assert here(chat) == talk.id
    # Whatever is written goes to the end of that branch, and the page with it.
    say(chat, "More")
    assert said(chat)[-2:] == ["More", "You said: More"]
    assert server.requests()[-1]["messages"][-2]["content"] == "a59"


def test_the_newest_messages_are_one_press_away_from_a_found_place(server: Stub, chat: AppTest, panel: Replies) -> None:
    long_talk(panel, 60)
    chat.text_input(key="chat_search_beside").set_value("q9?").run()
    press(chat, next(str(b.key) for b in chat.button if str(b.key).startswith("chat_place_beside_")))
    assert said(chat)[-1] != "a59"
    press(chat, "chat_newer")
    assert said(chat)[-1] == "a59"
    assert len(said(chat)) == 20


def test_a_corrected_answer_becomes_a_row_with_its_lineage(
    server: Stub, chat: AppTest, panel: Replies, workspace: Workspace
) -> None:
    say(chat, "One")
    say(chat, "Two")
    answer = ids(chat, panel)[3]
    choose(chat, answer, "collect")
    field = chat.text_area(key=f"chat_collect_answer_{answer}")
    assert field.value == "You said: Two"
    field.set_value("二")
    press(chat, "chat_collect_add")
    (collection,) = Collected(workspace).list()
    assert "Added to **From chat**, which now holds 1 row." in text(chat)
    assert str(collection.path) in text(chat)
    (row,) = map(json.loads, collection.path.read_text(encoding="utf-8").splitlines())
    assert [m["content"] for m in row["messages"]] == ["One", "You said: One", "Two", "二"]
    lineage = row["lineage"]
    assert (lineage["conversation"], lineage["message"], lineage["model"]) == (here(chat), answer, "stub")
    assert (lineage["corrected"], lineage["original"]) == (True, "You said: Two")
    press(chat, "chat_collect_close")
    assert "chat_collect_add" not in [b.key for b in chat.button]


def test_a_row_that_is_there_already_and_a_wrong_name_are_said_in_the_panel(
    server: Stub, chat: AppTest, panel: Replies, workspace: Workspace
) -> None:
    say(chat, "One")
    answer = ids(chat, panel)[1]
    for _ in range(2):
        choose(chat, answer, "collect")
        press(chat, "chat_collect_add")
    assert "This row is already in **From chat**, which holds 1 row." in text(chat)
    press(chat, "chat_collect_close")
    choose(chat, answer, "collect")
    chat.text_area(key=f"chat_collect_answer_{answer}").set_value(" ")
    press(chat, "chat_collect_add")
    assert "There is no answer to learn from." in text(chat)
    assert [c.rows for c in Collected(workspace).list()] == [1]


def test_a_row_holds_what_the_model_read_of_a_text_file(server: Stub, panel: Replies, workspace: Workspace) -> None:
    panel._live_lock()
    answers = Answers(panel.conversations)
    upload = check("notes.txt", "小麦在春天生长".encode())
    _, answer = answers.ask(None, "Read", model="stub", params=ChatParams(), owner=panel.owner, files=[upload])
    answers.finish(answer.id, panel.owner, "done", "Wheat.")
    app = reopen(answer.conversation)
    choose(app, answer.id, "collect")
    press(app, "chat_collect_add")
    (collection,) = Collected(workspace).list()
    question = json.loads(collection.path.read_text(encoding="utf-8"))["messages"][0]["content"]
    assert "小麦在春天生长" in question
    assert question.endswith("Read")


def open_prompts(app: AppTest) -> AppTest:
    app.session_state["chat_prompts"] = True
    return app.run()


def test_a_prompt_asks_for_its_variables_and_goes_into_the_input(server: Stub, chat: AppTest, panel: Replies) -> None:
    Prompts(panel.conversations).save("Ask", "What is {{thing}}?")
    open_prompts(chat)
    assert chat.selectbox(key="chat_prompt_chosen").options[:2] == ["Ask", "Example: Translate"]
    chat.text_area(key="chat_prompt_value_own-1_thing").set_value("{{wheat}}")
    press(chat, "chat_prompt_insert")
    assert chat.chat_input(key="chat_prompt").proto.value == "What is {{wheat}}?"
    assert not chat.session_state["chat_prompts"]


def test_prompts_are_added_changed_and_deleted_and_examples_copied(server: Stub, chat: AppTest, panel: Replies) -> None:
    library = Prompts(panel.conversations)
    open_prompts(chat)
    press(chat, "chat_prompt_new")
    chat.text_input(key="chat_prompt_name_0").set_value("Mine")
    chat.text_area(key="chat_prompt_text_0").set_value("Tell {{me")
    press(chat, "chat_prompt_save")
    assert "In line 1 stands {{ without its other half." in text(chat).replace("\\", "")
    chat.text_area(key="chat_prompt_text_0").set_value("Tell {{me}}")
    press(chat, "chat_prompt_save")
    (mine,) = library.list()
    assert (mine.name, mine.text) == ("Mine", "Tell {{me}}")
    press(chat, "chat_prompt_edit")
    chat.text_input(key=f"chat_prompt_name_{mine.id}").set_value("Ours")
    press(chat, "chat_prompt_save")
    assert [p.name for p in library.list()] == ["Ours"]
    chat.selectbox(key="chat_prompt_chosen").set_value("example-1").run()
    press(chat, "chat_prompt_copy")
    press(chat, "chat_prompt_save")
    assert [p.name for p in library.list()] == ["Ours", "Summarize"]
    press(chat, "chat_prompt_edit")
    press(chat, "chat_prompt_delete")
    assert [p.name for p in library.list()] == ["Ours"]


def test_the_library_costs_nothing_while_it_is_folded(server: Stub, chat: AppTest) -> None:
    assert "chat_prompt_insert" not in [b.key for b in chat.button]


def test_the_files_of_a_conversation_are_offered_by_its_name(server: Stub, chat: AppTest) -> None:
    say(chat, "What is wheat?")
    names = [d.proto.label for d in chat.get("download_button")]
    assert names == ["Markdown, to read", "JSON, with everything"]


def test_while_an_answer_is_written_what_was_said_before_is_drawn_once(
    server: Stub, panel: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = reopen(long_talk(panel, 60).id)
    drawn: list[int] = []
    frames: list[str] = []
    draw, frame = chat_messages.draw, chat_messages._frame

    def counted(message: Message, **how: Any) -> None:
        drawn.append(message.id)
        draw(message, **how)

    def framed(slot: DeltaGenerator, live: Live, message: Message) -> None:
        frames.append(live.text)
        frame(slot, live, message)

    monkeypatch.setattr(chat_messages, "draw", counted)
    monkeypatch.setattr(chat_messages, "_frame", framed)
    say(app, plan(tokens=40, delay_s=0.02))
    # Once beside the growing answer and once with its end, however often the answer was drawn anew.
    assert max(map(drawn.count, drawn)) == 2
    assert len(drawn) == chat_state.TAIL - 1 + chat_state.TAIL
    assert len(frames) > 4
