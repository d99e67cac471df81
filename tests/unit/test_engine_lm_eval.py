"""What lm-evaluation-harness is told, what its last words mean, and what the two rules that it is lent read: without it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backend.engines import engines, lm_eval_causes, lm_eval_results, lm_eval_rules, lm_eval_tasks, lm_eval_text
from backend.engines.lm_eval_text import Endpoint
from backend.evaluate.questions import Question
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace
from jobs.evaluating import lm_eval as job
from jobs.evaluating import own

SPEC = EvaluateSpec(model="starter", evaluator="lm_eval", shots=2, seed=7)
PATTERN = re.compile(lm_eval_text.letter_pattern("ABCD"))


def letter(said: str) -> str:
    """As its filter takes it: the first group of the first match that is not empty."""
    found = PATTERN.findall(said)
    return next(filter(None, found[0]), "") if found else ""


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("B", "B"), ("(b)", "b"), (" B. ", "B"), ("**C**", "C"), ("Paris (B)", "B"), ("B. Paris", "B"), ("(D) Rome", "D"), ("The answer is B.", "B"),
        ("A city in France is the answer: C", "C"), ("At first I thought (A), but the correct answer is (C).", "C"), ("答案是B。", "B"), ("选D", "D"),
        ("I would go for D here", "D"), ("C is correct", "C"), ("A nice city", ""), ("I do not know", ""), ("Vitamin C12", ""), ("", ""),
        ("The answer is Berlin", ""),
    ],
)  # fmt: skip
def test_a_letter_is_read_as_a_person_reads_it(said: str, taken: str) -> None:
    assert letter(said) == taken


@pytest.mark.parametrize(
    ("said", "taken"),
    [("Paris.", "Paris"), (' "3,500"!\n', "3,500"), ("《红楼梦》。", "红楼梦"), ("...", ""), ("", "")],
)
def test_an_exact_answer_is_taken_without_what_stands_around_it(said: str, taken: str) -> None:
    assert "".join(re.findall(lm_eval_text.EXACT, said)) == taken


@pytest.mark.parametrize(
    ("wanted", "text", "there"),
    [
        ("Paris", "it is PARIS!", True), ("art", "a party", False), ("8", "18", False), ("8", "8.5", False), ("3500", "3,500 m", True),
        ("北京", "首都是北京。", True), ("12", "１２ 个", True), ("", "anything", False),
    ],
)  # fmt: skip
def test_a_text_occurs_as_whole_words(wanted: str, text: str, there: bool) -> None:
    assert lm_eval_rules.occurs(wanted, text) == there


def test_the_lent_rules_hand_on_the_solution_where_it_is_there_and_nothing_where_nothing_was_said() -> None:
    docs = [{"gold": ["Paris", "City of Light"]}, {"gold": [r"\bB\d\b"]}, {"gold": ["x"]}]
    assert lm_eval_rules.contains([["the city of light"], [" Rome "], ["  "]], [docs[0], docs[0], docs[2]]) == [
        ["City of Light"],
        ["Rome"],
        ["[invalid]"],
    ]
    assert lm_eval_rules.matches([["it is B5"], ["B55"], [""]], [docs[1]] * 3) == [[r"\bB\d\b"], ["B55"], ["[invalid]"]]


def test_the_files_of_a_run_hold_every_question_in_our_words_and_no_key(workspace: Workspace) -> None:
    files = lm_eval_tasks.files_for(workspace, SPEC)
    yamls = [name for name in files if name.endswith(".yaml")]
    assert len(yamls) == 12 + 1
    assert sum(text.count("\n") for name, text in files.items() if re.search(r"en\.jsonl|zh\.jsonl", name)) == 120
    assert 'Answer with the letter.", "choices"' in files["lm-eval/tasks/tunedeck_01_geography_en.jsonl"]
    assert "num_fewshot: 2" in files["lm-eval/tasks/tunedeck_01_geography_en.yaml"]
    assert "key" not in files["lm-eval/run.yaml"].replace("server's key", "").lower().replace("openai_api_key", "")
    assert lm_eval_tasks.command_text() == "OPENAI_API_KEY=KEY python -m lm_eval run --config lm-eval/run.yaml"


def test_the_same_solved_examples_are_shown_as_by_our_own_evaluator(workspace: Workspace) -> None:
    from backend.evaluate import sets

    asked = sets.questions(workspace, "bundled")

    class Work:
        spec, questions = SPEC, asked

        def subjects(self) -> dict[str, list[Question]]:
            return {question.subject: [] for question in self.questions}

    work = Work()
    work.workspace = workspace  # type: ignore[attr-defined]  # no more of it is needed
    assert lm_eval_tasks.examples(workspace, SPEC, asked) == own.examples(work)  # type: ignore[arg-type]


def test_subjects_of_any_name_become_tasks_with_plain_names_of_their_own() -> None:
    asked = [Question(name, 0, "Q?", "exact", "x") for name in ("逻辑", "a/b", "A b", "'q\n")]
    made = lm_eval_tasks.made(asked, {}, SPEC, Endpoint("http://h/v1/", "it's\ta model"))
    assert [part.name for part in made.parts] == ["tunedeck_01", "tunedeck_02_a_b", "tunedeck_03_a_b", "tunedeck_04_q"]
    assert '"it' + "'" + 's\\U00000009a model"' in made.files[lm_eval_text.RUN]
    assert "'http://h/v1/chat/completions'" in made.files[lm_eval_text.RUN]


def test_a_subject_of_several_rules_is_a_group_of_tasks() -> None:
    asked = [Question("m", 0, "Q?", "exact", "x"), Question("m", 1, "P?", "choice", "A", ("x", "y"))]
    made = lm_eval_tasks.made(asked, {}, SPEC, Endpoint())
    (part,) = made.parts
    assert [(task.name, task.rule) for task in part.tasks] == [
        ("tunedeck_01_m_exact", "exact"),
        ("tunedeck_01_m_choice", "choice"),
    ]
    assert "task: [tunedeck_01_m_exact, tunedeck_01_m_choice]" in made.files["lm-eval/tasks/tunedeck_01_m.yaml"]


def test_small_subjects_are_asked_together_and_none_is_cut() -> None:
    asked = [Question(f"s{subject}", n, "Q?", "exact", "x") for subject in range(5) for n in range(30)]
    parts = lm_eval_tasks.made(asked, {}, SPEC, Endpoint()).parts
    assert [[part.subject for part in portion] for portion in job.portions(parts, 60)] == [
        ["s0", "s1"],
        ["s2", "s3"],
        ["s4"],
    ]


REFUSED = """
2026-11-27:23:44:01 WARNING  [models.api_models:546] API request failed! Status code: {status}, Response text: {{"error": {{"message": "{said}"}}}}. Retrying...
2026-11-27:23:44:01 ERROR    [models.api_models:588] Exception:ClientResponseError(RequestInfo(headers=<CIMultiDictProxy('Authorization': 'Bearer ***'>)), (no outputs), retrying.
Traceback (most recent call last):
  File "api_models.py", line 526, in amodel_call
    response.raise_for_status()
aiohttp.client_exceptions.ClientResponseError: {status}, message='x', url='http://h/v1/chat/completions'
Requesting API:  50%|█████     | 1/2 [00:02<00:02,  2.08s/it]
"""
SYNC = """
2026-11-27:23:44:01 WARNING  [models.api_models:496] API request failed with error message: {"error": {"message": "no such thing"}}. Retrying...
requests.exceptions.HTTPError: 400 Client Error: Bad Request for url: http://h/v1/chat/completions
"""
GONE = "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host 127.0.0.1:1 ssl:default [Connect call failed ('127.0.0.1', 1)]"


@pytest.mark.parametrize(
    ("text", "code", "says", "away", "whole"),
    [
        (REFUSED.format(status=400, said="maximum context length is 5"), "lm_eval_too_long", "400 maximum context length is 5", False, False),
        (REFUSED.format(status=401, said="Incorrect key"), "lm_eval_key_refused", "401 Incorrect key", False, True),
        (REFUSED.format(status=404, said="no model"), "lm_eval_model_unknown", "404 no model", False, True),
        (REFUSED.format(status=422, said="odd"), "lm_eval_refused", "422 odd", False, False),
        (REFUSED.format(status=503, said="busy"), "lm_eval_server_failed", "503 busy", False, False),
        (SYNC, "lm_eval_refused", "no such thing", False, False),
        (GONE, "lm_eval_server_gone", "Cannot connect to host", True, True),
        ("aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected", "lm_eval_server_gone", "disconnected", True, True),
        # Refused once, overcome, and then nobody was there: the last error counts.
        (REFUSED.format(status=503, said="busy") + GONE, "lm_eval_server_gone", "Cannot connect", True, True),
        ("TimeoutError", "lm_eval_timed_out", "", False, False),
        ("requests.exceptions.ReadTimeout: HTTPConnectionPool(host='h')", "lm_eval_timed_out", "", False, False),
        ("ModuleNotFoundError: No module named 'sacrebleu'", "lm_eval_no_module", "sacrebleu", False, True),
        ("OSError: [Errno 28] No space left on device", "lm_eval_disk_full", "No space", False, True),
        ("re.error: missing ), unterminated subpattern at position 0", "lm_eval_task_bad", "missing )", False, False),
        ("KeyError: 'nonsense'", "lm_eval_failed", "KeyError: 'nonsense'", False, False),
        ("", "lm_eval_failed", "-", False, False),
    ],
)  # fmt: skip
def test_its_last_error_becomes_a_cause_in_words(text: str, code: str, says: str, away: bool, whole: bool) -> None:
    found = lm_eval_causes.find(text.splitlines(), 1)
    assert (found.error.code, found.away, found.whole) == (code, away, whole)
    assert says in str(found.error)
    assert "Bearer" not in found.evidence
    assert "Requesting API" not in found.evidence


def test_what_the_system_has_killed_is_said_to_have_run_out_of_memory() -> None:
    assert lm_eval_causes.find(["Requesting API: 3%|", "half a line"], -9).error.code == "lm_eval_killed"


def test_no_answers_are_kept_where_there_is_no_file_or_one_that_is_none(tmp_path: Path) -> None:
    cache = tmp_path / "answers_rank0.db"
    assert lm_eval_results.kept(cache) == set()
    cache.write_text("no database")
    assert lm_eval_results.kept(cache) == set()
    cache.unlink()
    with closing(sqlite3.connect(cache)) as db:
        db.execute("CREATE TABLE unnamed (key TEXT PRIMARY KEY, value BLOB)")
        db.execute("INSERT INTO unnamed VALUES ('k', 'v')")
        db.commit()
    assert lm_eval_results.kept(cache) == {"k"}


def test_results_that_are_not_there_or_half_written_are_none_or_empty(tmp_path: Path) -> None:
    assert lm_eval_results.read(tmp_path, ()) is None
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "results_2026.json").write_text('{"results": {"a": {"exact_match,answer": "N/A"}, "b": ')
    found = lm_eval_results.read(tmp_path, ())
    assert found is not None
    assert found.scores == {}


def test_it_is_offered_to_evaluations_and_computes_nothing() -> None:
    engine = engines()["lm_eval"]
    assert engine.roles == ("evaluate",)
    assert engine.recipe is not None
    assert engine.recipe.flavours == ("cpu",)
    assert {each.problem.code for each in engine.capabilities() if each.problem} == {"engine_missing_environment"}
