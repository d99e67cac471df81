"""Pickled weights become safetensors: as a real process, from files that torch really wrote, and from some that nobody should read."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend import catalog
from backend.errors import fill
from backend.workspace import ROOT, Workspace
from tests.support.jobs import Queue
from tests.support.lora import noisy

TINY = ROOT / "models" / "tiny"


def pickled(folder: Path, *, shards: int = 1, pad: int = 0, **kwargs: Any) -> dict[str, torch.Tensor]:
    """A copy of the tiny model whose weights torch has pickled; returns them. pad: numbers more in each shard."""
    folder.mkdir(parents=True)
    for file in TINY.iterdir():
        if file.suffix != ".safetensors":
            shutil.copy(file, folder)
    tensors = load_file(TINY / "model.safetensors")
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin", **kwargs)
        return tensors
    names = sorted(tensors)
    weight_map = {}
    for n in range(shards):
        file = f"pytorch_model-{n + 1:05d}-of-{shards:05d}.bin"
        part = {name: tensors[name] for name in names[n::shards]}
        if pad:
            part[f"pad.{n}"] = tensors[f"pad.{n}"] = torch.zeros(pad)
        torch.save(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return tensors


def start(workspace: Workspace, folder: Path, name: str = "", **env: str) -> subprocess.Popen[str]:
    job = workspace.root.parent / "job"
    job.mkdir(exist_ok=True)
    (job / "spec.json").write_text(json.dumps({"path": str(folder), "name": name}))
    own = {"TUNEDECK_JOB_DIR": str(job), "TUNEDECK_JOB_ID": "7", "TUNEDECK_DOWNLOAD_RESERVE_MIB": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.convert", str(job / "spec.json")],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_WORKSPACE": str(workspace.root), **own, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def convert(workspace: Workspace, folder: Path, name: str = "", **env: str) -> tuple[int, dict[str, Any]]:
    process = start(workspace, folder, name, **env)
    output, _ = process.communicate(timeout=100)
    result = workspace.root.parent / "job" / "result.json"
    return process.returncode, json.loads(result.read_text()) if result.is_file() else {"output": output}


def failure(workspace: Workspace, folder: Path, **env: str) -> tuple[str, str]:
    code, result = convert(workspace, folder, **env)
    assert code == 1, result
    error = result["error"]
    assert not list(workspace.models.iterdir()), "nothing is on the list, and nothing half made is left"
    return error["code"], fill(error["message"], error["params"])


@pytest.mark.parametrize("kind", ["one file", "shards", "before torch 1.6"])
def test_every_tensor_comes_out_as_it_went_in_and_the_model_is_on_the_list(
    workspace: Workspace, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "old model 旧"
    options: dict[str, Any] = {"shards": 3} if kind == "shards" else {}
    if kind == "before torch 1.6":
        options = {"_use_new_zipfile_serialization": False}
    tensors = pickled(source, **options)
    (source / "training_args.bin").write_bytes(b"not weights")
    before = {file.name: file.stat().st_mtime_ns for file in source.iterdir()}
    assert catalog.card(source).problem.code == "model_pickled"  # type: ignore[union-attr]
    code, result = convert(workspace, source, "new")
    assert (code, result["name"], result["complete"]) == (0, "new", True)
    card = catalog.find(workspace, "new")
    assert card.problem is None
    assert (card.pickled, card.lineage and card.lineage.base) == ((), str(source))
    written: dict[str, torch.Tensor] = {}
    for file in card.path.glob("*.safetensors"):
        written |= load_file(file)
    assert written.keys() == tensors.keys()
    assert all(torch.equal(written[name], tensors[name]) for name in tensors)
    assert not (card.path / "training_args.bin").exists(), "it can run code, and is no part of a model"
    assert (card.path / "tokenizer.json").read_bytes() == (TINY / "tokenizer.json").read_bytes()
    assert {file.name: file.stat().st_mtime_ns for file in source.iterdir()} == before


def test_an_adapter_keeps_its_base(workspace: Workspace, tmp_path: Path) -> None:
    source = noisy(tmp_path / "taught", ROOT / "models" / "tiny")
    tensors = load_file(source / "adapter_model.safetensors")
    (source / "adapter_model.safetensors").unlink()
    torch.save(tensors, source / "adapter_model.bin")
    assert convert(workspace, source)[0] == 0
    card = catalog.find(workspace, "taught")
    assert (card.problem, card.adapter_of) == (None, str(ROOT / "models" / "tiny"))
    written = load_file(card.path / "adapter_model.safetensors")
    assert all(torch.equal(written[name], tensors[name]) for name in tensors)


def test_the_command_line_makes_the_job_and_the_model_comes_onto_the_list(queue: Queue, tmp_path: Path) -> None:
    pickled(tmp_path / "old")
    command = [sys.executable, "-m", "backend", "models", "convert", "old", "--name", "new", "--json"]
    made = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=100
    )
    queue.reach(json.loads(made.stdout)["job"], "succeeded", timeout=100)
    assert catalog.find(queue.workspace, "new").problem is None


def test_a_name_for_the_same_memory_twice_keeps_both(workspace: Workspace, tmp_path: Path) -> None:
    tensors = pickled(tmp_path / "tied")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    torch.save(tensors, tmp_path / "tied" / "pytorch_model.bin")
    assert convert(workspace, tmp_path / "tied")[0] == 0
    written = load_file(workspace.models / "tied" / "model.safetensors")
    assert torch.equal(written["lm_head.weight"], tensors["model.embed_tokens.weight"])


class Trap:
    """What a hostile file may hold: reading it carelessly runs a program."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self.witness}'",)


def test_a_file_that_wants_to_run_a_program_is_refused_and_named_and_does_not_run_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    source, witness = tmp_path / "trap", tmp_path / "it-ran"
    tensors = pickled(source)
    torch.save({**tensors, "extra": Trap(witness)}, source / "pytorch_model.bin")
    code, message = failure(workspace, source)
    assert code == "convert_unsafe"
    assert "reading it would run posix.system" in message
    assert not witness.exists()


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        ("cut", "convert_unreadable", "pytorch_model.bin cannot be read as weights"),
        ("other", "convert_layout", "laid out for another program (consolidated.00.pth)"),
        ("list", "convert_layout", "laid out for another program (pytorch_model.bin)"),
        ("whole", "convert_nothing", "it holds safetensors files"),
        ("gone", "model_missing", "There is no folder"),
        ("part", "model_missing_files", "pytorch_model-00002-of-00003.bin missing"),
        ("room", "convert_no_room", "with what must stay free"),
    ],
)
def test_what_cannot_be_converted_says_why(
    workspace: Workspace, tmp_path: Path, spoil: str, code: str, says: str
) -> None:
    source = tmp_path / "bad"
    pickled(source, shards=3 if spoil == "part" else 1)
    file = source / "pytorch_model.bin"
    env = {}
    if spoil == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif spoil == "other":
        file.rename(source / "consolidated.00.pth")
    elif spoil == "list":
        torch.save([torch.zeros(2)], file)
    elif spoil == "whole":
        shutil.copy(TINY / "model.safetensors", source)
    elif spoil == "gone":
        shutil.rmtree(source)
    elif spoil == "part":
        (source / "pytorch_model-00002-of-00003.bin").unlink()
    else:
        env = {"TUNEDECK_DOWNLOAD_RESERVE_MIB": str(2**40)}
    found, message = failure(workspace, source, **env)
    assert found == code
    assert says in message


def test_killed_in_the_middle_the_next_attempt_keeps_what_was_written(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "long"
    tensors = pickled(source, shards=8, pad=4_000_000)
    process = start(workspace, source)
    partial = workspace.models / ".long.partial"
    try:
        while not list(partial.glob("*.safetensors")) and process.poll() is None:
            pass  # a wait would be longer than what is left to do
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    left = {file.name: file.stat().st_mtime_ns for file in partial.glob("*.safetensors")}
    assert 0 < len(left) < 8
    assert convert(workspace, source)[0] == 0
    final = workspace.models / "long"
    assert all((final / name).stat().st_mtime_ns == when for name, when in left.items())
    written: dict[str, torch.Tensor] = {}
    for file in final.glob("*.safetensors"):
        written |= load_file(file)
    assert written.keys() == tensors.keys()


def test_what_was_begun_from_another_folder_of_that_name_is_not_gone_on_with(
    workspace: Workspace, tmp_path: Path
) -> None:
    pickled(tmp_path / "a" / "same", shards=2)
    tensors = pickled(tmp_path / "b" / "same", shards=2)
    partial = workspace.models / ".same.partial"
    partial.mkdir()
    (partial / ".converted-from.json").write_text(json.dumps({"path": str(tmp_path / "a" / "same"), "files": []}))
    save_file({"of.another": torch.zeros(3)}, partial / "model-00001-of-00002.safetensors")
    assert convert(workspace, tmp_path / "b" / "same")[0] == 0
    written: dict[str, torch.Tensor] = {}
    for file in (workspace.models / "same").glob("*.safetensors"):
        written |= load_file(file)
    assert written.keys() == tensors.keys()
    assert not list((workspace.models / "same").glob(".*")), "no mark of ours stays in the model"


def test_killed_when_only_the_list_was_left_to_do_the_next_attempt_does_that(
    workspace: Workspace, tmp_path: Path
) -> None:
    source = tmp_path / "late"
    pickled(source)
    assert convert(workspace, source)[0] == 0
    final, file = workspace.models / "late", source / "pytorch_model.bin"
    catalog.remove(workspace, "late", delete_files=False)
    mark = {"path": str(source), "files": [[file.name, file.stat().st_size, file.stat().st_mtime_ns]]}
    (final / ".converted-from.json").write_text(json.dumps(mark))
    assert convert(workspace, source)[0] == 0
    assert catalog.find(workspace, "late").problem is None
    other = tmp_path / "other" / "late"
    pickled(other)
    assert convert(workspace, other)[1]["error"]["code"] == "model_name_taken"


@pytest.mark.parametrize("name", ["../outside", "a/b", ".."])
def test_a_name_leads_to_no_other_folder(workspace: Workspace, tmp_path: Path, name: str) -> None:
    pickled(tmp_path / "old")
    code, result = convert(workspace, tmp_path / "old", name)
    assert (code, result["error"]["code"]) == (1, "spec_bad")
    assert not (workspace.root / "outside").exists()


def test_two_at_once_do_not_write_into_one_folder(workspace: Workspace, tmp_path: Path) -> None:
    pickled(tmp_path / "old")
    partial = workspace.models / ".old.partial"
    partial.mkdir()
    held = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert convert(workspace, tmp_path / "old")[1]["error"]["code"] == "convert_busy"
    finally:
        os.close(held)
