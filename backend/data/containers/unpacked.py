"""A temporary folder for what has to be unpacked, made when the first thing is, removed with the source."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path, PurePosixPath

from backend.data.containers.parts import Readable
from backend.errors import DataError
from backend.i18n import N_

AT_ONCE = 1 << 20
PICTURES = ((b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"), (b"BM", ".bmp"))
PREFIX = "tunedeck-unpacked-"


class Unpacked:
    """Files unpacked from archives, and pictures that lie within tables, by the names that rows call them."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._remove: weakref.finalize[..., object] | None = None

    @property
    def folder(self) -> Path:
        """The folder; on the disk of ``TMPDIR``."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def close(self) -> None:
        """Remove it; used again, it is a new one."""
        if self._remove is not None:
            self._remove()
        self._folder = self._remove = None

    def keep(self, name: str, stream: Readable) -> Path:
        """``stream`` as a file; a name of our own, so that nothing in ``name`` leads anywhere."""
        suffix = PurePosixPath(name).suffix[:16]
        path = self.folder / (hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:24] + suffix)
        if not path.exists():
            partial = path.with_suffix(".partial")
            with partial.open("wb") as out:
                while data := stream.read(AT_ONCE):
                    out.write(data)
            partial.rename(path)
        return path

    def picture(self, data: bytes) -> str:
        """Keep a picture that lies in a row; the reference by which :meth:`find` gives it back.

        Raises:
            DataError: ``data_image_bad``.
        """
        name = "embedded/" + hashlib.sha256(data).hexdigest()[:32] + picture_suffix(data, "")
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(data)
        return name

    def find(self, reference: str) -> Path | None:
        """The picture of :meth:`picture`, or one written into the reference itself (``data:image/png;base64,…``).

        Raises:
            DataError: ``data_image_bad``.
        """
        if reference.startswith("data:"):
            try:
                data = base64.b64decode(reference.partition(",")[2], validate=True)
            except (binascii.Error, ValueError):
                data = b""
            return self.folder / self.picture(data)
        if self._folder is None or not reference.startswith("embedded/") or ".." in reference:
            return None
        path = self._folder / reference
        return path if path.is_file() else None


def picture_suffix(head: bytes, name: str) -> str:
    """The extension of the picture that begins with ``head``.

    Raises:
        DataError: ``data_image_bad``: it is none.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    for magic, suffix in PICTURES:
        if head.startswith(magic):
            return suffix
    raise DataError(
        "data_image_bad",
        N_("The picture {reference} is no picture that can be read: PNG, JPEG, GIF, WebP or BMP."),
        N_("Save it again in one of these forms."),
        reference=name[:200] or "(in the row)",
    )
