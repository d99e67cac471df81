"""Past runs brought in, whole and broken: every cell has its number or its cause."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import PanelError
from backend.evaluate import groups, imports
from backend.evaluate.imports import Imported
from backend.evaluate.records import Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import Workspace
from tests.support import past_runs
from tests.support.past_runs import CEVAL, CEVAL_AVERAGES, HEAD, TIME, Attempt


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def one(path: Path) -> Imported:
    """The only run in ``path``."""
    (found,) = imports.read(path)
    return found


def cell(found: Imported, subject: str) -> Score:
    return next(score for score in found.scores if score.subject == subject)


def codes(found: Imported) -> dict[str, str]:
    return {score.subject: score.cause["code"] for score in found.scores if score.value is None}


def test_a_whole_output_folder_has_the_numbers_and_averages_that_opencompass_printed(tmp_path: Path) -> None:
    past_runs.whole(tmp_path / "outputs" / "default", pieces=2)
    found = one(tmp_path / "outputs")
    run = found.run
    assert (run.model, run.set_name, run.evaluator, run.source, run.state) == (
        "m",
        "ceval",
        "opencompass",
        "import",
        "done",
    )
    assert len(found.answers) == 1346
    rows = {row.subject: row for row in groups.with_averages(run.set_name, found.scores) if row.group}
    assert {name: f"{row.value:.2f}" for name, row in rows.items()} == CEVAL_AVERAGES
    assert cell(found, "ceval-logic").value == 7 / 22 * 100


@pytest.mark.parametrize(
    ("details", "pieces"), [("object", 1), ("object", 3), ("list", 1), ("list", 2), ("replicas", 1)]
)
def test_answers_stand_beside_what_was_asked_however_the_files_are_cut(
    tmp_path: Path, details: str, pieces: int
) -> None:
    attempt = Attempt(tmp_path)
    attempt.subject("ceval-law", 4, 7, details=details, pieces=pieces)
    found = one(attempt.folder)
    assert [answer.outcome for answer in found.answers] == ["right"] * 4 + ["wrong"] * 3
    assert [answer.number for answer in found.answers] == list(range(7))
    last = found.answers[-1]
    assert (last.question, last.taken, last.gold) == ("ceval-law 第 6 题?\nA. 甲\nB. 乙\nAnswer:", "B", "A")
    assert last.said == "The answer is B."
    assert [turn["role"] for turn in json.loads(last.prompt)] == ["user", "assistant", "user"]


def test_what_no_option_is_was_not_read(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    attempt.subject("ceval-law", 0, 1)
    file = attempt.folder / "results" / "m" / "ceval-law.json"
    taken = ("T", "", "B", "A")
    rows = {
        str(place): {"predictions": each, "references": "A", "origin_prediction": f"said {place}", "prompt": "Q?"}
        for place, each in enumerate(taken)
    }
    file.write_text(json.dumps({"accuracy": 25.0, "details": {"type": "GEN", **rows}}))
    found = one(attempt.folder)
    assert [answer.outcome for answer in found.answers] == ["unread", "unread", "wrong", "right"]
    assert [answer.said for answer in found.answers] == [f"said {place}" for place in range(4)], (
        "predictions of another attempt"
    )


def test_options_that_were_weighed_are_shown_with_their_likelihood(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    label = {
        letter: {"testing input": f"Q?\nAnswer: {letter}", "prompt": "…", "PPL": 1.0 + place}
        for place, letter in enumerate("AB")
    }
    attempt.predictions(
        "ceval-law",
        [
            {
                "in-context examples": "Shown.",
                **{f"label: {name}": each for name, each in label.items()},
                "prediction": "A",
                "gold": "A",
            }
        ],
    )
    row = {
        "origin_prediction": {name: {"PPL": each["PPL"]} for name, each in label.items()},
        "predictions": "A",
        "references": "A",
        "correct": True,
    }
    file = attempt.folder / "results" / "m" / "ceval-law.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"accuracy": 100.0, "details": {"type": "PPL", "0": row}}))
    (answer,) = one(attempt.folder).answers
    assert answer.said == "A: PPL 1\nB: PPL 2"
    assert answer.question == "Q?\nAnswer: A"
    assert answer.prompt.startswith("Shown.\nQ?")


def test_every_cell_of_a_half_finished_folder_has_a_cause_and_its_evidence(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    names = [
        "ceval-law",
        "ceval-logic",
        "ceval-physician",
        "ceval-accountant",
        "ceval-sports_science",
        "ceval-civil_servant",
    ]
    attempt.config(names)
    attempt.subject("ceval-law", 1, 2)
    attempt.log(
        "infer",
        "ceval-logic",
        "starting\nTraceback (most recent call last):\nFileNotFoundError: [Errno 2] No such file or directory: 'data/logic_val.csv'\n",
    )
    attempt.predictions("ceval-physician", [attempt.prediction("p", 0, "A")] * 3)
    attempt.predictions("ceval-accountant", [attempt.prediction("p", 0, "A")] * 2)
    attempt.log("eval", "ceval-accountant", "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xb5\n")
    (attempt.folder / "predictions" / "m" / "tmp_ceval-sports_science.json").write_text("{}")
    found = one(attempt.folder)
    assert found.run.state == "partial"
    assert found.run.notices == ("import_half_finished",)
    assert codes(found) == {
        "ceval-logic": "opencompass_no_file",
        "ceval-physician": "import_not_counted",
        "ceval-accountant": "opencompass_encoding",
        "ceval-sports_science": "import_stopped",
        "ceval-civil_servant": "import_no_log",
    }
    assert "logic_val.csv" in cell(found, "ceval-logic").evidence
    assert "3 questions were answered" in str(PanelError.from_dict(cell(found, "ceval-physician").cause))
    assert cell(found, "ceval-accountant").n == 2


def test_one_log_for_many_subjects_is_found_and_an_unknown_last_line_is_shown(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    attempt.config(["ceval-law", "ceval-logic"])
    attempt.log(
        "infer",
        "ceval-law",
        "Task [m/ceval-law,m/ceval-logic]\n" + "loading\n" * 40_000 + "RuntimeError: nobody knows this\n",
    )
    found = one(attempt.folder)
    assert codes(found) == {"ceval-law": "opencompass_no_number", "ceval-logic": "opencompass_no_number"}
    assert "nobody knows this" in cell(found, "ceval-logic").evidence


def test_a_result_that_is_an_error_or_no_number_is_no_score(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    attempt.config(["ceval-law", "ceval-logic", "ceval-physician"])
    folder = attempt.folder / "results" / "m"
    folder.mkdir(parents=True)
    (folder / "ceval-law.json").write_text('{"error": "predictions and references have different length"}')
    (folder / "ceval-logic.json").write_text('{"accuracy": NaN, "type": 3}')
    (folder / "ceval-physician.json").write_text('{"accuracy": 12')
    found = one(attempt.folder)
    assert codes(found) == {
        "ceval-law": "import_result_error",
        "ceval-logic": "import_no_log",
        "ceval-physician": "import_no_log",
    }
    assert "different length" in cell(found, "ceval-law").evidence


def test_versions_and_modes_come_out_of_the_summary_and_numbers_out_of_the_results(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    attempt.subject("ceval-law", 1, 3)
    attempt.subject("ceval-logic", 2, 3, details="")
    attempt.summary(
        [
            ("ceval-law", "a110a1", "accuracy", "gen", "33.33"),
            ("ceval-logic", "f5b022", "accuracy", "ppl", "66.67"),
            ("ceval-gone", "123456", "accuracy", "gen", "12.00"),
            ("cmmlu", "-", "naive_average", "gen", "40.00"),
            ("ceval-stem", "-", "-", "-", "-"),
        ]
    )
    found = one(attempt.folder)
    law, logic, gone, group = found.scores
    assert (law.version, law.value, law.n) == ("a110a1", 1 / 3 * 100, 3)
    assert (logic.version, logic.mode, logic.n) == ("f5b022", "ppl", 3)
    assert (gone.value, gone.version) == (12.0, "123456"), "its files were deleted, the table has it"
    assert (group.subject, group.group, group.value) == ("cmmlu", True, 40.0)


def test_several_models_are_several_runs(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    attempt.config(["ceval-law"], ["base", "tuned"])
    attempt.subject("ceval-law", 1, 2, model="base")
    attempt.subject("ceval-law", 2, 2, model="tuned")
    assert [(each.run.model, each.scores[0].value) for each in imports.read(tmp_path)] == [
        ("base", 50.0),
        ("tuned", 100.0),
    ]


def test_a_summary_alone_has_scores_and_says_that_it_has_no_answers(tmp_path: Path) -> None:
    file = tmp_path / f"summary_{TIME}.csv"
    file.write_text(
        f"{HEAD},a,b\nceval-law,a110a1,accuracy,gen,33.33,-\nceval,-,naive_average,gen,33.33,--\nceval-stem,-,-,-,-,-\n"
    )
    first, second = imports.read(file)
    assert [(score.subject, score.value) for score in first.scores] == [("ceval-law", 33.33), ("ceval", 33.33)]
    assert first.run.notices == ("import_summary_only",)
    assert codes(second) == {"ceval-law": "import_cell_empty"}
    assert (first.run.state, second.run.state) == ("done", "partial")
    assert first.run.began == second.run.began


def test_a_text_file_has_all_decimals_and_what_went_wrong(tmp_path: Path) -> None:
    from tests.unit.test_evaluate_summaries import SUMMARY

    file = tmp_path / "summary.txt"
    file.write_text(SUMMARY, encoding="utf-8")
    first, second = imports.read(file)
    assert cell(first, "ceval-computer_network").value == 31.57894736842105
    assert codes(second) == {"ceval-operating_system": "import_result_error"}
    assert "different length" in cell(second, "ceval-operating_system").evidence


def test_a_summary_in_its_folder_asks_the_logs_beside_it(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path)
    file = attempt.summary([("ceval-law", "-", "-", "-", "-")])
    attempt.log("infer", "ceval-law", "bash: torchrun: command not found\n")
    assert codes(one(file)) == {"ceval-law": "opencompass_no_torchrun"}


def test_the_same_thing_twice_is_said_and_not_doubled_and_two_of_one_name_are_two(
    tmp_path: Path, runs: EvaluateStore
) -> None:
    attempt = past_runs.whole(tmp_path / "one", {"law": "1/2"})
    (first,) = imports.keep(runs, imports.read(attempt.folder))
    shutil.copytree(tmp_path / "one", tmp_path / "moved")
    (again,) = imports.keep(runs, imports.read(tmp_path / "moved"))
    assert (first.new, again) == (True, imports.Kept(first.run, False))
    assert [each.run for each in imports.keep(runs, imports.read(tmp_path / "one"))] == [first.run]
    other = Attempt(tmp_path / "two", "20260102_040506")
    other.config(["ceval-law"])
    other.subject("ceval-law", 1, 2)
    (second,) = imports.keep(runs, imports.read(tmp_path / "two"))
    assert second.new
    a, b = runs.run(first.run), runs.run(second.run)
    assert (a.name, b.name) == ("m · ceval", "m · ceval")
    assert a.began != b.began
    assert runs.pairs(a.id, b.id).all.both == 1, "the same questions are met again"
    twice = tmp_path / "twice.csv"
    twice.write_text(f"{HEAD},m,m\nceval-law,a,accuracy,gen,50.00,50.00\n")
    assert len({each.run for each in imports.keep(runs, imports.read(twice))}) == 2


def test_a_finished_folder_is_another_run_than_it_was_half_finished(tmp_path: Path, runs: EvaluateStore) -> None:
    attempt = Attempt(tmp_path)
    attempt.config(["ceval-law", "ceval-logic"])
    attempt.subject("ceval-law", 1, 2)
    (before,) = imports.keep(runs, imports.read(tmp_path))
    attempt.subject("ceval-logic", 1, 2)
    (after,) = imports.keep(runs, imports.read(tmp_path))
    assert before.run != after.run
    assert [runs.run(each.run).state for each in (before, after)] == ["partial", "done"]


def test_a_zip_is_read_like_the_folder_in_it(tmp_path: Path) -> None:
    attempt = past_runs.whole(tmp_path / "outputs", {"law": "1/2"})
    packed = tmp_path / "结果.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for each in sorted(attempt.folder.rglob("*")):
            file.write(each, Path("outputs") / TIME / each.relative_to(attempt.folder))
    found = one(packed)
    assert (found.scores, found.answers, found.run.path) == (
        one(tmp_path / "outputs").scores,
        one(tmp_path / "outputs").answers,
        str(packed),
    )


def test_results_of_lm_eval_with_their_samples(tmp_path: Path) -> None:
    found = one(past_runs.lm_eval(tmp_path / "org__small"))
    run = found.run
    assert (run.evaluator, run.model, run.version, run.settings["time"]) == ("lm_eval", "org/small", "0.4.13", TIME)
    assert [(s.subject, s.metric, s.value, s.n, s.mode, s.group) for s in found.scores] == [
        ("arc", "acc", 50.0, 2, "ll", False),
        ("arc", "acc_norm", 100.0, 2, "ll", False),
        ("math", "exact_match,strict-match", 0.0, 2, "gen", False),
        ("math", "exact_match,flexible-extract", 50.0, 2, "gen", False),
        ("both", "acc", 25.0, None, "gen", True),
    ]
    arc, wrong, math, _last = found.answers
    assert (arc.outcome, arc.taken, arc.gold) == ("right", "warm", "warm")
    assert arc.question == "arc 0?\nA. cold\nB. warm"
    assert (wrong.outcome, wrong.taken) == ("wrong", "cold")
    assert (math.outcome, math.taken, math.said) == ("unread", "", "2 + 2 makes 4")
    assert one(tmp_path).scores == found.scores, "its folder will do"


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("results.json", '{"results": {}}', "lm_eval_results_unreadable"),
        ("results.json", "[1", "lm_eval_results_unreadable"),
        ("run.zip", "PK\x05\x06" + "\0" * 18, "import_nothing"),
        ("notes.txt", "nothing here", "summary_no_table"),
    ],
)
def test_what_cannot_be_read_says_so(tmp_path: Path, name: str, text: str, code: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(PanelError) as caught:
        imports.read(file)
    assert caught.value.code == code


def test_nothing_and_nowhere_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, code in ((tmp_path / "empty", "import_nothing"), (tmp_path / "gone", "import_path_unknown")):
        with pytest.raises(PanelError) as caught:
            imports.read(path)
        assert caught.value.code == code


def test_a_broken_zip_says_so(tmp_path: Path) -> None:
    packed = tmp_path / "run.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.txt", "x" * 10_000)
    data = bytearray(packed.read_bytes())
    data[40:50] = b"\xff" * 10
    packed.write_bytes(bytes(data))
    with pytest.raises(PanelError) as caught:
        imports.read(packed)
    assert caught.value.code == "import_zip_bad"


def test_the_whole_of_ceval_is_read_and_kept_with_its_answers(tmp_path: Path, runs: EvaluateStore) -> None:
    past_runs.whole(tmp_path)
    (kept,) = imports.keep(runs, imports.read(tmp_path))
    run = kept.run
    tallies = {tally.subject: tally for tally in runs.tallies(run)}
    assert {f"ceval-{name}": share for name, share in CEVAL.items()} == {
        name: f"{each.right}/{each.planned}" for name, each in tallies.items()
    }
