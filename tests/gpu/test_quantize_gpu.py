"""Smaller copies on a real card: llm-compressor's methods; AWQ and SmoothQuant of LMDeploy where its environment is named.

Needs torch with CUDA, transformers and llm-compressor. TUNEDECK_TEST_LMDEPLOY names the Python of an environment with LMDeploy 0.18,
TUNEDECK_TEST_MODEL the folder of a chat model (default: the one that ships with TuneDeck).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.queue.resources import Card
from tests.support.quantize_jobs import STARTER, run

# Before any fixture: the tests' own workspace takes all TUNEDECK_ variables away.
PYTHON = os.environ.get("TUNEDECK_TEST_LMDEPLOY", "")
MODEL = os.environ.get("TUNEDECK_TEST_MODEL") or str(STARTER)
HERE: dict[str, Any] = {"model": MODEL, "device": "cuda", "samples": 32, "sample_tokens": 256}

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1200)]


def made(folder: Path, **changes: Any) -> dict[str, Any]:
    """The result of a whole job on the card, which held memory there."""
    import torch

    torch.cuda.reset_peak_memory_stats()
    result = run(folder, **HERE, **changes)
    assert result["ok"], result
    assert torch.cuda.max_memory_allocated() > 0  # the check at least computes there
    print(
        f"\n{changes['method']}: engine {result['engine_seconds']} s of {result['seconds']} s, {result['bytes_before']} -> "
        f"{result['bytes_after']} bytes, {result['divergence']:.4f} nats, {result['agreement']:.1%} the same"
    )
    return result


@pytest.mark.parametrize(
    ("changes", "bits", "most"),
    [
        ({"method": "gptq", "group_size": 128}, 4, 0.3),
        ({"method": "rtn", "group_size": 128}, 4, 0.5),
        ({"method": "int8", "calibration": "bundled"}, 8, 0.1),
        ({"method": "fp8"}, 8, 0.2),
    ],
    ids=["gptq", "rtn", "int8", "fp8"],
)
def test_llm_compressor_on_the_card(
    card: Card, tmp_path: Path, changes: dict[str, Any], bits: int, most: float
) -> None:
    result = made(tmp_path / "job", **changes)
    found = catalog.card(tmp_path / "job" / "quantized", "copy")
    assert (found.quantization_method, found.quantization_bits, found.problem) == ("compressed-tensors", bits, None)
    assert 0 < result["divergence"] < most


@pytest.mark.parametrize(("method", "found_as"), [("awq", "awq 4 bit"), ("smooth_quant", "smooth_quant")])
def test_lmdeploy_on_the_card(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, found_as: str
) -> None:
    if not PYTHON:
        pytest.skip("TUNEDECK_TEST_LMDEPLOY names no Python with LMDeploy")
    monkeypatch.setenv("TUNEDECK_LMDEPLOY_PYTHON", PYTHON)
    result = made(tmp_path / "job", method=method, group_size=128 if method == "awq" else 0)
    found = catalog.card(tmp_path / "job" / "quantized", "copy")
    assert (found.quantization, found.problem) == (found_as, None)
    assert 0 < result["divergence"] < 0.5
