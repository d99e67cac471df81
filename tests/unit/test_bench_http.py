"""Responses of servers read from bytes, in whatever pieces they arrive; and answers read from responses."""

from __future__ import annotations

import json

import pytest

from jobs.benching.answer import Answer
from jobs.benching.connection import Address
from jobs.benching.http1 import BadHttp, Response

BODY = b"data: one\n\ndata: \xe4\xba\x8c\n\n"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"B\r\ndata: one\n\n\r\n" + b"0b;name=value\r\n" + BODY[11:] + b"\r\n" + b"0\r\nX-Trailer: 1\r\n\r\n"
)
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
CLOSE = b"HTTP/1.0 200 OK\r\n\r\n" + BODY
EARLY = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("data", [CHUNKED, LENGTH, CLOSE, EARLY + LENGTH], ids=["chunked", "length", "close", "1xx"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_a_body_is_the_same_in_whatever_pieces_it_arrives(data: bytes, size: int) -> None:
    response, body = Response(), b""
    for at in range(0, len(data), size):
        assert not response.done
        body += response.feed(data[at : at + size])
    response.closed()
    assert (response.status, response.done, body) == (200, True, BODY)
    assert response.keeps_alive == (data is not CLOSE)


def test_what_ends_early_is_not_done() -> None:
    for data in (CHUNKED[:-1], LENGTH[:-1], CLOSE[:12]):
        response = Response()
        response.feed(data)
        response.closed()
        assert not response.done


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 fine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70_000,
    ],
)
def test_what_is_no_http_is_refused(data: bytes) -> None:
    with pytest.raises(BadHttp):
        Response().feed(data)


def test_an_answer_without_a_body_is_done_at_once() -> None:
    response = Response()
    assert response.feed(b"HTTP/1.1 204 No Content\r\n\r\n") == b""
    assert response.done


def event(**choice: object) -> bytes:
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def test_the_first_token_is_the_first_text_and_not_the_piece_that_names_the_role() -> None:
    answer = Answer()
    answer.feed(event(delta={"role": "assistant", "content": ""}), 1.0)
    assert not answer.pieces
    data = event(delta={"content": "He"}) + event(delta={"content": "llo"})
    answer.feed(data[:-9], 2.0)
    answer.feed(data[-9:], 2.5)
    answer.feed(event(delta={"reasoning_content": "hm"}), 4.0)
    answer.feed(event(delta={}, finish_reason="stop"), 5.0)
    answer.feed(
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\r\n\r\ndata: [DONE]\r\n\r\n', 6.0
    )
    assert (answer.first, list(answer.gaps), answer.pieces) == (2.0, [0.5, 1.5], 3)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.finished) == (3, 4, True)


def test_an_answer_in_one_piece_and_errors_as_servers_write_them() -> None:
    answer = Answer()
    answer.keep(
        b'{"choices":[{"message":{"content":"Hello there"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    )
    answer.whole()
    assert (answer.first, answer.finished, answer.completion_tokens, answer.pieces) == (None, True, 2, 3)
    for body, message in (
        (
            b'{"error":{"code":"context_length_exceeded","message":"maximum context length is 5"}}',
            "maximum context length is 5",
        ),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"object":"error","message":"no such model"}', "no such model"),
    ):
        answer = Answer()
        answer.keep(body)
        answer.whole()
        assert (answer.message(), answer.finished, answer.garbage) == (message, False, False)
        assert answer.too_long() == ("context" in message)
    answer = Answer()
    answer.keep(b"<html>")
    answer.whole()
    assert answer.garbage


def test_addresses() -> None:
    address = Address.of("http://127.0.0.1:23333/v1/")
    assert (address.host, address.port, address.path, address.url()) == (
        "127.0.0.1",
        23333,
        "/v1",
        "http://127.0.0.1:23333/v1",
    )
    assert Address.of("https://[::1]/v1").url() == "https://[::1]:443/v1"
    request = address.request("POST", "/chat/completions", "secret", b"{}")
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /v1/chat/completions HTTP/1.1"
    assert b"Authorization: Bearer secret" in head
    assert b"Content-Length: 2" in head
    assert body == b"{}"
    for wrong in ("127.0.0.1:23333", "ftp://x/v1", "http:///v1", "http://x:99999/", "http://user:pw@x/v1", ""):
        with pytest.raises(Exception, match="no address of a server"):
            Address.of(wrong)
