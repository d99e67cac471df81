"""From a path to the parts of a source: one file, those of a folder, or those within an archive."""

from __future__ import annotations

import contextlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from backend.data.containers import archive, layout, pictures, workbook
from backend.data.containers.parts import Part, file_part
from backend.data.containers.records import Notices
from backend.data.containers.unpacked import Unpacked
from backend.errors import DataError
from backend.i18n import N_

MAX_FILES = 100_000
Find = Callable[[str, Unpacked], Path]
Parts = tuple[list[Part], Find, Callable[[], None]]


def parts(path: Path, member: str | None, notices: Notices, unpacked: Unpacked) -> Parts:
    """(files of rows, what finds pictures, what closes the place).

    Raises:
        DataError: there is nothing that holds rows, or something that must not be read.
        OSError: the system refuses.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return _folder(path, member, notices)
    if not stat.S_ISREG(mode):
        raise DataError(
            "data_not_a_file",
            N_("{path} is neither a file nor a folder."),
            N_("Choose the file that holds the rows."),
            path=str(path),
        )
    with path.open("rb") as file:
        head = file.read(4)
    if head in (b"PK\x03\x04", b"PK\x05\x06") and not workbook.is_workbook(path):
        return _archive(path, member, notices, unpacked)
    return [file_part(path, path.name)], pictures.in_folder(path.parent, [""]), lambda: None


def _folder(root: Path, member: str | None, notices: Notices) -> Parts:
    names = sorted(_walk(root))
    chosen = layout.choose(names, lambda name: (root / name).read_bytes(), notices, root.name or str(root), member)
    found = [file_part(root / one.name, one.name, one.split) for one in chosen]
    return found, pictures.in_folder(root, _bases(found)), lambda: None


def _walk(root: Path) -> Iterator[str]:
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            path = Path(folder, file)
            if not path.is_file():  # a broken link, a socket, a pipe that would never end
                continue
            count += 1
            if count > MAX_FILES:
                raise DataError(
                    "data_folder_large",
                    N_("{path} holds more than {limit} files."),
                    N_("Choose the folder of the dataset itself, or one file in it."),
                    path=str(root),
                    limit=MAX_FILES,
                )
            yield path.relative_to(root).as_posix()


def _archive(path: Path, member: str | None, notices: Notices, unpacked: Unpacked) -> Parts:
    packed = archive.opened(path)
    try:
        infos = archive.names(packed.infolist())
        chosen = layout.choose(list(infos), lambda name: packed.read(infos[name]), notices, path.name, member)
    except BaseException:
        packed.close()
        raise

    def unpack(name: str) -> Path:
        with packed.open(infos[name]) as stream:
            return unpacked.keep(name, stream)

    found = [_member(packed, infos[one.name], one, unpack) for one in chosen]
    find = pictures.in_names({name: name for name in infos}, _bases(found), unpack)
    return found, find, packed.close


def _member(packed: zipfile.ZipFile, info: zipfile.ZipInfo, one: layout.Chosen, unpack: Callable[[str], Path]) -> Part:
    @contextlib.contextmanager
    def opened() -> Iterator[BinaryIO]:
        with packed.open(info) as stream:
            yield cast(BinaryIO, stream)

    return Part(one.name, info.file_size, opened, lambda: unpack(one.name), one.split)


def _bases(found: list[Part]) -> list[str]:
    """The folders of the files of rows, and the one around all."""
    folders = dict.fromkeys(str(PurePosixPath(part.name).parent) for part in found)
    return list(dict.fromkeys(["" if folder == "." else folder for folder in folders] + [""]))
