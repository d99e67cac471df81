"""OpenCompass as an evaluator, without it: causes of empty cells, configs that people change, and the list of those that it brings."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli import eval_configs
from backend.engines import (
    opencompass_causes,
    opencompass_config,
    opencompass_edit,
    opencompass_listing,
)
from backend.engines.opencompass_text import Asked, text
from backend.errors import DataError, PanelError
from backend.evaluate.questions import Question
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace
from tests.support import toy_opencompass

REAL = Path(__file__).resolve().parents[1] / "data" / "opencompass"
SPEC = EvaluateSpec(model="m", evaluator="opencompass")
CHOICE = Question("s", 0, "Which?", "choice", "B", ("one", "two", "three"))
HEAD = "11/27 12:00:00 - OpenCompass - ERROR - /x/openai_api.py - _generate - 954 - "
FAILED = "RuntimeError: Calling OpenAI API failed after retrying for 2 times. Check the logs for details."


# --- causes


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([HEAD + "Error code: 404 - {'error': 'no such model'}", FAILED], "opencompass_model_unknown"),
        ([HEAD + "Error code: 401 - {'error': 'bad key'}", FAILED], "opencompass_key_refused"),
        ([HEAD + "Error code: 503 - {'error': 'busy'}", FAILED], "opencompass_server_failed"),
        ([HEAD + "Connection error.", FAILED], "opencompass_server_gone"),
        ([HEAD + "Request timed out.", FAILED], "opencompass_timed_out"),
        ([HEAD + "Error code: 400 - maximum context length is 2048", FAILED], "opencompass_too_long"),
        (['ValueError: Input length (5000) exceeds max_seq_len (4096) and mode is set to "none".'], "opencompass_too_long"),
        (["ValueError: max_out_len (-3) is less than or equal to 0. … input length (4100) being too close to max_seq_len (4096)"], "opencompass_too_long"),
        (["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."], "opencompass_out_of_memory"),
        (["OSError: [Errno 28] No space left on device"], "opencompass_disk_full"),
        (["ValueError: Cannot use chat template functions because tokenizer.chat_template is not set"], "opencompass_no_template"),
        (["/bin/sh: 1: torchrun: not found"], "opencompass_no_torchrun"),
        (["FileNotFoundError: [Errno 2] No such file or directory: '/usr/bin/torchrun'"], "opencompass_no_torchrun"),
        (["ModuleNotFoundError: No module named 'httpx'"], "opencompass_no_module"),
        (["ImportError: libaio.so.1: cannot open shared object file: No such file or directory"], "opencompass_no_library"),
        (["OSError: We couldn't connect to 'https://huggingface.co' to load the files"], "opencompass_would_download"),
        (["huggingface_hub.errors.LocalEntryNotFoundError: outgoing traffic has been disabled"], "opencompass_would_download"),
        (["FileNotFoundError: [Errno 2] No such file or directory: '/d/dev/law_dev.csv'"], "opencompass_no_file"),
        (["UnicodeDecodeError: 'utf-8' codec can't decode byte 0xd4 in position 3"], "opencompass_encoding"),
        (['  File "/x/opencompass/datasets/mmlu.py", line 53', "AssertionError"], "opencompass_bad_file"),
        (["KeyError: 'x'"], "opencompass_no_number"),
        ([], "opencompass_no_number"),
    ],
)  # fmt: skip
def test_known_lines_become_a_cause_and_say_what_to_do(lines: list[str], code: str) -> None:
    found = opencompass_causes.find(["something before", *lines, "", "  "])
    assert found.error.code == code
    assert found.error.hint
    assert not re.search(r"\{\w+\}", str(found.error))
    assert str(found.error) == str(PanelError.from_dict(found.stored()))
    shown = [line for line in lines if line != FAILED]
    assert all(opencompass_causes.said(line) in found.evidence for line in shown[-1:])


@pytest.mark.parametrize(
    ("log", "code", "whole"),
    [
        ("refused", "opencompass_model_unknown", True),
        ("unreachable", "opencompass_server_gone", True),
        ("missing_file", "opencompass_no_file", False),
    ],
)
def test_what_the_real_one_said_when_it_failed_is_understood(log: str, code: str, whole: bool) -> None:
    lines = (REAL / f"{log}.log").read_text(encoding="utf-8").splitlines()
    found = opencompass_causes.find(lines, 1)
    assert (found.error.code, found.whole) == (code, whole)


def test_a_kill_is_told_apart_from_an_exit_and_an_exit_from_silence() -> None:
    assert opencompass_causes.find(["Inferencing"], -9).error.code == "opencompass_killed"
    assert opencompass_causes.find(["ValueError: nonsense"], 1).error.params["line"] == "ValueError: nonsense"
    assert opencompass_causes.find(["ValueError: nonsense"], 1).error.code == "opencompass_failed"
    assert opencompass_causes.find(["done"], 0).error.code == "opencompass_no_number"


def test_what_was_overcome_long_before_is_no_cause_and_a_key_is_not_shown() -> None:
    early = [HEAD + "Connection error.", *["line"] * 100, "ValueError: at the end"]
    assert opencompass_causes.find(early, 1).error.code == "opencompass_failed"
    found = opencompass_causes.find([HEAD + "Error code: 401 - Incorrect API key sk-abcdefghijklmnop1234"])
    assert "sk-abc" not in found.evidence + str(found.error)


# --- configs


def test_a_config_is_filled_in_where_its_head_says_so_and_nowhere_else() -> None:
    config = text(Asked("ceval", ("logic",)))
    filled = opencompass_edit.fill(config, {"api_base": 'http://h/v1"', "context_length": 4096, "other": "x"})
    assert "api_base = 'http://h/v1\"'\n" in filled
    assert "context_length = 4096\n" in filled
    assert "openai_api_base=api_base" in filled
    assert filled.count("\n") == config.count("\n")
    changed = config.replace("api_base = 'filled in when it starts'", 'api_base = (\n    "a"\n    "b"\n)')
    assert "api_base = 'http://x'\nserved_model" in opencompass_edit.fill(changed, {"api_base": "http://x"})


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ("models = [\n", "opencompass_config_syntax"),
        ("models = [1]\x00", "opencompass_config_syntax"),
        ("models = []", "opencompass_config_lacks"),
        ("datasets = []", "opencompass_config_lacks"),
        ("", "opencompass_config_lacks"),
        ("datasets = []\nmodels = [dict(key='sk-1234')]", "opencompass_config_secret"),
        ("datasets = []\nmodels = []\n# hf_abcdefghijklmnopqrst", "opencompass_config_secret"),
        ("datasets = []\nmodels = [dict(openai_api_base='http://me:pass@host/v1')]", "opencompass_config_secret"),
    ],
)
def test_a_config_that_cannot_be_run_or_holds_a_key_is_refused(config: str, code: str) -> None:
    with pytest.raises(DataError) as caught:
        opencompass_edit.check(config)
    assert caught.value.code == code


def test_what_is_generated_and_what_imports_its_lists_passes() -> None:
    for by in ("server", "hf"):
        for kind in ("ceval", "mmlu"):
            opencompass_edit.check(text(Asked(kind, ("logic",), by=by)))
    opencompass_edit.check("with read_base():\n    from a import datasets\n    from b import models\n")
    opencompass_edit.check("from a import x as datasets\nmodels = [dict(key='ENV')]\n")


def test_the_config_of_a_spec_is_shown_without_a_job(workspace: Workspace) -> None:
    shown = opencompass_config.text_for(workspace, SPEC)
    opencompass_edit.check(shown)
    assert "data_type='mcq'" in shown
    assert "max_out_len=64" in shown
    own = opencompass_config.text_for(workspace, SPEC.model_copy(update={"by": "hf", "subjects": ("geography-en",)}))
    assert "HuggingFacewithChatTemplate" in own
    assert "max_out_len=16" in own, "as in the course, where nobody says otherwise"
    assert own.count("abbr=") == 2


def test_the_short_command_is_quoted_and_says_what_the_course_says_but_for_one_name() -> None:
    line = opencompass_config.quick_command("/m/it's mine")
    assert line.endswith("--max-seq-len 2048 --max-out-len 16 --batch-size 4 --hf-num-gpus 1 --debug")
    assert "--datasets ceval_gen" in line
    assert "'/m/it'\"'\"'s mine'" in line


@pytest.mark.parametrize(
    ("name", "subject"),
    [("ceval-logic", "logic"), ("lukaemon_mmlu_astronomy", "astronomy"), ("geography-en", "geography-en")],
)
def test_a_cell_knows_its_subject(name: str, subject: str) -> None:
    assert opencompass_config.subject_of(name) == subject


# --- the list of its configs


def test_its_configs_are_listed_once_and_found_by_parts_of_their_names(workspace: Workspace) -> None:
    with pytest.raises(PanelError, match="not installed"):
        opencompass_listing.listed(workspace)
    toy_opencompass.make(workspace)
    found = opencompass_listing.listed(workspace)
    assert [(config.kind, config.name) for config in found] == [
        ("datasets", "ceval_gen_5f30c7"),
        ("datasets", "mmlu_gen_4d595a"),
        ("models", "hf_qwen2_7b"),
        ("summarizers", "example"),
    ]
    assert found[0].module == "opencompass.configs.datasets.ceval.ceval_gen_5f30c7"
    assert opencompass_listing.listed(workspace) == found
    assert [config.name for config in opencompass_listing.search(found, ["QWEN*7b"])] == ["hf_qwen2_7b"]
    assert [config.name for config in opencompass_listing.search(found, ["ceval", "mmlu_gen_?d"])] == [
        "ceval_gen_5f30c7",
        "mmlu_gen_4d595a",
    ]
    assert opencompass_listing.search(found, ["gen"], ["models"]) == []


def test_the_command_prints_them(workspace: Workspace) -> None:
    import typer

    toy_opencompass.make(workspace)
    app = typer.Typer()
    eval_configs.register(app)
    app.callback()(lambda: None)
    said = CliRunner().invoke(app, ["configs", "ceval"]).output
    assert "opencompass/configs/datasets/ceval/ceval_gen_5f30c7.py" in said
    assert "1 config" in said
    rows = json.loads(CliRunner().invoke(app, ["configs", "--json"]).output)
    assert [row["name"] for row in rows] == ["ceval_gen_5f30c7", "mmlu_gen_4d595a", "hf_qwen2_7b"]
    (only,) = json.loads(CliRunner().invoke(app, ["configs", "--kind", "summarizers", "--json"]).output)
    assert only["module"] == "opencompass.configs.summarizers.example"


def test_searching_two_thousand_is_no_wait() -> None:
    many = [opencompass_listing.Config(f"name_{number}", "datasets", "x") for number in range(2142)]
    began = time.perf_counter()
    assert len(opencompass_listing.search(many, ["*_21?", "9*9"])) > 5
    assert time.perf_counter() - began < 1
