"""Causes told from logs. Most logs in tests/data/diagnosis are what programs really printed when the failure was provoked;
the others follow real reports. Each is read as it is, and as other terminals, loggers and machines would have written it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.diagnosis import ROWS, diagnose, diagnose_lines
from backend.diagnosis.matcher import find
from backend.diagnosis.patterns import PLACE, compiled
from backend.diagnosis.row import Row
from backend.i18n import use
from tests.support.log_shapes import LOUD, SHAPES, shaped

LOGS = sorted((Path(__file__).parents[1] / "data" / "diagnosis").glob("*.log"))
HARMLESS = sorted((Path(__file__).parents[1] / "data" / "diagnosis" / "harmless").glob("*.log"))
BY_CODE = {row.code: row for row in ROWS}
SAMPLES = {
    "size": "2.00 GiB",
    "num": "7",
    "name": "some-thing.1",
    "program": "some-thing",
    "cuda": "12040",
    "quoted": "some thing/x",
    "weight": "model.layers.3.mlp.down_proj.weight",
    "class": "YetiForCausalLM",
    "rest": "a few words",
}


def code_of(log: Path) -> str:
    return log.stem.split("-")[0]


def test_every_row_has_a_log_and_every_log_a_row() -> None:
    assert {code_of(log) for log in LOGS} == set(BY_CODE)
    assert len(BY_CODE) == len(ROWS) > 100


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_failure_is_found_first_however_its_log_is_written(log: Path) -> None:
    text = log.read_text(encoding="utf-8")
    found = {name: [f.code for f in diagnose_lines(shaped(text, name).split("\n"))] for name in SHAPES}
    assert {name: codes for name, codes in found.items() if codes[:1] != [code_of(log)]} == {}


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_the_evidence_is_a_line_of_the_log_and_everything_can_be_read(log: Path) -> None:
    first = diagnose(log)[0].to_dict()
    lines = re.sub(r"\x1b\[[\d;]*m", "", log.read_text(encoding="utf-8")).split("\n")
    assert first["evidence"]["text"].split("\n")[0] in lines[first["evidence"]["line"] - 1]
    assert first["cause"].endswith(".")
    assert not re.search(r"[{}]", first["cause"])
    assert first["fixes"]
    for fix in first["fixes"]:
        assert fix["kind"] in ("spec", "environment", "setting", "command", "text")
        assert fix["text"].strip()
        assert fix["kind"] != "spec" or fix["field"]
        assert fix["kind"] != "setting" or fix["name"]
        assert fix["kind"] != "command" or fix["hint"]


@pytest.mark.parametrize("log", HARMLESS, ids=lambda log: log.stem)
def test_a_log_that_only_talks_of_trouble_finds_nothing(log: Path) -> None:
    text = log.read_text(encoding="utf-8")
    names = SHAPES.keys() - LOUD
    found = {name: [f.to_dict() for f in diagnose_lines(shaped(text, name).split("\n"))] for name in names}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_every_pattern_finds_its_own_words(row: Row) -> None:
    for pattern in row.patterns:
        sample = PLACE.sub(lambda place: SAMPLES[place.group(2)] if place.group(2) else " and ", pattern)
        line = sample.removeprefix(" and ").removesuffix("$")
        log = [(1, "Error: it begins"), (2, line), (3, "Error: it ends")]
        assert [f.code for f in find(log, [row])] == [row.code], pattern


def test_a_pattern_that_says_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="too little to look for"):
        compiled("<a:num> … oh")


def test_the_figures_of_a_full_gpu_stand_in_the_sentence() -> None:
    log = LOGS[[log.stem for log in LOGS].index("gpu_out_of_memory")]
    use("en")
    cause = diagnose(log)[0].cause()
    assert cause == "The GPU memory was full: 2.00 GiB more were asked for, and of 39.39 GiB only 1.21 GiB were free."
    for width in (61, 80):
        wrapped = shaped(log.read_text(encoding="utf-8"), "80 columns") if width == 80 else ""
        wrapped = wrapped or re.sub(r"(.{61})", r"\1\n", log.read_text(encoding="utf-8"))
        assert diagnose_lines(wrapped.split("\n"))[0].cause() == cause


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("driver_too_old", "too old for the packages of this engine: it knows CUDA only up to 11.4."),
        ("machine_out_of_memory", "The main memory of the machine was not enough: 13.4 GiB were asked for at once."),
        ("oom_killer", "The system ended the program python because the memory was used up."),
        ("command_missing", "The program torchrunn is not installed, or not on the path."),
        ("no_such_package", "The index has no fitting version of mmengine: "),
        ("module_missing", "The package that provides httpx is missing in the environment."),
        ("data_missing", "There is no data file at /data/personal_assistant.json."),
        ("parser_unknown", "The engine does not know the parser morse."),
        ("architecture_unknown", "The engine does not know this kind of model (yeti3)."),
    ],
)
def test_the_sentence_names_what_the_log_names(log: str, cause: str) -> None:
    text = next(each for each in LOGS if each.stem == log).read_text(encoding="utf-8")
    use("en")
    for name in ("as it is", "rank", "container", "late"):
        assert cause in diagnose_lines(shaped(text, name).split("\n"))[0].cause()


def test_memory_comes_before_what_follows_from_it() -> None:
    log = next(log for log in LOGS if log.stem == "gpu_out_of_memory-3")
    assert [f.code for f in diagnose(log)] == ["gpu_out_of_memory", "gpus_cannot_talk", "gpus_timeout"]


TRACE = 'Traceback (most recent call last):\n  File "/x.py", line 1, in f\n    go()\n'
FIRST = TRACE + "ModuleNotFoundError: No module named 'einops'\n"
SECOND = TRACE + "KeyError: 'model.norm.weight'\n"
LINK = "\nDuring handling of the above exception, another exception occurred:\n\n"


def test_of_one_chain_the_first_and_of_two_failures_the_last_counts() -> None:
    def codes(text: str) -> list[str]:
        return [finding.code for finding in diagnose_lines(text.split("\n"))]

    assert codes(FIRST + LINK + SECOND) == ["module_missing", "weights_do_not_fit"]
    assert codes(FIRST + "\n" + SECOND) == ["weights_do_not_fit", "module_missing"]
    assert codes(FIRST + LINK.replace("During handling of the above exception, another exception occurred",
                                      "The above exception was the direct cause of the following exception") + SECOND)[0] == "module_missing"  # fmt: skip


def test_what_was_survived_is_no_cause() -> None:
    step = "11/26 09:14:00 - mmengine - INFO - Iter(train) [ {n}/1920]  lr: 1e-5  loss: 2.1\n"
    steps = "".join(step.format(n=n) for n in range(10, 14))
    assert diagnose_lines((FIRST + steps).split("\n")) == []
    assert [f.code for f in diagnose_lines((FIRST + steps + SECOND).split("\n"))] == ["weights_do_not_fit"]
    assert [f.code for f in diagnose_lines((steps + FIRST).split("\n"))] == ["module_missing"]


def test_a_warning_counts_only_for_some_rows_and_where_something_failed_after_it() -> None:
    old = "/x/torch/cuda/__init__.py:1: UserWarning: The NVIDIA driver on your system is too old (found version 11040)."
    assert diagnose_lines([old, "all good"]) == []
    found = diagnose_lines([old, "RuntimeError: No CUDA GPUs are available"])
    assert [f.code for f in found] == ["driver_too_old", "no_gpu"]
    assert diagnose_lines(["WARNING: No module named 'einops'", "RuntimeError: oh"]) == []


def test_words_inside_other_words_are_not_found() -> None:
    assert diagnose_lines(["the campus error and the syllabus error"]) == []
    assert [f.code for f in diagnose_lines(["Bus error (core dumped)"])] == ["shared_memory_small"]


@pytest.mark.parametrize(
    ("exit_code", "code"),
    [
        (-9, "killed"),
        (137, "killed"),
        (-15, "terminated"),
        (143, "terminated"),
        (-11, "crashed"),
        (139, "crashed"),
        (-6, "aborted"),
        (134, "aborted"),
        (-7, "shared_memory_small"),
        (127, "command_missing"),
        (126, "no_permission"),
        (-4, "processor_too_old"),
        (130, "interrupted"),
    ],
)
def test_an_exit_code_alone_says_something(exit_code: int, code: str) -> None:
    (finding,) = diagnose_lines(["loading"], exit_code=exit_code)
    assert finding.to_dict()["evidence"] == {"line": None, "text": f"exit code {exit_code}"}
    assert finding.code == code
    # What the log says is more than what the code says.
    both = diagnose_lines(["torch.OutOfMemoryError: CUDA out of memory."], exit_code=exit_code)
    assert both[0].code == "gpu_out_of_memory"


@pytest.mark.parametrize("exit_code", [0, 1, 2, 255, None])
def test_other_exit_codes_say_nothing(exit_code: int | None) -> None:
    assert diagnose_lines(["loading"], exit_code=exit_code) == []


def test_rows_about_other_engines_are_left_out() -> None:
    line = ["lmdeploy: error: argument command: invalid choice: 'convert' (choose from 'chat')"]
    assert [f.code for f in diagnose_lines(line, about=("lmdeploy", "serve"))] == ["lmdeploy_command_gone"]
    assert diagnose_lines(line, about=("xtuner",))[0].code == "engine_settings_refused"
    assert diagnose_lines(["KeyError: 'conversation'"], about=("lmdeploy",)) == []


def test_an_environment_fix_names_the_engine_that_the_log_is_about() -> None:
    (finding,) = diagnose_lines(["ModuleNotFoundError: No module named 'einops'"], about=("xtuner", "finetune"))
    assert finding.fixes()[0] == {
        "kind": "environment",
        "text": "Make the environment of this engine again on the Environments page.",
        "engine": "xtuner",
    }


def test_a_command_to_copy_never_holds_words_of_the_log() -> None:
    assert [
        fix.value for row in ROWS for fix in row.fixes if fix.kind == "command" and re.search(r"{\w+}", fix.value)
    ] == []


def test_at_most_five_and_each_cause_once() -> None:
    lines = [line for log in LOGS for line in log.read_text(encoding="utf-8").split("\n")]
    codes = [finding.code for finding in diagnose_lines(lines)]
    assert len(codes) == len(set(codes)) == 5
