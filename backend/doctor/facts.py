"""What is known of NVIDIA's drivers, of builds, and of what a GPU can compute: small tables, each with its source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backend.i18n import N_

Version = tuple[int, ...]

OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""Major version of CUDA that a program was built with -> oldest driver that runs it. Source: NVIDIA, CUDA Compatibility,
minor version compatibility (docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html)."""

OLDEST_GPU = ((13, 0, (7, 5)), (12, 8, (7, 0)), (11, 0, (5, 0)))
"""From this CUDA on, PyTorch's wheels have code for GPUs of this compute capability and newer. Source: PyTorch's support
matrix (RELEASE.md of pytorch/pytorch, its issue 172352; CUDA 13 itself ends with Turing)."""


@dataclass(frozen=True)
class Feature:
    """Something that only GPUs from a compute capability on can do. instead: what is done without it."""

    name: str
    since: Version
    instead: str
    matters: bool = True


FEATURES = (
    # CUDA C++ Programming Guide, compute capability 8.x; torch.cuda.is_bf16_supported.
    Feature("bfloat16", (8, 0), N_("Models are served and trained in float16 there.")),
    # docs/en/quantization/w4a16.md of InternLM/lmdeploy: V100 (7.0) and newer.
    Feature("W4A16 (AWQ, GPTQ)", (7, 0), N_("Models of four bits cannot be served with LMDeploy there.")),
    # README of Dao-AILab/flash-attention: Ampere, Ada or Hopper.
    Feature("FlashAttention 2", (8, 0), N_("Attention is computed by slower kernels there, which take more memory.")),
    # Support matrix of NVIDIA/Model-Optimizer: Ada and newer.
    Feature("FP8", (8, 9), N_("Models in FP8 need a newer GPU; use W4A16 or int8 there."), matters=False),
)


def oldest_driver(cuda: Version) -> int | None:
    """The driver's major version that a build with ``cuda`` needs at least; None: not known."""
    return OLDEST_DRIVER.get(cuda[0]) if cuda else None


def oldest_gpu(cuda: Version) -> Version | None:
    """The compute capability that a build with ``cuda`` needs at least; None: not known."""
    return next((gpu for major, minor, gpu in OLDEST_GPU if cuda[:2] >= (major, minor)), None)


def version(text: str) -> Version:
    """``(13, 0)`` of ``"13.0"``; empty where it begins with no number."""
    match = re.match(r"\d+(?:\.\d+)*", text.strip())
    return tuple(map(int, match[0].split("."))) if match else ()


def dotted(numbers: Version) -> str:
    """``"13.0"`` of ``(13, 0)``."""
    return ".".join(map(str, numbers))


def torch_build(prefix: Path) -> tuple[str, Version | None]:
    """(version, CUDA it was built with) of the torch in the environment ``prefix``, without loading it. ("", None): there is
    none. CUDA is None for a build for the CPU."""
    for file in sorted(prefix.glob("lib*/python3*/site-packages/torch/version.py")):
        text = file.read_text(errors="replace")
        found = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
        cuda = re.search(r"^cuda\b[^=]*= '([\d.]+)'", text, re.MULTILINE)
        return (found[1] if found else "?"), version(cuda[1]) if cuda else None
    return "", None


def locked_cuda(lines: Iterable[str]) -> Version | None:
    """The CUDA that the exact packages in ``lines`` (of a lock) bring along; None where they bring none."""
    for line in lines:
        if match := re.match(r"nvidia[-_]cuda[-_]runtime(?:[-_]cu\d+)?==([\d.]+)", line.strip().lower()):
            return version(match[1])[:2]
    return None
