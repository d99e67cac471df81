"""The capsule of a real run: it repeats the training without TuneDeck, to the same losses, and holds no secret."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from backend import catalog
from backend.finetune import files
from backend.workspace import ROOT, Workspace, write_json
from jobs.finetuning import keeping, repeat
from tests.support import datasets
from tests.support.kept import STARTER, TINY, Learned

SECRETS = {
    "HF_TOKEN": "hf_planted0variable0value",
    "MY_INDEX_PASSWORD": "planted-plain-word",
    "file": "planted token of a hub",
    "netrc": "planted~netrc~password",
    "log": "sk-planted0in0the0log0000",
    "address": "planted-login",
    "spec": "ghp_planted0in0a0question00",
}
SPEC = {
    "model": "tiny", "dataset": "persona", "name": "mine", "rehearse": False, "merge": False, "prove": False,
    "max_length": 128, "batch_size": 2, "accumulation": 2, "max_steps": 8, "learning_rate": 5e-3, "lora_rank": 4,
    "lora_dropout": 0.2, "eval_every": 4, "gradient_checkpointing": False, "device": "cpu",
    "sample_prompts": [f"Is {SECRETS['spec']} a token?"],
}  # fmt: skip


def ran(workspace: Workspace, tmp_path: Path) -> Path:
    """The folder of a training that was run by hand, with secrets in every place where people have them."""
    job = workspace.job_dir(4)
    job.mkdir(parents=True)
    (workspace.secrets / "modelscope-token").write_text(SECRETS["file"] + "\n")
    (workspace.secrets / "netrc").write_text(f"machine index.example login reader password {SECRETS['netrc']}\n")
    write_json(workspace.settings_file, {"http_proxy": f"http://me:{SECRETS['address']}@proxy.example:3128"})
    datasets.keep(workspace, "persona", datasets.sums(120))
    catalog.add(workspace, TINY, "tiny")
    (job / "spec.json").write_text(json.dumps(SPEC))
    log = job / "attempt-1.log"
    log.write_text(
        f"fetched http://me:{SECRETS['address']}@index.example/x with {SECRETS['file']} and {SECRETS['netrc']}\n"
    )
    environment = {
        **os.environ,
        "TUNEDECK_JOB_DIR": str(job),
        **{name: SECRETS[name] for name in ("HF_TOKEN", "MY_INDEX_PASSWORD")},
    }
    with log.open("ab") as out:
        out.write(
            f"key {SECRETS['log']}, {SECRETS['HF_TOKEN']}, {SECRETS['MY_INDEX_PASSWORD']}, in {workspace.root}/jobs\n".encode()
        )
        out.flush()
        done = subprocess.run(
            [sys.executable, "-m", "jobs.finetune", str(job / "spec.json")],
            cwd=ROOT, env=environment, stdout=out, stderr=out, check=False,
        )  # fmt: skip
    assert done.returncode == 0, log.read_text()
    return job


@pytest.mark.timeout(400)
def test_it_repeats_the_run_without_tunedeck_and_without_a_secret(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ran(workspace, tmp_path)
    with zipfile.ZipFile(job / files.CAPSULE) as opened:
        assert opened.testzip() is None
        content = {name: opened.read(name) for name in opened.namelist()}
        opened.extractall(tmp_path / "elsewhere")
    assert set(content) >= {
        "README.md", "repeat.py", "recipe.json", "rows.npz", "spec.json", "plan.json", "training.json", "config.json",
        "figures.csv", "samples.jsonl", "log.txt", "requirements.txt", "environment.txt",
    }  # fmt: skip
    # No secret, and not where this person's folders are.
    for name, raw in content.items():
        for secret in (*SECRETS.values(), str(workspace.root), str(Path.home()) + "/"):
            assert secret.encode() not in raw, f"{secret} is in {name}"
    assert content["log.txt"].decode().count("***") >= 5
    assert b"in WORKSPACE/jobs" in content["log.txt"]
    assert b"step 8/8" in content["log.txt"]
    # What it holds is what was.
    recipe = json.loads(content["recipe.json"])
    assert (recipe["base"], recipe["dataset"], recipe["seed"]) == ("tiny", "persona", 42)
    assert recipe["base_files"]["model.safetensors"]["bytes"] == (TINY / "model.safetensors").stat().st_size
    assert recipe["version"] == json.loads(content["spec.json"])["version"] != ""
    figures = list(csv.DictReader(io.StringIO(content["figures.csv"].decode())))
    assert [int(row["step"]) for row in figures] == [*range(1, 9)]
    assert [row["step"] for row in figures if row["eval_loss"]] == ["4", "8"]
    assert f"torch=={metadata.version('torch').partition('+')[0]}\n" in content["requirements.txt"].decode()
    # Repeated from what was taken out, by a Python that finds nothing of ours.
    home = tmp_path / "elsewhere"
    plain = {k: v for k, v in os.environ.items() if not k.startswith("TUNEDECK_") and k != "PYTHONPATH"}
    blocked = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name.split('.')[0] not in ('backend', 'jobs', 'tests', 'ui'), name\n"
        "sys.meta_path.insert(0, No())\n"
        "import runpy\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", blocked, "repeat.py", "--model", str(TINY), "--out", "again"],
        cwd=home, env=plain, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "note:" not in done.stdout  # the base is the one that the run had
    found = json.loads((home / "again" / "compared.json").read_text())
    assert found["points"] == 10
    losses = [each for each in found["figures"] if each["name"] == "loss"]
    assert losses[0]["then"] > losses[-1]["then"] + 0.2  # it did learn, so that equal means something
    assert found["largest_difference"] < 2e-5
    assert (home / "again" / "adapter_model.safetensors").is_file()
    # Another base is noticed.
    repeat.check_base(recipe, TINY)
    assert capsys.readouterr().out == ""
    repeat.check_base(recipe, STARTER)
    assert "model.safetensors is not the file that the run used" in capsys.readouterr().out


def test_a_run_of_xtuner_is_repeated_with_its_own_config(workspace: Workspace, tmp_path: Path) -> None:
    base = workspace.root / "models" / "base"
    shutil.copytree(TINY, base)
    job_dir = workspace.job_dir(5)
    made = Learned(job_dir, base, job_dir / "adapter", engine="xtuner")
    home = job_dir / files.XTUNER
    home.mkdir()
    # As the engine writes it, edited by a person who left a token in it.
    (home / "config.py").write_text(f"path = {str(base)!r}\ndata = 'rows.jsonl'\n# {SECRETS['HF_TOKEN']}\n")
    (home / "rows.jsonl").write_text('{"messages": []}\n')
    capsule = keeping.capsule(made.job, made.plan, made.trained)
    assert capsule == job_dir / files.CAPSULE
    with zipfile.ZipFile(capsule) as opened:
        opened.extractall(tmp_path / "elsewhere")
    assert {"config.py", "rows.jsonl", "repeat.py", "recipe.json"} <= {
        path.name for path in (tmp_path / "elsewhere").iterdir()
    }
    assert SECRETS["HF_TOKEN"] not in (tmp_path / "elsewhere" / "config.py").read_text()
    done = subprocess.run(
        [sys.executable, "-I", "repeat.py", "--model", str(TINY), "--write-only"],
        cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = (tmp_path / "elsewhere" / "config-here.py").read_text()
    assert config.startswith(f"path = {str(TINY)!r}\ndata = 'rows.jsonl'\n")


def test_rows_that_are_gone_are_left_out_and_that_is_said(workspace: Workspace) -> None:
    made = Learned(workspace.job_dir(5), TINY, workspace.job_dir(5) / "adapter")
    assert keeping.capsule(made.job, made.plan, made.trained) is not None
    with zipfile.ZipFile(workspace.job_dir(5) / files.CAPSULE) as opened:
        assert "rows.npz" not in opened.namelist()
        assert "The rows are not in this file" in opened.read("README.md").decode()
        assert json.loads(opened.read("recipe.json"))["data"]["in_capsule"] is False
