"""Quantizing as jobs by hand, outside the queue and in this process: a tiny model, a few rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.workspace import ROOT
from jobs import quantize
from jobs.harness import main

TINY, STARTER = ROOT / "models" / "tiny", ROOT / "models" / "starter"
SPEC: dict[str, Any] = {
    "model": str(TINY),
    "method": "rtn",
    "group_size": 32,
    "samples": 8,
    "sample_tokens": 48,
    "device": "cpu",
    "report": False,
}


def spec(folder: Path, **changes: Any) -> Path:
    """The spec of a job in ``folder``, written there."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "spec.json"
    file.write_text(json.dumps({**SPEC, **changes}))
    return file


def run(folder: Path, **changes: Any) -> dict[str, Any]:
    """The result of a whole job in ``folder``; called again, another attempt."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CUDA_VISIBLE_DEVICES", "TQDM_DISABLE"):  # the job sets them for its process, which here is ours
            patch.delenv(name, raising=False)
        patch.setenv("TUNEDECK_JOB_DIR", str(folder))
        code = main("quantize", quantize.run, [str(spec(folder, **changes))])
        for name in ("CUDA_VISIBLE_DEVICES", "TQDM_DISABLE"):
            patch.delenv(name, raising=False)
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    assert result["ok"] is (code == 0), result
    return result


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
