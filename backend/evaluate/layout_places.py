"""Where the files of a benchmark lie: in a folder, or in a ZIP archive that is looked into without unpacking it. Both are read in the same way.

Nothing in an archive is believed: names that lead out, links, passwords and bombs are refused by :mod:`backend.data.containers.archive`.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from backend.data.containers import archive, encodings, reading
from backend.errors import DataError
from backend.i18n import N_

MAX_BYTES = 64 << 20
"""Of one file; the largest of C-Eval and MMLU has three megabytes."""
MAX_FOLDERS, MAX_DEPTH = 3000, 5
SPLITS = ("dev", "val", "test")
UTF8, UTF8_MARKED = "UTF-8", "UTF-8 BOM"
_SAMPLE = 1 << 20


class Place(Protocol):
    """path: of the folder or archive. names: of the CSV files that lie in folders named as a split, with slashes."""

    path: Path
    names: list[str]

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DataError: it cannot be read, or is too large.
        """


@contextmanager
def opened(path: Path) -> Iterator[Place]:
    """The folder or archive ``path``.

    Raises:
        DataError: ``set_path_missing``, ``set_not_a_place``, ``set_no_access``, or that the archive is refused.
    """
    path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would replace a link that a person chose on purpose
    with ExitStack() as open_files:
        try:
            place = _place(path, open_files)
        except OSError as error:
            raise no_access(path, error) from error
        yield place


def _place(path: Path, open_files: ExitStack) -> Place:
    if path.is_dir():
        os.scandir(path).close()  # os.walk would pass over a folder that must not be read
        return _Folder(path.parent if _is_split(path) else path)
    if path.is_file() and zipfile.is_zipfile(path):
        return _Zipped(path, open_files.enter_context(archive.opened(path)))
    if not path.exists():
        raise DataError(
            "set_path_missing",
            N_("{path} does not exist on this machine."),
            N_("Check the path; a file on your own computer is uploaded instead."),
            path=str(path),
        )
    raise DataError(
        "set_not_a_place",
        N_("{path} is neither a folder nor a ZIP archive."),
        N_(
            "Choose the folder of the benchmark, or its .zip; a .tar has to be unpacked first. A file of questions is added as one's own set."
        ),
        path=str(path),
    )


def text(data: bytes) -> tuple[str, str, int]:
    """(text, name of its encoding, characters that could not be read)."""
    if data.startswith(b"\xef\xbb\xbf"):
        found = data[3:].decode("utf-8", "replace")
        return found, UTF8_MARKED, found.count("\N{REPLACEMENT CHARACTER}")
    try:
        return data.decode("utf-8"), UTF8, 0
    except UnicodeDecodeError:
        pass
    marked = next((name for mark, name in encodings.MARKS if data.startswith(mark)), None)
    codec = marked or encodings.wide(data) or encodings.detect(data[:_SAMPLE])
    found = data.decode(codec, "replace").removeprefix("\ufeff")
    return found, encodings.NAMES.get(codec, codec), found.count("\N{REPLACEMENT CHARACTER}")


def no_access(path: Path, error: OSError) -> DataError:
    """The system does not let us read ``path``."""
    return DataError(
        "set_no_access",
        N_("{path} cannot be read: {problem}."),
        N_("Give yourself permission to read it, or choose another one."),
        path=str(path),
        problem=error.strerror or str(error),
    )


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = sorted(self._found(path))

    def _found(self, root: Path) -> Iterator[str]:
        for seen, (folder, folders, files) in enumerate(os.walk(root, followlinks=True), start=1):
            inside = Path(folder).relative_to(root)
            deep = len(inside.parts) >= MAX_DEPTH or seen > MAX_FOLDERS
            folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
            if inside.name in SPLITS:
                yield from ((inside / name).as_posix() for name in files if _is_table(name))

    def read(self, name: str) -> bytes:
        path = self.path / name
        try:
            if path.stat().st_size > MAX_BYTES:
                raise _large(name)
            return path.read_bytes()
        except OSError as error:
            raise no_access(path, error) from error


class _Zipped:
    def __init__(self, path: Path, packed: zipfile.ZipFile) -> None:
        self.path = path
        self._packed = packed
        self._infos = archive.names(packed.infolist())
        self.names = sorted(name for name in self._infos if self._is_split(name))

    @staticmethod
    def _is_split(name: str) -> bool:
        parts = name.split("/")
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        return len(parts) > 1 and parts[-2] in SPLITS and _is_table(parts[-1]) and not hidden

    def read(self, name: str) -> bytes:
        info = self._infos[name]
        if info.file_size > MAX_BYTES:
            raise _large(name)
        try:
            return self._packed.read(info)
        except reading.STOPPED as error:
            raise DataError(
                "set_member_damaged",
                N_("{file} in the archive is damaged: {problem}."),
                N_("It was probably cut off while it was copied: copy or download it again."),
                file=name,
                problem=str(error),
            ) from error


def _is_split(path: Path) -> bool:
    """Whether somebody chose the folder of one split instead of the one around all."""
    return path.name in SPLITS and any(path.glob(f"*_{path.name}.csv"))


def _is_table(name: str) -> bool:
    return name.lower().endswith(".csv") and not name.startswith(".")


def _large(name: str) -> DataError:
    return DataError(
        "set_file_large",
        N_("{file} has more than {limit} MB."),
        N_("That is no file of questions: choose the folder of the benchmark itself."),
        file=name,
        limit=MAX_BYTES >> 20,
    )
