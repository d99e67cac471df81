"""A folder or ZIP archive in the layout that OpenCompass reads: which benchmark, which subjects, how many questions, and all that is wrong, at once.

    C-Eval   {dev,val,test}/<subject>_<split>.csv   asked from val: test has no solutions
    MMLU     {dev,test}/<subject>_<split>.csv       asked from test

``dev`` has the solved examples. The usual folders around these (``data/ceval/formal_ceval``, ``mmlu``) may be chosen as well.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import DataError
from backend.evaluate import groups, known_subjects, layout_places, layout_tables
from backend.evaluate.layout_places import Place
from backend.evaluate.layout_tables import Kind, Table
from backend.evaluate.questions import Question, Subject
from backend.i18n import N_

ASKED: dict[Kind, str] = {"ceval": "val", "mmlu": "test"}
"""The split whose questions are asked."""
EXAMPLES = "dev"
NEEDED: dict[Kind, tuple[str, ...]] = {"ceval": ("dev", "val", "test"), "mmlu": ("dev", "test")}
"""The splits that OpenCompass opens, whichever it asks."""
SHOWN_EXAMPLES = 5
"""Solved questions that OpenCompass shows before each one; with fewer it ends."""
TITLES = {"ceval": "C-Eval", "mmlu": "MMLU"}
VERSION_CHARS = 12
_SHOWN = 6


@dataclass(frozen=True)
class Examined:
    """What lies at ``path``, the folder or archive. root: the folder in it that holds the splits, empty where they lie at once in it. problems: what
    keeps questions from being asked, and notices what a person should know though they are (``PanelError.to_dict`` each). encoding: of the files,
    those other than UTF-8 first. clean: OpenCompass can be given the files as they are."""

    path: Path
    kind: Kind
    root: str
    subjects: tuple[Subject, ...]
    version: str
    encoding: str = layout_places.UTF8
    problems: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    clean: bool = True

    @property
    def questions(self) -> int:
        """How many can be asked."""
        return sum(subject.questions for subject in self.subjects if not subject.problem)

    @property
    def usable(self) -> bool:
        """Whether there is anything to ask."""
        return self.questions > 0


def examine(path: Path) -> Examined:
    """What lies at ``path``; nothing is written.

    Raises:
        DataError: ``set_no_layout``, ``set_several``, or that ``path`` cannot be read at all.
    """
    with layout_places.opened(path) as place:
        return _examined(place)


def file_name(subject: str, split: str) -> str:
    """Where the questions of a subject lie, below the folder with the splits."""
    return f"{split}/{subject}_{split}.csv"


def joined(root: str, name: str) -> str:
    """``name`` below ``root``."""
    return f"{root}/{name}" if root else name


def version_of(questions: Iterable[Question]) -> str:
    """The version of a set with these questions, in this order."""
    found = hashlib.sha256()
    for question in questions:
        found.update(f"{question.subject}\0{question.key}\n".encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:VERSION_CHARS]


def _examined(place: Place) -> Examined:
    root, files = _root(place)
    kind = _kind(place, root, files)
    subjects, tables = [], []
    asked: list[Question] = []
    for name in sorted({subject for split in files.values() for subject in split}):
        subject, read = _subject(place, root, kind, name, files)
        subjects.append(subject)
        tables += read
        asked += read[0].questions if read and not subject.problem else []
    missing = [
        joined(root, file_name(subject.name, split))
        for subject in subjects
        for split in NEEDED[kind]
        if not subject.problem and subject.name not in files.get(split, ())
    ]
    return Examined(
        place.path,
        kind,
        root,
        tuple(subjects),
        version_of(asked),
        _encoding(tables),
        [error.to_dict() for error in _problems(subjects, tables)],
        [error.to_dict() for error in _notices(kind, subjects, tables)],
        clean=not missing and all(table.clean for table in tables),
    )


def _root(place: Place) -> tuple[str, dict[str, set[str]]]:
    """(the folder that holds the splits, split -> its subjects)."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in place.names:
        *above, split, file = name.split("/")
        if file.endswith(f"_{split}.csv"):
            found["/".join(above)][split].add(file.removesuffix(f"_{split}.csv"))
    if not found:
        raise DataError(
            "set_no_layout",
            N_("{path} holds no questions in the layout of C-Eval or MMLU."),
            N_(
                "Wanted is the folder that holds dev, val and test, with files such as val/law_val.csv in them (C-Eval), or dev and test with files such as test/anatomy_test.csv (MMLU). Your own questions in one file are added as your own set."
            ),
            path=str(place.path),
        )
    if len(found) > 1:
        raise DataError(
            "set_several",
            N_("{path} holds several benchmarks, in {names}."),
            N_("Choose the folder of one of them."),
            path=str(place.path),
            names=_few(sorted(name or "." for name in found)),
        )
    ((root, files),) = found.items()
    return root, files


def _kind(place: Place, root: str, files: Mapping[str, set[str]]) -> Kind:
    """By the names of the subjects; where those say nothing, by whether most files begin with a heading."""
    there = {subject for split in files.values() for subject in split}
    ceval, mmlu = (len(there & set(known_subjects.names(kind))) for kind in ("ceval", "mmlu"))
    if ceval != mmlu:
        return "ceval" if ceval > mmlu else "mmlu"
    headed = total = 0
    for split, subjects in files.items():
        for subject in sorted(subjects)[:3]:
            try:
                text, *_ = layout_places.text(place.read(joined(root, f"{split}/{subject}_{split}.csv")))
            except DataError:
                continue
            names = layout_tables.heading(text)
            total += bool(names)
            headed += "question" in names
    return "ceval" if 2 * headed > total or (not total and "val" in files) else "mmlu"


def _subject(
    place: Place, root: str, kind: Kind, name: str, files: Mapping[str, set[str]]
) -> tuple[Subject, list[Table]]:
    """The subject, and what was read for it: first the questions, then the examples."""
    tables = []
    problem: DataError | None = None
    for split in (ASKED[kind], EXAMPLES):
        file = joined(root, file_name(name, split))
        if name not in files.get(split, ()):
            if split != EXAMPLES:
                problem = _file_missing(file)
            continue
        try:
            table = layout_tables.read(kind, name, file, place.read(file))
        except DataError as error:
            table = Table(file, problems=[error], clean=False)
        tables.append(table)
        if split != EXAMPLES and not table.questions:
            problem = table.problems[0]
    count = {table.file: len(table.questions) for table in tables}
    subject = Subject(
        name,
        count.get(joined(root, file_name(name, ASKED[kind])), 0),
        count.get(joined(root, file_name(name, EXAMPLES)), 0),
        known_subjects.title(kind, name),
        groups.group_of(kind, name),
        "zh" if kind == "ceval" else "en",
        problem.to_dict() if problem else {},
    )
    return subject, tables


def _problems(subjects: Sequence[Subject], tables: Sequence[Table]) -> list[DataError]:
    missing = [
        _file_missing(str(subject.problem["params"]["file"]))
        for subject in subjects
        if subject.problem.get("code") == "set_file_missing"
    ]
    return [*missing, *(problem for table in tables for problem in table.problems if problem.code != "set_heading")]


def _notices(kind: Kind, subjects: Sequence[Subject], tables: Sequence[Table]) -> list[DataError]:
    found = [problem for table in tables for problem in table.problems if problem.code == "set_heading"]
    encodings: dict[str, list[Table]] = defaultdict(list)
    for table in tables:
        if table.encoding != layout_places.UTF8:
            encodings[table.encoding].append(table)
    found += [
        DataError(
            "set_encoding",
            N_("Files in {encoding}, read as such: {count}, among them {file}."),
            N_("Nothing needs to be done: OpenCompass, which reads nothing but UTF-8, is given a copy in it."),
            encoding=encoding,
            count=len(those),
            file=those[0].file,
        )
        for encoding, those in sorted(encodings.items())
    ]
    found += [
        DataError(
            "set_bytes_replaced",
            N_("{file}: places that are no text in {encoding} were read as “�”: {count}."),
            N_("The file was damaged when it was copied or converted: copy it again."),
            file=table.file,
            encoding=table.encoding,
            count=table.replaced,
        )
        for table in tables
        if table.replaced
    ]
    return [*found, *_absent(kind, subjects)]


def _absent(kind: Kind, subjects: Sequence[Subject]) -> list[DataError]:
    """Subjects of the benchmark that are not there at all, and those without examples."""
    found = []
    known, there = known_subjects.names(kind), {subject.name for subject in subjects}
    missing = [name for name in known if name not in there]
    if missing and len(missing) < len(known):
        found.append(
            DataError(
                "set_subjects_missing",
                N_("{benchmark} has {total} subjects; {count} of them are not here: {names}."),
                N_(
                    "Averages of the groups that they belong to are not computed without them. Single subjects can be evaluated all the same."
                ),
                benchmark=TITLES[kind],
                total=len(known),
                count=len(missing),
                names=_few(missing),
            )
        )
    without = [subject.name for subject in subjects if subject.examples < SHOWN_EXAMPLES and not subject.problem]
    if without:
        found.append(
            DataError(
                "set_examples_missing",
                N_("Subjects with fewer than {wanted} solved examples: {count} ({names})."),
                N_(
                    "OpenCompass cannot ask them: it shows so many from the folder dev before each question. TuneDeck can."
                ),
                wanted=SHOWN_EXAMPLES,
                count=len(without),
                names=_few(without),
            )
        )
    return found


def _encoding(tables: Sequence[Table]) -> str:
    names = {table.encoding for table in tables} or {layout_places.UTF8}
    return ", ".join(sorted(names, key=lambda name: (name == layout_places.UTF8, name)))


def _file_missing(file: str) -> DataError:
    return DataError(
        "set_file_missing",
        N_("{file} is missing."),
        N_("Copy it there, or leave the subject out."),
        file=file,
    )


def _few(names: Sequence[str]) -> str:
    text = ", ".join(names[:_SHOWN])
    return f"{text}, …" if len(names) > _SHOWN else text
