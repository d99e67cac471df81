"""ZIP archives, read without unpacking them; whoever made it, nothing in it is believed.

Covered: names that lead out (``../``, ``/etc``, ``C:``), links, members that overlap, more than 100,000 of them, and those that
unpack to far more than they are (bombs), by the sizes that the archive states, which :mod:`zipfile` enforces while reading.
Not covered: an archive whose rows are wrong; that is what the rooms after this one are for.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from backend.errors import DataError
from backend.i18n import N_

MAX_MEMBERS = 100_000
MAX_BYTES = 64 << 30
SUSPECT_BYTES = 64 << 20
"""Below this, what an archive unpacks to harms nobody, however well it was packed."""
MAX_RATIO = 100
"""Text packs to a fifth or a tenth; rows that repeat one another to a fiftieth. DEFLATE ends at a thousandth."""


def opened(path: Path) -> zipfile.ZipFile:
    """The archive ``path``, its members checked.

    Raises:
        DataError: ``data_zip_broken``, or what :func:`check` raises.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(
            "data_zip_broken",
            N_("{name} is a damaged ZIP archive: {problem}."),
            N_("It was probably cut off while it was copied: copy or download it again."),
            name=path.name,
            problem=str(error).rstrip("."),
        ) from None
    try:
        check(archive.infolist(), path.name)
    except BaseException:
        archive.close()
        raise
    return archive


def check(infos: list[zipfile.ZipInfo], name: str, max_bytes: int = MAX_BYTES) -> None:
    """Refuse an archive that means harm, naming the member.

    Raises:
        DataError: ``data_zip_bomb``, ``data_zip_path``, ``data_zip_link``, ``data_zip_locked``.
    """
    if len(infos) > MAX_MEMBERS:
        text = N_("{name} is refused: it holds {count} files; at most {limit} are read.")
        raise _bomb(text, name, count=len(infos), limit=MAX_MEMBERS)
    for info in infos:
        _check_member(info, name)
    end = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < end:
            raise _bomb(
                N_("{name} is refused: its member {member} lies within another one."), name, member=info.filename
            )
        end = info.header_offset + info.compress_size
    total, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
    if total > max_bytes or suspicious(total, packed):
        text = N_("{name} is refused: it unpacks from {packed} MB to {total} MB.")
        raise _bomb(text, name, packed=round(packed / 1e6, 1), total=round(total / 1e6))


def suspicious(unpacked: int, packed: int) -> bool:
    """Whether so many bytes from so few cannot be a dataset."""
    return unpacked > SUSPECT_BYTES and unpacked > MAX_RATIO * max(packed, 1)


def _check_member(info: zipfile.ZipInfo, name: str) -> None:
    raw = info.orig_filename
    path = PurePosixPath(raw.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in raw[:3] or "\0" in raw:
        raise DataError(
            "data_zip_path",
            N_("{name} is refused: its member {member} leads out of the folder it is unpacked into."),
            N_("No honest program makes such an archive. Do not unpack it; ask where it comes from."),
            name=name,
            member=raw[:200],
        )
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(
            "data_zip_link",
            N_("{name} is refused: its member {member} is a link or a device, not a file."),
            N_("Pack the files themselves (zip without --symlinks)."),
            name=name,
            member=raw[:200],
        )
    if info.flag_bits & 1:
        raise DataError(
            "data_zip_locked",
            N_("{name} is protected by a password: {member} cannot be read."),
            N_("Unpack it, and import the folder."),
            name=name,
            member=raw[:200],
        )


def _bomb(text: str, name: str, **values: object) -> DataError:
    hint = N_("Datasets do not look like this. If you trust it, unpack it yourself and import the folder.")
    return DataError("data_zip_bomb", text, hint, name=name, **values)


def names(infos: Iterable[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Files by their names, slashes between folders; names that Windows wrote in Chinese are read as such."""
    return {_name(info): info for info in infos if not info.is_dir()}


def _name(info: zipfile.ZipInfo) -> str:
    name = info.filename.replace("\\", "/")
    if info.flag_bits & 0x800 or name.isascii():
        return name
    for encoding in ("utf-8", "gb18030"):
        try:
            return name.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return name
