"""OpenCompass in its environment: a number for each subject, by both ways of laying out questions, and true exit codes."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines import engines, opencompass_config, opencompass_results
from backend.engines.opencompass_config import Evaluation
from backend.envs import places, running
from backend.envs.status import Status
from backend.errors import PanelError
from backend.workspace import ROOT
from jobs.selftests.opencompass import ASK, QUESTIONS
from tests.engines.conftest import Tested
from tests.support.stub_openai import KEY, stub

MMLU = [("What has four legs?", "a fish", "a cat", "a snake", "a worm", "B")] * 5


@pytest.fixture
def evaluate(
    environment: Callable[[str], Status], tmp_path: Path
) -> Callable[[Evaluation], tuple[int, list[str], Path]]:
    """Run it on what is asked: exit code, output, working folder."""
    found = environment("opencompass")
    assert found.python is not None
    environ = running.environ(engines()["opencompass"], found.python, "cpu")

    def run(what: Evaluation) -> tuple[int, list[str], Path]:
        config, out = tmp_path / "my config.py", tmp_path / "out 结果"
        config.write_text(opencompass_config.config(what), encoding="utf-8")
        argv = opencompass_config.command(found.python, config, out)
        done = subprocess.run(
            argv,
            env={**environ, **opencompass_config.environ(KEY)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()], out

    return run


@pytest.fixture
def mmlu(tmp_path: Path) -> Evaluation:
    """Two questions of MMLU's subject astronomy, of ours; nobody to ask yet."""
    for split, rows in (("dev", MMLU), ("test", [*MMLU[:1], ("Which is hot?", "ice", "snow", "fire", "frost", "C")])):
        place = tmp_path / "it's data" / split / f"astronomy_{split}.csv"
        place.parent.mkdir(parents=True)
        with place.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    tokenizer = opencompass_config.write_tokenizer(ROOT / "models" / "starter", tmp_path / "tokenizer")
    return Evaluation("stub", "http://127.0.0.1:9/v1", tokenizer, "mmlu", tmp_path / "it's data", ("astronomy",))


def test_the_starter_gets_a_number_for_each_subject(tested: Tested) -> None:
    report = tested("opencompass")
    assert [(each.name, each.outcome, str(each.problem or "")) for each in report.checks[1:]] == [(ASK, "passed", "")]
    assert set(report.checks[1].figures) == set(QUESTIONS)
    assert set(report.checks[1].figures.values()) <= {"0 %", "100 %"}


def test_mmlu_is_counted_and_each_question_shows_what_was_read_out_of_the_answer(
    evaluate: Callable[[Evaluation], tuple[int, list[str], Path]], mmlu: Evaluation
) -> None:
    with stub(script={"say": "The answer is B."}) as server:
        what = replace(mmlu, base_url=server.server.base_url)
        code, lines, out = evaluate(what)
        asked = server.requests()
    score = opencompass_results.results(what, out, code, lines)["astronomy"]
    assert score.accuracy == 50.0
    assert [(each.said, each.taken, each.right) for each in score.answers] == [
        ("The answer is B.", "B", "B"),
        ("The answer is B.", "B", "C"),
    ]
    assert len(asked) == 2
    assert {(each["temperature"], each["max_tokens"], each["model"]) for each in asked} == {(0, 16, "stub")}


def test_nobody_who_answers_is_an_exit_code_and_a_reason(
    evaluate: Callable[[Evaluation], tuple[int, list[str], Path]], mmlu: Evaluation
) -> None:
    code, lines, out = evaluate(mmlu)
    assert code != 0
    with pytest.raises(PanelError, match="Connection error"):
        opencompass_results.results(mmlu, out, code, lines)


def test_its_configs_are_found_and_what_we_ask_by_is_among_them(environment: Callable[[str], Status]) -> None:
    found = environment("opencompass")
    assert found.python is not None
    (packages,) = [each for each in places.site_packages(found.python.parent.parent) if (each / "opencompass").is_dir()]
    names = {file.stem for file in (packages / "opencompass" / "configs" / "datasets").rglob("*.py")}
    for benchmark in opencompass_config.BENCHMARKS.values():
        assert benchmark.config.rpartition(".")[2] in names
