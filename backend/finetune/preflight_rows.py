"""What is wrong with the rows for this training: none, without answers, cut off, all the same, refused by the template."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

from backend.catalog.cards import ModelCard
from backend.data.rows import split_of
from backend.data.store import Datasets
from backend.data.tokens import TokenModel, mask, open_listed
from backend.data.versions import Version
from backend.errors import PanelError
from backend.finetune import rows
from backend.finetune.faults import Faults, Way
from backend.said import _, ngettext
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace

ASKED = 40
"""Rows of which it is asked what is learned of them."""
SAME_SHARE = 0.5
FEW_ROWS = 20


@dataclass(frozen=True)
class Seen:
    """version, model: None where they cannot be read. counts: tokens -> rows of the split train. exact: of all rows."""

    version: Version | None = None
    model: TokenModel | None = None
    looked: rows.Looked | None = None
    counts: Counter[int] | None = None
    exact: bool = False

    @property
    def train(self) -> int:
        """Rows of the split ``train``."""
        if self.version is None:
            return 0
        return self.version.info.counts.get("train", 0) if self.version.info.counts else len(self.version)

    @property
    def validation(self) -> int:
        return self.version.info.counts.get("validation", 0) if self.version is not None else 0

    @property
    def test(self) -> int:
        return self.version.info.counts.get("test", 0) if self.version is not None else 0

    def taught(self, spec: FinetuneSpec) -> int:
        """Of them, those that ``spec`` learns from."""
        return rows.taught(self.train, self.looked or rows.Looked(), spec)

    def doubts(self, spec: FinetuneSpec) -> dict[str, Any]:
        """What is known of rows that are drawn later, as :func:`backend.finetune.counting.count` takes it.

        Raises:
            ModelError: as :func:`backend.finetune.rows.lengths`.
        """
        looked, counts = self.looked or rows.Looked(), self.counts or Counter[int]()
        refused = self.train - counts.total() if self.exact else 0
        cut = sum(number for tokens, number in counts.items() if tokens > spec.max_length)  # their answer may be gone
        return {
            "mixed": rows.mixed_in(self.model) if spec.replay and self.model is not None else None,
            "alike": looked.alike if looked.train >= self.train else self.train,
            "lost": looked.silent + refused + round(cut * self.taught(spec) / max(1, counts.total())),
        }


def see(workspace: Workspace, spec: FinetuneSpec, card: ModelCard | None, faults: Faults) -> Seen:
    """The rows, and what is wrong with them whatever the settings are."""
    if not spec.dataset:
        return Seen()
    try:
        version = Datasets(workspace).open(spec.dataset, spec.version or None)
    except PanelError as error:
        gone = error.code == "version_unknown"
        ways = (Way(_("Take the current version"), {"version": ""}),) if gone else ()
        faults.of(error, "version" if gone else "dataset", ways=ways)
        return Seen()
    try:
        looked = rows.look(version)
    except PanelError as error:
        faults.of(error, "dataset")
        return Seen(version)
    _check_rows(spec, version, looked, faults)
    if card is None or faults.has("model"):
        return Seen(version, None, looked, rows.guessed(version))
    try:
        model = open_listed(workspace, spec.model)
        counted = rows.lengths(model, version)
    except PanelError as error:
        faults.of(error, "model")
        return Seen(version, None, looked, rows.guessed(version))
    counts = counted.of("train")
    _check_template(counted.refused, counted.counted, counted.failed, faults)
    return Seen(version, model, looked, counts, counted.exact)


def _check_rows(spec: FinetuneSpec, version: Version, looked: rows.Looked, faults: Faults) -> None:
    seen = Seen(version)
    if not seen.train:
        faults.add(
            "finetune_no_rows",
            "dataset",
            _("'{dataset}' has no row to learn from: its split 'train' is empty.").format(dataset=spec.dataset),
            _("Put rows into the split 'train' on the page Datasets, or choose another dataset."),
        )
        return
    if looked.train and looked.silent == looked.train:
        faults.add(
            "finetune_no_answers",
            "dataset",
            _("No row of '{dataset}' has an answer of the assistant, so there is nothing to learn.").format(
                dataset=spec.dataset
            ),
            _("Choose a dataset with answers, or look at how its columns were read on the page Datasets."),
        )
        return
    if looked.empty_count:
        text = ngettext(
            "{count} row has an empty answer, which would be learned as such: row {rows}.",
            "{count} rows have an empty answer, which would be learned as such; the first of them: {rows}.",
            looked.empty_count,
        )
        faults.add(
            "finetune_empty_answers",
            "dataset",
            text.format(count=f"{looked.empty_count:,}", rows=", ".join(map(str, looked.empty))),
            _("The doctor on the page Datasets takes them out with one press."),
        )
    elif looked.silent:
        text = ngettext(
            "{count} row has no answer that is learned; it costs time and teaches nothing.",
            "{count} rows have no answer that is learned; they cost time and teach nothing.",
            looked.silent,
        )
        message = text.format(count=f"{looked.silent:,}")
        faults.add("finetune_silent_rows", "dataset", message, _("Take them out on the page Datasets."), fatal=False)
    if looked.train >= FEW_ROWS and looked.same > SAME_SHARE * looked.train:
        distinct = looked.train - looked.same
        text = ngettext(
            "Of {rows} rows only {distinct} differs from the others: the model learns it by heart and nothing else.",
            "Of {rows} rows only {distinct} differ: the model learns them by heart and nothing else.",
            distinct,
        )
        faults.add(
            "finetune_same_rows",
            "dataset",
            text.format(rows=f"{looked.train:,}", distinct=f"{distinct:,}"),
            _("Ask in many wordings: the page Datasets makes them from a name."),
            fatal=False,
        )
    if looked.pictured:
        text = ngettext(
            "{count} row has pictures; only its text is learned.",
            "{count} rows have pictures; only their text is learned.",
            looked.pictured,
        )
        faults.add("finetune_pictures", "dataset", text.format(count=f"{looked.pictured:,}"), fatal=False)
    if spec.engine == "xtuner" and looked.with_tools:
        faults.add(
            "xtuner_role",
            "dataset",
            _("XTuner cannot read rows with results of functions, such as row {row}.").format(row=looked.with_tools[0]),
            _("Train with peft, or leave these rows out."),
            ways=(Way(_("Train with peft"), {"engine": "peft", "config_text": ""}),),
        )


def _check_template(refused: int, counted: int, failed: list[tuple[int, str]], faults: Faults) -> None:
    if not refused:
        return
    row, why = failed[0] if failed else (0, "")
    if refused >= counted:
        message = _("The chat template of the model refuses every row: {why}").format(why=why)
        faults.add(
            "finetune_template_refuses",
            "dataset",
            message,
            _("Choose another model, or mend the rows on the page Datasets."),
        )
        return
    text = ngettext(
        "The chat template refuses {count} row, which is left out: row {row}, {why}",
        "The chat template refuses {count} rows, which are left out, the first of them row {row}: {why}",
        refused,
    )
    faults.add(
        "finetune_template_refuses",
        "dataset",
        text.format(count=f"{refused:,}", row=row, why=why),
        _("Mend them on the page Datasets if they matter."),
        fatal=False,
    )


def check_learned(spec: FinetuneSpec, seen: Seen, faults: Faults) -> None:
    """Whether anything is left to learn once rows are cut off, in the first rows."""
    if seen.version is None or seen.model is None or faults.has("dataset"):
        return
    asked, learned = 0, False
    try:
        for row in islice((row for row in seen.version if split_of(row) == "train"), ASKED):
            if learned:
                continue  # the other rows are only read, which costs little, so that damage in them is seen
            try:
                found = mask.encoded(seen.model, row, spec.engine, spec.max_length)
            except PanelError:
                continue  # refused by the template, which is said elsewhere
            asked += 1
            learned = any(found.trained)
    except PanelError as error:
        faults.of(error, "dataset")
        return
    if asked and not learned:
        longest = max(seen.counts or {0: 0})
        faults.add(
            "finetune_nothing_learned",
            "max_length",
            _(
                "Nothing is learned of the first {count} rows: their answers lie behind the first {tokens} tokens, or the template marks none."
            ).format(count=asked, tokens=f"{spec.max_length:,}"),
            _("Let rows be longer, or look at them token by token on the page Datasets."),
            ways=(Way(_("Longest row: {tokens} tokens").format(tokens=f"{longest:,}"), {"max_length": longest}),)
            if longest > spec.max_length
            else (),
        )
