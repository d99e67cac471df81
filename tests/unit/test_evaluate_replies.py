"""What servers send back, read: streams and whole objects, thoughts beside the answer, errors in three shapes, and garbage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.evaluating.asking import Reply


def stream(*chunks: dict[str, Any], end: bytes = b"data: [DONE]\n\n", size: int = 7) -> Reply:
    """The stream of ``chunks``, torn into pieces of ``size`` bytes."""
    data = b"".join(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks) + end
    reply = Reply()
    reply.events = True
    for at in range(0, len(data), size):
        reply.feed(data[at : at + size])
    reply.end()
    return reply


def said(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def test_a_stream_is_put_together_wherever_it_was_torn() -> None:
    usage = {"choices": [], "usage": {"completion_tokens": 3}}
    for size in (1, 2, 5, 1000):
        reply = stream(said(role="assistant", content=""), said(content="答案"), said(content="是 B"), usage, size=size)
        assert (reply.text(), reply.tokens, reply.done) == ("答案是 B", 3, True)


def test_a_whole_object_is_read_as_well() -> None:
    reply = Reply()
    told = {"choices": [{"message": {"content": "B"}, "finish_reason": "length"}], "usage": {"completion_tokens": 1}}
    for piece in (json.dumps(told)[:20], json.dumps(told)[20:]):
        reply.feed(piece.encode())
    reply.end()
    assert (reply.text(), reply.finish, reply.tokens) == ("B", "length", 1)


def test_thoughts_that_come_apart_stand_before_the_answer_and_unfinished_ones_are_no_answer() -> None:
    reply = stream(said(reasoning_content="It is A. No, "), said(reasoning="it is B."), said(content="B"))
    assert reply.text() == "<think>It is A. No, it is B.</think>B"
    assert stream(said(reasoning_content="It is A. No,")).text() == "<think>It is A. No,"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "out of memory"}},
        {"detail": "out of memory"},
        {"object": "error", "message": "out of memory"},
    ],
)
def test_an_error_is_told_in_the_words_of_the_server(body: dict[str, Any]) -> None:
    assert stream(body, end=b"").problem() == "out of memory"


def test_bytes_that_are_no_answer_are_garbage() -> None:
    reply = Reply()
    reply.feed(b"<html>Bad gateway</html>")
    reply.end()
    assert (reply.garbage, reply.text(), reply.finish) == (True, "", "")


def test_json_that_no_server_should_send_breaks_nothing() -> None:
    reply = stream({"choices": ["B"]}, said(content=["B"]), {"choices": None, "usage": 3})
    assert (reply.text(), reply.tokens, reply.garbage) == ("", None, True)


def test_a_stream_that_ends_too_early_has_not_said_that_it_is_complete() -> None:
    reply = stream(said(content="The answer"), end=b"")
    assert (reply.done, reply.finish) == (False, "")
