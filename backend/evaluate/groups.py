"""Group averages, computed as OpenCompass's ``DefaultSummarizer`` computes them: the plain mean of the subjects' unrounded scores, or the mean by
the numbers of questions that it has written down. A group in which a subject has no score has no average either.

Names, members and weights of C-Eval's and MMLU's groups are those of OpenCompass 0.5.4 (``opencompass/configs/summarizers/groups``). Sets of our own are
averaged by the groups of their subjects, and over all of them: as a plain mean, and as the share of all questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import PanelError
from backend.evaluate.known_groups import CEVAL, CEVAL_HARD, MMLU, MMLU_WEIGHTS
from backend.evaluate.records import Score
from backend.i18n import N_

NAIVE, WEIGHTED = "naive_average", "weighted_average"
METRICS = (
    "score", "auc_score", "accuracy", "humaneval_pass@1", "rouge1", "avg_toxicity_score", "bleurt_diff", "matthews_correlation", "truth", "f1",
    "exact_match", "extract_rate",
)  # fmt: skip
"""Of several numbers of a subject the first of these is the one that counts."""
LEAST_KNOWN = 3
"""So many subjects, all of one benchmark, tell that a set is that benchmark, whatever it is called here."""
KNOWN_NAMES = frozenset(
    {
        "ceval",
        "ceval-test",
        "ceval-hard",
        "ceval-test-hard",
        "mmlu",
        "mmlu-weighted",
        *(f"mmlu-{name}" for name in MMLU),
    }
    | {f"{begin}-{name}" for begin in ("ceval", "ceval-test") for name in CEVAL}
)
"""Rows of a table that are averages, even where they have none."""
NAMED = 3
"""So many of the missing subjects are named."""


@dataclass(frozen=True)
class Group:
    """name: of the row. subjects: whose scores it is made of. weights: by subject; None: all alike."""

    name: str
    subjects: tuple[str, ...]
    weights: Mapping[str, float] | None = None


def with_averages(kind: str, scores: Sequence[Score], group_names: Mapping[str, str] | None = None) -> list[Score]:
    """``scores`` with the rows of its groups behind them. Groups that it holds already are kept as they were reported.

    kind: of the set, or its name: ``ceval``, ``mmlu``, else what the rows are called by. group_names: subject -> group, for sets of our own.
    """
    by_subject = main(scores)
    reported = {(score.subject, score.metric) for score in scores if score.group}
    own = _benchmark(kind, list(by_subject)) is None
    if own and any(score.group for score in scores):
        return list(scores)  # its evaluator averages by itself
    kind = kind if kind and "," not in kind else "all"
    rows = [average(group, by_subject) for group in _groups(kind, list(by_subject), group_names or {})]
    if rows and own:
        rows.append(_share(kind, by_subject))
    return [*scores, *(row for row in rows if (row.subject, row.metric) not in reported)]


def average(group: Group, main: Mapping[str, Score]) -> Score:
    """The row of ``group``. main: subject -> the score of it that counts."""
    metric = NAIVE if group.weights is None else WEIGHTED
    missing = [subject for subject in group.subjects if subject not in main or main[subject].value is None]
    there = [main[subject] for subject in group.subjects if subject in main]
    modes = {score.mode for score in there}
    mode = modes.pop() if len(modes) == 1 else "mixed"
    if missing:
        return Score(group.name, None, None, "", metric, mode, group=True, cause=_missing(missing, len(group.subjects)))
    weights = group.weights or dict.fromkeys(group.subjects, 1)
    # In the order in which OpenCompass adds them up, so that the last digit is the same.
    total = sum((main[subject].value or 0.0) * weights[subject] for subject in weights)
    return Score(group.name, total / sum(weights.values()), _asked(there), "", metric, mode, group=True)


def group_of(kind: str, subject: str) -> str:
    """``stem``, ``social-science``, ``humanities`` or ``other`` for a subject of C-Eval or MMLU, by its own name or OpenCompass's; else empty."""
    known = {"ceval": CEVAL, "mmlu": MMLU}.get(kind, {})
    plain = subject.removeprefix("ceval-test-").removeprefix("ceval-").removeprefix("lukaemon_mmlu_")
    return next((name for name, members in known.items() if plain in members), "")


def main(scores: Iterable[Score]) -> dict[str, Score]:
    """Subject -> the one of its scores that OpenCompass would average."""
    main: dict[str, Score] = {}
    for score in scores:
        if not score.group and (score.subject not in main or _rank(score) < _rank(main[score.subject])):
            main[score.subject] = score
    return main


def _rank(score: Score) -> tuple[bool, int]:
    return score.value is None, METRICS.index(score.metric) if score.metric in METRICS else len(METRICS)


def _benchmark(kind: str, subjects: Sequence[str]) -> tuple[str, str] | None:
    """(``ceval`` or ``mmlu``, what stands before its subjects' names); None for any other set."""
    for benchmark, prefix in (("ceval", "ceval-test-"), ("ceval", "ceval-"), ("mmlu", "lukaemon_mmlu_")):
        if any(group_of(benchmark, name) and name.startswith(prefix) for name in subjects):
            return benchmark, prefix
    for benchmark in ("ceval", "mmlu"):
        known = [name for name in subjects if group_of(benchmark, name)]
        if known and (kind == benchmark or (len(known) == len(subjects) and len(known) >= LEAST_KNOWN)):
            return benchmark, ""
    return None


def _groups(kind: str, subjects: Sequence[str], group_names: Mapping[str, str]) -> list[Group]:
    """The groups of which a subject is there: of others there is nothing to say."""
    found = _benchmark(kind, subjects)
    groups = _known(*found) if found else _own(kind, subjects, group_names)
    return [group for group in groups if not set(subjects).isdisjoint(group.subjects)]


def _known(benchmark: str, prefix: str) -> list[Group]:
    members = {"ceval": CEVAL, "mmlu": MMLU}[benchmark]
    test = "-test" if prefix == "ceval-test-" else ""

    def named(some: Iterable[str]) -> tuple[str, ...]:
        return tuple(prefix + name for name in some)

    groups = [Group(f"{benchmark}{test}-{name}", named(some)) for name, some in members.items()]
    everything = named(name for some in members.values() for name in some)
    if benchmark == "ceval":
        return [*groups, Group(f"ceval{test}-hard", named(CEVAL_HARD)), Group(f"ceval{test}", everything)]
    weights = {prefix + name: float(count) for name, count in MMLU_WEIGHTS.items()}
    return [*groups, Group("mmlu", everything), Group("mmlu-weighted", everything, weights)]


def _own(kind: str, subjects: Sequence[str], group_names: Mapping[str, str]) -> list[Group]:
    if len(subjects) < 2:
        return []
    members: dict[str, list[str]] = {}
    for subject in subjects:
        members.setdefault(group_names.get(subject, ""), []).append(subject)
    several = {name: some for name, some in members.items() if name and len(members) > 1}
    return [
        *(Group(f"{kind}-{name}", tuple(some)) for name, some in several.items()),
        Group(kind, tuple(subjects)),
    ]


def _share(kind: str, main: Mapping[str, Score]) -> Score:
    """The share over all questions of a set of our own."""
    asked = {subject: float(score.n or 0) for subject, score in main.items()}
    if any(score.value is not None and not score.n for score in main.values()):
        cause = PanelError(
            "average_without_counts",
            N_("Nobody wrote down how many questions each score rests on."),
            N_("The plain average does not need it."),
        )
        return Score(kind, None, None, "", WEIGHTED, group=True, cause=cause.to_dict())
    return average(Group(kind, tuple(main), asked), main)


def _asked(scores: Iterable[Score]) -> int | None:
    counts = [score.n for score in scores]
    return sum(n for n in counts if n) if all(counts) else None


def _missing(missing: Sequence[str], of: int) -> dict[str, Any]:
    named = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
    return PanelError(
        "average_incomplete",
        N_("Without a score: {count} of the {of} subjects of this group: {names}."),
        N_("An average over the others would be another number. Run those that are missing."),
        count=len(missing),
        of=of,
        names=named,
        subjects=list(missing),
    ).to_dict()
