"""transformers in the panel's own environment: it answers, and one step of training changes what it should."""

from __future__ import annotations

from jobs.selftests.transformers import GENERATE, TRAIN
from tests.engines.conftest import Tested


def test_it_answers_and_learns(tested: Tested) -> None:
    report = tested("transformers")
    assert [(each.name, each.outcome, str(each.problem or "")) for each in report.checks[1:]] == [
        (GENERATE, "passed", ""),
        (TRAIN, "passed", ""),
    ]
    answer, learned = (each.figures for each in report.checks[1:])
    assert "TuneDeck starter" in answer["Answer"]
    assert float(answer["Speed"].split(" ")[0]) > 1
    before, after = (float(each) for each in learned["Loss"].split(" → "))
    assert after < before
