"""OpenCompass before and after it runs: the config that it is given, and what is made of what it leaves and says."""

from __future__ import annotations

import ast
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines import engines, opencompass_config, opencompass_results
from backend.engines.opencompass_config import Evaluation
from backend.engines.opencompass_results import Answer
from backend.errors import ModelError, PanelError
from backend.memory import machine
from jobs.selftests.opencompass import write_data

REAL = Path(__file__).resolve().parents[1] / "data" / "opencompass"
WHAT = Evaluation("m", "http://127.0.0.1:1/v1", Path("/t"), "ceval", Path("/data/my 评测"), ("logic", "law"))


def said(name: str) -> list[str]:
    return (REAL / f"{name}.log").read_text(encoding="utf-8").splitlines()


def left(folder: Path, **subjects: Any) -> Path:
    """A working folder with the results of two runs; those of the newer one are ``subjects``."""
    for run, files in (("20261126_100000", {"ceval-logic": '{"accuracy": 1.0}'}), ("20261126_110000", subjects)):
        for name, text in files.items():
            write(folder / run / "results" / "model" / f"{name.replace('ceval_', 'ceval-')}.json", text)
    return folder


def write(place: Path, text: Any) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")


def real(name: str) -> str:
    return (REAL / f"{name}.json").read_text(encoding="utf-8")


def assigned(text: str, name: str) -> ast.expr:
    (found,) = (
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name
    )
    return found


def test_the_config_says_what_is_asked_of_whom_and_holds_no_key() -> None:
    text = opencompass_config.config(WHAT)
    assert ast.literal_eval(assigned(text, "wanted")) == ["ceval-logic", "ceval-law"]
    head = {name: ast.literal_eval(assigned(text, name)) for name in ("api_base", "served_model", "tokenizer_folder")}
    assert head == {"api_base": "http://127.0.0.1:1/v1", "served_model": "m", "tokenizer_folder": "/t"}
    model = assigned(text, "models").elts[0]  # type: ignore[attr-defined]
    given = {word.arg: getattr(word.value, "value", getattr(word.value, "id", None)) for word in model.keywords}
    assert (given["path"], given["openai_api_base"]) == ("served_model", "api_base")
    assert (given["temperature"], given["key"], given["tokenizer_path"]) == (0, "ENV", "tokenizer_folder")
    assert (given["max_workers"], given["batch_size"], given["max_out_len"]) == (4, 16, 16)
    assert "secret" not in text
    assert opencompass_config.environ("secret")["OPENAI_API_KEY"] == "secret"


@pytest.mark.parametrize("name", ["it's", '"', "a\nb", "\\", "模型 😀", '"""\nimport os', "{x}"])
def test_any_name_and_folder_is_a_name_and_a_folder_in_the_config(name: str) -> None:
    text = opencompass_config.config(replace(WHAT, model=name, data=Path("/d") / name, subjects=(name,)))
    assert ast.literal_eval(assigned(text, "wanted")) == [f"ceval-{name}"]
    strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    assert name in strings
    assert f"/d/{name}" in strings
    assert "os" not in [
        alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names
    ]


def test_it_stays_one_process_whose_exit_code_is_true() -> None:
    argv = opencompass_config.command(Path("/e/bin/python"), Path("/j/config.py"), Path("/j/out"))
    assert argv[:3] == ["/e/bin/python", "-m", "opencompass.cli.main"]
    assert "--debug" in argv


def test_the_scores_and_the_answers_are_read_from_what_it_leaves(tmp_path: Path) -> None:
    place = left(tmp_path, ceval_logic=real("ceval-logic"), ceval_law={"accuracy": 25})
    write(place / "20261126_110000" / "predictions" / "model" / "ceval-logic.json", real("ceval-logic.predictions"))
    scores = opencompass_results.results(WHAT, place, 0, [])
    assert scores["logic"].accuracy == 50.0, "the newer run counts"
    assert scores["logic"].answers == (Answer("A", "A", "A"), Answer("A", "A", "B"))
    assert scores["law"].accuracy == 25.0
    assert scores["law"].answers == ()


def test_each_kind_of_evaluator_says_what_it_read_out_of_the_answer(tmp_path: Path) -> None:
    what = replace(WHAT, benchmark="mmlu", subjects=("astronomy",))
    abbr = what.abbr("astronomy")
    write(tmp_path / "1" / "results" / "model" / f"{abbr}.json", real(abbr))
    scores = opencompass_results.results(what, tmp_path, 0, [])
    assert scores["astronomy"].answers == (Answer("", "B", "B"), Answer("", "B", "C"))
    write(tmp_path / "1" / "predictions" / "model" / f"{abbr}.json", real(f"{abbr}.predictions"))
    scores = opencompass_results.results(what, tmp_path, 0, [])
    assert scores["astronomy"].answers[1] == Answer("The answer is B.", "B", "C")


@pytest.mark.parametrize(
    "file", ['{"error": "no predictions"}', '{"accuracy": "-"}', '{"accuracy": NaN}', '{"accuracy": true}', "[]", "{"]
)
def test_an_exit_code_of_0_is_not_believed_without_a_number_for_each_subject(tmp_path: Path, file: str) -> None:
    place = left(tmp_path, ceval_logic={"accuracy": 100.0}, ceval_law=file)
    with pytest.raises(PanelError) as caught:
        opencompass_results.results(WHAT, place, 0, ["something", ""])
    assert caught.value.code == "opencompass_no_score"
    assert "law" in str(caught.value)
    assert "logic" not in str(caught.value)
    shutil.rmtree(place / "20261126_110000")
    with pytest.raises(PanelError, match="law"):
        opencompass_results.results(WHAT, place, 0, [])


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("refused", "The model 'nonesuch' does not exist here"),
        ("unreachable", "Connection error."),
        ("missing_file", "No such file or directory: '/data/my 评测/data/dev/law_dev.csv'"),
    ],
)
def test_why_it_failed_is_told_in_the_words_that_say_it(log: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(PanelError) as caught:
        opencompass_results.results(WHAT, tmp_path, 1, said(log))
    assert caught.value.code == "opencompass_failed"
    assert words in str(caught.value)
    assert words in caught.value.params["line"]


def test_a_tokenizer_is_handed_on_without_its_code_and_its_class(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "tokenizer.json").write_text('{"model": {}}')
    (model / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "TokenizersBackend", "auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}})
    )
    made = opencompass_config.write_tokenizer(model, tmp_path / "made")
    assert json.loads((made / "tokenizer_config.json").read_text()) == {"tokenizer_class": "PreTrainedTokenizerFast"}
    assert (made / "tokenizer.json").read_text() == '{"model": {}}'
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="'model' has none: No such file"):
        opencompass_config.write_tokenizer(model, tmp_path / "made")


def test_the_questions_of_the_self_test_lie_as_c_eval_does(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    assert sorted(path.name for path in (data / "dev").iterdir()) == ["high_school_geography_dev.csv", "logic_dev.csv"]
    rows = (data / "dev" / "logic_dev.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "id,question,A,B,C,D,answer,explanation"
    assert len(rows) == 6


def test_before_it_is_installed_that_is_the_one_reason() -> None:
    engine = engines()["opencompass"]
    assert engine.roles == ("evaluate",)
    assert [each.problem and each.problem.code for each in engine.capabilities()] == [
        "engine_missing_environment",
        "engine_missing_environment",
        "engine_missing_environment" if machine.gpus()[0] else "capability_needs_gpu",
    ]
    problem = engine.unavailable()
    assert problem is not None
    assert str(problem) == "OpenCompass is not installed here."
