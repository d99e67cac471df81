"""The parts of a download that need no process: addresses, names, what is chosen, room, tokens, settings."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from backend import hubs, settings
from backend.cli import main as cli
from backend.errors import PanelError, SpecError
from backend.specs import parse
from backend.specs.download import DownloadSpec
from backend.workspace import Workspace
from jobs.downloads.listing import RemoteFile, safe, select


def spec(**given: Any) -> DownloadSpec:
    found = parse("download", given)
    assert isinstance(found, DownloadSpec)
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Qwen/Qwen3-0.6B", ("huggingface", "Qwen/Qwen3-0.6B", "")),
        (" https://huggingface.co/Qwen/Qwen3-0.6B ", ("huggingface", "Qwen/Qwen3-0.6B", "")),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/v1", ("huggingface", "Qwen/Qwen3-0.6B", "v1")),
        ("https://hf.co/a/b/blob/main/config.json?x=1#L3", ("huggingface", "a/b", "main")),
        ("hf-mirror.com/a/b", ("huggingface", "a/b", "")),
        ("https://huggingface.co/a/b.git", ("huggingface", "a/b", "")),
        ("https://www.modelscope.cn/models/Qwen/Qwen3-0.6B/summary", ("modelscope", "Qwen/Qwen3-0.6B", "")),
        ("modelscope.cn/models/a/b", ("modelscope", "a/b", "")),
        ("http://mirror.example/a/b", ("huggingface", "a/b", "")),
    ],
)
def test_a_pasted_address_is_cut_to_what_it_names(given: str, expected: tuple[str, str, str]) -> None:
    found = spec(repo=given)
    assert (found.source, found.repo, found.revision) == expected


@pytest.mark.parametrize(
    "given", ["gpt2", "a/b/c", "a/../b", "../b", "a/b c", "/etc/passwd", "a/", "https://huggingface.co"]
)
def test_what_names_no_repository_is_told_with_an_example(given: str) -> None:
    with pytest.raises(SpecError, match="org/name, such as Qwen"):
        spec(repo=given)


def test_an_address_of_something_else_is_told() -> None:
    for part in ("datasets", "spaces"):
        with pytest.raises(SpecError, match="address of something else"):
            spec(repo=f"https://huggingface.co/{part}/a/b")


def test_a_revision_that_was_typed_wins_over_the_pasted_one() -> None:
    assert spec(repo="https://huggingface.co/a/b/tree/v1", revision="v2").revision == "v2"


def test_names_are_both_a_folder_and_an_entry() -> None:
    assert spec(repo="a/b").list_name() == "b"
    assert spec(repo="a/b", name="  my   model ").list_name() == "my model"
    for name in ("../x", "a/b", ".hidden", "x@y", "a\\b", "中" * 90):
        with pytest.raises(SpecError, match="name"):
            spec(repo="a/b", name=name)


def test_a_download_waits_for_no_cpu_slot() -> None:
    wanted = spec(repo="a/b").resources()
    assert (wanted.cpu, wanted.gpus, wanted.gpu_mib, wanted.ports) == (0, 0, 0, 0)


def chosen(*names: str) -> set[str]:
    files, left = select([RemoteFile(name, 10) for name in names], hubs.HUBS["huggingface"], "a/b")
    assert {f.path for f in files} | {f.path for f in left} == set(names)
    return {f.path for f in files}


def test_each_weight_comes_once_and_all_that_belongs_to_it() -> None:
    needed = {
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer.model",
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "chat_template.jinja",
        "qwen.tiktoken",
        "modeling_x.py",
        "LICENSE",
        "LICENSE.txt",
        "README.md",
        "USE_POLICY.md",
        "mtp.safetensors",
    }
    dropped = {
        "consolidated.safetensors",
        "model.fp16.safetensors",
        "pytorch_model-00001-of-00002.bin",
        "model.gguf",
        "original/consolidated.00.pth",
        "original/params.json",
        "onnx/config.json",
        "checkpoint-500/model.safetensors",
        "tf_model.h5",
        "flax_model.msgpack",
        "figures/a.png",
        "training_log.txt",
        ".gitattributes",
        ".cache/x.json",
    }
    assert chosen(*needed, *dropped) == needed


def test_what_has_only_one_kind_of_weights_keeps_it() -> None:
    assert "consolidated.safetensors" in chosen("config.json", "consolidated.safetensors")
    assert "adapter_model.safetensors" in chosen("adapter_config.json", "adapter_model.safetensors")


@pytest.mark.parametrize(
    "path", ["", "/x", "../x", "a/../../x", "a//x", "./x", "a\\..\\x", "x\0y", "x\ny", "a/..", "x" * 300]
)
def test_names_that_lead_out_of_the_folder_are_seen(path: str) -> None:
    assert not safe(path)
    with pytest.raises(PanelError) as caught:
        select([RemoteFile("config.json", 1), RemoteFile(path, 1)], hubs.HUBS["modelscope"], "a/b")
    assert caught.value.code == "download_unsafe_name"


def test_room_is_asked_for_with_five_percent_and_the_reserve(tmp_path: Path) -> None:
    hubs.check_room(tmp_path, 0, 0)
    with pytest.raises(PanelError) as caught:
        hubs.check_room(tmp_path, 10**15, 2**30)
    message, hint = caught.value.localized()
    assert "1e+03 TB" in message or "1000 TB" in message
    assert str(tmp_path) in message
    assert "Nothing was fetched" in hint


@pytest.mark.parametrize(("size", "text"), [(0, "0 kB"), (1_500, "1.5 kB"), (412e6, "412 MB"), (3.14e9, "3.14 GB")])
def test_sizes_read_as_hubs_write_them(size: float, text: str) -> None:
    assert hubs.size_text(size) == text


def test_a_token_is_kept_for_its_owner_alone_and_can_be_forgotten(workspace: Workspace) -> None:
    assert hubs.read_token(workspace, "huggingface") is None
    hubs.save_token(workspace, "huggingface", "  hf_abcdefgh\n")
    path = hubs.token_file(workspace, "huggingface")
    assert hubs.read_token(workspace, "huggingface") == "hf_abcdefgh"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert hubs.read_token(workspace, "modelscope") is None
    for wrong in ("two words", "x", "hf_ä" * 9):
        with pytest.raises(PanelError) as caught:
            hubs.save_token(workspace, "huggingface", wrong)
        assert caught.value.code == "hub_token_unfit"
        assert wrong not in f"{caught.value.to_dict()} {caught.value.localized()}"
    assert hubs.read_token(workspace, "huggingface") == "hf_abcdefgh"
    path.write_text("two words\n")
    with pytest.raises(PanelError) as caught:
        hubs.read_token(workspace, "huggingface")
    assert caught.value.code == "hub_token_bad"
    hubs.save_token(workspace, "huggingface", "")
    assert not path.exists()
    assert hubs.token_since(workspace, "huggingface") is None


def test_the_command_line_takes_a_token_from_standard_input_and_never_says_it(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hubs.token_file(workspace, "modelscope")
    monkeypatch.setattr("sys.stdin", io.StringIO("ms-0123456789\n"))
    assert cli(["models", "token", "modelscope", "--json"]) == 0
    said = capsys.readouterr().out
    assert json.loads(said) == {"hub": "modelscope", "kept": True, "file": str(path)}
    assert hubs.read_token(workspace, "modelscope") == "ms-0123456789"
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert cli(["models", "token", "modelscope", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "hub_token_none"
    assert cli(["models", "token", "modelscope", "--forget"]) == 0
    assert not path.exists()


def test_the_mirror_in_the_settings_is_where_requests_go(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hubs.endpoint(settings.load(workspace), "huggingface") == "https://huggingface.co"
    monkeypatch.setenv("TUNEDECK_HF_ENDPOINT", "https://hf-mirror.com/")
    found = settings.load(workspace)
    assert hubs.endpoint(found, "huggingface") == "https://hf-mirror.com"
    assert hubs.endpoint(found, "modelscope") == "https://modelscope.cn"
    monkeypatch.setenv("TUNEDECK_HF_ENDPOINT", "hf-mirror.com")
    with pytest.raises(PanelError, match="https://"):
        settings.load(workspace)
