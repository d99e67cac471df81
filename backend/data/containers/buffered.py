"""A stream of chunks that can be looked at before it is read, and that knows in which line and at which byte it stands."""

from __future__ import annotations

from collections.abc import Iterator

AT_ONCE = 1 << 20
SPACE = b" \t\r\n"


class Buffered:
    """``data`` is what was read and not yet used; ``byte`` and ``line`` (from 1) are those of its first byte."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.data = b""
        self.byte = 1
        self.line = 1

    def more(self) -> bool:
        """Append the next chunk; False at the end."""
        chunk = next(self._chunks, b"")
        self.data += chunk
        return bool(chunk)

    def drop(self, count: int) -> None:
        """``count`` bytes are used."""
        self.line += self.data.count(b"\n", 0, count)
        self.byte += count
        self.data = self.data[count:]

    def chunk(self) -> bytes:
        """The next megabyte at most; b"" at the end. It is used by this."""
        if not self.data and not self.more():
            return b""
        found = self.data[:AT_ONCE]
        self.drop(len(found))
        return found

    def push(self, data: bytes, line: int, byte: int) -> None:
        """Give ``data`` back, which began at ``line`` and ``byte``."""
        self.data = data + self.data
        self.line, self.byte = line, byte

    def skip_space(self) -> bytes:
        """The next byte that is no white space, which is not used yet; b"" at the end."""
        while True:
            rest = self.data.lstrip(SPACE)
            self.drop(len(self.data) - len(rest))
            if rest or not self.more():
                return self.data[:1]
