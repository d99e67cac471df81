"""LMDeploy's ``lite``: 4-bit copies of models (AWQ), on a GPU or, unmodified, on the CPU. Facts are those of 0.18.

Where it has rows to calibrate with, it measures which channels of the weights matter before it rounds them. It takes such
rows from data sets of hubs only; but its library prefers a folder of the data set's name in the current folder, and that is
how a person's own rows become what it calibrates with (:func:`write_calibration`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import read_json

DATASET, CONFIG = "wikitext", "wikitext-2-raw-v1"
"""What ``--calib-dataset wikitext2`` asks the library for."""
ARCHITECTURES = (
    "InternLM2ForCausalLM", "InternLM3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM",
    "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration", "LlamaForCausalLM", "LlavaLlamaForCausalLM",
    "MGMLlamaForCausalLM", "InternS2PreviewForConditionalGeneration", "Phi3ForCausalLM", "ChatGLMForConditionalGeneration",
    "MixtralForCausalLM", "Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "MistralForCausalLM",
)  # fmt: skip
"""The kinds of models that it knows (``LAYER_TYPE_MAP`` in lmdeploy/lite/apis/calibrate.py)."""
CARD = f"""---
configs:
- config_name: {CONFIG}
  data_files:
  - split: train
    path: train.jsonl
---
"""
_PACKED = re.compile(r"^(?P<layer>\S*\.(?P<number>\d+)\.\S+) weight (packed|skipped)\.$")
_LAYER = re.compile(r"^\S*\.(?P<number>\d+)(?P<kind>, samples: \d+,| smooth weight done\.)")


@dataclass(frozen=True)
class Awq:
    """One 4-bit copy. model, out: absolute folders, out may not be there. samples: how many pieces of the rows; 0: rounded
    without looking at any. sample_tokens: of each piece; all rows together must be longer. batch: pieces at once. group:
    weights that share a scale; divides the width of every layer. device: ``cpu`` or ``cuda``. dtype: ``float16`` or ``bfloat16``; empty:
    as stored, 32 bits as float16 (on the CPU name float16: for bfloat16 it asks CUDA). trust_code: run program code of the model's folder."""

    model: Path
    out: Path
    samples: int = 128
    sample_tokens: int = 2048
    batch: int = 1
    group: int = 128
    symmetric: bool = False
    search_scale: bool = False
    device: str = "cuda"
    dtype: str = ""
    trust_code: bool = False


@dataclass(frozen=True)
class Copy:
    """A finished copy. before, after: bytes of the weights."""

    folder: Path
    before: int
    after: int


def write_calibration(folder: Path, rows: Iterable[str]) -> int:
    """Make ``folder`` the current folder of a run that calibrates with ``rows``; empty ones are left out. Returns how many
    were written."""
    place = folder / DATASET
    place.mkdir(parents=True, exist_ok=True)
    (place / "README.md").write_text(CARD, encoding="utf-8")
    number = 0
    with (place / "train.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            if row.strip():
                file.write(json.dumps({"text": row}, ensure_ascii=False) + "\n")
                number += 1
    return number


def command(python: Path, what: Awq) -> list[str]:
    """What makes the copy; its current folder is the one of :func:`write_calibration`."""
    argv = _start(python, "auto_awq", what)
    argv += [f"--w-group-size={what.group}", "--w-bits=4", f"--calib-samples={what.samples}"]
    argv += _rows(what) if what.samples else []
    argv += ["--w-sym"] if what.symmetric else []
    return argv + _switches(what)


def smooth_command(python: Path, what: Awq) -> list[str]:
    """What makes a copy in int8 for the PyTorch core (SmoothQuant), which needs rows and a GPU; ``group`` and ``symmetric`` mean nothing."""
    argv = [*_start(python, "smooth_quant", what), "--quant-dtype=int8", f"--calib-samples={what.samples}"]
    return [*argv, *_rows(what), *_switches(what)]


def _start(python: Path, verb: str, what: Awq) -> list[str]:
    argv = [str(python), "-m", "lmdeploy", "lite", verb, str(what.model)]
    return [*argv, f"--work-dir={what.out}", f"--device={what.device}"]


def _rows(what: Awq) -> list[str]:
    return ["--calib-dataset=wikitext2", f"--calib-seqlen={what.sample_tokens}", f"--batch-size={what.batch}"]


def _switches(what: Awq) -> list[str]:
    argv = ["--search-scale"] if what.search_scale else []
    argv += [f"--dtype={what.dtype}"] if what.dtype else []
    return argv + (["--trust-remote-code"] if what.trust_code else [])


def environ(folder: Path) -> dict[str, str]:
    """Variables of one run in ``folder``, on top of those of the environment: the library's caches go there too, where the
    rows of a person do not outlive the job."""
    return {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache")}


class Progress:
    """How far a run is, from its output: :meth:`read` each line. done: 0 to 1."""

    SHARES = (("measure", 0.6), ("smooth", 0.1), ("pack", 0.3))
    """Measuring runs the model on the rows; the rest looks at each layer once. Shares are those of a run on the CPU."""

    def __init__(self, layers: int, *, calibrated: bool) -> None:
        self.layers, self.done, self.phase = max(1, layers), 0.0, ""
        self._shares = dict(self.SHARES) if calibrated else {"pack": 1.0}

    def read(self, line: str) -> bool:
        """Whether ``line`` told something."""
        packed = _PACKED.match(line)
        found = packed or _LAYER.match(line)
        if found is None:
            return False
        phase = "pack" if packed else "measure" if "samples" in found["kind"] else "smooth"
        if phase not in self._shares:
            return False
        before = sum(share for name, share in self._before(phase))
        self.phase = phase
        done = before + self._shares[phase] * min(1.0, (int(found["number"]) + 1) / self.layers)
        self.done = max(self.done, done)
        return True

    def _before(self, phase: str) -> list[tuple[str, float]]:
        names = list(self._shares)
        return [(name, self._shares[name]) for name in names[: names.index(phase)]]


def finished(what: Awq, code: int, lines: Sequence[str], method: str = "awq") -> Copy:
    """The copy that a run has made. ``code``, ``lines``: exit code and output of :func:`command`; ``method``: ``smooth_quant`` after
    :func:`smooth_command`.

    Raises:
        PanelError: ``awq_failed``, with its last words (:mod:`backend.diagnosis` knows more of them); ``awq_no_copy``: it
            ended well, and yet what it has left is no smaller copy.
    """
    if code:
        last = next((line.strip() for line in reversed(lines) if line.strip()), "-")
        raise PanelError(
            "awq_failed",
            N_("LMDeploy ended with exit code {exit} while it made the copy: {line}"),
            N_("The log of this job has all that it said."),
            exit=code,
            line=last[:500],
        )
    config = read_json(what.out / "config.json")
    quantization = config.get("quantization_config") if isinstance(config, dict) else None
    before, after = weight_bytes(what.model), weight_bytes(what.out)
    found = quantization if isinstance(quantization, dict) else {}
    # What SmoothQuant writes names no bits.
    made = found.get("quant_method") == method and found.get("bits", 4) == 4
    if not made or not 0 < after < before:
        raise PanelError(
            "awq_no_copy",
            N_("LMDeploy has ended without an error, but {folder} holds no smaller copy."),
            N_("The log of this job has all that it said."),
            folder=str(what.out),
        )
    return Copy(what.out, before, after)


def weight_bytes(folder: Path) -> int:
    """Bytes of the safetensors files in ``folder``."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
