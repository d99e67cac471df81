"""Copies by LMDeploy, with real processes: an LMDeploy stands in for the real one that hands over a copy packed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend import catalog
from backend.errors import PanelError
from backend.queue.events import read_events
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace
from jobs.harness import Job, Stopped
from jobs.quantizing import lite, stages
from jobs.quantizing.rows import Rows
from jobs.quantizing.work import Work
from tests.jobs.test_dequantize import AWQ, awq, folder_of
from tests.support import lmdeploy_stub
from tests.support.quantize_jobs import SPEC, TINY, run

pytestmark = pytest.mark.filterwarnings("ignore")

MAIN = r"""
import json, os, shutil, sys, time
from pathlib import Path

HERE, rows = Path(__file__).parent, Path("wikitext/train.jsonl")
plan = json.loads((HERE / "script.json").read_text())
facts = {"argv": sys.argv[1:], "cwd": os.getcwd(), "rows": rows.read_text() if rows.exists() else "", "environment": dict(os.environ)}
(HERE / "asked.json").write_text(json.dumps(facts))
out = Path(next(word.split("=", 1)[1] for word in sys.argv if word.startswith("--work-dir=")))
out.mkdir()
for layer in range(2):
    print(f"model.layers.{layer}, samples: 8, max gpu memory: 0.00 GB")
if plan.get("hang"):
    (HERE / "new").write_text(str(os.getpid()))
    os.replace(HERE / "new", HERE / "pid")
    time.sleep(600)
if "die" in plan:
    (out / "model.safetensors").write_bytes(b"half")
    sys.exit("\n".join(["Traceback (most recent call last):", plan["die"]]))
for layer in range(2):
    print(f"model.layers.{layer}.mlp.down_proj weight packed.")
shutil.copytree(plan["copy"], out, dirs_exist_ok=True)
(out / "inputs_stats.pth").touch()
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package folder of the environment that is used."""
    environment = lmdeploy_stub.make(tmp_path / "my env 环境")
    monkeypatch.setenv("TUNEDECK_LMDEPLOY_PYTHON", str(environment / "bin" / "python"))
    (package,) = (environment / "lib").glob("python3*/site-packages/lmdeploy")
    (package / "__main__.py").write_text(MAIN)
    return package


def script(stub: Path, **plan: Any) -> None:
    (stub / "script.json").write_text(json.dumps(plan))


def work(workspace: Workspace, dtype: str = "float16", **changes: Any) -> Work:
    return Work(QuantizeSpec(**{**SPEC, "method": "awq", **changes}), str(TINY), 2, "lmdeploy", dtype)


def test_it_is_given_our_rows_and_what_it_leaves_becomes_a_model_to_keep(stub: Path, tmp_path: Path) -> None:
    folder_of(tmp_path / "packed", AWQ, awq)
    config = json.loads((tmp_path / "packed" / "config.json").read_text())
    # As it leaves them: without the cache, and with a tokenizer in its own words.
    (tmp_path / "packed" / "config.json").write_text(json.dumps({**config, "use_cache": False}))
    (tmp_path / "packed" / "tokenizer_config.json").write_text("{}")
    script(stub, copy=str(tmp_path / "packed"))
    folder = tmp_path / "job"
    result = run(folder, method="awq")
    assert result["ok"], result
    asked = json.loads((stub / "asked.json").read_text())
    texts = [json.loads(line)["text"] for line in (folder / "calibration.jsonl").read_text().splitlines()]
    assert [json.loads(line)["text"] for line in asked["rows"].splitlines()] == texts
    assert len(texts) == 8
    assert asked["cwd"] == str(folder / lite.HOME)
    assert (asked["environment"]["HF_HUB_OFFLINE"], asked["environment"]["CUDA_VISIBLE_DEVICES"]) == ("1", "")
    out = folder / stages.PARTIAL
    assert asked["argv"] == [
        *("lite", "auto_awq", str(TINY), f"--work-dir={out}", "--device=cpu", "--w-group-size=32", "--w-bits=4"),
        *("--calib-samples=8", "--calib-dataset=wikitext2", "--calib-seqlen=48", "--batch-size=1"),
    ]
    copy = folder / "quantized"
    found = catalog.card(copy, "copy")
    assert (found.quantization, found.problem) == ("awq 4 bit", None)
    assert (copy / "tokenizer_config.json").read_bytes() == (TINY / "tokenizer_config.json").read_bytes()
    assert json.loads((copy / "config.json").read_text())["use_cache"] is True
    assert not [*copy.glob("*.pth"), *folder.glob(lite.HOME), *folder.glob(".*")]
    assert 0 < result["divergence"] < 0.5
    steps = [one["step"] for one in read_events(folder)[0] if one.get("phase") == "quantize" and "step" in one]
    assert steps == [1, 2]
    card = (copy / "README.md").read_text()
    assert "lmdeploy serve api_server path/to/this/folder --model-format awq" in card


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("AssertionError: q_proj is nan", "awq_failed"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "quantize_out_of_memory"),
        ("OSError: [Errno 28] No space left on device", "quantize_no_room"),
    ],
)
def test_its_last_words_are_told_and_nothing_half_made_is_left(
    stub: Path, tmp_path: Path, said: str, code: str
) -> None:
    script(stub, die=said)
    result = run(tmp_path / "job", method="awq")
    error = PanelError.from_dict(result["error"])
    assert error.code == code
    assert said in str(error) or code == "quantize_no_room"
    assert not [
        *(tmp_path / "job").glob(".*"),
        *(tmp_path / "job").glob("quantized"),
        *(tmp_path / "job").glob(lite.HOME),
    ]


def test_a_stop_ends_it(stub: Path, workspace: Workspace, tmp_path: Path) -> None:
    script(stub, hang=True)
    pid = stub / "pid"

    class Stopping(Job):
        @property
        def stop_requested(self) -> bool:  # type: ignore[override]
            return pid.exists()

        @stop_requested.setter
        def stop_requested(self, value: bool) -> None: ...

    todo = work(workspace)
    (tmp_path / "job").mkdir()
    with pytest.raises(Stopped):
        lite.make(Stopping(todo.spec, tmp_path / "job"), todo, Rows(("One row. " * 20,), "bundled"), tmp_path / "out")
    assert not psutil.pid_exists(int(pid.read_text()))
    assert not (tmp_path / "job" / lite.HOME).exists()


def test_what_a_gpu_is_told(workspace: Workspace) -> None:
    rows, python, out = (
        Rows(("Seven words, and then a full stop. " * 20,) * 4, "bundled"),
        Path("/env/python"),
        Path("/out"),
    )

    def argv(dtype: str = "float16", looked: Rows = rows, **changes: Any) -> list[str]:
        todo = work(workspace, dtype, device="cuda", **changes)
        return lite.command(python, todo, lite.what(todo, looked, out))

    start = [str(python), "-m", "lmdeploy", "lite"]
    looks = ["--calib-samples=4", "--calib-dataset=wikitext2", "--calib-seqlen=48", "--batch-size=1"]
    assert argv(group_size=128) == [
        *(*start, "auto_awq", str(TINY), "--work-dir=/out", "--device=cuda", "--w-group-size=128", "--w-bits=4", *looks)
    ]
    assert argv("bfloat16", method="smooth_quant") == [
        *(*start, "smooth_quant", str(TINY), "--work-dir=/out", "--device=cuda", "--quant-dtype=int8", *looks)
    ]
    # Without rows; with weights that its kernels do not take; with less text than a piece has.
    assert argv(looked=Rows())[-1] == "--calib-samples=0"
    assert argv("float32")[-1] == "--dtype=float16"
    assert lite.what(work(workspace, "bfloat16"), rows, out).dtype == "float16"
    short = lite.what(work(workspace, sample_tokens=4096), rows, out)
    assert (short.samples, short.sample_tokens) == (4, _tokens(rows) // 2)


def _tokens(rows: Rows) -> int:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    return sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in rows.texts)


def test_without_lmdeploy_it_says_where_to_get_it(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    todo = work(workspace)
    with pytest.raises(PanelError, match="LMDeploy") as caught:
        lite.make(Job(todo.spec, tmp_path / "job"), todo, Rows(), tmp_path / "out")
    assert "Environments page" in caught.value.hint
