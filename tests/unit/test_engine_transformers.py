"""What transformers can be used for here is told from what is installed, without loading any of it."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from backend.engines import engines, on_gpu
from backend.engines import transformers as module
from backend.memory import machine
from backend.workspace import ROOT


def problems() -> dict[str, str]:
    return {each.name: each.problem.code if each.problem else "" for each in engines()["transformers"].capabilities()}


@pytest.mark.skipif(bool(machine.gpus()[0]), reason="this machine has a GPU")
def test_without_a_gpu_the_cpu_is_what_it_computes_on() -> None:
    assert problems() == {
        "Serve models on the CPU": "",
        "Serve models on a GPU": "capability_needs_gpu",
        "LoRA fine-tuning of small models on the CPU": "",
        "LoRA fine-tuning on a GPU": "capability_needs_gpu",
        "QLoRA, the base model in 4 bits": "capability_needs_gpu",
    }


def test_on_a_gpu_the_build_of_torch_and_bitsandbytes_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_gpu, "problem", lambda engine, **_wanted: None)
    monkeypatch.setattr(metadata, "version", lambda name: "2.13.0+cpu")
    assert problems()["Serve models on a GPU"] == "engine_torch_cpu"
    monkeypatch.setattr(metadata, "version", lambda name: "2.13.0")
    assert problems()["LoRA fine-tuning on a GPU"] == ""
    monkeypatch.setattr(module.packages, "there", lambda name: name != "bitsandbytes")
    assert problems()["QLoRA, the base model in 4 bits"] == "engine_no_bitsandbytes"
    monkeypatch.setattr(module.packages, "there", lambda name: name != "peft")
    assert problems()["LoRA fine-tuning of small models on the CPU"] == "engine_missing"
    assert problems()["Serve models on the CPU"] == ""


def test_asking_loads_none_of_it() -> None:
    program = (
        "import sys; from backend.engines import engines; engines()['transformers'].capabilities(); "
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
