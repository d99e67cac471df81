"""The Chat page shows what a model was sent: blanks, files, the switch that leaves nothing to chance, and the whole record."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.chat import sent
from backend.chat.replies import Replies
from backend.chat.sent import Sent
from backend.queue.store import Store
from backend.servers import Server
from backend.workspace import Workspace
from tests.pages.conftest import OpenPage
from tests.support import models
from tests.support.chat_page import choose, here, plan, popovers, reopen, said, say
from tests.support.page_text import text
from tests.support.stub_openai import Stub, published, stub

pytestmark = pytest.mark.usefixtures("panel")


def png(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), colour).save(out, "PNG")
    return out.getvalue()


def attach(app: AppTest, *files: tuple[str, bytes], prompt: str = "What is this?") -> AppTest:
    box = app.chat_input(key="chat_prompt")
    for name, data in files:
        box.upload(name, data)
    box.set_value(prompt).run()
    assert not app.exception, app.exception
    return app


def switch(app: AppTest, label: str) -> AppTest:
    next(toggle for toggle in app.toggle if toggle.label == label).set_value(True).run()
    assert not app.exception, app.exception
    return app


def captions(app: AppTest) -> str:
    return "\n".join(str(caption.value) for caption in app.caption)


def test_blanks_around_a_message_are_shown_under_it_and_trimmed_on_request(server: Stub, chat: AppTest) -> None:
    say(chat, "  Hello\n")
    assert "begins with ␣ ␣, ends with ⏎, and was sent so" in captions(chat)
    assert server.requests()[-1]["messages"][0]["content"] == "  Hello\n"
    switch(chat, "Trim blanks")
    say(chat, " Hello")
    assert "begins with ␣. That was cut off before it was sent" in captions(chat)
    assert server.requests()[-1]["messages"][-1]["content"] == "Hello"
    assert [toggle.value for toggle in reopen(here(chat)).toggle if toggle.label == "Trim blanks"] == [True]


def test_a_message_without_blanks_around_it_has_no_remark(server: Stub, chat: AppTest) -> None:
    say(chat, "Hello there")
    assert "begins with" not in captions(chat)


def test_deterministic_is_one_switch_that_lays_the_sampling_still(server: Stub, chat: AppTest) -> None:
    switch(chat, "Deterministic")
    assert [slider.disabled for slider in chat.slider] == [True, True]
    assert "the same conversation gets the same answer" in captions(chat)
    say(chat, "Hello")
    assert {name: server.requests()[-1][name] for name in ("temperature", "seed")} == {"temperature": 0.0, "seed": 0}


def test_what_was_sent_is_shown_with_every_answer(server: Stub, chat: AppTest, panel: Replies) -> None:
    say(chat, plan(finish="length", say="Well"))
    answer = panel.conversations.messages(here(chat))[-1]
    choose(chat, answer.id, "sent")
    page = text(chat)
    assert "`length` The answer was cut off" in page
    assert "The engine 'stub' does not say which text it made" in page
    request, response = (code.value for code in chat.code)
    assert '"max_tokens": 512' in request
    assert '"content": "Well"' in response
    chat.run()
    assert not chat.code, "it is closed with the next press"


def test_the_prompt_is_drawn_token_by_token(server: Stub, chat: AppTest, panel: Replies) -> None:
    say(chat, "Hello")
    answer = panel.conversations.messages(here(chat))[-1]
    found = Sent()
    found.begin(Server(1, "stub", "http://127.0.0.1:1/v1", key="k"), {"messages": []})
    found.rendered({"prompt": "<s> Hi\n", "pieces": ["<s>", " Hi", "\n"], "special": [0], "count": 3})
    sent.keep(panel.conversations, answer.id, found)
    choose(chat, answer.id, "sent")
    drawn = next(block.proto.body for block in chat.get("html") if "sent-text" in block.proto.body)
    assert drawn.endswith('<b>&lt;s&gt;</b><span class="odd"><i>␣</i><wbr>Hi</span><span><i>⏎</i>\n</span></div>')
    assert "**3** tokens read" in text(chat)
    assert json.loads(chat.code[0].value) == "<s> Hi\n"


def test_a_refused_question_can_be_looked_at_too(server: Stub, chat: AppTest) -> None:
    say(chat, plan(status=400, message="No such thing"))
    next(b for b in chat.button if b.label == "What was really sent").click().run()
    assert any('"message": "No such thing"' in code.value for code in chat.code)


def test_files_are_sent_shown_small_and_still_there_in_a_new_session(server: Stub, chat: AppTest) -> None:
    attach(chat, ("red.png", png()), ("notes.txt", b"wheat"))
    content = server.requests()[-1]["messages"][0]["content"]
    assert [part["type"] for part in content] == ["image_url", "text"]
    assert content[1]["text"] == "notes.txt:\n```\nwheat\n```\n\nWhat is this?"
    later = reopen(here(chat))
    assert said(later)[0] == "What is this?"
    assert "notes.txt" in popovers(later)
    assert len(later.get("image")) == 1


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("half.png", png()[:60], "The picture 'half.png' cannot be read"),
        ("page.png", b"<html></html>", "The file 'page.png' is named like a picture, but it holds text"),
        ("odd.txt", b"\xff\xfa\xff\xff", "The text in 'odd.txt' is in an encoding that cannot be read"),
    ],
)
def test_a_file_that_cannot_be_sent_is_said_and_the_words_go_back_into_the_box(
    server: Stub, chat: AppTest, name: str, data: bytes, sentence: str
) -> None:
    attach(chat, (name, data), prompt="Look at this")
    assert sentence in text(chat)
    assert server.requests() == []
    assert chat.chat_input(key="chat_prompt").proto.value == "Look at this"


def test_the_good_files_beside_a_refused_one_wait_for_the_next_message(server: Stub, chat: AppTest) -> None:
    attach(chat, ("red.png", png()), ("half.png", png()[:60]), prompt="Look at these")
    assert server.requests() == []
    assert [b.label for b in chat.button if str(b.key).startswith("chat_kept_")] == ["red.png", "half.png"]
    say(chat, "Again")
    assert "The picture 'half.png' cannot be read" in text(chat), "as long as it is there, it is said"
    assert server.requests() == []
    next(b for b in chat.button if b.label == "half.png").click().run()
    say(chat, "Now")
    content = server.requests()[-1]["messages"][0]["content"]
    assert [part["type"] for part in content] == ["image_url", "text"]
    assert content[1]["text"] == "Now"
    assert not [b for b in chat.button if str(b.key).startswith("chat_kept_")], "what was sent waits no longer"
    say(chat, "More")
    assert server.requests()[-1]["messages"][-1]["content"] == "More"


def test_a_model_that_reads_text_only_says_so_before_anything_is_sent(
    workspace: Workspace, tmp_path: Path, store: Store, open_page: OpenPage
) -> None:
    catalog.add(workspace, models.folder(tmp_path / "blind"))
    with stub("blind") as server, published(store, server):
        chat = open_page("chat")
        chat.selectbox(key="chat_model").set_value("blind").run()
        attach(chat, ("red.png", png()))
        assert "'blind' reads text only: it cannot see red.png. Nothing was sent." in text(chat)
        assert server.requests() == []
        assert not list(workspace.attachments.glob("*")), "nor was it kept"


def test_pictures_from_before_are_only_named_to_a_model_that_cannot_see(
    workspace: Workspace, tmp_path: Path, store: Store, server: Stub, chat: AppTest
) -> None:
    attach(chat, ("red.png", png()))
    catalog.add(workspace, models.folder(tmp_path / "blind"))
    with stub("blind") as blind, published(store, blind):
        chat.run()
        chat.selectbox(key="chat_model").set_value("blind").run()
        assert "blind reads text only: it is told the names of the pictures above" in captions(chat)
        say(chat, "And now?")
        assert blind.requests()[-1]["messages"][0]["content"] == "[red.png]\n\nWhat is this?"
