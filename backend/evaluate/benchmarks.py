"""C-Eval or MMLU as a set: brought in from a folder or an archive, looked at again after its files have changed, read."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.data.containers import archive, reading
from backend.errors import DataError, PanelError
from backend.evaluate import layout_places, layout_tables, layouts, set_files
from backend.evaluate.layouts import Examined
from backend.evaluate.questions import Question, QuestionSet
from backend.i18n import N_


def kept(examined: Examined, title: str, folder: Path) -> dict[str, Any]:
    """``set.json`` of a new set in ``folder``. A folder of questions stays where it is; an archive is unpacked.

    Raises:
        DataError: ``set_unusable``: nothing in it can be asked.
        OSError: the disk is full or read-only.
    """
    if not examined.usable:
        raise _unusable(examined)
    title = title or layouts.TITLES[examined.kind]
    if not examined.path.is_file():
        return set_files.of_benchmark(examined, title, examined.path / examined.root)
    _unpack(examined, folder / set_files.FILES)
    data = set_files.of_benchmark(examined, title, folder / set_files.FILES)
    return data | {"path": set_files.FILES}


def looked_at(home: Path, known: QuestionSet, found: Mapping[str, Any]) -> QuestionSet:
    """``known`` as ``set.json`` says, ``found``; where its files are not what they were then, they are read again."""
    assert known.path is not None
    names = [subject.name for subject in known.subjects]
    if set_files.stamp(known.path, kind(known), names) == found.get("stamp"):
        return known
    try:
        data = set_files.of_benchmark(layouts.examine(known.path), known.title, known.path)
    except DataError as error:
        problem = error if known.path.is_dir() else set_files.gone(known.name, known.path)
        told = problem.to_dict()
        return QuestionSet(known.name, known.title, known.kind, known.version, known.subjects, known.path, told)
    data["path"] = found["path"]
    with contextlib.suppress(PanelError):  # a full or read-only disk: it is looked at again next time
        set_files.write(home, data)
    return set_files.question_set(home, data)


def read(known: QuestionSet, subject: str, *, solved: bool) -> tuple[Question, ...]:
    """The questions of ``subject``, or its solved examples.

    Raises:
        DataError: ``set_no_access``.
    """
    assert known.path is not None
    file = layouts.file_name(subject, layouts.EXAMPLES if solved else layouts.ASKED[kind(known)])
    path = known.path / file
    try:
        if solved and not path.exists():
            return ()
        data = path.read_bytes()
    except OSError as error:
        raise layout_places.no_access(path, error) from error
    return tuple(layout_tables.read(kind(known), subject, file, data).questions)


def kind(known: QuestionSet) -> layouts.Kind:
    """Which benchmark ``known`` is."""
    return "ceval" if known.kind == "ceval" else "mmlu"


def _unpack(examined: Examined, into: Path) -> None:
    """The files of the splits, and nothing else of the archive."""
    with archive.opened(examined.path) as packed:
        infos = archive.names(packed.infolist())
        for subject in examined.subjects:
            for split in layouts.NEEDED[examined.kind]:
                name = layouts.file_name(subject.name, split)
                info = infos.get(layouts.joined(examined.root, name))
                if info is None or info.file_size > layout_places.MAX_BYTES:
                    continue
                try:
                    data = packed.read(info)
                except reading.STOPPED:
                    continue  # its subject has the problem already
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)


def _unusable(examined: Examined) -> DataError:
    first = set_files.as_said(examined.problems[0]) if examined.problems else "-"
    return DataError(
        "set_unusable",
        N_("Nothing in {path} can be asked. The first of {count} problems: {problem}"),
        N_("See all of them with: python -m backend eval check PATH"),
        path=str(examined.path),
        count=len(examined.problems),
        problem=first,
    )
