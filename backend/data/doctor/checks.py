"""What the doctor looks for: every check with its words, how much it matters, and what its fix does.

Covered by fixes: only what loses nothing that a person would miss, or what the person chose by pressing that button.
Not covered: which of two answers is the right one, and what a broken record was meant to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.i18n import N_, _

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    title, help, fix: English texts for the catalogue. message: what is said of one finding, its places filled from the finding's
    values. fix: label of the button; empty: there is none. drops: the fix takes rows away. whole: it is found, and mended, by
    looking at all rows together.
    """

    code: str
    severity: Severity
    title: str
    help: str
    message: str
    fix: str = ""
    drops: bool = False
    whole: bool = False

    @property
    def fixable(self) -> bool:
        """Whether there is a fix."""
        return bool(self.fix)

    def words(self) -> tuple[str, str, str]:
        """(title, help, label of the fix) in the language of the current person."""
        return _(self.title), _(self.help), _(self.fix)


_DROP = N_("Leave these rows out")
_ALL = (
    Check(
        "malformed",
        "error",
        N_("Records that cannot be read"),
        N_(
            "These were not taken over when the file was read: they are no conversation. Mend them in the file and import again."
        ),
        N_("Record {row} of the source cannot be used: {problem}"),
    ),
    Check(
        "role_missing",
        "error",
        N_("Turns without a speaker"),
        N_(
            "Each turn must say who speaks: system, user, assistant or tool. Without that no chat template can write it down."
        ),
        N_("Row {row}: turn {turn} does not say who speaks, or names somebody unknown."),
    ),
    Check(
        "no_answer",
        "error",
        N_("Rows without an answer"),
        N_("Nothing in these rows is learned: there is no answer of the assistant that counts."),
        N_("Row {row} holds no answer to learn."),
        _DROP,
        drops=True,
    ),
    Check(
        "answer_empty",
        "error",
        N_("Empty answers"),
        N_(
            "The model would learn to say nothing. The fix takes the empty answer and its question away, and the row where nothing is left."
        ),
        N_("Row {row}: the answer in turn {turn} is empty."),
        N_("Take empty answers out"),
        drops=True,
    ),
    Check(
        "question_empty",
        "warning",
        N_("Empty questions"),
        N_("The model would learn to answer to nothing at all."),
        N_("Row {row}: the question in turn {turn} is empty."),
        _DROP,
        drops=True,
    ),
    Check(
        "two_users",
        "warning",
        N_("Two questions in a row"),
        N_(
            "Many chat templates refuse two turns of the user in a row. The fix makes one turn of them, with an empty line between."
        ),
        N_("Row {row}: turn {turn} is a second question before any answer."),
        N_("Join the questions"),
    ),
    Check(
        "system_late",
        "warning",
        N_("System prompt in the middle"),
        N_(
            "A system prompt belongs at the beginning; chat templates refuse or drop a later one. The fix moves it there."
        ),
        N_("Row {row}: turn {turn} is a system prompt, and not the first turn."),
        N_("Move it to the beginning"),
    ),
    Check(
        "leading_blanks",
        "warning",
        N_("Blanks at the beginning"),
        N_(
            "The model learns to begin its answers with blanks or empty lines, and questions typed without them look different to it."
        ),
        N_("Row {row}: turn {turn} begins with a blank or an empty line."),
        N_("Remove the blanks"),
    ),
    Check(
        "language_answer",
        "warning",
        N_("Answered in another language"),
        N_(
            "The question is in one language and its answer in another, and the question does not ask for that. Told by the script: "
            "English and French look the same to this check."
        ),
        N_("Row {row}: asked in {asked}, answered in {answered}."),
        _DROP,
        drops=True,
    ),
    Check(
        "language_odd",
        "note",
        N_("Another language than the rest"),
        N_("Nearly all rows answer in one language and these few in another. That may be wanted."),
        N_("Row {row} answers in {answered}; {percent} % of the rows answer in {main}."),
        _DROP,
        drops=True,
        whole=True,
    ),
    Check(
        "too_long",
        "warning",
        N_("Very long rows"),
        N_(
            "Training cuts off what is longer than the chosen length. How many tokens that is depends on the model: see the tab Tokens."
        ),
        N_("Row {row} is {chars} characters long, more than {limit}."),
        _DROP,
        drops=True,
    ),
    Check(
        "secret",
        "error",
        N_("Keys and passwords"),
        N_(
            "A model repeats what it learned to anyone who asks. The fix writes [SECRET] over them; change the real ones, they were copied here."
        ),
        N_("Row {row}, turn {turn}: {what}."),
        N_("Cover them"),
    ),
    Check(
        "personal",
        "warning",
        N_("Personal data"),
        N_(
            "E-mail addresses, mobile numbers, identity numbers and card numbers, told by form and check digit. The fix writes the kind over them."
        ),
        N_("Row {row}, turn {turn}: {what}."),
        N_("Cover them"),
    ),
    Check(
        "ip_address",
        "note",
        N_("Network addresses"),
        N_("Often part of a lesson, and sometimes a server of yours."),
        N_("Row {row}, turn {turn}: {what}."),
        N_("Cover them"),
    ),
    Check(
        "image_broken",
        "error",
        N_("Pictures that cannot be shown"),
        N_("The picture is missing or damaged; training would stop at this row."),
        N_("Row {row}: the picture in turn {turn} is missing or damaged."),
        _DROP,
        drops=True,
    ),
    Check(
        "image_count",
        "error",
        N_("Pictures and their places do not match"),
        N_("Each picture needs its place, <image>, in the text of its turn, and each place its picture."),
        N_("Row {row}: turn {turn} has {places} places for {pictures} pictures."),
    ),
    Check(
        "copies",
        "error",
        N_("Copies of one row"),
        N_(
            "One row many times over teaches no more than that row alone, shown for more epochs, and drives out the rest. Different "
            "wordings teach; the tab Make writes them."
        ),
        N_(
            "Row {row} stands here {times} times. It is one row: the model will learn this sentence by heart and little else."
        ),
        N_("Keep one of each"),
        drops=True,
        whole=True,
    ),
    Check(
        "duplicate",
        "warning",
        N_("The same row again"),
        N_("Exact copies count for more than the rest. The fix keeps the first."),
        N_("Row {row} is the same as row {first}."),
        N_("Keep the first of each"),
        drops=True,
        whole=True,
    ),
    Check(
        "near_duplicate",
        "note",
        N_("Nearly the same row"),
        N_(
            "Question and answer share at least four fifths of their text with those of an earlier row. The fix keeps the earlier one."
        ),
        N_("Row {row} is nearly the same as row {first} ({percent} %)."),
        N_("Keep the first of each"),
        drops=True,
        whole=True,
    ),
    Check(
        "contradiction",
        "warning",
        N_("Different answers to one question"),
        N_("Fine for stories and ideas. For facts the model learns to guess: read both rows and keep the right one."),
        N_("Row {row} answers the same question as row {first}, and differently."),
        whole=True,
    ),
    Check(
        "leak",
        "error",
        N_("Training rows that are tested too"),
        N_(
            "A test tells nothing when its questions were trained. The fix takes the training rows away and leaves the test as it is."
        ),
        N_("Row {row} is trained, and its question is that of row {first}, which tests."),
        N_("Take them out of training"),
        drops=True,
        whole=True,
    ),
    Check(
        "leak_near",
        "warning",
        N_("Training rows that are nearly tested"),
        N_("These questions share at least nine tenths of their text with one that tests."),
        N_("Row {row} is trained, and its question is nearly that of row {first}, which tests ({percent} %)."),
        N_("Take them out of training"),
        drops=True,
        whole=True,
    ),
    Check(
        "leak_other",
        "error",
        N_("Rows that stand in the other dataset"),
        N_("Their questions stand in the dataset that this one was compared with, exactly or nearly."),
        N_("The question of row {row} is that of row {first} of '{other}' ({percent} %)."),
        _DROP,
        drops=True,
        whole=True,
    ),
    Check(
        "languages_mixed",
        "note",
        N_("Several languages"),
        N_("Told by the script of the answers. Mixed sets are fine where you want both."),
        N_("Answers: {zh} % Chinese, {en} % English, {other} % in other scripts."),
        whole=True,
    ),
)
CHECKS: dict[str, Check] = {check.code: check for check in _ALL}
"""code -> check, in the order in which they are shown within one severity."""
