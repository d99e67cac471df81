"""What was learned is kept: real adapters by peft, merged into real models, compared, put on the list, and packed up."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from backend import catalog
from backend.data.rows import line
from backend.errors import ModelError
from backend.finetune import contract
from backend.workspace import ROOT, Workspace
from jobs.finetuning import keeping, merge_check, merging
from jobs.finetuning.types import Trained
from jobs.harness import Stopped
from tests.jobs.test_disk_faults import can_mount, on_disk
from tests.support import datasets
from tests.support.kept import STARTER, TINY, Learned, learned, quieter, stored
from tests.support.models import change, write

pytestmark = pytest.mark.usefixtures("_one_thread")
IDS = torch.arange(100, 140)[None]


@pytest.fixture(scope="module")
def _one_thread() -> Iterator[None]:
    """Small models are slower on several, the more so on a machine that does other things."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def logits(folder: Path, adapter: Path | None = None) -> torch.Tensor:
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)) if adapter else model
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(IDS).logits
    return found


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    span = one.max(-1).values - one.min(-1).values
    return float(((one - other).abs().max(-1).values / span).max())


def merge(made: Learned) -> Path:
    found = merging.merge(made.job, made.plan, made.trained)
    assert found is not None
    return found


@pytest.mark.parametrize(("model", "dtype", "strength", "most"), [
    (TINY, "float32", 0.1, 1e-4), (STARTER, "float16", 0.1, 3e-3), (STARTER, "bfloat16", 0.1, 2.5e-2), (TINY, "float16", 1, 0.03),
])  # fmt: skip
def test_merged_it_answers_as_base_and_adapter_do_and_the_base_is_not_touched(
    workspace: Workspace, tmp_path: Path, model: Path, dtype: str, strength: float, most: float
) -> None:
    (tmp_path / "job" / "rows").mkdir(parents=True)
    (tmp_path / "job" / "rows" / "validation.jsonl").write_bytes(b"\n".join(map(line, datasets.sums(8))))
    base = stored(tmp_path / "base", model, dtype)
    before = digests(base)
    made = learned(tmp_path / "job", base, strength)
    assert made.trained.adapter is not None
    folder = merge(made)
    assert digests(base) == before
    taught, plain = logits(base, made.trained.adapter), logits(base)
    assert apart(taught, plain) > 4 * most  # else it proves nothing
    assert apart(taught, logits(folder)) <= most
    # Number by number what peft makes of them, and the rest as it was.
    theirs: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    theirs = PeftModel.from_pretrained(theirs, str(made.trained.adapter)).merge_and_unload().state_dict()
    ours, original = weights(folder), weights(base)
    assert ours.keys() == original.keys()
    for name, value in ours.items():
        assert value.dtype == original[name].dtype == getattr(torch, dtype)
        if any(part in name for part in ("q_proj", "v_proj", "down_proj")):
            assert torch.allclose(value.float(), theirs[name], rtol=2 * torch.finfo(value.dtype).eps, atol=1e-7)
        else:
            assert torch.equal(value, original[name])
    said = json.loads((folder / "training.json").read_text())["merge"]["check"]
    assert said["difference"] <= said["tolerance"] <= 10 * most
    assert (said["dtype"], said["prompts"], said["computed"]) == (dtype, 8, "float32")
    assert said["effect"] > said["difference"]
    assert [file.name for file in folder.glob("*.tmp")] == []
    assert catalog.card(folder).problem is None
    assert contract.of(folder) == contract.of(base)
    # Once is enough.
    stamp = (folder / "training.json").stat().st_mtime_ns
    assert merge(made) == folder
    assert (folder / "training.json").stat().st_mtime_ns == stamp


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`:UserWarning")
@pytest.mark.parametrize("settings", [
    {"target_modules": ["lm_head"]},
    {"target_modules": ["embed_tokens", "v_proj"]},
    {"target_modules": ["v_proj"], "modules_to_save": ["lm_head"]},
    {"target_modules": "all-linear", "use_rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.0.self_attn.v_proj": 3}},
], ids=["head", "embedding", "whole head", "patterns"])  # fmt: skip
def test_odd_adapters_are_merged_as_peft_computes_them(
    workspace: Workspace, tmp_path: Path, settings: dict[str, Any]
) -> None:
    base = stored(tmp_path / "base", TINY, "float32")
    made = learned(tmp_path / "job", base, 0.2, **settings)
    folder = merge(made)
    taught = logits(base, made.trained.adapter)
    assert apart(taught, logits(base)) > 0.02
    assert apart(taught, logits(folder)) < 3e-4
    # One matrix served both ends of the base; where one end learned, the copy has two.
    ends = {"lm_head", "embed_tokens"} & {*settings["target_modules"], *settings.get("modules_to_save", ())}
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is not bool(ends)
    assert catalog.card(folder).problem is None


def test_a_base_that_keeps_its_matrices_turned_is_merged_the_right_way_round(
    workspace: Workspace, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    base = tmp_path / "gpt2"
    config = GPT2Config(vocab_size=1536, n_embd=32, n_layer=2, n_head=2, n_positions=512)
    GPT2LMHeadModel(config).save_pretrained(str(base))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY / name, base / name)
    # attn.c_proj is square: only the setting tells which way round.
    made = learned(tmp_path / "job", base, 0.3, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    folder = merge(made)
    taught = logits(base, made.trained.adapter)
    assert apart(taught, logits(base)) > 0.05
    assert apart(taught, logits(folder)) < 1e-4


def test_what_is_not_what_was_trained_is_not_kept(workspace: Workspace, tmp_path: Path) -> None:
    made = learned(tmp_path / "job", TINY, 0.1)
    folder = merge(made)
    # The same adapter with one layer of two forgotten; and with twice its alpha.
    forgetful = tmp_path / "forgetful"
    shutil.copytree(tmp_path / "job" / "adapter", forgetful)
    quieter(forgetful, 0.0, "layers.1.")
    doubled = tmp_path / "doubled"
    shutil.copytree(tmp_path / "job" / "adapter", doubled)
    change(doubled / "adapter_config.json", lora_alpha=128)
    for other in (forgetful, doubled):
        with pytest.raises(ModelError, match="answers otherwise than base and adapter") as caught:
            merge_check.check(made.job, made.plan, other, folder)
        assert caught.value.code == "merge_differs"
    merge_check.check(made.job, made.plan, tmp_path / "job" / "adapter", folder)


def test_numbers_that_are_none_stop_the_merge_and_nothing_is_left(workspace: Workspace, tmp_path: Path) -> None:
    for name, bad in (("nan", math.nan), ("large", 1e30)):
        made = learned(tmp_path / name, TINY)
        quieter(tmp_path / name / "adapter", bad, "layers.1.self_attn.v_proj")
        with pytest.raises(
            ModelError, match=r"model.layers.1.self_attn.v_proj would hold numbers that are none"
        ) as caught:
            merge(made)
        assert caught.value.code == "merge_not_finite"
        assert sorted(file.name for file in (tmp_path / name).iterdir()) == ["adapter", "events.jsonl"]


def test_what_cannot_be_merged_is_said_and_the_adapter_stays(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = learned(tmp_path / "dora", TINY, use_dora=True)
    with pytest.raises(ModelError, match="cannot be written into the weights") as caught:
        merge(made)
    assert caught.value.code == "merge_kind"
    assert (tmp_path / "dora" / "adapter" / "adapter_model.safetensors").is_file()
    # Taught on another model: no such layer here.
    other = learned(tmp_path / "other", STARTER)
    other.plan = Learned(tmp_path / "other", TINY).plan
    with pytest.raises(ModelError, match=r"changes model.layers.\d.*and the base has no such part") as caught:
        merge(other)
    assert caught.value.code == "merge_no_place"
    # A quantized base: served on top, and no failure.
    quantized = tmp_path / "awq"
    shutil.copytree(TINY, quantized)
    change(quantized / "config.json", quantization_config={"quant_method": "awq", "bits": 4})
    assert (
        merging.merge(*(m := Learned(tmp_path / "q", quantized, tmp_path / "dora" / "adapter")).__dict__.values())
        is None
    )
    assert m.trained.adapter is not None
    assert "not merged: the weights of" in capsys.readouterr().out
    # Nothing to merge after full fine-tuning, and none is asked for.
    full = Learned(tmp_path / "full", TINY)
    assert merging.merge(full.job, full.plan, full.trained) is None
    off = Learned(tmp_path / "off", TINY, tmp_path / "dora" / "adapter", merge=False)
    assert merging.merge(off.job, off.plan, off.trained) is None


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.support.kept import Learned
from jobs.finetuning import merging
from jobs.harness import Job

class Doomed(Job):
    def check_stop(self):
        if len(list(self.dir.glob(".merged.partial/model-*.safetensors"))) == 2 and list(self.dir.glob(".merged.partial/*.tmp")):
            os.kill(os.getpid(), signal.SIGKILL)

made = Learned(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[1]) / "adapter")
merging.merge(Doomed(made.plan.spec, made.job.dir), made.plan, made.trained)
"""


def test_killed_in_the_middle_it_goes_on_behind_the_files_that_are_whole(workspace: Workspace, tmp_path: Path) -> None:
    base = stored(tmp_path / "base", TINY, "float16", "100KB")
    assert len(list(base.glob("*.safetensors"))) > 2
    made = learned(tmp_path / "job", base)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "job"), str(base)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    partial = tmp_path / "job" / merging.PARTIAL
    whole = sorted(partial.glob("model-*.safetensors"))
    assert len(whole) == 2
    assert not (tmp_path / "job" / "merged").exists()
    inodes = [file.stat().st_ino for file in whole]
    folder = merge(made)
    assert [(folder / file.name).stat().st_ino for file in whole] == inodes
    assert apart(logits(base, made.trained.adapter), logits(folder)) < 3e-3
    assert not partial.exists()
    # Stopped by a person, it does the same; and an adapter that learned on since is merged anew.
    quieter(tmp_path / "job" / "adapter", 2.0)
    made.job.stop_requested = True
    with pytest.raises(Stopped):
        merge(made)
    assert not (tmp_path / "job" / "merged").exists()
    made.job.stop_requested = False
    assert apart(logits(base, made.trained.adapter), logits(merge(made))) < 3e-3


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_a_full_disk_leaves_nothing_half_and_says_what_is_safe(tmp_path: Path) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=8m",
        """
from pathlib import Path
from tests.support.kept import TINY, Learned, learned, stored
from jobs.finetuning import merging
from jobs.harness import Job

workspace = open_workspace()
base = stored(workspace.root / "base", TINY, "float16", "100KB")
made = learned(workspace.root / "job", base)
filler = workspace.root / "filler"

class Crowded(Job):
    fills = False
    def check_stop(self):
        if self.fills and not filler.exists() and list(self.dir.glob(".merged.partial/model-*.safetensors")):
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    pass

job = Crowded(made.plan.spec, made.job.dir)
answers = []
def tried():
    try:
        return str(merging.merge(job, made.plan, made.trained))
    except PanelError as error:
        answers.append([error.code, " ".join(error.localized()), sorted(p.name for p in job.dir.iterdir())])
os.environ["TUNEDECK_DOWNLOAD_RESERVE_MIB"] = "1000"
tried()
os.environ["TUNEDECK_DOWNLOAD_RESERVE_MIB"] = "0"
job.fills = True
tried()
filler.unlink()
job.fills = False
print(json.dumps({"answers": answers, "then": tried()}))
""",
    )
    for code, said, left in found["answers"]:
        assert code == "merge_no_room"
        assert "The adapter is safe" in said
        assert left == ["adapter", "events.jsonl"]
    assert len(found["answers"]) == 2
    assert found["then"].endswith("/job/merged")


def test_a_base_whose_template_changed_since_the_plan_stops_the_merge(workspace: Workspace, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(TINY, base)
    made = Learned(
        tmp_path / "job", base, learned(tmp_path / "job", base).trained.adapter, template=contract.of(base).fingerprint
    )
    change(base / "generation_config.json", eos_token_id=[3])
    for stage in (lambda: merge(made), lambda: keeping.register(made.job, made.plan, made.trained, None, None)):
        with pytest.raises(ModelError, match="no longer what they were") as caught:
            stage()
        assert caught.value.code == "template_changed"
    assert not (tmp_path / "job" / "merged").exists()
    shutil.copy(TINY / "generation_config.json", base / "generation_config.json")
    assert merge(made).is_dir()


def run_code(cards: dict[Path, str], cwd: Path, base: Path) -> list[str]:
    """What the examples of these model cards (folder -> text) print, in a process of its own, without TuneDeck."""
    code = ""
    for folder, card in cards.items():
        one = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
        code += one.replace("path/to/the/base", str(base)).replace("path/to/this/folder", str(folder))
    code = code.replace("max_new_tokens=200", "max_new_tokens=4")
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_was_made_is_on_the_list_with_where_it_is_from_and_a_card_whose_example_runs(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_JOB_ID", "7")
    base = tmp_path / "base"
    shutil.copytree(TINY, base)
    (base / "LICENSE").write_text("Apache License\nVersion 2.0")
    write(base / ".download.json", {"source": "huggingface", "repo": "orchard/starter"})
    catalog.add(workspace, base, "base")
    job_dir = workspace.job_dir(7)
    made = Learned(
        job_dir, base, learned(job_dir, base).trained.adapter, model="base", template=contract.of(base).fingerprint
    )
    folder = merge(made)
    # As peft and XTuner save them: no tokenizer, or one in their own words.
    (job_dir / "adapter" / "tokenizer_config.json").write_text('{"chat_template": "{{ 1 }}"}')
    for _attempt in range(2):
        assert keeping.register(made.job, made.plan, made.trained, folder, None) == {
            "model": "mine",
            "adapter": "mine-adapter",
        }
    listed = {card.name: card for card in catalog.models(workspace)}
    assert set(listed) == {"starter", "base", "mine", "mine-adapter"}
    readmes: dict[Path, str] = {}
    for name, path in (("mine", folder), ("mine-adapter", job_dir / "adapter")):
        card = listed[name]
        assert (card.path, card.problem, card.unfit, card.made_by) == (path, None, None, 7)
        lineage = card.lineage
        assert lineage is not None
        assert (lineage.verb, lineage.base, lineage.dataset) == ("finetune", "base", "persona@0123456789ab")
        assert lineage.template == card.served.template_fingerprint == listed["base"].template_fingerprint
        assert card.license == listed["base"].license == "apache-2.0"
        readme = (path / "README.md").read_text()
        assert "base_model: orchard/starter" in readme
        assert "| LoRA rank | `16` |" in readme
        assert "loss on validation rows there: 0.7500" in readme
        # The name on a hub is another machine's: here the base is a folder.
        readmes[path] = readme.replace("orchard/starter", "path/to/the/base")
    answers = run_code(readmes, tmp_path, base)
    assert len(answers) == 2
    assert all("assistant" in answer for answer in answers)
    assert listed["mine-adapter"].base == listed["base"]
    told = json.loads((folder / "training.json").read_text())
    assert (told["kind"], told["spec"]["lora_rank"], told["ended"]) == ("merged", 16, "done")
    assert "difference" in told["merge"]["check"]
    # The merged copy knows its contract even when its base is gone.
    shutil.rmtree(base)
    assert contract.kept(folder) == contract.of(folder)


def test_a_template_that_was_chosen_goes_into_the_merged_model_with_its_ends(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_JOB_ID", "7")
    base = tmp_path / "plain"
    shutil.copytree(TINY, base)
    change(base / "tokenizer_config.json", chat_template=None)
    change(base / "generation_config.json", eos_token_id=[1529])
    catalog.add(workspace, base, "plain")
    catalog.choose_template(workspace, "plain", "llama3")
    agreed = catalog.find(workspace, "plain").template_fingerprint
    job_dir = workspace.job_dir(7)
    made = Learned(job_dir, base, learned(job_dir, base).trained.adapter, model="plain", template=agreed)
    folder = merge(made)
    assert contract.of(folder).template == contract.of_card(workspace, catalog.find(workspace, "plain")).template != ""
    assert contract.of(folder).eos == (1529, 1534)  # <|eot_id|>, where the template ends an answer
    # Killed between the last file and its name, it comes to the same.
    (folder / "training.json").unlink()
    write(folder / merging.MARKER, merging.made_from(base, job_dir / "adapter"))
    folder.rename(job_dir / merging.PARTIAL)
    assert merge(made) == folder
    assert contract.of(folder).eos == (1529, 1534)
    keeping.register(made.job, made.plan, made.trained, folder, None)
    merged, adapter = catalog.find(workspace, "mine"), catalog.find(workspace, "mine-adapter")
    assert (merged.chat_template, merged.problem) == (True, None)
    assert (adapter.unfit, adapter.own_tokenizer, adapter.served.template_fingerprint) == (None, False, agreed)
    # Another choice, and the adapter would be asked otherwise than it was taught.
    catalog.choose_template(workspace, "plain", "chatml")
    refused = catalog.find(workspace, "mine-adapter").unfit
    assert refused is not None
    assert refused.code == "template_of_base_changed"


def test_a_whole_model_that_was_taught_is_kept_as_it_is_with_the_bases_tokenizer(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_JOB_ID", "7")
    job_dir = workspace.job_dir(7)
    made = Learned(job_dir, TINY, method="full", template=contract.of(TINY).fingerprint)
    whole = stored(job_dir / "model", TINY, "float32")
    change(whole / "generation_config.json", eos_token_id=1529, pad_token_id=3)  # as transformers writes it again
    (whole / "tokenizer.json").unlink()
    trained = Trained(None, whole, 10, 12, 0.5, None, "asked")
    assert keeping.register(made.job, made.plan, trained, None, None) == {"model": "mine"}
    card = catalog.find(workspace, "mine")
    assert (card.problem, card.template_fingerprint) == (None, contract.of(TINY).fingerprint)
    readme = (whole / "README.md").read_text()
    assert "all weights trained further" in readme
    assert "stopped by hand" in readme
    assert "LoRA rank" not in readme
