"""HTTP/1.1 responses as they arrive, piece by piece: only what a measurement needs, and as little work per byte as possible.

Read after RFC 9112: a body ends by its chunks, by its length, or with the connection. A line that is none of HTTP is an error,
never skipped. Not covered: trailers are read over, compressed bodies are refused (none is asked for).
"""

from __future__ import annotations

MOST_HEAD = 65_536


class BadHttp(Exception):
    """What came is no HTTP/1.1 response."""


class Response:
    """One response. ``status`` and ``headers`` (names in lower case) are there once ``begun``; ``done``: it is complete."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.begun = self.done = False
        self.keeps_alive = True
        self._buffer = b""
        self._left = 0  # bytes of the current chunk or of the body that are still to come
        self._mode = b"head"

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that are in ``data``.

        Raises:
            BadHttp: it is no HTTP, or more than one response came for one request.
        """
        if not self.begun:
            data = self._head(self._buffer + data)
            if not self.begun:
                return b""
        if self._mode in (b"chunked", b"trailers"):
            return self._chunks(data)
        if self._mode == b"length":
            body, rest = data[: self._left], data[self._left :]
            self._left -= len(body)
            self.done = not self._left
            if rest:
                raise BadHttp("more bytes came than the response has")
            return body
        return data

    def closed(self) -> None:
        """The connection has ended; that ends a body that has neither length nor chunks."""
        if self.begun and self._mode == b"close":
            self.done = True

    def _head(self, data: bytes) -> bytes:
        """What follows the head in ``data``; keeps it where the head is not yet complete."""
        while True:
            head, blank, rest = data.partition(b"\r\n\r\n")
            if not b"HTTP/1.".startswith(head[:7]) or len(head) > MOST_HEAD:
                raise BadHttp(f"it begins with {data[:40]!r}")
            if not blank:
                self._buffer = data
                return b""
            lines = head.split(b"\r\n")
            words = lines[0].split(None, 2)
            if len(words) < 2 or not words[1].isdigit():
                raise BadHttp(f"its first line is {lines[0][:80]!r}")
            self.status = int(words[1])
            data = rest
            if self.status >= 200 or self.status == 101:  # 1xx announce what is to come
                break
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                raise BadHttp(f"a header line is {line[:80]!r}")
            self.headers[name.strip().lower()] = value.strip()
        self._buffer = b""
        self.begun = True
        connection = self.headers.get(b"connection", b"").lower()
        self.keeps_alive = b"close" not in connection and (words[0] != b"HTTP/1.0" or b"keep-alive" in connection)
        if self.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise BadHttp("its body is compressed, which was not asked for")
        if b"chunked" in self.headers.get(b"transfer-encoding", b"").lower():
            self._mode = b"chunked"
        elif b"content-length" in self.headers:
            self._mode, self._left = b"length", self._number(self.headers[b"content-length"], 10)
            self.done = not self._left
        elif self.status in (204, 304):
            self.done = True
        else:
            self._mode, self.keeps_alive = b"close", False
        return data

    def _chunks(self, data: bytes) -> bytes:
        data = self._buffer + data
        at, body = 0, []
        while not self.done:
            if self._left > 2:
                piece = data[at : at + self._left - 2]
                body.append(piece)
                at += len(piece)
                self._left -= len(piece)
            if self._left:  # the line end behind the chunk
                if self._left > 2 or len(data) - at < 2:
                    break
                if data[at : at + 2] != b"\r\n":
                    raise BadHttp(f"a chunk ends with {data[at : at + 2]!r}")
                at += 2
                self._left = 0
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            line = data[at:end]
            if self._mode == b"chunked":
                size = self._number(line.partition(b";")[0].strip(), 16)
                at = end + 2
                if size:
                    self._left = size + 2
                else:
                    self._mode = b"trailers"
            else:
                at = end + 2
                self.done = not line
        if self.done and at < len(data):
            raise BadHttp("more bytes came than the response has")
        self._buffer = data[at:]
        return b"".join(body)

    @staticmethod
    def _number(text: bytes, base: int) -> int:
        digits = b"0123456789abcdef"[:base]
        if not text or text.lower().strip(digits):
            raise BadHttp(f"a length is {text[:40]!r}")
        return int(text, base)
