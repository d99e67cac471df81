"""A model with program code of its own: it starts with a consent to exactly that code, and not without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend import catalog
from backend.errors import ModelError
from backend.workspace import ROOT, Workspace, open_workspace
from jobs.serving.loading import may_run_code
from tests.support.models import change
from tests.support.server import ServeJob

MODELING = """
from transformers import LlamaForCausalLM

print("the model's own code runs")


class OddForCausalLM(LlamaForCausalLM):
    pass
"""
Serve = Callable[[], ServeJob]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tiny model, with a class of its own in a file beside it."""
    path = Path(shutil.copytree(ROOT / "models" / "tiny", tmp_path / "odd"))
    change(
        path / "config.json",
        architectures=["OddForCausalLM"],
        auto_map={"AutoModelForCausalLM": "modeling_odd.OddForCausalLM"},
    )
    (path / "modeling_odd.py").write_text(MODELING)
    return path


@pytest.fixture
def listed(tmp_path: Path, folder: Path) -> Workspace:
    """The workspace of the job, with that model on its list."""
    workspace = open_workspace(tmp_path / "job" / "workspace")
    catalog.add(workspace, folder)
    return workspace


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serves the model; what transformers copies of its code stays below ``tmp_path``."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    started: list[ServeJob] = []

    def start() -> ServeJob:
        started.append(ServeJob(tmp_path / "job", model="odd"))
        return started[-1]

    yield start
    for job in started:
        job.end()


def allow(workspace: Workspace) -> None:
    catalog.allow_code(workspace, "odd", catalog.find(workspace, "odd").code_fingerprint)


def test_without_consent_it_does_not_start_and_the_error_names_the_file_and_the_place(
    listed: Workspace, serve: Serve
) -> None:
    job = serve()
    assert job.wait() != 0
    error = job.result()["error"]
    assert error["code"] == "model_needs_code"
    message, hint = ModelError.from_dict(error).localized()
    assert f"modeling_odd.py ({len(MODELING)} B)" in message
    assert "Models page" in hint
    assert "own code runs" not in job.log.read_text()


@pytest.mark.slow
def test_with_consent_its_code_runs_and_it_answers(listed: Workspace, serve: Serve) -> None:
    allow(listed)
    job = serve()
    answer = job.client().chat("greet", max_tokens=4)
    assert answer.status_code == 200, answer.text
    assert "the model's own code runs" in job.log.read_text()


def test_the_files_are_hashed_again_at_the_last_moment(
    listed: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_WORKSPACE", str(listed.root))
    with pytest.raises(ModelError, match="nobody has allowed"):
        may_run_code(str(folder))
    allow(listed)
    assert may_run_code(str(folder))
    (folder / "modeling_odd.py").write_text(MODELING + "\n# changed\n")
    with pytest.raises(ModelError, match="nobody has allowed"):
        may_run_code(str(folder))


def test_a_model_without_code_needs_no_consent_and_runs_none(listed: Workspace, tmp_path: Path) -> None:
    assert not may_run_code(str(ROOT / "models" / "tiny"))


def test_a_consent_is_for_one_folder_only(listed: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEDECK_WORKSPACE", str(listed.root))
    allow(listed)
    copy = Path(shutil.copytree(folder, folder.parent / "elsewhere" / "odd"))
    with pytest.raises(ModelError, match="nobody has allowed"):
        may_run_code(str(copy))


def test_code_that_transformers_has_itself_does_not_run_though_the_model_loads(
    tmp_path: Path, folder: Path, listed: Workspace
) -> None:
    """Loads for real: what the list of native classes promises, the pinned transformers keeps."""
    change(
        folder / "config.json",
        architectures=["LlamaForCausalLM"],
        auto_map={"AutoConfig": "modeling_odd.C", "AutoModelForCausalLM": "modeling_odd.OddForCausalLM"},
    )
    change(
        folder / "tokenizer_config.json",
        auto_map={"AutoTokenizer": [None, "modeling_odd.T"]},
        tokenizer_class="PreTrainedTokenizerFast",
    )
    (folder / "modeling_odd.py").write_text("raise SystemExit('the model's own code runs')\n")
    assert [f.name for f in catalog.find(listed, "odd").code_files] == ["modeling_odd.py"]
    program = f"""
from jobs.serving.loading import load
from jobs.serving.plan import Plan
plan = Plan({str(folder)!r}, "odd", (), "127.0.0.1", 0, "cpu", "float32", 1, 256, False, 0, False, True)
model, tokenizer = load(plan)
print(type(model).__module__, type(tokenizer).__module__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_WORKSPACE": str(listed.root), "HF_MODULES_CACHE": str(tmp_path / "modules")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules = done.stdout.split()
    assert len(modules) == 2
    assert all(module.startswith("transformers.") for module in modules), modules


def test_the_list_of_native_classes_is_that_of_the_pinned_transformers() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/native_architectures.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
