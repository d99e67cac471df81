"""Which encoding a text file has, decided by its content, and its text as UTF-8 whatever that is.

Nothing is decided before the first byte that is not ASCII, up to which all encodings agree; then one megabyte decides. UTF-8
passes through as it is. A mark at the beginning (BOM) wins. UTF-16 without one betrays itself by where its NULs are. GB18030 is told from
Latin-1 by its pairs: in Chinese text nearly all have both bytes above A0, in French hardly any two such letters follow each other.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

from backend.data.containers.records import Notices
from backend.errors import DataError
from backend.i18n import N_

CHUNK = 1 << 20
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
NAMES = {"utf-8": "UTF-8", "gb18030": "GB18030", "cp1252": "Latin-1", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
MIN_BYTES = 64
"""So many bytes that are not ASCII are wanted for a decision; if the chunk has fewer, the next one is read too."""
_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_HIGH_PAIR = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_LOW = bytes(range(0x80))
_DIVIDES = frozenset(b'\n\r\t ,;:"{}')


def detect(sample: bytes) -> str:
    """The encoding of ``sample``, which holds bytes that are not ASCII and may end within a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    high = len(sample.translate(None, _LOW))
    if sum(map(len, _UTF8.findall(sample))) > 0.9 * high:
        return "utf-8"  # with a few damaged bytes
    try:
        codecs.getincrementaldecoder("gb18030")().decode(sample)
    except UnicodeDecodeError:
        return _other(sample)
    if len(_HIGH_PAIR.findall(sample)) < 0.7 * len(_PAIR.findall(sample)):
        return _other(sample)
    return "gb18030"


def _other(sample: bytes) -> str:
    """Latin-1, unless statistics are sure of another script. Windows writes cp1252, of which Latin-1 is the printable part."""
    from charset_normalizer import from_bytes

    lines = b"\n".join(line for line in sample.split(b"\n") if not line.isascii())[:65536]
    found = from_bytes(lines, cp_isolation=["gb18030", "big5", "cp932", "euc_kr", "cp1251", "cp1252"]).best()
    return found.encoding if found is not None and found.encoding != "cp1252" and found.chaos < 0.1 else "cp1252"


def wide(head: bytes) -> str | None:
    """UTF-16 without a mark: what divides text, be it the commas of Chinese, has its NUL always on the same side. (Other NULs
    prove nothing: U+4E00, the commonest Chinese character, ends with one.)"""
    head = head[:4096]
    if head.count(0) < 4:
        return None
    first, second = head[::2], head[1::2]
    little = sum(high == 0 and low in _DIVIDES for low, high in zip(first, second, strict=False))
    big = sum(high == 0 and low in _DIVIDES for high, low in zip(first, second, strict=False))
    if max(little, big) < max(2, 0.01 * len(first)) or min(little, big) > 0.1 * max(little, big):
        return None
    return "utf-16-le" if little > big else "utf-16-be"


def checked(name: str) -> str:
    """The codec of the encoding that a person named.

    Raises:
        DataError: ``encoding_unknown``.
    """
    try:
        b"a".decode(name, "replace")  # also refuses what is no encoding of text, such as hex
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise DataError(
            "encoding_unknown",
            N_("'{name}' is no encoding."),
            N_("Common ones: utf-8, utf-16, gb18030, big5, latin-1. Left empty, it is found by itself."),
            name=name,
        ) from None


class Text:
    """A binary stream as chunks of UTF-8, decoded where it has to be.

    Args:
        read: reads up to so many bytes.
        head: what was read of the stream before.
        encoding: what a person said that it is; None decides by content.
    """

    def __init__(
        self, read: Callable[[int], bytes], head: bytes, notices: Notices, part: str, encoding: str | None = None
    ) -> None:
        self._read = read
        self._notices = notices
        self._part = part
        self._decoder: codecs.IncrementalDecoder | None = None
        self._replaced = 0
        self.encoding = "utf-8"
        self.settled = False
        for mark, name in MARKS:
            if head.startswith(mark):
                head = head[len(mark) :]
                self._settle(encoding or name)
                break
        else:
            found = encoding or wide(head)
            if found:
                self._settle(found)
        self.head = self._next(head)

    def __iter__(self) -> Iterator[bytes]:
        """The chunks, from the beginning."""
        if self.head:
            yield self.head
        while chunk := self._read(CHUNK):
            text = self._next(chunk)
            if text:
                yield text
        if self._decoder is not None:
            rest = self._utf8(self._decoder, b"", True)
            if rest:
                yield rest

    def _next(self, chunk: bytes) -> bytes:
        if not self.settled and not chunk.isascii():
            while len(chunk.translate(None, _LOW)) < MIN_BYTES and (more := self._read(CHUNK)):
                chunk += more
                if len(chunk) > 4 * CHUNK:
                    break
            self._settle(detect(chunk))
        return chunk if self._decoder is None else self._utf8(self._decoder, chunk, False)

    def _utf8(self, decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool) -> bytes:
        text = decoder.decode(chunk, final)
        bad = text.count("\N{REPLACEMENT CHARACTER}")
        if bad:
            self._replaced += bad
            self._notices.note(
                "data_bytes_replaced",
                N_("Places that are no text in {encoding} were read as “�”: {count}."),
                count=self._replaced,
                encoding=NAMES.get(self.encoding, self.encoding),
                part=self._part,
            )
        return text.encode("utf-8", "replace")

    def _settle(self, encoding: str) -> None:
        self.settled = True
        self.encoding = encoding
        if encoding == "utf-8":
            return
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._notices.note(
            "data_encoding",
            N_("The text was read as {encoding}. If it looks wrong below, choose its encoding."),
            encoding=NAMES.get(encoding, encoding),
            part=self._part,
        )
