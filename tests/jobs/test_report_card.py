"""A report card of real models: figures against slow ones made by hand, what cannot be measured, and a job that was killed."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from backend.data.store import Datasets
from backend.data.tokens import mask
from backend.data.tokens.model import open_model
from backend.errors import DataError, PanelError
from backend.quantize import report, report_records
from backend.quantize.report_records import Report, Subject
from backend.specs.quantize import QuantizeSpec, ReportCardSpec
from backend.workspace import ROOT, Workspace, read_json
from jobs import report_card
from jobs.grading import examiner, material, sitting, timing
from jobs.harness import Job, Stopped
from jobs.starter import quantized
from tests.support import datasets
from tests.support.wait import until

TINY = ROOT / "models" / "tiny"
STARTER = ROOT / "models" / "starter"
GROUP = 32
ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def rounded(folder: Path, bits: int) -> Path:
    """A copy of the tiny model whose weights are rounded, and kept as plain numbers."""
    shutil.copytree(TINY, folder)
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    quantized.quantize(model, bits, GROUP)
    weights = {name: value.half() for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def as_awq(folder: Path, source: Path) -> Path:
    """The 4-bit copy ``source`` as LMDeploy stores it: what only a GPU's kernels read."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    settings = {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": GROUP, "zero_point": True}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    stored: dict[str, torch.Tensor] = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if "proj" not in name:
            stored[name] = weight
            continue
        grouped = weight.float().T.unflatten(0, (-1, GROUP))
        low, high = grouped.amin(1, keepdim=True).clamp(max=0), grouped.amax(1, keepdim=True).clamp(min=0)
        scale = ((high - low) / 15).half().clamp_min(2**-24)
        zero = (-low / scale.float()).round().clamp(0, 15)
        numbers = ((grouped / scale.float()).round() + zero).clamp(0, 15)
        place = name.removesuffix(".weight")
        stored[f"{place}.qweight"] = packed(numbers.flatten(0, 1))
        stored[f"{place}.qzeros"] = packed(zero.squeeze(1))
        stored[f"{place}.scales"] = scale.squeeze(1).contiguous()
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    return folder


def packed(numbers: torch.Tensor) -> torch.Tensor:
    """Eight neighbours of a row in an int32."""
    each = numbers.to(torch.int64).unflatten(1, (-1, 8))[..., torch.tensor(ORDER)]
    words = (each << torch.arange(0, 32, 4)).sum(-1)
    return torch.where(words >= 1 << 31, words - (1 << 32), words).to(torch.int32)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """bits -> a copy of the tiny model."""
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    top = tmp_path_factory.mktemp("copies")
    four = rounded(top / "four", 4)
    found = {"8": rounded(top / "eight", 8), "4": four, "awq": as_awq(top / "awq", four)}
    return {name: str(folder) for name, folder in found.items()}


def job_of(folder: Path, *models: str, **fields: Any) -> tuple[Job, ReportCardSpec]:
    folder.mkdir(exist_ok=True)
    told: dict[str, Any] = {"rows": 24, "questions": 12, "speed": False, "device": "cpu", **fields}
    spec = ReportCardSpec(models=(str(TINY), *models), **told)
    return Job(spec, folder), spec


def graded(folder: Path, *models: str, **fields: Any) -> Report:
    return report_card.grade(*job_of(folder, *models, **fields))


def test_the_figures_are_those_of_a_slow_look_at_every_row(
    workspace: Workspace, tmp_path: Path, copies: dict[str, str]
) -> None:
    found = graded(tmp_path / "job", copies["8"], copies["4"])
    base, eight, four = found.models
    assert (base.name, found.complete, found.rows, found.questions) == ("tiny", True, 24, 12)
    loss, tokens, divergence, same = by_hand(workspace, tmp_path / "job", Path(copies["4"]))
    assert base.value("perplexity") == pytest.approx(math.exp(loss[0] / tokens), rel=1e-4)
    assert four.value("perplexity") == pytest.approx(math.exp(loss[1] / tokens), rel=1e-4)
    assert four.value("divergence") == pytest.approx(divergence / tokens, rel=1e-3)
    assert four.value("agreement") == pytest.approx(same / tokens)
    assert found.tokens == tokens
    assert 0 < (eight.value("divergence") or 0) < (four.value("divergence") or 0) / 20
    for one in (eight, four):
        low, value, high = (getattr(one.cell("divergence"), name) for name in ("low", "value", "high"))
        assert low < value < high
    assert (four.cell("size_bytes") or base.cells[0]).value == sum(
        path.stat().st_size for path in Path(copies["4"]).iterdir()
    )
    assert not (tmp_path / "job" / "report-card" / sitting.FILE).exists()
    steps = [one["step"] for one in events(tmp_path / "job") if one.get("step") is not None]
    assert steps == sorted(steps)
    assert steps[-1] <= 100


def by_hand(workspace: Workspace, folder: Path, copy: Path) -> tuple[list[float], int, float, int]:
    """Losses of base and ``copy``, tokens, divergence and same likeliest tokens over the rows of the job, one row at a time."""
    rows = read_json(folder / "report-card" / material.FILE)["rows"]
    models = [AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (TINY, copy)]
    loss, tokens, divergence, same = [0.0, 0.0], 0, 0.0, 0
    for row in rows:
        encoded = mask.encode(open_model(TINY), row)
        with torch.inference_mode():
            chances = [model(torch.tensor([encoded.ids])).logits[0].double().log_softmax(-1) for model in models]
        for place in range(1, len(encoded.ids)):
            if not encoded.trained[place]:
                continue
            first, second = (one[place - 1] for one in chances)
            loss[0] -= float(first[encoded.ids[place]])
            loss[1] -= float(second[encoded.ids[place]])
            divergence += float((first.exp() * (first - second)).sum())
            same += int(first.argmax() == second.argmax())
            tokens += 1
    return loss, tokens, divergence, same


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("workspace")
def test_the_same_weights_are_no_distance_away(tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(TINY, twin)
    found = graded(tmp_path / "job", str(twin))
    _base, copy = found.models
    assert copy.value("divergence") == pytest.approx(0, abs=1e-9)
    assert (copy.value("agreement"), copy.value("first_tokens")) == (1, 1)
    assert (copy.cell("perplexity") or copy.cells[0]).change == pytest.approx(0, abs=1e-9)
    assert all(one.said[0] == one.said[1] for one in found.answers)
    assert len(found.answers) == 12
    assert report.recommend(found) == "Stay with tiny: no copy is smaller or faster than it."


@pytest.mark.timeout(300)
def test_what_only_a_gpu_serves_is_measured_as_plain_numbers_and_says_what_it_needs(
    workspace: Workspace, tmp_path: Path, copies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing.machine, "gpus", lambda: ((), ""))
    found = graded(tmp_path / "job", copies["awq"], speed=True, people=1, rows=12, questions=4)
    base, awq = found.models
    assert awq.about == "awq 4 bit"
    loss, tokens, divergence, _same = by_hand(workspace, tmp_path / "job", Path(copies["4"]))
    assert awq.value("perplexity") == pytest.approx(math.exp(loss[1] / tokens), rel=2e-3)
    assert awq.value("divergence") == pytest.approx(divergence / tokens, rel=0.05)
    assert (awq.value("size_bytes") or 0) < (base.value("size_bytes") or 0)
    assert ((awq.cell("perplexity") or base.cells[0]).note or {})["code"] == "report_as_floats"
    assert (base.cell("perplexity") or base.cells[0]).note is None
    cell = awq.cell("tokens_s") or base.cells[0]
    assert (cell.source, (cell.reason or {})["code"], awq.served) == ("cannot", "report_needs_gpu", False)
    text = str(PanelError.from_dict(cell.reason or {}))
    assert text == "'awq' (awq 4 bit) is served by LMDeploy on an NVIDIA GPU, which this machine does not have."
    assert "awq" in report.cautions(found)[0]
    # The base was really served and asked, by the program that Deploy starts.
    assert base.served is True
    assert all((base.value(name) or 0) > 0 for name in ("load_s", "ttft_s", "tokens_s"))
    assert 100 << 20 < (base.value("memory_steady_bytes") or 0) <= (base.value("memory_peak_bytes") or 0) < 4 << 30
    assert base.value("tokens_s_many") == base.value("tokens_s")
    low, high = (getattr(base.cell("tokens_s"), name) for name in ("low", "high"))
    assert low <= (base.value("tokens_s") or 0) <= high


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("workspace")
def test_a_job_that_was_killed_goes_on_where_it_was(tmp_path: Path, copies: dict[str, str]) -> None:
    whole = graded(tmp_path / "whole", copies["4"], questions=40)
    folder = tmp_path / "job"
    _job, spec = job_of(folder, copies["4"], questions=40)
    (folder / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "jobs.report_card", str(folder / "spec.json")]
    environment = {**os.environ, "TUNEDECK_JOB_DIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: report_records.read_raw(folder, 0).heard is not None, 240, "the base was read and asked")
        finally:
            process.kill()
            process.wait()
    partial = report.read(folder)
    assert partial is not None
    assert not partial.complete
    assert partial.models[0].value("perplexity") is not None
    heard = report_records.read_raw(folder, 0).heard
    asked = [one for one in events(folder) if one.get("phase") == "ask"]
    found = report_card.grade(*job_of(folder, copies["4"], questions=40))
    assert report_records.read_raw(folder, 0).heard == heard
    later = [one for one in events(folder) if one.get("phase") == "ask"][len(asked) :]
    assert all(one["step"] > 35 for one in later if one.get("step") is not None)  # the base was not asked again
    assert found.complete
    assert found.answers == whole.answers
    for one, other in zip(found.models, whole.models, strict=True):
        names = [cell.name for cell in other.cells if cell.value is not None]
        assert [one.value(name) for name in names] == pytest.approx([other.value(name) for name in names], rel=1e-4)


@pytest.mark.usefixtures("workspace")
def test_what_is_measured_is_not_measured_again(
    tmp_path: Path, copies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = graded(tmp_path / "job", copies["8"])
    monkeypatch.setattr(sitting.Sitting, "sit", lambda *_: pytest.fail("it was measured again"))
    again = report_card.grade(*job_of(tmp_path / "job", copies["8"]))
    assert again.models == found.models


@pytest.mark.usefixtures("workspace")
def test_other_weights_in_the_same_folder_are_measured_anew(tmp_path: Path, copies: dict[str, str]) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(copies["8"], folder)
    before = graded(tmp_path / "job", str(folder)).models[1].value("divergence") or 0
    shutil.copy(Path(copies["4"]) / "model.safetensors", folder / "model.safetensors")
    os.utime(folder / "model.safetensors", (1, 1))
    after = report_card.grade(*job_of(tmp_path / "job", str(folder))).models[1].value("divergence") or 0
    assert after > 20 * before


def test_only_rows_that_were_held_out_are_read_and_asked(workspace: Workspace, tmp_path: Path) -> None:
    held = [datasets.row(f"What is {n} plus {n}?", f"{2 * n}", split="test") for n in range(30)]
    datasets.keep(workspace, "Sums", [*datasets.sums(50), *held])
    job, spec = job_of(tmp_path / "job", dataset="Sums", rows=20, questions=8)
    found = material.gather(job, workspace, spec)
    assert (found.split, found.dataset, len(found.rows), len(found.asked)) == ("test", "Sums", 20, 8)
    assert all(row["meta"]["split"] == "test" for row in found.rows)
    assert {one.rule for one in found.asked} == {"short"}
    Datasets(workspace).delete("Sums")
    assert material.gather(job, workspace, spec) == found
    other, _ = job_of(tmp_path / "other", dataset="Sums")
    with pytest.raises(DataError, match="no dataset called 'Sums'"):
        material.gather(other, workspace, spec)


def test_without_held_out_rows_any_are_taken_and_that_is_said(workspace: Workspace, tmp_path: Path) -> None:
    datasets.keep(workspace, "Sums", datasets.sums(30))
    found = graded(tmp_path / "job", dataset="Sums", questions=0, rows=12)
    assert (found.split, found.rows, found.answers) == ("", 12, ())
    assert report.cautions(found)[0].startswith("The dataset has no validation or test rows")


@pytest.mark.usefixtures("workspace")
def test_a_copy_that_cannot_be_loaded_costs_its_own_cells_only(tmp_path: Path, copies: dict[str, str]) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(copies["8"], broken)
    os.truncate(broken / "model.safetensors", 5000)
    found = graded(tmp_path / "job", str(broken), copies["4"])
    base, lost, four = found.models
    assert lost.value("perplexity") is None
    assert (lost.cell("perplexity") or base.cells[0]).reason
    assert four.value("divergence") is not None
    assert base.value("perplexity") is not None


@pytest.mark.usefixtures("workspace")
def test_a_copy_of_no_numbers_is_said_to_be_broken(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(TINY, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    found = graded(tmp_path / "job", str(broken), questions=4)
    assert report.recommend(found) == "Stay with tiny: broken computes no numbers."


@pytest.mark.usefixtures("workspace")
def test_a_model_with_other_tokens_is_compared_by_its_answers(tmp_path: Path) -> None:
    found = graded(tmp_path / "job", str(STARTER), rows=12, questions=4)
    other = found.models[1]
    assert other.value("perplexity") is not None
    assert codes(other, "divergence", "agreement", "first_tokens") == {"report_other_tokens"}
    assert other.value("score") is not None


def codes(subject: Subject, *names: str) -> set[str]:
    return {str((cell.reason or {}).get("code")) for name in names if (cell := subject.cell(name)) is not None}


@pytest.mark.usefixtures("workspace")
def test_a_model_without_a_chat_template_reads_and_is_not_asked(tmp_path: Path, copies: dict[str, str]) -> None:
    plain = []
    for source in (str(TINY), copies["8"]):
        folder = tmp_path / Path(source).name
        shutil.copytree(source, folder)
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config.pop("chat_template", None)
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        plain.append(str(folder))
    folder = tmp_path / "job"
    folder.mkdir()
    spec = ReportCardSpec(models=tuple(plain), rows=12, speed=False, device="cpu")
    found = report_card.grade(Job(spec, folder), spec)
    copy = found.models[1]
    assert copy.value("divergence") is not None
    assert codes(copy, "score", "first_tokens") == {"report_no_template"}


@pytest.mark.usefixtures("workspace")
def test_who_stops_it_stops_it_and_goes_on_later(
    tmp_path: Path, copies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, spec = job_of(tmp_path / "job", copies["8"], questions=4)
    read = examiner.Examiner.read

    def stopping(self: Any, *args: Any, **more: Any) -> Any:
        job.stop_requested = more.get("against") is not None
        return read(self, *args, **more)

    monkeypatch.setattr(examiner.Examiner, "read", stopping)
    with pytest.raises(Stopped):
        report_card.measure(job, [], spec)
    assert not (tmp_path / "job" / "report-card" / sitting.FILE).exists()
    monkeypatch.setattr(examiner.Examiner, "read", read)
    assert report_card.grade(*job_of(tmp_path / "job", copies["8"], questions=4)).complete


def test_at_the_end_of_a_quantization_what_goes_wrong_is_written_down(
    workspace: Workspace, tmp_path: Path, copies: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    spec = QuantizeSpec(model=str(TINY), calibration="dataset", dataset="gone", device="cpu")
    job = Job(spec, tmp_path)
    report_card.measure(job, [str(TINY), copies["4"]])
    found = report.read(tmp_path)
    assert found is not None
    assert found.complete
    assert "no dataset called 'gone'" in report.recommend(found)
    assert "no dataset called 'gone'" in capsys.readouterr().out
    (tmp_path / report_records.FILE).unlink()
    datasets.keep(workspace, "gone", [datasets.row(f"{n}?", f"{n}", split="validation") for n in range(12)])
    shorter = ReportCardSpec(models=(str(TINY), copies["4"]), dataset="gone", questions=2, rows=8, speed=False)
    report_card.measure(job, [], shorter)
    again = report.read(tmp_path)
    assert again is not None
    assert (again.problem, again.split, again.rows) == (None, "validation", 8)


def test_distributions_take_a_quarter_of_the_disk_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free: Callable[[Path], Any] = lambda _path: shutil._ntuple_diskusage(1 << 40, 0, 40_000)  # type: ignore[attr-defined]  # noqa: E731
    monkeypatch.setattr(examiner.shutil, "disk_usage", free)
    assert examiner.fitting([10, 10, 10, 10], 100, tmp_path) == 2
    monkeypatch.setattr(examiner, "MOST_BYTES", 4000)
    assert examiner.fitting([10, 10, 10, 10], 100, tmp_path) == 1


def test_bundled_rows_are_drawn_by_the_seed_and_in_both_languages(workspace: Workspace, tmp_path: Path) -> None:
    found = material.gather(*_gathering(tmp_path / "one", workspace, seed=1))
    other = material.gather(*_gathering(tmp_path / "two", workspace, seed=2))
    assert len(found.rows) == len(other.rows) == 24
    assert found.rows != other.rows
    languages = [row["meta"]["lineage"]["language"] for row in found.rows]
    assert min(languages.count(name) for name in ("en", "zh")) > 4


def _gathering(folder: Path, workspace: Workspace, seed: int) -> tuple[Job, Workspace, ReportCardSpec]:
    job, spec = job_of(folder, seed=seed)
    return job, workspace, spec
