"""Small files that only their owner may read: written whole or not at all, read again when they changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from backend.workspace import explain_os_error

T = TypeVar("T")


def write_secret(path: Path, data: bytes, *, replace: bool) -> bool:
    """Write ``path`` with mode 0600. Without ``replace`` an existing file wins: False is returned, nothing is changed.

    Raises:
        WorkspaceError: the folder cannot be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
            return True
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        return True
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    finally:
        temporary.unlink(missing_ok=True)


class Reread(Generic[T]):
    """What ``parse`` makes of a file's bytes (None: no file), parsed again only when the file is another or changed.

    A look costs one ``stat``, so that a replaced token or a revoked key holds from the very next request on.
    """

    def __init__(self, path: Path, parse: Callable[[bytes | None], T]) -> None:
        self.path = path
        self._parse = parse
        self._seen: tuple[int, int, int] | None = None
        self._value: T = parse(None)

    def get(self) -> T:
        try:
            stat = self.path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._value = self._parse(self.path.read_bytes())
                self._seen = seen
        except OSError:
            # Missing or not readable: nothing is known, so nobody is let in.
            self._seen, self._value = None, self._parse(None)
        return self._value
