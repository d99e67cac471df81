"""What a model reads, said by the server without computing; and pictures, for a model that sees. Real processes, real
templates, a real image processor."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support import scripted_model, seeing_model
from tests.support.seeing_model import IMAGE_TOKENS, picture
from tests.support.server import Client, ServeJob

TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("render")
    job = ServeJob(folder / "job", model=str(scripted_model.build(folder / "model", 256)), name="scripted")
    yield job.client()
    job.end()


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("seeing")
    job = ServeJob(folder / "job", model=str(seeing_model.build(folder / "model")), name="seeing")
    yield job.client()
    job.end()


def render(client: Client, content: Any, **fields: Any) -> httpx.Response:
    body = {"model": client.server.model, "messages": [{"role": "user", "content": content}], **fields}
    return client.http.post("/chat/render", json=body)


def image(colour: str) -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(picture(colour)).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def look(client: Client, *parts: dict[str, Any] | str, **fields: Any) -> httpx.Response:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return client.chat([{"role": "user", "content": content}], max_tokens=8, temperature=0, **fields)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def test_the_prompt_is_said_as_text_tokens_and_their_pieces(scripted: Client) -> None:
    found = render(scripted, " please  greet", max_tokens=3, temperature=0.5).json()
    assert found["prompt"] == "<|begin|>user said  please  greet assistant:  please  greet"
    assert "".join(found["pieces"]) == found["prompt"]
    assert len(found["pieces"]) == len(found["tokens"]) == found["count"]
    assert [found["pieces"][n] for n in found["special"]] == ["<|begin|>"], "not the unknown words"
    usage = scripted.chat(" please  greet", max_tokens=1).json()["usage"]
    assert usage["prompt_tokens"] == found["count"]


def test_it_counts_neither_as_a_request_nor_as_work(scripted: Client) -> None:
    before = scripted.status()
    assert render(scripted, "greet").status_code == 200
    after = scripted.status()
    assert (after["requests"], after["tokens"]) == (before["requests"], before["tokens"])


def test_a_prompt_that_is_too_long_to_be_answered_can_still_be_looked_at(scripted: Client) -> None:
    assert scripted.chat("word " * 400).status_code == 400
    assert render(scripted, "word " * 400).json()["count"] > 256


def test_it_needs_the_key_and_refuses_what_a_chat_refuses(scripted: Client) -> None:
    body = {"model": "scripted", "messages": [{"role": "user", "content": "greet"}]}
    assert httpx.post(scripted.server.base_url + "/chat/render", json=body, trust_env=False).status_code == 401
    assert render(scripted, "greet", model="another").status_code == 404
    assert render(scripted, "refuse").json()["error"]["message"].endswith("this conversation is refused")


def test_a_model_that_reads_text_says_that_it_cannot_see(scripted: Client) -> None:
    answer = look(scripted, image("red"), "greet")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_content", "messages.0.content")
    assert "it cannot see" in error["message"]


def test_a_model_that_sees_answers_by_the_picture_and_counts_it(seeing: Client) -> None:
    red, blue, none = (look(seeing, *parts, "what is this ?") for parts in ([image("red")], [image("blue")], []))
    assert said(red) == said(look(seeing, image("red"), "what is this ?"))
    assert said(red) != said(blue)
    assert said(red) != said(none)
    counts = [answer.json()["usage"]["prompt_tokens"] for answer in (red, none)]
    assert counts[0] - counts[1] == IMAGE_TOKENS


def test_a_picture_in_the_rendered_prompt_is_its_tokens(seeing: Client) -> None:
    found = render(seeing, [image("red"), {"type": "text", "text": "what is this ?"}]).json()
    assert found["prompt"] == "<s>user: <image> what is this ? assistant:"
    assert found["pieces"].count("<image>") == IMAGE_TOKENS
    assert [found["pieces"][n] for n in found["special"]] == ["<s>"] + ["<image>"] * IMAGE_TOKENS


def test_text_in_strings_and_in_parts_is_the_same_to_a_model_that_sees(seeing: Client) -> None:
    plain = render(seeing, "what is this ?").json()
    assert plain["prompt"] == "<s>user: what is this ? assistant:"
    assert plain == render(seeing, [{"type": "text", "text": "what is this ?"}]).json()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("data:image/png;base64,AAAA", "none that can be read"),
        ("data:image/png;base64,%%%", "cannot be read"),
        ("http://127.0.0.1:1/picture.png", "fetches nothing"),
        ("file:///etc/passwd", "fetches nothing"),
        (None, "fetches nothing"),
    ],
)
def test_a_picture_that_is_none_or_lies_elsewhere_is_refused_by_place(
    seeing: Client, url: str | None, problem: str
) -> None:
    answer = look(seeing, {"type": "image_url", "image_url": {"url": url}}, "what ?")
    assert answer.status_code == 400
    assert problem in answer.json()["error"]["message"]
    assert answer.json()["error"]["message"].startswith("messages.0: ")


def test_sound_is_refused_by_name(seeing: Client) -> None:
    answer = look(seeing, {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})
    assert "'input_audio'" in answer.json()["error"]["message"]
