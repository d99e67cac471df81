"""Fine-tuning as a real process: what it learns, what it leaves behind, and what it says meanwhile."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, MambaConfig, MambaForCausalLM

from backend.data.tokens import mask
from backend.data.tokens.encoded import IGNORE
from backend.data.tokens.model import open_model
from backend.finetune import files
from backend.queue.events import read_events
from backend.workspace import Workspace
from jobs.finetuning import boards, loading
from jobs.finetuning.learner import Learner
from jobs.finetuning.packing import Collate, Packed, pack
from jobs.finetuning.tokens import encode
from tests.support import homes
from tests.support.datasets import row
from tests.support.finetune_jobs import TINY, losses, rows, run

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace with a dataset, for all tests of this module."""
    with homes.working_on(tmp_path_factory.mktemp("home")) as workspace:
        rows(workspace)
        yield workspace


@pytest.fixture(autouse=True)
def _same_home(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEDECK_WORKSPACE", str(home.root))


@pytest.fixture(scope="module")
def done(home: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder and result of one whole run, rehearsed."""
    folder = tmp_path_factory.mktemp("run")
    return folder, run(folder, rehearse=True)


def test_it_learns_and_keeps_the_best_adapter(done: tuple[Path, dict[str, Any]]) -> None:
    folder, result = done
    assert result["ok"], (folder / "log").read_text()
    found = losses(folder)
    assert list(found) == list(range(1, 13))
    assert (
        min(found.values()) < 0.95 * found[1]
    )  # tiny learns little in 12 steps, so that of rows held out has to fall, too
    held_out = [e["metrics"]["eval_loss"] for e in read_events(folder)[0] if "eval_loss" in e.get("metrics", {})]
    assert len(held_out) >= 3
    assert held_out == sorted(held_out, reverse=True)
    assert held_out[-1] < held_out[0]
    kept = files.checkpoints(folder)
    assert [one.step for one in kept if one.best] == [result["step"]]
    assert result["eval_loss"] == min(one.eval_loss for one in kept if one.eval_loss is not None)
    weights = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    best = Path(next(one.path for one in kept if one.best))
    assert weights == (best / "adapter_model.safetensors").read_bytes()
    assert (folder / "adapter" / "tokenizer.json").is_file()
    assert not (folder / "adapter" / "optimizer.pt").exists()


def test_it_says_every_figure_at_every_step(done: tuple[Path, dict[str, Any]]) -> None:
    events = [one for one in read_events(done[0])[0] if one.get("metrics")]
    steps = [one for one in events if one["phase"] == "train"]
    assert all(set(one["metrics"]) == set(files.METRICS) - {"eval_loss"} for one in steps)
    assert all(one["total"] == 12 and one["eta_s"] >= 0 for one in steps)
    assert steps[-1]["metrics"]["memory_mib"] > 100
    measured = [one["step"] for one in events if "eval_loss" in one["metrics"]]
    assert measured == [4, 8, 12]


def test_only_the_newest_checkpoints_and_the_best_one_stay(done: tuple[Path, dict[str, Any]]) -> None:
    kept = files.checkpoints(done[0])
    assert {one.step for one in kept} == {9, 12}
    assert all(one.bytes > 10_000 and one.tokens > 100 for one in kept)
    assert sorted(path.name for path in (done[0] / files.CHECKPOINTS).iterdir()) == ["step-00000009", "step-00000012"]


def test_the_base_and_what_it_becomes_answer_the_same_questions(done: tuple[Path, dict[str, Any]]) -> None:
    found = files.samples(done[0])
    assert [one.step for one in found] == [0] * 4 + [6] * 4 + [12] * 4
    asked = [[one.question for one in found if one.step == step] for step in (0, 6, 12)]
    assert asked[0] == asked[1] == asked[2]
    assert all(one.expected.startswith("It is") for one in found)
    assert [one.answer for one in found if one.step == 0] != [one.answer for one in found if one.step == 12]


def test_a_rehearsal_measures_and_changes_nothing(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    record = files.read(done[0] / files.REHEARSAL, files.Rehearsal)
    assert record is not None
    assert len(record.losses) == 3
    assert record.step_s > 0
    assert record.checkpoint_bytes > 10_000
    assert record.peak_bytes > record.before_bytes > 0
    assert record.longest <= 64
    assert record.tokens_per_step <= 4 * 64
    assert record.settings["max_length"] == 64
    plain = run(tmp_path / "plain", rehearse=False, max_steps=2)
    assert plain["ok"]
    rehearsed = losses(done[0])
    assert losses(tmp_path / "plain") == {step: pytest.approx(rehearsed[step], rel=1e-5) for step in (1, 2)}
    # Its state was there to be loaded once, and is gone.
    assert not (done[0] / ".rehearsal").exists()


def test_event_files_are_what_tensorboard_reads(done: tuple[Path, dict[str, Any]]) -> None:
    (file,) = (done[0] / files.TENSORBOARD).iterdir()
    records = list(_records(file.read_bytes()))
    assert b"brain.Event:2" in records[0]
    curve = [one for one in records if b"train/loss" in one]
    assert len(curve) == 12
    assert sum(b"eval/loss" in one for one in records) == 3
    first = curve[0].index(b"train/loss") + len(b"train/loss")
    assert curve[0][first] == 0x15  # field 2, four bytes: simple_value
    (value,) = struct.unpack("<f", curve[0][first + 1 : first + 5])
    assert value == pytest.approx(losses(done[0])[1], rel=1e-6)


def _records(data: bytes) -> Iterator[bytes]:
    """The records of an event file, their sums checked; the sum itself is checked against the published value."""
    assert boards.masked(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        body = data[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", data, at + 8)[0] == boards.masked(data[at : at + 8])
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == boards.masked(body)
        yield body
        at += 16 + length


def test_going_on_counts_from_where_it_was_and_a_branch_begins_anew(
    done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    begin = str(done[0] / files.CHECKPOINTS / "step-00000012")
    further = run(tmp_path / "further", start_from=begin, max_steps=14)
    assert further["ok"]
    assert list(losses(tmp_path / "further")) == [13, 14]
    branch = run(tmp_path / "branch", start_from=begin, start_mode="branch", max_steps=1)
    assert branch["ok"]
    assert losses(tmp_path / "branch")[1] < 0.95 * losses(done[0])[1]
    nothing = run(tmp_path / "nothing", start_from=begin, max_steps=12)
    assert not nothing["ok"]


def test_full_fine_tuning_leaves_a_whole_model(tmp_path: Path) -> None:
    result = run(tmp_path, method="full", max_steps=4, learning_rate=0.003, save_every=2, packing=False)
    assert result["ok"], (tmp_path / "log").read_text()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    base = AutoModelForCausalLM.from_pretrained(TINY)
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(model.state_dict()[name].float(), base.state_dict()[name].float())


def _tiny() -> loading.Loaded:
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32).eval()
    return loading.Loaded(model, frozenset({"position_ids", "logits_to_keep"}), True)


def test_packed_rows_are_blind_to_each_other() -> None:
    model, loaded = open_model(TINY), _tiny()
    said = [row(f"What is {n}?", f"It is {n}. " * n) for n in range(1, 6)]
    tokens = encode(model, said, 128)
    groups = pack(tokens.lengths, 128, 1)
    assert len(groups) < len(said)
    collate = Collate(0, 8)
    batch = collate([Packed(tokens, groups)[n] for n in range(len(groups))])
    together = loaded.forward(batch)
    for number, group in enumerate(groups):
        at = 0
        for place in group:
            alone = collate([Packed(tokens, [[place]])[0]])
            expected = loaded.forward(alone)[0]
            where = [int((batch["keep"] == at + int(one)).nonzero()) for one in alone["keep"]]
            assert torch.allclose(together[number, where], expected, atol=1e-4)
            assert batch["targets"][number, where].tolist() == alone["targets"][0].tolist()
            at += len(tokens[place][0])


def test_the_head_computes_only_what_is_learned_and_the_loss_is_that_of_all_places() -> None:
    loaded = _tiny()
    tokens = encode(open_model(TINY), [row(f"What is {n}?", f"It is {n}. " * n) for n in range(1, 6)], 128)
    batch = Collate(0)([Packed(tokens, [[0, 1], [2, 3, 4]])[n] for n in range(2)])
    found = loading.logits(loaded.model, batch, loaded.takes)
    expected = F.cross_entropy(found.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORE, reduction="sum")
    learner = object.__new__(Learner)
    learner.loaded = loaded
    seen: list[int] = []
    with loaded.model.get_output_embeddings().register_forward_hook(lambda _m, _a, out: seen.append(out.numel())):
        total = learner._sum(loaded.model, batch)
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    learned = int(batch["targets"].ne(IGNORE).sum())
    assert seen == [learned * loaded.model.config.vocab_size]
    assert learned < batch["targets"].numel()


def test_a_model_that_reads_over_the_edges_is_found_out() -> None:
    assert loading.keeps_apart(_tiny())
    small = MambaConfig(vocab_size=64, hidden_size=16, state_size=4, num_hidden_layers=1)
    assert not loading.keeps_apart(loading.Loaded(MambaForCausalLM(small), frozenset(), True))


def test_what_is_learned_is_what_the_datasets_page_shows() -> None:
    model = open_model(TINY)
    said = [row("What is red?", "A colour."), row("What is two?", "A number.")]
    batch = Collate(0)([Packed(encode(model, said, 64), [[0, 1]])[0]])
    learned = [token for token in batch["targets"].flatten().tolist() if token != -100]
    shown = [piece.id for one in said for piece in mask.view(model, one) if piece.trained]
    assert learned == shown


def test_packing_fills_rows_as_the_plan_foresees() -> None:
    lengths = [7, 5, 5, 4, 3, 3, 2, 2, 1]
    groups = pack(lengths, 8, 3)
    assert sorted(n for group in groups for n in group) == list(range(len(lengths)))
    assert max(sum(lengths[n] for n in group) for group in groups) <= 8
    assert len(groups) == 4  # 32 tokens: not a place is empty
    assert pack(lengths, 8, 3) == groups


def test_a_rehearsal_alone_keeps_no_model(tmp_path: Path) -> None:
    result = run(tmp_path, "rehearse")
    assert result["ok"]
    assert result["rehearsal"]["losses"]
    assert json.loads((tmp_path / "rehearsal.json").read_text())["eval_rows"] > 0
    assert not (tmp_path / "checkpoints").exists() or not files.checkpoints(tmp_path)
    assert not (tmp_path / "adapter").exists()
