"""One's own questions: rows of a dataset, or of a file of questions. What cannot be a question is counted by its reason, with the first such row.

Columns of a file (in any case, in English or Chinese): ``question``; ``A``, ``B``, … or ``options``, a list; ``answer``: the letter of an option, its
text, or the solution; and where they are wanted ``subject``, ``rule``, ``accept`` (further solutions, a list or parted by ``|``), ``system``, and
``split``, of which ``dev`` makes a row a solved example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from backend import said
from backend.data.containers import Broken, open_source
from backend.data.rows import Row, split_of
from backend.data.store import Datasets
from backend.errors import DataError, PanelError
from backend.evaluate import option_lines, patterns, set_files, wording
from backend.evaluate.choosing import chosen
from backend.evaluate.questions import LETTERS, Question, Rule
from backend.i18n import N_
from backend.workspace import Workspace

MOST = 200_000
LONGEST_SUBJECT = 120
RULES: tuple[Rule, ...] = get_args(Rule)
REASONS = {
    "set_row_unreadable": N_("Rows that cannot be read: {count}; the first is row {row}: {problem}"),
    "set_row_conversation": N_(
        "Rows with more than one question, which are conversations: {count}; the first is row {row}."
    ),
    "set_row_no_question": N_("Rows without a question: {count}; the first is row {row}."),
    "set_row_no_solution": N_("Rows without a solution: {count}; the first is row {row}."),
    "set_row_pictures": N_("Rows with pictures, which questions cannot have: {count}; the first is row {row}."),
    "set_row_tools": N_("Rows in which tools are called: {count}; the first is row {row}."),
    "set_row_no_options": N_(
        "Rows whose question has no options on lines of their own (A. …, B. …): {count}; the first is row {row}."
    ),
    "set_row_no_option": N_(
        "Rows whose solution is none of the options: {count}; the first is row {row}, with “{problem}”."
    ),
    "set_row_rule": N_(
        "Rows with a rule of marking that there is none: {count}; the first is row {row}, with “{problem}”."
    ),
    "set_row_pattern": N_("Rows whose pattern cannot be used: {count}; the first is row {row}: {problem}"),
    "set_row_repeated": N_("Rows that repeat an earlier one: {count}; the first is row {row}."),
}
"""Why a row is left out."""
_NAMES = {
    "question": ("question", "prompt", "input", "text", "问题", "题目", "题干"),
    "answer": ("answer", "target", "solution", "output", "答案"),
    "options": ("options", "choices", "选项"),
    "subject": ("subject", "category", "科目", "学科"),
    "rule": ("rule",),
    "accept": ("accept",),
    "system": ("system",),
    "split": ("split",),
}


class Left(Exception):
    """A row that cannot be used. reason: of :data:`REASONS`. problem: what shows it."""

    def __init__(self, reason: str, problem: object = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.problem = problem


@dataclass
class Gathered:
    """questions: in their order, by subject numbered from 0. examples: solved ones. source: where they come from, JSON-able. rows: read."""

    source: Mapping[str, Any]
    questions: list[Question] = field(default_factory=list)
    examples: list[Question] = field(default_factory=list)
    left: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    _seen: set[str] = field(default_factory=set)
    _count: Counter[tuple[bool, str]] = field(default_factory=Counter)

    def take(self, row: int, made: Question, *, solved: bool = False) -> None:
        """Keep ``made``, once."""
        if made.key in self._seen:
            self.leave(row, Left("set_row_repeated"))
            return
        self._seen.add(made.key)
        number = self._count[solved, made.subject]
        self._count[solved, made.subject] += 1
        into = self.examples if solved else self.questions
        into.append(Question(**{**made.__dict__, "number": number}))
        if len(self.questions) > MOST:
            raise DataError(
                "set_rows_many",
                N_("A set has at most {limit} questions."),
                N_("Split the dataset, and take a part of it."),
                limit=MOST,
            )

    def leave(self, row: int, why: Left) -> None:
        """Count a row that is left out."""
        known = self.left.get(why.reason)
        if known is None:
            self.left[why.reason] = {"count": 1, "row": row, "problem": why.problem}
        else:
            known["count"] += 1

    def told(self) -> list[dict[str, Any]]:
        """What was left out, the commonest reason first."""
        return [
            PanelError(reason, REASONS[reason], **params).to_dict()
            for reason, params in sorted(self.left.items(), key=lambda item: -item[1]["count"])
        ]

    def checked(self) -> Gathered:
        """Itself.

        Raises:
            DataError: ``set_rows_none``.
        """
        if not self.questions:
            raise DataError(
                "set_rows_none",
                N_("None of the {rows} rows is a question that can be asked. {reasons}"),
                N_("Choose another way of marking, or another dataset."),
                rows=self.rows,
                reasons=said.joined(map(set_files.as_said, self.told())),
            )
        return self


def from_dataset(workspace: Workspace, dataset: str, rule: Rule, split: str = "", subject: str = "") -> Gathered:
    """The questions of a dataset; see :func:`backend.evaluate.sets.from_rows`.

    Raises:
        DataError: ``dataset_unknown``, ``version_unknown``, ``dataset_damaged``, ``set_rows_none``, ``set_rows_many``.
    """
    version = Datasets(workspace).resolve(dataset)
    gathered = Gathered({"dataset": version.dataset, "version": version.info.id, "split": split})
    name = _subject(subject or version.dataset)
    for number, row in enumerate(version, start=1):
        if split and split_of(row) != split:
            continue
        gathered.rows += 1
        try:
            gathered.take(number, _of_conversation(row, rule, name))
        except Left as why:
            gathered.leave(number, why)
    return gathered.checked()


def from_file(path: Path, rule: Rule | None = None) -> Gathered:
    """The questions of a file; see :func:`backend.evaluate.sets.from_file`.

    Raises:
        DataError: the file cannot be read; ``set_rows_none``, ``set_rows_many``.
    """
    path = path.expanduser()
    gathered = Gathered({"file": path.name})
    with open_source(path) as source:
        for item in source:
            gathered.rows += 1
            try:
                if isinstance(item, Broken):
                    raise Left("set_row_unreadable", set_files.as_said(item.error.to_dict()))
                columns = _columns(item.value)
                made = _of_columns(columns, rule, path.stem)
                gathered.take(item.number, made, solved=_text(columns.get("split")).lower() == "dev")
            except Left as why:
                gathered.leave(item.number, why)
    return gathered.checked()


def _of_conversation(row: Row, rule: Rule, subject: str) -> Question:
    messages = row["messages"]
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    turns = [message for message in messages if message["role"] != "system"]
    if any(message.get("images") for message in messages):
        raise Left("set_row_pictures")
    if row.get("tools") or any(message["role"] == "tool" or message.get("tool_calls") for message in turns):
        raise Left("set_row_tools")
    roles = [message["role"] for message in turns]
    if roles.count("user") > 1:
        raise Left("set_row_conversation")
    if not turns or roles[0] != "user" or not turns[0]["content"].strip():
        raise Left("set_row_no_question")
    if roles[1:] != ["assistant"] or not turns[1]["content"].strip():
        raise Left("set_row_no_solution")
    return _made(subject, turns[0]["content"].strip(), rule, turns[1]["content"].strip(), system=system)


def _of_columns(columns: Mapping[str, Any], rule: Rule | None, stem: str) -> Question:
    text, answer = _text(columns.get("question")), columns.get("answer")
    if not text:
        raise Left("set_row_no_question")
    if not _text(answer):
        raise Left("set_row_no_solution")
    options = _options(columns)
    named = _text(columns.get("rule")).lower()
    if rule is None and named and named not in RULES:
        raise Left("set_row_rule", named[:40])
    marked: Rule = rule or (named or ("choice" if options else "exact"))  # type: ignore[assignment]
    if options and isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(options):
        answer = LETTERS[answer]
    return _made(
        _subject(_text(columns.get("subject")) or stem),
        text,
        marked,
        _text(answer),
        options=options,
        accept=_accept(columns.get("accept")),
        system=_text(columns.get("system")),
    )


def _made(
    subject: str,
    text: str,
    rule: Rule,
    answer: str,
    *,
    options: tuple[str, ...] = (),
    accept: tuple[str, ...] = (),
    system: str = "",
) -> Question:
    if rule == "choice":
        if not options:
            found = option_lines.split(text)
            if found is None:
                raise Left("set_row_no_options")
            text, options = found
        letter = chosen(answer, options)
        if not letter:
            raise Left("set_row_no_option", answer[:80])
        return Question(subject, 0, text, rule, letter, options, (), system, wording.language_of(text))
    if options:
        text = wording.shown(Question(subject, 0, text, rule, answer, options))
    if rule == "regex":
        for pattern in (answer, *accept):
            try:
                patterns.check(pattern)
            except DataError as error:
                raise Left("set_row_pattern", set_files.as_said(error.to_dict())) from error
    return Question(subject, 0, text, rule, answer, (), accept, system, wording.language_of(text))


def _columns(value: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row under our names; those of options by their letters."""
    low = {str(name).strip().lower(): content for name, content in value.items()}
    found = {ours: next((low[name] for name in theirs if name in low), None) for ours, theirs in _NAMES.items()}
    return found | {letter: low.get(letter.lower()) for letter in LETTERS}


def _options(columns: Mapping[str, Any]) -> tuple[str, ...]:
    listed = columns.get("options")
    if isinstance(listed, (list, tuple)):
        return tuple(map(_text, listed[: len(LETTERS)]))
    if isinstance(listed, str) and listed.strip():
        found = option_lines.split(f"-\n{listed}")
        return found[1] if found else tuple(line.strip() for line in listed.splitlines() if line.strip())
    return tuple(_lettered(columns))


def _lettered(columns: Mapping[str, Any]) -> Iterator[str]:
    for letter in LETTERS:
        text = _text(columns.get(letter))
        if not text:
            return
        yield text


def _accept(value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, (list, tuple)) else _text(value).split("|")
    return tuple(text for text in map(_text, parts) if text)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _subject(name: str) -> str:
    return " ".join(name.split())[:LONGEST_SUBJECT]
