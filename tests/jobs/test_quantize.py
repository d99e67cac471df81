"""Smaller copies, really made: GPTQ, plain rounding, int8 and FP8 by llm-compressor on a tiny model, checked, kept and served."""

from __future__ import annotations

import gc
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend import catalog
from backend.errors import ModelError
from backend.finetune import contract
from backend.queue.events import read_events
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace, open_workspace
from jobs.harness import Job
from jobs.quantizing import checking, dequantize
from jobs.quantizing.rows import Rows
from jobs.quantizing.work import Work
from tests.support.datasets import keep, row
from tests.support.quantize_jobs import SPEC, STARTER, TINY, contents, run
from tests.support.server import ServeJob

# What libraries warn of in their own code, while our programs run in this process.
pytestmark = pytest.mark.filterwarnings("ignore")

NUMBER = 7
QUESTION, ANSWER = "What is the capital of France?", "Paris"


@dataclass
class Made:
    """One copy, made once for all tests here."""

    workspace: Workspace
    folder: Path
    result: dict[str, Any]
    untouched: bool

    @property
    def copy(self) -> Path:
        return self.folder / "quantized"


@pytest.fixture(scope="module")
def gptq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A job of the queue that calibrates with rows of a dataset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEDECK_WORKSPACE", str(tmp_path_factory.mktemp("quantize") / "workspace"))
        patch.setenv("TUNEDECK_JOB_ID", str(NUMBER))
        patch.setenv("OMP_NUM_THREADS", "1")
        workspace = open_workspace()
        rows = [row(f"What is {n} plus {n}?", f"{n} plus {n} makes {2 * n}.") for n in range(24)]
        keep(workspace, "sums", rows)
        folder, before = workspace.job_dir(NUMBER), contents(TINY)
        result = run(folder, method="gptq", calibration="dataset", dataset="sums", name="small 小")
        yield Made(workspace, folder, result, contents(TINY) == before)


@pytest.fixture
def its_workspace(gptq: Made, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """That of the copy, for this test too."""
    monkeypatch.setenv("TUNEDECK_WORKSPACE", str(gptq.workspace.root))
    return gptq.workspace


def test_the_copy_is_on_the_list_with_what_it_was_made_from_and_as_its_base_is_asked(
    gptq: Made, its_workspace: Workspace
) -> None:
    assert gptq.untouched
    found = catalog.find(its_workspace, "small 小")
    assert (found.path, found.problem, found.quantization) == (gptq.copy, None, "compressed-tensors 4 bit")
    assert (found.quantization_group_size, found.made_by) == (32, NUMBER)
    lineage, version = found.lineage, gptq.folder / "plan.json"
    assert lineage is not None
    settled = json.loads(version.read_text())["spec"]
    assert (lineage.verb, lineage.base, lineage.dataset) == ("quantize", str(TINY), f"sums@{settled['version']}")
    assert len(settled["version"]) > 8
    assert lineage.template == found.template_fingerprint == contract.of(TINY).fingerprint
    assert contract.kept(gptq.copy) == contract.of(TINY)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (gptq.copy / name).read_bytes() == (TINY / name).read_bytes()
    assert not [file.name for file in gptq.copy.iterdir() if file.name.startswith(".") or file.suffix == ".pth"]
    assert not [file.name for file in gptq.folder.iterdir() if file.name.startswith(".")]


def test_the_job_says_what_it_does_layer_by_layer_and_what_came_of_it(gptq: Made) -> None:
    events = read_events(gptq.folder)[0]
    phases = [one["phase"] for one in events if "phase" in one and "step" not in one]
    assert phases == ["plan", "calibrate", "load", "quantize", "save", "check", "register"]
    steps = [
        (one["step"], one["total"], one["eta_s"] > 0)
        for one in events
        if one.get("phase") == "quantize" and "step" in one
    ]
    assert steps[:2] == [(1, 2, True), (2, 2, False)]
    assert [one["artifact"]["path"] for one in events if "artifact" in one] == [str(gptq.copy)]
    result = gptq.result
    assert result["complete"]
    assert result["model"] == "small 小"
    assert 0 < result["bytes_after"] < 0.75 * result["bytes_before"]
    assert 0 < result["divergence"] < 0.1
    assert result["agreement"] > 0.8
    assert result["seconds"] > result["engine_seconds"] > 0
    assert result["peak_bytes"] > 100e6


def test_it_looked_at_rows_of_the_dataset_as_the_model_reads_them(gptq: Made) -> None:
    texts = [json.loads(line)["text"] for line in (gptq.folder / "calibration.jsonl").read_text().splitlines()]
    assert len(texts) == 8
    assert all("<|start_header_id|>user<|end_header_id|>\n\nWhat is" in text for text in texts)
    assert len(set(texts)) == 8


def test_the_card_says_what_it_costs_and_how_it_is_used(gptq: Made) -> None:
    card = (gptq.copy / "README.md").read_text()
    assert "# small 小" in card
    assert "`tiny` with its weights in 4 bits: GPTQ, 4 bits, calibrated with rows of the dataset `sums@" in card
    assert f"{gptq.result['divergence']:.4f} nats a token away" in card
    assert "| Group size | `32` |" in card
    assert 'pipeline("text-generation"' in card


def test_another_attempt_makes_nothing_again(
    gptq: Made, its_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_JOB_ID", str(NUMBER))
    monkeypatch.setattr("jobs.quantizing.compressor.make", lambda *_: pytest.fail("it quantizes again"))
    monkeypatch.setattr("jobs.quantizing.checking.check", lambda *_: pytest.fail("it checks again"))
    before = contents(gptq.copy)
    again = run(gptq.folder, method="gptq", calibration="dataset", dataset="sums", name="small 小")
    assert (again["model"], again["divergence"]) == ("small 小", gptq.result["divergence"])
    assert {name: data for name, data in contents(gptq.copy).items() if name != "tunedeck.json"} == {
        name: data for name, data in before.items() if name != "tunedeck.json"
    }
    assert [one.name for one in catalog.models(its_workspace)].count("small 小") == 1


@pytest.fixture(scope="module")
def of_starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a model that knows something."""
    folder = tmp_path_factory.mktemp("starter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEDECK_WORKSPACE", str(folder / "workspace"))
        patch.setenv("OMP_NUM_THREADS", "1")
        assert run(folder / "job", model=str(STARTER), group_size=128)["ok"]
    return folder / "job" / "quantized"


def test_our_server_serves_it_and_says_what_the_unpacked_copy_says(of_starter: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    job = ServeJob(tmp_path / "served", model=str(of_starter), name="small", device="cpu", threads=1)
    try:
        said = job.client().say(QUESTION, max_tokens=24, temperature=0)
    finally:
        job.end()
    tokenizer, model = AutoTokenizer.from_pretrained(str(of_starter)), dequantize.load(of_starter, torch.float16)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    made = model.generate(**asked, max_new_tokens=24, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert said == tokenizer.decode(made, skip_special_tokens=True).strip()
    assert ANSWER in said


KINDS: list[tuple[dict[str, Any], int, int | None]] = [
    ({"method": "rtn", "group_size": 32}, 4, 32),
    ({"method": "rtn", "group_size": 0, "symmetric": True}, 4, None),
    ({"method": "int8", "calibration": "none"}, 8, None),
    ({"method": "int8", "calibration": "bundled"}, 8, None),
    ({"method": "fp8"}, 8, None),
]


@pytest.mark.parametrize(("changes", "bits", "group"), KINDS, ids=["rtn", "rtn-rows", "int8", "int8-gptq", "fp8"])
def test_each_method_makes_a_smaller_copy_that_answers_like_its_base(
    tmp_path: Path, changes: dict[str, Any], bits: int, group: int | None
) -> None:
    result = run(tmp_path / "job", **changes)
    assert result["ok"], result
    found = catalog.card(tmp_path / "job" / "quantized", "copy")
    assert (found.quantization_method, found.quantization_bits) == ("compressed-tensors", bits)
    assert found.quantization_group_size == group
    assert found.problem is None
    assert 0 < result["bytes_after"] < result["bytes_before"]
    assert 0 < result["divergence"] < (0.1 if bits == 8 else 0.5)
    weights = load_file(tmp_path / "job" / "quantized" / "model.safetensors")
    assert weights["model.embed_tokens.weight"].dtype == torch.float16
    names = {name.rsplit(".", 1)[-1] for name in weights if "proj" in name}
    assert names == ({"weight", "weight_scale"} if bits == 8 else names)
    assert ("weight_zero_point" in names) is (bits == 4 and not changes.get("symmetric"))
    rounded = {value.dtype for name, value in weights.items() if "proj" in name and name.endswith(".weight")}
    assert rounded == {"fp8": {torch.float8_e4m3fn}, "int8": {torch.int8}}.get(changes["method"], set())
    # It lets go of all that it loaded: the next model needs the room.
    gc.collect()
    models = [one for one in gc.get_objects() if isinstance(one, torch.nn.Module) and hasattr(one, "lm_head")]
    assert not [name for one in models for name, _parameter in one.named_parameters()]
    # No job of the queue: on no list.
    assert result["model"] == ""


def test_what_cannot_be_made_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    result = run(tmp_path / "job", method="rtn", group_size=48)
    assert result["error"]["code"] == "quantize_refused"
    assert "48" in json.dumps(result["error"]["params"], ensure_ascii=False)
    assert sorted(file.name for file in (tmp_path / "job").iterdir()) == ["events.jsonl", "result.json", "spec.json"]


def test_the_report_card_comes_last_and_is_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("jobs.report_card.measure", lambda job, models: seen.append(list(models)))
    result = run(tmp_path / "job", report=True)
    assert result["ok"], result
    assert seen == [[str(TINY), str(tmp_path / "job" / "quantized")]]


@pytest.fixture
def looked(of_starter: Path, tmp_path: Path) -> tuple[Job, Work, Path]:
    """A job that checks a copy of the copy, which a test may damage."""
    shutil.copytree(of_starter, tmp_path / "copy")
    (tmp_path / "job").mkdir()
    spec = QuantizeSpec(**{**SPEC, "model": str(STARTER), "group_size": 128})
    return Job(spec, tmp_path / "job"), Work(spec, str(STARTER), 8, "llmcompressor", "float16"), tmp_path / "copy"


def damage(folder: Path, ending: str, change: Any) -> None:
    """Change the first tensor whose name ends so."""
    stored = load_file(folder / "model.safetensors")
    for name in stored:
        if name.endswith(ending):
            stored[name] = change(stored[name])
    save_file(stored, folder / "model.safetensors", {"format": "pt"})


def test_weights_in_a_wrong_order_are_noticed(looked: tuple[Job, Work, Path]) -> None:
    job, work, folder = looked
    damage(folder, ".weight_packed", lambda packed: packed.flip(1))
    with pytest.raises(ModelError, match=r"no longer the same model.*nats a token away from") as caught:
        checking.check(job, work, Rows(), folder)
    assert caught.value.code == "quantize_far"


def test_a_scale_that_is_no_number_is_noticed(looked: tuple[Job, Work, Path]) -> None:
    job, work, folder = looked
    damage(folder, "1.mlp.down_proj.weight_scale", lambda scale: torch.full_like(scale, math.nan))
    with pytest.raises(
        ModelError, match=r"numbers that are none, in model\.layers\.1\.mlp\.down_proj\.weight_scale"
    ) as caught:
        checking.check(job, work, Rows(), folder)
    assert caught.value.code == "quantize_not_finite"


def test_a_copy_that_is_not_smaller_is_none(looked: tuple[Job, Work, Path]) -> None:
    job, work, folder = looked
    shutil.copy(STARTER / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(
        ModelError, match=r"holds no smaller copy of .* it is compressed-tensors 4 bit, and has 13.1 MB of weights"
    ) as caught:
        checking.check(job, work, Rows(), folder)
    assert caught.value.code == "quantize_no_copy"
