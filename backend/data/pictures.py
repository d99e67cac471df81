"""Pictures of rows: kept once each, named by their content, below ``datasets/images``."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from backend.errors import DataError
from backend.i18n import N_

MAX_BYTES = 64 * 1024 * 1024
REFERENCE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.(jpg|png|webp|gif|bmp|tiff)")
KINDS = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
}


def keep(folder: Path, source: bytes | Path) -> str:
    """Put a picture below ``folder``; returns its address there. One that is there already is not written again.

    Raises:
        DataError: ``picture_unknown``: not a picture; ``picture_large``.
        OSError: it cannot be read, or not be written.
    """
    name = source.name if isinstance(source, Path) else ""
    if isinstance(source, Path):
        if source.stat().st_size > MAX_BYTES:
            raise _large(name)
        source = source.read_bytes()
    if len(source) > MAX_BYTES:
        raise _large(name)
    kind = next((kind for start, kind in KINDS.items() if source.startswith(start)), None)
    if kind is None and source[:4] == b"RIFF" and source[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        raise DataError(
            "picture_unknown",
            N_("{name} is not a picture that can be used."),
            N_("JPEG, PNG, WebP, GIF, BMP and TIFF can be."),
            name=name or "?",
        )
    digest = hashlib.sha256(source).hexdigest()
    address = f"{digest[:2]}/{digest}.{kind}"
    final = folder / address
    if not final.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = final.with_name(f".{final.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            with partial.open("wb") as file:
                file.write(source)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
    return address


def path_of(folder: Path, address: str) -> Path:
    """Where the picture ``address`` lies.

    Raises:
        DataError: ``picture_address``: it is not one that :func:`keep` gave.
    """
    if not REFERENCE.fullmatch(address):
        raise DataError(
            "picture_address",
            N_("'{address}' names no picture of a dataset."),
            N_("Import the rows again together with the folder of their pictures."),
            address=address[:200],
        )
    return folder / address


def _large(name: str) -> DataError:
    return DataError(
        "picture_large",
        N_("The picture {name} is larger than {limit} MiB."),
        N_("Make it smaller: models look at pictures of about a thousand pixels."),
        name=name,
        limit=MAX_BYTES >> 20,
    )
