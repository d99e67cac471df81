"""What was really sent: kept with its message, bounded, without pictures; and drawn so that nothing in it is invisible."""

from __future__ import annotations

import re

import pytest

from backend.chat import sent
from backend.chat.answers import Answers
from backend.chat.conversations import Conversations
from backend.chat.params import FIXED_SEED, ChatParams
from backend.chat.sent import Sent
from backend.servers import Server
from backend.workspace import Workspace
from ui.chat import marks as chat_marks

SERVER = Server(job_id=1, model="m", base_url="http://127.0.0.1:1/v1", key="very-secret")


@pytest.fixture
def store(workspace: Workspace) -> Conversations:
    return Conversations(workspace)


def answer(store: Conversations) -> int:
    answers = Answers(store)
    _, message = answers.ask(None, "Hello", model="m", params=ChatParams(), owner="me")
    answers.finish(message.id, "me", "done", "Hi")
    return message.id


def filled(**request: object) -> Sent:
    found = Sent()
    found.begin(SERVER, {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **request})
    found.rendered({"prompt": "<s>Hello", "pieces": ["<s>", "Hello"], "special": [0], "count": 2})
    return found


def test_it_comes_back_as_it_was_and_goes_with_its_conversation(store: Conversations) -> None:
    number = answer(store)
    sent.keep(store, number, filled())
    found = sent.find(store, number)
    assert found == filled()
    assert found.why == sent.UNSAID
    store.delete(store.message(number).conversation)
    with store.read() as db:
        assert db.execute("SELECT count(*) FROM sent").fetchone()[0] == 0


def test_an_answer_of_which_nothing_is_known_says_so(store: Conversations) -> None:
    number = answer(store)
    assert sent.find(store, number) is None
    sent.keep(store, number, Sent())
    assert sent.find(store, number) is None
    sent.keep(store, number + 1, filled())  # its message was deleted meanwhile
    assert sent.find(store, number + 1) is None


def test_a_record_that_cannot_be_read_is_none(store: Conversations) -> None:
    number = answer(store)
    with store.write() as db:
        db.execute("INSERT INTO sent VALUES (?, ?)", (number, b"not zlib"))
    assert sent.find(store, number) is None


def test_the_key_is_in_no_record() -> None:
    assert "very-secret" not in repr(Sent.unpacked(filled().packed()))


def test_pictures_are_kept_as_their_size() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}}
    found = Sent.unpacked(filled(messages=[{"role": "user", "content": [part]}]).packed())
    url = found.request["messages"][0]["content"][0]["image_url"]["url"]
    assert url == "data:image/png;base64,… (3,000 bytes)"


def test_a_record_stays_small_whatever_was_sent() -> None:
    huge = filled(messages=[{"role": "user", "content": "x" * 900_000}, {"role": "user", "content": "y" * 900_000}])
    huge.rendered({"prompt": "x" * 1_800_000, "pieces": ["x"] * 100_000, "special": [], "count": 100_000})
    found = Sent.unpacked(huge.packed())
    first, second = (m["content"] for m in found.request["messages"])
    assert re.fullmatch(r"x{300000,}… \([\d,]+ more characters\)", first)
    assert second == "… (900,000 more characters)"
    assert len(repr(found)) < 1.1 * sent.MAX_CHARS
    assert found.count == 100_000


def test_an_engine_that_does_not_say_its_prompt_is_told_apart_from_a_server_that_was_gone() -> None:
    from dataclasses import replace

    for engine, why in (("lmdeploy", sent.CANNOT), ("transformers", sent.UNREACHED)):
        found = Sent()
        found.begin(replace(SERVER, engine=engine), {"model": "m"})
        assert found.why == why


def test_a_second_attempt_leaves_nothing_of_the_first() -> None:
    found = filled()
    found.response = {"error": "too long"}
    found.begin(SERVER, {"model": "m", "messages": []})
    assert (found.prompt, found.count, found.response, found.why) == ("", 0, {}, sent.UNREACHED)


def test_deterministic_overrules_the_sampling_and_gives_it_back() -> None:
    params = ChatParams(temperature=1.3, top_p=0.5, seed=None, deterministic=True)
    assert params.sampling() == {"temperature": 0.0, "top_p": 1.0, "seed": FIXED_SEED}
    off = params.model_copy(update={"deterministic": False})
    assert off.sampling() == {"temperature": 1.3, "top_p": 0.5, "seed": None}


def test_a_database_from_before_is_brought_up_to_date(workspace: Workspace) -> None:
    import sqlite3

    from backend.chat.schema import MIGRATIONS

    db = sqlite3.connect(workspace.chat_db)
    for migrate in MIGRATIONS[:2]:
        migrate(db)
    db.execute("INSERT INTO conversations (id, title, created, updated) VALUES ('c', 'Old', 1, 1)")
    db.execute(
        "INSERT INTO messages (conversation, role, content, state, created, updated)"
        " VALUES ('c', 'user', 'Hi', 'done', 1, 1)"
    )
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()
    store = Conversations(workspace)
    [message] = store.messages("c")
    assert (message.content, message.attachments, sent.find(store, message.id)) == ("Hi", (), None)


# --- as it is drawn


def test_blanks_breaks_and_signs_without_a_shape_are_visible() -> None:
    drawn = chat_marks.visible(" a\tb\n\u3000\u200b<i>")
    assert drawn.startswith("<i>␣</i><wbr>a<i>⇥</i>\tb<i>⏎</i>\n")
    assert "<b>U+3000</b><b>U+200B</b>" in drawn
    assert drawn.endswith("&lt;i&gt;")


def test_special_tokens_are_framed_and_repeats_counted() -> None:
    drawn = chat_marks.tokens(["<s>", "Hi", " <image>", " <image>", " there", ""], [0, 2, 3])
    assert drawn == (
        '<b>&lt;s&gt;</b><span class="odd">Hi</span>'
        "<i>␣</i><wbr><b>&lt;image&gt; × 2</b><span><i>␣</i><wbr>there</span>"
    )


def test_a_very_long_prompt_is_drawn_as_its_ends() -> None:
    drawn = chat_marks.tokens([f"t{n}" for n in range(5000)], [])
    assert "t0<" in drawn
    assert "t4999<" in drawn
    assert "t2500<" not in drawn
    assert drawn.count("<b>…</b>") == 1


@pytest.mark.parametrize(
    ("text", "marks"),
    [(" Hi", ("␣", "")), ("Hi\n\n", ("", "⏎ ⏎")), ("\u3000Hi \t", ("U+3000", "␣ ⇥")), ("Hi there", ("", ""))],
)
def test_blanks_around_a_prompt_are_named(text: str, marks: tuple[str, str]) -> None:
    assert chat_marks.around(text) == marks
