"""The folder that code may write, looked at from outside: how much is in it, what is new, and copies of that.

Whoever wrote there is not trusted. Nothing here follows a link, opens anything but plain files and folders, or goes
deeper than :data:`DEEPEST`; and all of it also holds while the code still runs and changes the folder under our eyes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

DEEPEST = 16
MOST_KEPT, MOST_KEPT_BYTES = 20, 64 << 20
"""Files of one call that are handed out, and bytes of them together."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNFIT = re.compile(r"[^\w.+-]+")

State = dict[str, tuple[int, ...]]
"""What was there: by the path, what changes when it is written; of folders only that they are there."""


class Unfit(Exception):
    """The folder cannot be gone through: folders too deep, or made unreadable."""


@dataclass(frozen=True)
class Usage:
    """Bytes on the disk, and entries."""

    size: int
    entries: int


def opened(path: Path) -> int:
    """A descriptor of the folder, made where it is not there yet.

    Raises:
        OSError: it is a link, a file, or cannot be made.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, FOLDER)


def entries(folder: int) -> Generator[tuple[str, os.stat_result], None, None]:
    """Everything below the folder with its path from there, each folder before what is in it. Some entries may have
    gone meanwhile.

    Raises:
        Unfit: too deep, or a folder that cannot be opened.
    """
    stack = [("", os.dup(folder))]
    try:
        while stack:
            prefix, handle = stack.pop()
            try:
                for name in _names(handle):
                    try:
                        seen = os.stat(name, dir_fd=handle, follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    yield prefix + name, seen
                    if stat.S_ISDIR(seen.st_mode):
                        inner = _inner(handle, name, prefix)
                        if inner is not None:
                            stack.append((f"{prefix}{name}/", inner))
            finally:
                os.close(handle)
    finally:
        for _prefix, handle in stack:
            os.close(handle)


def _names(handle: int) -> list[str]:
    with os.scandir(handle) as found:
        return [entry.name for entry in found]


def _inner(handle: int, name: str, prefix: str) -> int | None:
    if prefix.count("/") >= DEEPEST:
        raise Unfit(f"folders in folders deeper than {DEEPEST}")
    try:
        return os.open(name, FOLDER, dir_fd=handle)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # no right to read it, too many open, or a link by now
        raise Unfit(error.strerror or "a folder that cannot be read") from error


def usage(folder: int, enough: int) -> Usage:
    """How much is in the folder; counted no further than a bit more than ``enough`` entries.

    Raises:
        Unfit: as :func:`entries`.
    """
    size = count = 0
    with closing(entries(folder)) as found:
        for _path, seen in found:
            size, count = size + seen.st_blocks * 512, count + 1
            if count > enough:
                break
    return Usage(size, count)


def state(folder: int) -> State:
    """What is there now.

    Raises:
        Unfit: as :func:`entries`.
    """
    return {path: _mark(seen) for path, seen in entries(folder)}


def _mark(seen: os.stat_result) -> tuple[int, ...]:
    if stat.S_ISDIR(seen.st_mode):
        return (seen.st_ino,)
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def changed(folder: int, before: State) -> list[str]:
    """Plain files that are new or were written, by their path. Hidden ones are a library's own affairs.

    Raises:
        Unfit: as :func:`entries`.
    """
    return sorted(
        path
        for path, seen in entries(folder)
        if stat.S_ISREG(seen.st_mode)
        and before.get(path) != _mark(seen)
        and not any(part.startswith((".", "__pycache__")) for part in path.split("/"))
    )


def handed_out(folder: int, paths: list[str], target: Path) -> tuple[Path, ...]:
    """Copies of ``paths`` in the new folder ``target``, which code cannot write: what a person opens later is what
    was there now. No more than :data:`MOST_KEPT` and :data:`MOST_KEPT_BYTES`."""
    made: list[Path] = []
    room = MOST_KEPT_BYTES
    for path in paths[:MOST_KEPT]:
        copy = target / _fit(path, len(made) + 1)
        if copy in made:
            copy = copy.with_name(f"{len(made) + 1}-{copy.name}")
        size = _copied(folder, path, copy, room)
        if size is not None:
            room -= size
            made.append(copy)
    return tuple(made)


def _fit(path: str, number: int) -> str:
    """A name without anything that a shell, a browser or a terminal would take for more than a name."""
    plain = _UNFIT.sub("_", path.replace("/", "-").encode("utf-8", "replace").decode()).lstrip(".-_")[-120:]
    return plain or f"file-{number}"


def _copied(folder: int, path: str, copy: Path, room: int) -> int | None:
    """Bytes that were copied; None where ``path`` is no plain file of its own any more, or too large."""
    *folders, name = path.split("/")
    if ".." in (*folders, name):
        return None
    handle = os.dup(folder)
    try:
        for each in folders:
            inner = os.open(each, FOLDER, dir_fd=handle)
            os.close(handle)
            handle = inner
        source = os.open(name, FILE, dir_fd=handle)
    except OSError:
        return None
    finally:
        os.close(handle)
    with os.fdopen(source, "rb") as reader:
        seen = os.fstat(source)
        if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1 or seen.st_size > room:
            return None
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with copy.open("xb") as writer:
            done = 0
            while done < seen.st_size and (block := reader.read(min(1 << 20, seen.st_size - done))):
                writer.write(block)
                done += len(block)
    return done


def put_back(folder: int, before: State) -> None:
    """Remove what was not there before, and what has grown since; nobody else may write there meanwhile."""
    _put_back(folder, "", before)


def _put_back(handle: int, prefix: str, before: State) -> None:
    for name in _names(handle):
        path, seen = prefix + name, os.stat(name, dir_fd=handle, follow_symlinks=False)
        if path not in before or (not stat.S_ISDIR(seen.st_mode) and before[path] != _mark(seen)):
            remove(handle, name)
        elif stat.S_ISDIR(seen.st_mode):
            inner = _open_at_last(handle, name)
            _put_back(inner, f"{path}/", before)
            os.close(inner)


def remove(handle: int, name: str) -> None:
    """Remove the entry ``name`` of a folder with all that is in it, however deep: what lies two folders down is moved
    one up."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=handle)
        return
    top = _open_at_last(handle, name)
    moved = 0
    try:
        while names := _names(top):
            for each in names:
                if not stat.S_ISDIR(os.stat(each, dir_fd=top, follow_symlinks=False).st_mode):
                    os.unlink(each, dir_fd=top)
                    continue
                inner = _open_at_last(top, each)
                for lower in _names(inner):
                    moved += 1
                    os.rename(lower, f".moved-{moved}-{os.getpid()}", src_dir_fd=inner, dst_dir_fd=top)
                os.close(inner)
                os.rmdir(each, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=handle)


def _open_at_last(handle: int, name: str) -> int:
    """The folder ``name``, whatever rights it was left with."""
    try:
        return os.open(name, FOLDER, dir_fd=handle)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=handle)  # no link: nobody else writes there now, and it was seen to be a folder
        return os.open(name, FOLDER, dir_fd=handle)
