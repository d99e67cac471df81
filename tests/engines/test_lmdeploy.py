"""LMDeploy in its environment: the command line, and a 4-bit copy of the starter by way of rows of ours."""

from __future__ import annotations

from jobs.selftests.lmdeploy import COMMANDS, COPY, SERVE
from tests.engines.conftest import Tested


def test_it_makes_a_4_bit_copy_and_what_needs_a_gpu_is_not_called_tested(tested: Tested) -> None:
    report = tested("lmdeploy")
    found = {each.name: (each.outcome, str(each.problem or "")) for each in report.checks[1:]}
    assert found[COMMANDS] == ("passed", "")
    assert found[COPY] == ("passed", "")
    figures = next(each.figures for each in report.checks if each.name == COPY)
    before, after = (float(each) for each in figures["Weights"].removesuffix(" MB").split(" → "))
    assert before > 9
    assert after < 0.6 * before
    if report.flavour == "cpu":
        assert found[SERVE] == ("not_tested", "This environment computes on the CPU only.")
    assert report.passed
