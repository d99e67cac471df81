"""The picture that a row names: only within the folder or archive that it came with, and only if it is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from backend.data.containers.unpacked import Unpacked, picture_suffix
from backend.errors import DataError
from backend.i18n import N_

FOLDERS = ("", "images", "image", "imgs", "pictures")
"""Rows often name a picture by the file alone, while it lies in a folder beside them."""


def in_folder(root: Path, bases: list[str]) -> Callable[[str, Unpacked], Path]:
    """Finds pictures below ``root``; ``bases``: folders in it, with slashes, where files of rows lie."""

    def find(reference: str, unpacked: Unpacked) -> Path:
        if (found := unpacked.find(reference)) is not None:
            return found
        _refuse_remote(reference)
        inside = root.resolve()
        outside = False
        for base in bases:
            for folder in FOLDERS:
                try:
                    path = (root / base / folder / reference).resolve()
                    there = path.is_file()
                except (OSError, ValueError):
                    continue
                if not path.is_relative_to(inside):
                    outside = True
                elif there:
                    return _checked(path, reference)
        raise _outside(reference) if outside else _missing(reference)

    return find


def in_names(names: dict[str, str], bases: list[str], unpack: Callable[[str], Path]) -> Callable[[str, Unpacked], Path]:
    """Finds pictures among the ``names`` of an archive (folded name -> name), unpacking only those that rows name."""

    def find(reference: str, unpacked: Unpacked) -> Path:
        if (found := unpacked.find(reference)) is not None:
            return found
        _refuse_remote(reference)
        if reference.startswith(("/", "\\")) or ":" in reference[:3]:
            raise _outside(reference)
        outside = False
        for base in bases:
            for folder in FOLDERS:
                name = _normal(PurePosixPath(base) / folder / reference.replace("\\", "/"))
                if name is None:
                    outside = True
                elif name in names:
                    return _checked(unpack(names[name]), reference)
        raise _outside(reference) if outside else _missing(reference)

    return find


def _normal(path: PurePosixPath) -> str | None:
    """``a/c`` of ``a/b/../c``; None for what leads out."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _checked(path: Path, reference: str) -> Path:
    with path.open("rb") as file:
        picture_suffix(file.read(16), reference)
    return path


def _refuse_remote(reference: str) -> None:
    if reference.startswith(("http://", "https://", "s3://", "oss://")):
        raise DataError(
            "data_image_remote",
            N_("The picture {reference} lies on another machine: nothing is downloaded while rows are read."),
            N_("Download the pictures first, and name their files in the rows."),
            reference=reference[:200],
        )


def _outside(reference: str) -> DataError:
    return DataError(
        "data_image_outside",
        N_("The picture {reference} lies outside the folder that is imported: it is not read."),
        N_("Put it beside the rows, and name it from there: images/1.png."),
        reference=reference[:200],
    )


def _missing(reference: str) -> DataError:
    return DataError(
        "data_image_missing",
        N_("The picture {reference} is not there."),
        N_("Import the folder or .zip that holds rows and pictures, not the file of rows alone."),
        reference=reference[:200],
    )
