"""4-bit copies by LMDeploy: the rows it calibrates with, its command line, how far it is, and whether it made one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.engines import lmdeploy_lite
from backend.engines.lmdeploy_lite import Awq, Progress
from backend.errors import PanelError

REAL = Path(__file__).resolve().parents[1] / "data" / "lmdeploy" / "auto_awq.log"


def model(folder: Path, size: int, **config: object) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"x" * size)
    return folder


def test_rows_become_the_data_set_that_its_library_prefers_to_the_hub(tmp_path: Path) -> None:
    assert lmdeploy_lite.write_calibration(tmp_path, ["one\ntwo", "", " ", "三"]) == 2
    lines = (tmp_path / "wikitext" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"text": "one\ntwo"}, {"text": "三"}]
    card = (tmp_path / "wikitext" / "README.md").read_text()
    assert card.startswith("---\n")
    assert "config_name: wikitext-2-raw-v1" in card
    assert "path: train.jsonl" in card


def test_the_command_line_says_all_that_was_asked_for() -> None:
    argv = lmdeploy_lite.command(Path("/e/bin/python"), Awq(Path("/m"), Path("/o"), 8, 256, 4, device="cpu"))
    assert argv[:6] == ["/e/bin/python", "-m", "lmdeploy", "lite", "auto_awq", "/m"]
    assert {"--work-dir=/o", "--device=cpu", "--calib-samples=8", "--calib-seqlen=256", "--batch-size=4"} <= set(argv)
    assert "--w-sym" not in argv
    assert "--search-scale" not in argv
    free = lmdeploy_lite.command(Path("p"), Awq(Path("/m"), Path("/o"), samples=0, symmetric=True, search_scale=True))
    assert "--calib-samples=0" in free
    assert not [word for word in free if word.startswith("--calib-dataset")]
    assert {"--w-sym", "--search-scale"} <= set(free)


def test_a_real_log_is_read_as_one_way_from_0_to_all() -> None:
    progress, phases, done = Progress(6, calibrated=True), [], [0.0]
    for line in REAL.read_text(encoding="utf-8").splitlines():
        if progress.read(line):
            phases.append(progress.phase)
            done.append(progress.done)
    assert list(dict.fromkeys(phases)) == ["measure", "smooth", "pack"]
    assert (phases.count("measure"), phases.count("smooth"), phases.count("pack")) == (6, 6, 42)
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.0)
    assert done[6] == pytest.approx(0.6), "all layers were measured"


def test_without_calibration_packing_is_all() -> None:
    progress = Progress(2, calibrated=False)
    assert not progress.read("model.layers.0, samples: 4, max gpu memory: 0.00 GB")
    assert progress.read("model.layers.0.self_attn.q_proj weight packed.")
    assert progress.done == 0.5
    assert progress.read("language_model.model.layers.1.mlp.down_proj weight skipped.")
    assert progress.done == 1.0
    assert not progress.read("Move model.layers.0 to CPU.")


def test_a_copy_counts_when_it_is_smaller_and_says_4_bits(tmp_path: Path) -> None:
    what = Awq(model(tmp_path / "m", 1000), tmp_path / "o")
    model(what.out, 400, quantization_config={"quant_method": "awq", "bits": 4})
    made = lmdeploy_lite.finished(what, 0, [])
    assert (made.folder, made.before, made.after) == (what.out, 1000, 400)


@pytest.mark.parametrize(
    ("size", "config"),
    [
        (1000, {"quantization_config": {"quant_method": "awq", "bits": 4}}),
        (0, {"quantization_config": {"quant_method": "awq", "bits": 4}}),
        (400, {}),
        (400, {"quantization_config": {"quant_method": "gptq", "bits": 4}}),
        (400, {"quantization_config": None}),
    ],
)
def test_an_exit_code_of_0_is_not_believed(tmp_path: Path, size: int, config: dict[str, object]) -> None:
    what = Awq(model(tmp_path / "m", 1000), tmp_path / "o")
    with pytest.raises(PanelError, match="holds no smaller copy"):
        lmdeploy_lite.finished(what, 0, [])
    model(what.out, size, **config)
    with pytest.raises(PanelError, match="holds no smaller copy"):
        lmdeploy_lite.finished(what, 0, [])


def test_a_failure_is_told_with_its_last_words(tmp_path: Path) -> None:
    lines = ["Traceback (most recent call last):", "ValueError: empty range for randrange() (0, -595, -595)", ""]
    with pytest.raises(PanelError) as caught:
        lmdeploy_lite.finished(Awq(tmp_path, tmp_path / "o"), 1, lines)
    assert caught.value.code == "awq_failed"
    assert str(caught.value).endswith("ValueError: empty range for randrange() (0, -595, -595)")
