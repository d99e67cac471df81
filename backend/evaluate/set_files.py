"""How a set of questions is kept: a folder named as it is called, in which ``set.json`` is written last.

    evaluations/sets/<name>/set.json          kind, title, version, subjects, what was found when it was looked at, and the state of its files then
    evaluations/sets/<name>/files/            of a benchmark that came as an archive: what was in it
    evaluations/sets/<name>/questions.jsonl   of one's own set: a question a line
    evaluations/sets/.copies/<name>/…         a benchmark as OpenCompass reads it, where its own files are not so; may be deleted

A benchmark in a folder of its own stays there. Whether its files are still the same is seen by their size and time, so that a list of sets reads none
of them; after a change they are looked at again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.errors import ConflictError, DataError, PanelError
from backend.evaluate import layouts
from backend.evaluate.layouts import Examined
from backend.evaluate.questions import QuestionSet, Subject
from backend.i18n import N_
from backend.said import Said
from backend.workspace import Workspace, explain_os_error, read_json, write_json

INFO, FILES, ROWS, COPIES = "set.json", "files", "questions.jsonl", ".copies"
MAX_NAME_CHARS = 60
RESERVED = ("bundled",)
Stamp = list[list[Any]]
"""``[name, size, time in ns]`` of each file, and of the folders, in which a file may have come to be."""


def home(workspace: Workspace, name: str) -> Path:
    """The folder of the set ``name``, there or not.

    Raises:
        DataError: ``set_unknown``: nothing can be called so.
    """
    # A name from an address or a command line must not lead out of the folder.
    if not name or name.startswith(".") or set("/\\\0") & set(name):
        raise unknown(name)
    return workspace.question_sets / name


def checked_name(workspace: Workspace, name: str) -> str:
    """``name`` for a new set.

    Raises:
        ConflictError: ``set_name_bad``, ``set_name_taken``.
    """
    line = " ".join(name.split())
    bad = not line or len(line) > MAX_NAME_CHARS or line.startswith(".") or not line.isprintable()
    if bad or set("/\\") & set(line):
        raise ConflictError(
            "set_name_bad",
            N_("'{name}' cannot be the name of a set of questions."),
            N_("Use 1 to {limit} characters, without slashes and without a dot at the beginning."),
            name=line[: 2 * MAX_NAME_CHARS],
            limit=MAX_NAME_CHARS,
        )
    if line in RESERVED or home(workspace, line).exists():
        raise taken(line)
    return line


@contextmanager
def making(workspace: Workspace, name: str) -> Iterator[Path]:
    """A folder to write a new set in, which is the set ``name`` afterwards; whatever is raised inside leaves nothing behind.

    Raises:
        ConflictError: ``set_name_taken``: somebody else made one meanwhile.
        WorkspaceError: the disk is full or read-only.
    """
    target = home(workspace, name)
    fresh = workspace.question_sets / f".new-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if target.exists():
            raise taken(name)
        fresh.rename(target)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise explain_os_error(error, workspace.question_sets) from error
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def write(folder: Path, data: Mapping[str, Any]) -> None:
    """``set.json`` of the set in ``folder``."""
    write_json(folder / INFO, dict(data))


def data(folder: Path) -> dict[str, Any] | None:
    """What stands in ``set.json``; None where there is none, or it is damaged. Not to be changed: it is kept."""
    path = folder / INFO
    try:
        status = path.stat()
    except OSError:
        return None
    return _data(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _data(path: Path, _time: int, _size: int) -> dict[str, Any] | None:
    found = read_json(path)
    return found if isinstance(found, dict) and isinstance(found.get("subjects"), list) else None


def of_benchmark(examined: Examined, title: str, path: Path) -> dict[str, Any]:
    """``set.json`` of a benchmark whose splits lie in ``path``."""
    return {
        "kind": examined.kind,
        "title": title,
        "path": str(path),
        "version": examined.version,
        "encoding": examined.encoding,
        "clean": examined.clean,
        "subjects": [asdict(subject) for subject in examined.subjects],
        "problems": examined.problems,
        "notices": examined.notices,
        "stamp": stamp(path, examined.kind, [subject.name for subject in examined.subjects]),
    }


def stamp(path: Path, kind: layouts.Kind, subjects: list[str]) -> Stamp:
    """The state of the files that are read of a benchmark."""
    found: Stamp = []
    for split in layouts.NEEDED[kind]:
        names = [split]
        if split in (layouts.ASKED[kind], layouts.EXAMPLES):
            names += [layouts.file_name(subject, split) for subject in subjects]
        for name in names:
            try:
                status = os.stat(f"{path}/{name}")  # noqa: PTH116 - hundreds of them each time that a page is drawn
            except OSError:
                continue
            found.append([name, 0 if name == split else status.st_size, status.st_mtime_ns])
    return found


def question_set(home: Path, found: Mapping[str, Any]) -> QuestionSet:
    """The set in the folder ``home`` that its ``set.json``, ``found``, describes. What lies in the folder itself is kept as seen from there.

    Raises:
        KeyError, TypeError: it is damaged.
    """
    return QuestionSet(
        home.name,
        str(found["title"] or home.name),
        found["kind"],
        str(found["version"]),
        tuple(Subject(**subject) for subject in found["subjects"]),
        home / found["path"],
        dict(found.get("problem") or {}),
    )


def unknown(name: str) -> DataError:
    """There is no set ``name``."""
    return DataError(
        "set_unknown",
        N_("There is no set of questions called '{name}'."),
        N_("The tab Question sets of Evaluate lists them, and so does: python -m backend eval sets"),
        name=name[:120],
    )


def taken(name: str) -> ConflictError:
    """The name is not free."""
    return ConflictError(
        "set_name_taken",
        N_("There is already a set of questions called '{name}'."),
        N_("Choose another name, or remove that one first."),
        name=name,
    )


def damaged(name: str, path: Path) -> DataError:
    """What is kept of the set cannot be read."""
    return DataError(
        "set_damaged",
        N_("What is kept of the set of questions '{name}' is damaged."),
        N_("Remove it and add it again. The folder: {path}"),
        name=name,
        path=str(path),
    )


def gone(name: str, path: Path) -> DataError:
    """The folder of a benchmark is not where it was."""
    return DataError(
        "set_gone",
        N_("The folder of '{name}' is not there any more: {path}"),
        N_("Bring it back, or remove the set and add it from where it lies now."),
        name=name,
        path=str(path),
    )


def as_said(told: Mapping[str, Any]) -> Said:
    """The sentence of the error that was kept as ``told``, to stand within another one."""
    return Said.of({"said": str(told["message"]), "params": dict(told.get("params") or {})})


def as_data_error(told: Mapping[str, Any]) -> DataError:
    """The error that was kept as ``told``."""
    error = PanelError.from_dict(dict(told))
    return DataError(error.code, error.message, error.hint, **error.params)
