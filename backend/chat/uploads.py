"""Files that people attach, checked by what they hold and made fit to send.

A picture is turned upright, made smaller and loses its metadata (a phone writes into it where it was taken). A text is
kept as UTF-8.

Covered: broken and cut off pictures, pictures that unpack to an absurd size, files that are not what their name says,
encodings (UTF-8, UTF-16 with a mark, GB18030), sizes. Not covered: what a picture shows or a text says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from backend.chat import pictures
from backend.chat.attachments import Attachment, Upload
from backend.errors import ConflictError, PanelError
from backend.i18n import N_

IMAGE_TYPES = ("png", "jpg", "jpeg", "webp", "gif", "bmp")
TEXT_TYPES = ("txt", "md", "csv", "tsv", "json", "jsonl", "py", "log", "yaml", "yml", "xml", "html")
MAX_FILES = 8
MAX_BYTES = 50 << 20
MAX_TEXT_CHARS = 200_000


def check_all(files: Sequence[tuple[str, bytes]]) -> list[Upload]:
    """What people gave, as (name, content), checked and ready to store.

    Raises:
        ConflictError: ``too_many_files``, and those of :func:`check`.
    """
    if len(files) > MAX_FILES:
        raise ConflictError(
            "too_many_files",
            N_("These are {count} files; one message takes at most {limit}."),
            N_("Send them in several messages."),
            count=len(files),
            limit=MAX_FILES,
        )
    return [check(name, data) for name, data in files]


def check(name: str, data: bytes) -> Upload:
    """One file, told by its content, made fit to send.

    Raises:
        ConflictError: ``file_too_large``, ``file_empty``, ``file_unknown``, ``file_not_what_it_says``, ``file_encoding``,
            ``file_text_too_long``, ``image_broken``, ``image_too_many_pixels``.
    """
    name = _short(name)
    if not data:
        raise ConflictError("file_empty", N_("The file '{name}' is empty."), N_("Choose another one."), name=name)
    if len(data) > MAX_BYTES:
        raise ConflictError(
            "file_too_large",
            N_("The file '{name}' has {size} MiB; at most {limit} MiB are taken."),
            N_("Make the picture smaller, or send a part of the text."),
            name=name,
            size=f"{len(data) / (1 << 20):,.0f}",
            limit=MAX_BYTES >> 20,
        )
    image, named = pictures.kind_of(data), Path(name).suffix.lower().removeprefix(".")
    if image is None:
        if named in IMAGE_TYPES:
            raise _not_what_it_says(name, named, "text" if _looks_like_text(data) else "?")
        return _text(name, data)
    if named in TEXT_TYPES:
        raise _not_what_it_says(name, named, image)
    picture = pictures.prepare(name, image, data)
    found = Attachment(
        hashlib.sha256(picture.data).hexdigest(),
        name,
        "image",
        picture.media_type,
        len(picture.data),
        width=picture.width,
        height=picture.height,
    )
    return Upload(found, picture.data)


def _text(name: str, data: bytes) -> Upload:
    if not _looks_like_text(data):
        if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
            raise ConflictError(
                "file_unknown",
                N_("'{name}' is a picture in a format that cannot be read here (HEIC or AVIF)."),
                N_("Save it as JPEG or PNG and attach that."),
                name=name,
            )
        raise ConflictError(
            "file_unknown",
            N_("'{name}' is neither a picture nor a text that can be read here."),
            N_("Attach a PNG, JPEG, WebP, GIF or BMP picture, or a text file; save a document as text first."),
            name=name,
        )
    text = _decoded(name, data)
    if len(text) > MAX_TEXT_CHARS:
        raise ConflictError(
            "file_text_too_long",
            N_("'{name}' has {count} characters; a text file may have at most {limit}."),
            N_("Send the part that matters."),
            name=name,
            count=f"{len(text):,}",
            limit=f"{MAX_TEXT_CHARS:,}",
        )
    stored = text.encode("utf-8")
    digest = hashlib.sha256(stored).hexdigest()
    return Upload(Attachment(digest, name, "text", "text/plain", len(stored), chars=len(text)), stored)


def _looks_like_text(data: bytes) -> bool:
    """Whether there are none of the control bytes that only binary files have (UTF-16 says by its mark what it is)."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    return re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data[: 1 << 16]) is None


def _decoded(name: str, data: bytes) -> str:
    # GB18030 takes in GBK and GB2312: what Chinese Windows writes.
    marked = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    for encoding in (marked, "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n")
    raise ConflictError(
        "file_encoding",
        N_("The text in '{name}' is in an encoding that cannot be read: neither UTF-8 nor GB18030."),
        N_("Save it as UTF-8 and attach it again."),
        name=name,
    )


def _not_what_it_says(name: str, named: str, holds: str) -> PanelError:
    found = {"text": N_("The file '{name}' is named like a picture, but it holds text."),
             "?": N_("The file '{name}' is named like a picture, but it is none that can be read.")}  # fmt: skip
    return ConflictError(
        "file_not_what_it_says",
        found.get(holds, N_("The file '{name}' is named like a text, but it holds a picture ({holds}).")),
        N_("Open it to see what it is, give it its right name or get it again, and attach that."),
        name=name,
        named=named,
        holds=holds,
    )


def _short(name: str) -> str:
    """A name for people and prompts: the last part, one line, no longer than 100 characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name.replace("\\", "/").rsplit("/", 1)[-1]).split())
    stem, dot, ending = line.rpartition(".")
    return line if len(line) <= 100 else f"{(stem or line)[:90]}…{dot}{ending[:8]}" if dot else line[:99] + "…"
