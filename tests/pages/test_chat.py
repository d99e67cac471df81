"""The Chat page without a browser, over a real server process: talk, stop, go on, get it back, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend import servers
from backend.chat.answers import Answers
from backend.chat.params import ChatParams
from backend.chat.replies import Replies
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support.chat_page import here, plan, popovers, reopen, said, say
from tests.support.page_text import labels, text
from tests.support.stub_openai import Stub, published, stub

pytestmark = pytest.mark.usefixtures("panel")


def field(app: AppTest, kind: str, name: str) -> Any:
    """The widget of one chat setting; its key ends in a number that grows when we set values ourselves."""
    return next(w for w in app.get(kind) if str(w.key).startswith(f"chat_param_{name}_"))


def test_a_first_prompt_is_answered_with_figures_and_the_address_names_the_conversation(
    server: Stub, chat: AppTest, panel: Replies
) -> None:
    say(chat, "Hello there")
    assert said(chat) == ["Hello there", "You said: Hello there"]
    line = next(c.value for c in chat.caption if "tokens" in c.value)
    assert line.startswith("4 tokens · first token after ")
    assert line.endswith("tokens/s · stub")
    assert panel.conversations.get(here(chat)).title == "Hello there"


def test_a_suggestion_is_sent_by_one_press_in_the_persons_language(server: Stub, chat: AppTest) -> None:
    chat.button(key="chat_try_What is the capital of France?").click().run()
    assert said(chat)[0] == "What is the capital of France?"
    assert not [label for label in labels(chat) if label == "What can you do?"]


def test_a_new_session_at_the_address_shows_what_was_said_and_goes_on(server: Stub, chat: AppTest) -> None:
    say(chat, "One")
    later = reopen(here(chat))
    assert said(later) == ["One", "You said: One"]
    say(later, "Two")
    assert said(later)[2:] == ["Two", "You said: Two"]
    assert [m["content"] for m in server.requests()[-1]["messages"]] == ["One", "You said: One", "Two"]


def test_conversations_are_found_opened_renamed_and_deleted(server: Stub, chat: AppTest, panel: Replies) -> None:
    say(chat, "About wheat")
    wheat = here(chat)
    chat.button(key="chat_new").click().run()
    assert said(chat) == []
    say(chat, "About law")
    law = here(chat)
    chat.text_input(key="chat_search_beside").set_value("wheat").run()
    found = [b.key for b in chat.button if str(b.key).startswith("chat_open_beside_")]
    assert found == [f"chat_open_beside_{wheat}"]
    chat.button(key=found[0]).click().run()
    assert said(chat)[0] == "About wheat"
    chat.text_input(key=f"chat_title_{wheat}").set_value("Winter *wheat*").run()
    chat.button(key="chat_rename").click().run()
    assert panel.conversations.get(wheat).title == "Winter *wheat*"
    assert "**Winter \\*wheat\\***" in text(chat)
    assert "Deleting forgets its 2 messages for good." in text(chat)
    chat.button(key="chat_delete").click().run()
    assert [c.id for c in panel.conversations.list()] == [law]
    assert said(chat) == []


def test_an_address_of_a_deleted_conversation_says_so_and_leaves_a_page_that_works(server: Stub) -> None:
    app = reopen("0123456789ab")
    assert "This conversation does not exist." in text(app)
    say(app, "Hello")
    assert said(app)[-1] == "You said: Hello"


def test_regenerate_replaces_the_answer_and_keeps_the_earlier_one(server: Stub, chat: AppTest, panel: Replies) -> None:
    say(chat, "Pick a number")
    first = panel.conversations.messages(here(chat))[-1]
    chat.button(key=f"chat_again_{first.id}").click().run()
    second = panel.conversations.messages(here(chat))[-1]
    assert second.id != first.id
    assert panel.conversations.message(first.id).superseded
    assert len(server.requests()) == 2


def test_a_server_that_dies_shows_its_words_the_reason_and_the_button_that_asks_again(
    store: Store, open_page: OpenPage
) -> None:
    with stub() as first, published(store, first):
        chat = say(open_page("chat"), plan(tokens=9, die_at=3))
        assert "w0 w1 w2" in said(chat)[1]
        assert "stopped in the middle of the answer" in text(chat)
    with stub(script={"say": "Back again"}) as second, published(store, second):
        failed = next(b for b in chat.button if b.label in ("Ask again", "Start stub and ask again"))
        assert failed.proto.type == "primary"
        # The prompt would make this server die, too; what counts is that it was asked.
        failed.click().run()
        assert len(store.list(verb="serve")) == 2
        assert not chat.exception


def test_when_the_model_is_not_running_the_button_says_that_it_starts_it(
    store: Store, open_page: OpenPage, panel: Replies
) -> None:
    with stub() as server, published(store, server):
        chat = say(open_page("chat"), plan(status=500, message="out of memory"))
    assert "out of memory" in text(chat)
    chat.run()
    assert "Start stub and ask again" in labels(chat)


def test_an_empty_page_says_that_the_model_is_down_and_starts_it_as_one_job(chat: AppTest, store: Store) -> None:
    assert "**starter** is not running. Start it, or just send a message: it starts by itself." in text(chat)
    assert [b.label for b in chat.button if b.proto.type == "primary"] == ["Start starter"]
    chat.button(key="chat_start").click().run()
    assert not chat.exception
    rows = store.list(verb="serve")
    assert [row.title for row in rows] == ["starter"]
    assert "Starting starter" in text(chat)
    assert "Start starter" not in labels(chat)


def test_an_adapter_that_a_server_offers_is_a_model_to_talk_to(store: Store, open_page: OpenPage) -> None:
    with stub("base") as stub_server, published(store, stub_server) as known:
        servers.publish(store.job_dir(known.job_id), replace(known, adapters=("law",)))
        chat = open_page("chat")
        assert chat.selectbox(key="chat_model").options == ["base", "law", "starter"]
        chat.selectbox(key="chat_model").set_value("law").run()
        assert "running" in text(chat)
        say(chat, "hello")
        assert stub_server.requests()[-1]["model"] == "law"


def test_a_server_that_sleeps_says_so_and_what_keeps_it_from_waking(store: Store, open_page: OpenPage) -> None:
    with stub() as stub_server, published(store, stub_server) as known:
        servers.publish(store.job_dir(known.job_id), replace(known, sleeps=True, asleep=True))
        chat = open_page("chat")
        assert ":material/bedtime: asleep" in text(chat)
        say(chat, "hello")
        # It was told to: this one knows no such thing.
        assert "did not do as it was told: HTTP 404" in text(chat)


def test_settings_reach_the_server_and_stay_with_the_conversation(server: Stub, chat: AppTest) -> None:
    chat.button_group(key="chat_preset").set_value("creative").run()
    assert field(chat, "slider", "temperature").value == 1.0
    field(chat, "text_area", "system").set_value("Be brief").run()
    field(chat, "number_input", "max_tokens").set_value(50).run()
    field(chat, "number_input", "seed").set_value(7).run()
    say(chat, "Hello")
    asked = server.requests()[-1]
    assert (asked["temperature"], asked["top_p"], asked["max_tokens"], asked["seed"]) == (1.0, 0.95, 50, 7)
    assert asked["messages"][0] == {"role": "system", "content": "Be brief"}
    later = reopen(here(chat))
    assert field(later, "slider", "temperature").value == 1.0
    assert field(later, "text_area", "system").value == "Be brief"
    later.button(key="chat_new").click().run()
    assert field(later, "slider", "temperature").value == 0.7


def test_a_long_conversation_draws_its_tail_and_more_on_demand(server: Stub, panel: Replies) -> None:
    answers = Answers(panel.conversations)
    panel._live_lock()
    conversation = None
    for n in range(250):
        _, answer = answers.ask(conversation, f"q{n}", model="stub", params=ChatParams(), owner=panel.owner)
        answers.finish(answer.id, panel.owner, "done", f"a{n}")
        conversation = answer.conversation
    assert conversation is not None
    app = reopen(conversation)
    assert said(app) == [f"{kind}{n}" for n in range(240, 250) for kind in "qa"]
    app.button(key="chat_older").click().run()
    assert len(said(app)) == 70
    say(app, "Now")
    assert said(app)[-2:] == ["Now", "You said: Now"]
    assert len(said(app)) == 20


def test_an_answer_cut_off_by_a_dead_panel_is_shown_as_interrupted(server: Stub, panel: Replies) -> None:
    answers = Answers(panel.conversations)
    _, answer = answers.ask(None, "Tell me", model="stub", params=ChatParams(), owner="dead-panel")
    with panel.conversations.write() as db:
        db.execute("UPDATE messages SET content = 'Once upon a' WHERE id = ?", (answer.id,))
    app = reopen(answer.conversation)
    assert "Once upon a" in said(app)[1]
    assert "Interrupted: the panel ended while this answer was being written." in text(app)
    assert "Regenerate" in labels(app)


def test_a_prompt_that_is_far_too_long_says_so_at_once_and_is_folded(store: Store, open_page: OpenPage) -> None:
    with stub(context_length=512) as server, published(store, server):
        chat = say(open_page("chat"), "字" * 100_000)
        assert "This message is too long for 'stub': 100,000 characters; it reads at most 512 tokens." in text(chat)
        assert "Whole message (100,000 characters)" in popovers(chat)
        assert max(map(len, said(chat))) < 2000
        assert server.requests() == []
        assert not [label for label in labels(chat) if "again" in label]


def test_an_empty_prompt_leaves_no_trace(server: Stub, chat: AppTest, panel: Replies) -> None:
    say(chat, "   ")
    assert "There is nothing to send." in text(chat)
    assert panel.conversations.list() == []


@pytest.mark.parametrize(
    "prompt", ["😀 مرحبا שלום", "<script>alert(1)</script>", "a\n\n  b\n# c *d*", "![x](http://evil.test/a)"]
)
def test_prompts_are_shown_as_they_were_typed(server: Stub, chat: AppTest, prompt: str) -> None:
    say(chat, prompt)
    assert chat.chat_message[0].text[0].value == prompt


def test_a_models_markdown_cannot_load_a_remote_image(server: Stub, chat: AppTest) -> None:
    say(chat, plan(say="See ![x](http://evil.test/a.png)"))
    assert "![" not in said(chat)[1]
    assert "](http://evil.test/a.png)" in said(chat)[1]


def test_a_damaged_file_is_said_until_it_was_read(
    workspace: Workspace, store: Store, panel: Replies, open_page: OpenPage
) -> None:
    panel.conversations.close()
    workspace.chat_db.write_bytes(b"not a database at all" * 100)
    app = open_page("chat")
    assert "The file with your conversations was damaged." in text(app)
    button = next(b for b in app.button if b.label == "I have read this")
    button.click().run()
    assert "was damaged" not in text(app)
    assert list(workspace.root.glob("chat.db.damaged-*"))


def test_turns_that_did_not_fit_are_said_under_the_answer(store: Store, open_page: OpenPage) -> None:
    with stub(context_length=200, script={"say": "word " * 60}) as server, published(store, server):
        chat = open_page("chat")
        for _ in range(5):
            say(chat, "More")
        assert "did not fit into the model's context and were not sent." in text(chat)


def test_an_answer_that_hit_its_limit_says_so(server: Stub, chat: AppTest) -> None:
    say(chat, plan(tokens=5, finish="length"))
    assert "Cut off after 5 tokens: its length limit." in text(chat)


def test_the_page_speaks_chinese(server: Stub) -> None:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=30)
    app.session_state["language"] = "zh_CN"
    app.run()
    app.switch_page(str(ROOT / "pages" / "chat.py")).run()
    assert not app.exception
    assert app.title[0].value == "对话"
    assert "新对话" in labels(app)
