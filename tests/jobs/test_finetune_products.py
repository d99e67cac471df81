"""Short products of matrices: only where the processor has units for them, only in a step, and set back whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jobs.finetuning import devices
from jobs.finetuning.devices import Place

CPU = Place("cpu", "cpu", torch.float32, torch.float32, False)
LARGE, TOY = torch.nn.Linear(1024, 1024), torch.nn.Linear(8, 8)


@pytest.mark.parametrize(
    ("flags", "has"), [("fpu avx512f amx_bf16 amx_tile", True), ("fpu avx512f avx512_bf16", False), ("", False)]
)
def test_a_processor_says_whether_it_has_the_units(tmp_path: Path, flags: str, has: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: amx_bf16 in a name only\nflags\t\t: {flags}\n", encoding="utf-8")
    assert devices.has_short_products(CPU, LARGE, str(file)) is has


def test_no_file_a_toy_a_gpu_and_other_numbers_have_none(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    assert not devices.has_short_products(CPU, LARGE, str(file)), "not Linux"
    file.write_text("flags : amx_bf16\n", encoding="utf-8")
    assert devices.has_short_products(CPU, LARGE, str(file))
    assert not devices.has_short_products(CPU, TOY, str(file)), "not worth it"
    assert not devices.has_short_products(Place("cuda", "gpu", torch.float32, torch.float32, False), LARGE, str(file))
    assert not devices.has_short_products(Place("cpu", "cpu", torch.bfloat16, torch.float32, False), LARGE, str(file))


def test_they_end_with_the_step_even_where_it_fails() -> None:
    before = torch.get_float32_matmul_precision()
    with devices.products(False):
        assert torch.get_float32_matmul_precision() == before
    with pytest.raises(ValueError, match="a step"):
        _failing()
    assert torch.get_float32_matmul_precision() == before


def _failing() -> None:
    with devices.products(True):
        assert torch.get_float32_matmul_precision() == "medium"
        raise ValueError("a step")
