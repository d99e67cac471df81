"""Why two runs are not compared, and what is to be known where they are."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from backend.errors import DataError, PanelError
from backend.evaluate.evaluators import TITLES
from backend.evaluate.pairing import Pairs
from backend.evaluate.records import Run
from backend.i18n import N_

SETTINGS = ("shots", "answer_tokens", "limit", "seed", "judge", "by")
"""What decides about scores beside the model."""


def refusal(a: Run, b: Run) -> PanelError | None:
    """None where they can be compared."""
    if a.evaluator != b.evaluator:
        return DataError(
            "compare_other_evaluator",
            N_(
                "One was measured by {first}, the other by {second}: each asks and marks in its own way, so the scores cannot be compared."
            ),
            N_("Evaluate both models with the same evaluator."),
            first=TITLES[a.evaluator],
            second=TITLES[b.evaluator],
        )
    if a.set_version and b.set_version and a.set_version != b.set_version:
        return DataError(
            "compare_other_version",
            N_("They were asked different questions: {first} ({one}) and {second} ({other})."),
            N_("Evaluate both models on the same version of the same set."),
            first=a.set_name,
            one=a.set_version,
            second=b.set_name,
            other=b.set_version,
        )
    return None


def differences(a: Run, b: Run) -> list[PanelError]:
    """What else is different beside the model."""
    found: list[PanelError] = []
    told = [
        name for name in SETTINGS if name in a.settings and name in b.settings and a.settings[name] != b.settings[name]
    ]
    if told:
        found.append(
            PanelError(
                "compare_settings_differ",
                N_("They were asked with different settings: {names}. Part of the difference may come from that."),
                N_("Evaluate both with the same settings to be sure."),
                names=", ".join(f"{name} {a.settings[name]} / {b.settings[name]}" for name in told),
            )
        )
    if a.version and b.version and a.version != b.version:
        found.append(
            PanelError(
                "compare_program_differs",
                N_("They were measured by different versions of the evaluator: {first} and {second}."),
                N_("Versions may ask or mark differently; evaluate the older one again to be sure."),
                first=a.version,
                second=b.version,
            )
        )
    return found


def nothing_shared() -> PanelError:
    """No question, or no subject, is in both."""
    return DataError(
        "compare_nothing_shared",
        N_("They have no question in common."),
        N_("Evaluate both models on the same subjects of the same set."),
    )


def other_prompts(subjects: Sequence[str]) -> PanelError:
    """The same subjects under another version of the prompt."""
    return PanelError(
        "compare_prompts_differ",
        N_("{count} subjects were asked in another form (another version in the table) and are left out: {names}."),
        N_("Scores of different versions say nothing about each other. Evaluate both in the same form."),
        count=len(subjects),
        names=", ".join(subjects[:3]) + (", …" if len(subjects) > 3 else ""),
    )


def no_answers() -> PanelError:
    """Scores alone have no interval."""
    return PanelError(
        "compare_no_answers",
        N_(
            "Of one of them only the scores are there, not the answers: nobody can tell how much of the difference is chance."
        ),
        N_("Import its whole output folder, or evaluate it again; then there is an interval."),
    )


def by_chance(count: int, sure: float) -> PanelError:
    """So many subjects are beyond an interval without any reason."""
    return PanelError(
        "compare_many_subjects",
        N_("Of {count} subjects, about {some} would stand out as worse, and as many as better, by chance alone."),
        N_("Trust a subject when it stands out again in a second run."),
        count=count,
        some=ceil(count * sure / 2),
    )


def not_shared(pairs: Pairs) -> PanelError:
    """Questions of one alone."""
    return PanelError(
        "compare_not_shared",
        N_("{first} questions only the first was asked, {second} only the second; these do not count."),
        N_("Evaluate both on the same subjects, with the same limit and seed."),
        first=pairs.only_a,
        second=pairs.only_b,
    )
