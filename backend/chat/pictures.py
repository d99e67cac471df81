"""A picture that people attach, made fit for a model: upright, in RGB, of a sane size, without metadata."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from backend.errors import ConflictError, PanelError
from backend.i18n import N_

MAX_SIDE = 1568
"""Pixels of the longer side. Vision models cut a picture into tiles or scale it to less; more only costs time."""
MAX_PIXELS = 80_000_000
"""A file of a few kilobytes can claim any size; 80 megapixels are 240 MB unpacked."""
_PNG_BYTES = 1 << 20
_SIGNS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"))


@dataclass(frozen=True)
class Picture:
    """``data`` is a file of ``media_type``; width and height in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


def kind_of(data: bytes) -> str | None:
    """``PNG``, ``JPEG``, ``WEBP``, ``GIF`` or ``BMP`` by the first bytes, whatever the name says; None for all else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    # "BM" begins many a text: the size in the header must be there too.
    if data[:2] == b"BM" and (len(data) < 26 or data[6:10] != b"\0\0\0\0"):
        return None
    return next((kind for sign, kind in _SIGNS if data.startswith(sign)), None)


def prepare(name: str, kind: str, data: bytes) -> Picture:
    """The first frame of the picture as people see it, at most :data:`MAX_SIDE` pixels long.

    Raises:
        ConflictError: ``image_broken``, ``image_too_many_pixels``.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=[kind]) as opened:
            warnings.simplefilter("ignore")
            if opened.width * opened.height > MAX_PIXELS:
                raise _too_many_pixels(name)
            opened.draft("RGB", (2 * MAX_SIDE, 2 * MAX_SIDE))
            opened.load()
            image = ImageOps.exif_transpose(opened)
            if image.has_transparency_data:
                # Transparent would turn black; people see pictures on white.
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image.convert("RGBA"))
            image = image.convert("RGB")
            image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    except PanelError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(name) from error
    except Exception as error:
        # Pillow's readers raise whatever a broken file leads them to: OSError, SyntaxError, ValueError, struct.error …
        raise ConflictError(
            "image_broken",
            N_("The picture '{name}' cannot be read; it is damaged or not whole ({problem})."),
            N_("Open it in a picture viewer, save it again as PNG or JPEG, and attach that."),
            name=name,
            problem="header" if isinstance(error, UnidentifiedImageError) else str(error)[:200] or type(error).__name__,
        ) from error
    return _file(image, sharp=kind != "JPEG")


def _file(image, *, sharp: bool) -> Picture:  # type: ignore[no-untyped-def]  # Pillow is imported only where needed
    """As PNG where that is small (drawings, screenshots), else as JPEG."""
    out = io.BytesIO()
    if sharp:
        image.save(out, "PNG", optimize=False)
        if out.tell() <= _PNG_BYTES:
            return Picture(out.getvalue(), "image/png", image.width, image.height)
        out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return Picture(out.getvalue(), "image/jpeg", image.width, image.height)


def _too_many_pixels(name: str) -> ConflictError:
    return ConflictError(
        "image_too_many_pixels",
        N_("The picture '{name}' unpacks to more than {limit} million pixels, which is more than can be read here."),
        N_("Make it smaller and attach it again."),
        name=name,
        limit=MAX_PIXELS // 1_000_000,
    )
