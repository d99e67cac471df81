"""Files that people attach: told by what they hold, made fit, or refused with a sentence; and what of them is sent and kept."""

from __future__ import annotations

import base64
import io
import os
import stat
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from backend.chat import attachments, history, pictures, uploads
from backend.chat.answers import Answers
from backend.chat.attachments import Upload
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.chat.records import Message
from backend.errors import ConflictError, ModelError, PanelError
from backend.workspace import Workspace
from tests.support import models


def image(kind: str = "PNG", size: tuple[int, int] = (60, 40), colour: str = "red", **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind, **more)
    return out.getvalue()


def opened(upload: Upload) -> Image.Image:
    return Image.open(io.BytesIO(upload.data))


def refused(name: str, data: bytes) -> PanelError:
    with pytest.raises(ConflictError) as caught:
        uploads.check(name, data)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_is_known_by_its_content_whatever_its_name_says(kind: str) -> None:
    found = uploads.check("photo.png", image(kind))
    assert (found.attachment.kind, found.attachment.width, found.attachment.height) == ("image", 60, 40)
    assert found.attachment.media_type == ("image/jpeg" if kind == "JPEG" else "image/png")
    assert opened(found).format == ("JPEG" if kind == "JPEG" else "PNG")


def test_a_large_picture_is_made_smaller_and_keeps_its_shape() -> None:
    found = uploads.check("wide.jpg", image("JPEG", (4000, 1000)))
    assert (found.attachment.width, found.attachment.height) == (pictures.MAX_SIDE, 392)
    assert opened(found).size == (pictures.MAX_SIDE, 392)


def test_a_noisy_screenshot_becomes_a_jpeg_that_a_server_takes() -> None:
    noise = Image.frombytes("RGB", (1500, 1500), os.urandom(1500 * 1500 * 3))
    out = io.BytesIO()
    noise.save(out, "PNG", compress_level=0)
    found = uploads.check("noise.png", out.getvalue())
    assert found.attachment.media_type == "image/jpeg"
    assert found.attachment.size < len(out.getvalue()) / 2


def test_a_picture_taken_with_the_phone_turned_stands_upright_and_tells_no_place() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    exif[0x8825] = {1: "N", 2: (47.0, 22.0, 0.0)}
    found = uploads.check("phone.jpg", image("JPEG", (60, 40), exif=exif))
    assert (found.attachment.width, found.attachment.height) == (40, 60)
    assert not opened(found).getexif()


def test_a_transparent_picture_is_seen_on_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(out, "PNG")
    assert opened(uploads.check("logo.png", out.getvalue())).getpixel((5, 5)) == (255, 255, 255)


def broken_pictures() -> dict[str, bytes]:
    whole = image(size=(300, 300))
    return {"header only": whole[:20], "half": whole[: len(whole) // 2], "no end": image("JPEG", (300, 300))[:700]}


@pytest.mark.parametrize("data", broken_pictures().values(), ids=broken_pictures())
def test_a_damaged_picture_is_said_to_be_damaged(data: bytes) -> None:
    error = refused("a.png", data)
    assert error.code == "image_broken"
    assert "'a.png' cannot be read" in str(error)
    assert "BytesIO" not in str(error)


def test_a_small_file_that_claims_to_be_huge_is_not_unpacked() -> None:
    """The header of a PNG of 100,000 x 100,000 pixels: 40 GB of them."""
    body = b"IHDR" + (100_000).to_bytes(4) + (100_000).to_bytes(4) + bytes([8, 2, 0, 0, 0])
    end = b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4)
    bomb = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4) + body + zlib.crc32(body).to_bytes(4) + end
    before = time.monotonic()
    error = refused("bomb.png", bomb)
    assert error.code == "image_too_many_pixels"
    assert "more than 80 million pixels" in str(error)
    assert time.monotonic() - before < 2


def test_a_file_beyond_50_mb_is_refused_with_its_size() -> None:
    error = refused("film.png", image() + bytes(51 << 20))
    assert (error.code, "51 MiB" in str(error)) == ("file_too_large", True)


@pytest.mark.parametrize(
    ("name", "data", "code", "said"),
    [
        (
            "photo.jpg",
            b"<html>404 not found</html>",
            "file_not_what_it_says",
            "named like a picture, but it holds text",
        ),
        ("photo.jpg", b"PK\x03\x04\0\0\0\0", "file_not_what_it_says", "none that can be read"),
        ("notes.txt", image(), "file_not_what_it_says", "named like a text, but it holds a picture (PNG)"),
        ("paper.pdf", b"%PDF-1.7\n\0\x01\x02", "file_unknown", "neither a picture nor a text"),
        ("IMG_1.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "file_unknown", "HEIC"),
        ("empty.csv", b"", "file_empty", "is empty"),
        ("odd.txt", b"caf\xe9 \xff\xff", "file_encoding", "neither UTF-8 nor GB18030"),
        ("long.txt", b"x" * 200_001, "file_text_too_long", "200,001 characters"),
    ],
)
def test_what_cannot_be_sent_is_said_with_its_name(name: str, data: bytes, code: str, said: str) -> None:
    error = refused(name, data)
    assert error.code == code
    assert said in str(error)
    assert name in str(error)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_chinese_text_is_read_in_the_encodings_that_people_have(encoding: str) -> None:
    found = uploads.check("数据.csv", "城市,人口\r\n北京,2189\r\n".encode(encoding))
    assert found.data.decode() == "城市,人口\n北京,2189\n"
    assert (found.attachment.kind, found.attachment.chars) == ("text", 14)


def test_a_text_that_begins_like_a_bitmap_is_a_text() -> None:
    assert uploads.check("cars.txt", b"BMW and others, a long list of cars").attachment.kind == "text"


def test_too_many_files_at_once_are_refused() -> None:
    with pytest.raises(ConflictError, match="9 files; one message takes at most 8"):
        uploads.check_all([("a.txt", b"a")] * 9)


def test_a_name_with_a_path_or_line_breaks_is_cut_to_what_people_call_it() -> None:
    assert uploads.check("C:\\tmp\\ig\nnore this.txt", b"a").attachment.name == "ig nore this.txt"
    long = uploads.check("x" * 300 + ".txt", b"a").attachment.name
    assert len(long) <= 100
    assert long.endswith("….txt")


# --- what is sent


def with_files(number: int, *files: Upload, text: str = "What is this?") -> Message:
    found = tuple(each.attachment for each in files)
    return Message(number, "c", "user", text, "done", 0.0, 0.0, model="m", attachments=found)


def loaded(*files: Upload) -> dict[str, bytes]:
    return {each.attachment.digest: each.data for each in files}


def test_a_picture_is_sent_as_a_part_before_the_text() -> None:
    red = uploads.check("red.png", image())
    [parts] = [m["content"] for m in history.fit([with_files(1, red)], ChatParams(), model="m", context_length=0, files=loaded(red)).messages]  # fmt: skip
    assert [part["type"] for part in parts] == ["image_url", "text"]
    head, _, body = parts[0]["image_url"]["url"].partition(",")
    assert (head, base64.b64decode(body)) == ("data:image/png;base64", red.data)
    assert parts[1]["text"] == "What is this?"


def test_a_text_file_is_quoted_under_its_name_whatever_fences_it_holds() -> None:
    notes = uploads.check("notes.md", b"# Hi\n```py\nprint()\n```\n")
    [turn] = history.turns_of([with_files(1, notes)], files=loaded(notes))
    assert turn[0]["content"] == "notes.md:\n````\n# Hi\n```py\nprint()\n```\n````\n\nWhat is this?"


def test_a_model_that_cannot_see_is_told_the_names_only() -> None:
    red = uploads.check("red.png", image())
    assert history.needed_files([with_files(1, red)], sees=False) == []
    [turn] = history.turns_of([with_files(1, red)], files={})
    assert turn[0]["content"] == "[red.png]\n\nWhat is this?"


def test_only_the_newest_pictures_go_along() -> None:
    many = [uploads.check(f"{n}.png", image(size=(10 + n, 10))) for n in range(history.MAX_IMAGES + 2)]
    needed = history.needed_files([with_files(n, each) for n, each in enumerate(many)], sees=True)
    assert [each.name for each in needed] == [f"{n}.png" for n in range(2, history.MAX_IMAGES + 2)]


def test_a_picture_counts_when_a_conversation_is_fitted_into_the_context() -> None:
    red = uploads.check("red.png", image())
    said = [with_files(1, red), Message(2, "c", "assistant", "Red.", "done", 0.0, 0.0, model="m"), with_files(3)]
    request = history.fit(said, ChatParams(max_tokens=100), model="m", context_length=600, files=loaded(red))
    assert request.left_out == 2
    assert request.messages[-1]["content"] == "What is this?"


def test_a_model_known_to_read_text_only_is_not_sent_a_picture(workspace: Workspace, tmp_path: Path) -> None:
    from backend import catalog

    catalog.add(workspace, models.folder(tmp_path / "blind"))
    red = uploads.check("red.png", image()).attachment
    with pytest.raises(ModelError, match=r"'blind' reads text only: it cannot see red.png. Nothing was sent"):
        attachments.refuse_if_blind(workspace, "blind", [red])
    attachments.refuse_if_blind(workspace, "blind", [uploads.check("a.txt", b"a").attachment])
    attachments.refuse_if_blind(workspace, "somebody else's", [red])  # nobody knows: its server decides


# --- what is kept


@pytest.fixture
def answers(workspace: Workspace) -> Answers:
    return Answers(Conversations(workspace))


def ask(answers: Answers, *files: Upload, conversation: str | None = None, text: str = "Look") -> Message:
    user, answer = answers.ask(conversation, text, model="m", params=ChatParams(), owner="me", files=files)
    answers.finish(answer.id, "me", "done", "Yes")
    return user


def kept(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.attachments.iterdir()}


def test_files_are_private_named_by_their_content_and_come_back_with_the_message(
    workspace: Workspace, answers: Answers
) -> None:
    red, notes = uploads.check("red.png", image()), uploads.check("n.txt", "小麦".encode("gb18030"))
    user = ask(answers, red, notes)
    found = answers.store.messages(user.conversation)[0].attachments
    assert [each.name for each in found] == ["red.png", "n.txt"]
    assert attachments.read(workspace, found[0]) == red.data
    assert attachments.read(workspace, found[1]).decode() == "小麦"
    path = workspace.attachments / found[0].digest
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(workspace.attachments.stat().st_mode) == 0o700


def test_a_message_may_be_a_picture_alone_and_names_the_conversation(answers: Answers) -> None:
    user = ask(answers, uploads.check("wheat.png", image()), text="")
    assert answers.store.get(user.conversation).title == "wheat.png"


def test_an_edited_message_keeps_its_files(answers: Answers) -> None:
    user = ask(answers, uploads.check("red.png", image()))
    again, _ = answers.ask(
        user.conversation, "Look closer", model="m", params=ChatParams(), owner="me", instead_of=user.id
    )
    assert again.attachments == user.attachments


def test_files_go_with_the_last_conversation_that_uses_them(workspace: Workspace, answers: Answers) -> None:
    shared, own = uploads.check("red.png", image()), uploads.check("blue.png", image(colour="blue"))
    first = ask(answers, shared, own).conversation
    second = ask(answers, shared).conversation
    assert len(kept(workspace)) == 2
    answers.store.delete(first)
    assert kept(workspace) == {shared.attachment.digest}
    answers.store.delete(second)
    assert kept(workspace) == set()


def test_what_a_crash_left_is_removed_after_a_day(workspace: Workspace, answers: Answers) -> None:
    user = ask(answers, uploads.check("red.png", image()))
    for name, age in (("left", 100_000), ("new", 10)):
        path = workspace.attachments / name
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    answers.store.delete(user.conversation)
    assert kept(workspace) == {"new"}


def test_a_file_that_was_removed_by_hand_is_named(workspace: Workspace, answers: Answers) -> None:
    user = ask(answers, uploads.check("red.png", image()))
    (workspace.attachments / user.attachments[0].digest).unlink()
    with pytest.raises(ConflictError, match=r"'red.png' is no longer in the workspace"):
        attachments.read(workspace, user.attachments[0])
