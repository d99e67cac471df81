"""Sets of questions: the bundled one, benchmarks in a folder or archive, and one's own, see :mod:`backend.evaluate.set_files`.

sets.listed(workspace)                           all of them; cheap enough for every redraw of a page
sets.questions(workspace, "ceval", ["law"])      what is asked
sets.examine(path)                               what a folder or archive holds and what is wrong with it, before it is added
"""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from backend.data.containers import workbook
from backend.errors import DataError
from backend.evaluate import benchmarks, bundled, layouts, own_rows, own_sets, patterns, set_copies, set_files
from backend.evaluate.layouts import Examined
from backend.evaluate.questions import Question, QuestionSet, Rule
from backend.i18n import N_, _
from backend.workspace import Workspace, explain_os_error

Rows = tuple[Question, ...]


def listed(workspace: Workspace) -> list[QuestionSet]:
    """All sets, the bundled one first, then by name. One that is damaged or gone has a ``problem``."""
    try:
        folders = [path for path in workspace.question_sets.iterdir() if path.is_dir() and path.name[0] != "."]
    except OSError:
        folders = []
    return [_bundled(), *(_known(path) for path in sorted(folders, key=lambda path: path.name.casefold()))]


def get(workspace: Workspace, name: str) -> QuestionSet:
    """One set.

    Raises:
        DataError: ``set_unknown``.
    """
    if name == bundled.NAME:
        return _bundled()
    folder = set_files.home(workspace, name)
    if not folder.is_dir():
        raise set_files.unknown(name)
    return _known(folder)


def told(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """What was found when the set was looked at: problems, notices, rows that were left out (``PanelError.to_dict`` each)."""
    if name == bundled.NAME:
        return []
    get(workspace, name)  # looks again where files have changed
    found = set_files.data(set_files.home(workspace, name)) or {}
    return [*found.get("problems", ()), *found.get("notices", ())]


def questions(
    workspace: Workspace, name: str, subjects: Sequence[str] = (), limit: int = 0, seed: int = 42
) -> list[Question]:
    """What is asked of ``subjects``, or of all that can be asked, in the order of the set.

    Args:
        limit: at most so many of each subject, drawn by ``seed``, in the order in which they stand; 0: all. Those of a small limit are among those
            of a larger one.

    Raises:
        DataError: ``set_unknown``, ``set_subject_unknown``, why the set or one of ``subjects`` cannot be asked.
    """
    known = _usable(workspace, name)
    wanted = set(subjects)
    _check_subjects(known, subjects)
    found: list[Question] = []
    for subject in known.subjects:
        if (wanted and subject.name not in wanted) or (not wanted and subject.problem):
            continue
        found += _drawn(_rows(workspace, known, subject.name, solved=False), limit, f"{seed}/{subject.name}")
    return found


def examples(workspace: Workspace, name: str, subject: str) -> list[Question]:
    """Solved questions of ``subject``, to be shown before one is asked; empty where the set has none.

    Raises:
        DataError: ``set_unknown``, ``set_subject_unknown``.
    """
    known = _usable(workspace, name)
    if subject not in {each.name for each in known.subjects}:
        raise _unknown_subject(known, [subject])
    return list(_rows(workspace, known, subject, solved=True))


def examine(path: Path) -> Examined:
    """What a folder or archive holds; nothing is written. See :func:`backend.evaluate.layouts.examine`.

    Raises:
        DataError: it cannot be read, or is in neither layout.
    """
    return layouts.examine(path)


def add(workspace: Workspace, path: Path, name: str, title: str = "") -> QuestionSet:
    """Add the benchmark in ``path``: a folder stays where it is, an archive is unpacked into the workspace.

    Raises:
        ConflictError: ``set_name_bad``, ``set_name_taken``.
        DataError: ``set_unusable``: nothing in it can be asked; or it cannot be read.
        WorkspaceError: the disk is full or read-only.
    """
    name = set_files.checked_name(workspace, name)
    examined = examine(path)
    with set_files.making(workspace, name) as folder:
        set_files.write(folder, benchmarks.kept(examined, title, folder))
    return get(workspace, name)


def from_rows(
    workspace: Workspace,
    dataset: str,
    name: str,
    rule: Rule,
    *,
    split: str = "",
    subject: str = "",
    title: str = "",
) -> QuestionSet:
    """One's own set from a dataset, ``name`` or ``name@version``: the last question of a row is asked, and the answer to it is the solution.

    Args:
        rule: how answers are marked. ``choice`` takes rows whose question has its options on lines; ``regex`` takes the solution as the pattern.
        split: only rows of this part, ``train``, ``validation`` or ``test``; empty: all. What a model learned from proves nothing.
        subject: what the questions are called together; default: the name of the dataset.

    Rows that are no such question are left out; :func:`told` has their numbers and reasons.

    Raises:
        ConflictError: ``set_name_bad``, ``set_name_taken``.
        DataError: ``dataset_unknown``, ``version_unknown``, ``set_rows_none``: none can be used.
    """
    name = set_files.checked_name(workspace, name)
    with patterns.done_soon():
        gathered = own_rows.from_dataset(workspace, dataset, rule, split, subject)
    return _make_own(workspace, name, title or name, gathered)


def from_file(workspace: Workspace, path: Path, name: str, rule: Rule | None = None, title: str = "") -> QuestionSet:
    """One's own set from a file of questions: JSON, JSON Lines, CSV, Excel… with the columns of :mod:`backend.evaluate.own_rows`.

    Args:
        rule: how all are marked; None: as each row says, else ``choice`` where it has options, else ``exact``.

    Raises:
        ConflictError: ``set_name_bad``, ``set_name_taken``.
        DataError: the file cannot be read; ``set_rows_none``: no row is a question.
    """
    name = set_files.checked_name(workspace, name)
    with patterns.done_soon():
        gathered = own_rows.from_file(path, rule)
    return _make_own(workspace, name, title or name, gathered)


def bring(workspace: Workspace, path: Path, name: str, title: str = "", rule: Rule | None = None) -> QuestionSet:
    """Whatever lies at ``path``: a benchmark in a folder or archive (:func:`add`), or a file of questions (:func:`from_file`)."""
    if is_file_of_questions(path):
        return from_file(workspace, path, name, rule, title)
    return add(workspace, path, name, title)


def is_file_of_questions(path: Path) -> bool:
    """Whether ``path`` is a single file that may hold questions, and not an archive."""
    path = path.expanduser()
    return path.is_file() and (not zipfile.is_zipfile(path) or workbook.is_workbook(path))


def remove(workspace: Workspace, name: str) -> None:
    """Forget a set. The folder of a benchmark stays; what was unpacked or made goes.

    Raises:
        DataError: ``set_unknown``; ``set_bundled``: that one stays.
        WorkspaceError: it cannot be removed.
    """
    if name == bundled.NAME:
        raise DataError(
            "set_bundled",
            N_("The bundled set of questions cannot be removed."),
            N_("It takes no room; choose another one for your evaluation."),
        )
    folder = set_files.home(workspace, name)
    if not folder.is_dir():
        raise set_files.unknown(name)
    try:
        shutil.rmtree(folder)
        set_copies.remove(workspace, name)
    except OSError as error:
        raise explain_os_error(error, folder) from error


def folder(workspace: Workspace, name: str) -> Path:
    """The folder with the splits of a benchmark, as OpenCompass reads it: the set's own, or a copy in UTF-8 without the rows that it breaks at.

    Raises:
        DataError: ``set_unknown``; ``set_no_splits``: it is no benchmark; why it cannot be asked.
        WorkspaceError: the disk is full or read-only.
    """
    known = _usable(workspace, name)
    if known.kind not in ("ceval", "mmlu") or known.path is None:
        raise DataError(
            "set_no_splits",
            N_("'{name}' is no benchmark in a folder of its own."),
            N_("Only C-Eval and MMLU have one."),
            name=name,
        )
    found = set_files.data(set_files.home(workspace, name)) or {}
    return known.path if found.get("clean") else set_copies.copy(workspace, known, found.get("stamp"))


def _bundled() -> QuestionSet:
    subjects = bundled.subjects()
    return QuestionSet(bundled.NAME, _(bundled.TITLE), "bundled", bundled.version(), subjects, bundled.FILE)


def _known(home: Path) -> QuestionSet:
    """The set in the folder ``home``; looked at again where its files have changed."""
    found = set_files.data(home)
    try:
        known = set_files.question_set(home, found or {})
    except (KeyError, TypeError, ValueError):
        problem = set_files.damaged(home.name, home).to_dict()
        return QuestionSet(home.name, home.name, "own", "", (), home, problem)
    assert found is not None
    if known.kind == "own":
        return known
    return benchmarks.looked_at(home, known, found)


def _usable(workspace: Workspace, name: str) -> QuestionSet:
    known = get(workspace, name)
    if known.problem:
        raise set_files.as_data_error(known.problem)
    return known


def _check_subjects(known: QuestionSet, subjects: Sequence[str]) -> None:
    names = {subject.name: subject for subject in known.subjects}
    unknown = [name for name in subjects if name not in names]
    if unknown:
        raise _unknown_subject(known, unknown)
    for name in subjects:
        if names[name].problem:
            raise set_files.as_data_error(names[name].problem)


def _rows(workspace: Workspace, known: QuestionSet, subject: str, *, solved: bool) -> Rows:
    if known.kind == "bundled":
        return (bundled.examples() if solved else bundled.questions())[subject]
    assert known.path is not None
    if known.kind == "own":
        return own_sets.read(set_files.home(workspace, known.name), subject, solved=solved)
    return benchmarks.read(known, subject, solved=solved)


def _drawn(rows: Rows, limit: int, seed: str) -> Iterable[Question]:
    if not limit or limit >= len(rows):
        return rows
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)  # noqa: S311 - a draw that can be had again, no secret
    return [rows[at] for at in sorted(order[:limit])]


def _make_own(workspace: Workspace, name: str, title: str, gathered: own_rows.Gathered) -> QuestionSet:
    with set_files.making(workspace, name) as folder:
        set_files.write(folder, own_sets.write(folder, gathered, title))
    return get(workspace, name)


def _unknown_subject(known: QuestionSet, names: Sequence[str]) -> DataError:
    return DataError(
        "set_subject_unknown",
        N_("The set '{name}' has no subject {subjects}."),
        N_("It has: {known}"),
        name=known.name,
        subjects=", ".join(names[:20])[:500],
        known=", ".join(subject.name for subject in known.subjects)[:2000],
    )
