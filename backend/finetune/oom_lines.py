"""What torch, the C library and tracebacks say when memory runs out: whether it did, in which phase, and how much was asked for.

The same names tell an exception of this process and the traceback in the log of another one (XTuner) apart. Standard library
only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PHASES = ("load", "forward", "backward", "optimizer", "evaluate", "save")
"""What a traceback can tell. An explicit phase of the job (merge, prove) is kept as it is."""

_SAID = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "cudaErrorMemoryAllocation",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "OutOfMemoryError",
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "std::bad_alloc",
    "Cannot allocate memory",
    "MemoryError",
)
_ASKED = re.compile(r"[Tt]ried to allocate (?P<size>[\d.]+) ?(?P<unit>bytes|[KMGT]iB)?")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)')
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

Frame = tuple[str, str]
"""File and function, the outermost first."""

# The outermost frame that is one of these decides: a checkpointed layer is computed again within the backward pass, and an
# evaluation runs the model forward, too.
_FUNCTIONS = {
    **dict.fromkeys(("evaluate", "evaluation_loop", "prediction_step", "prediction_loop", "generate"), "evaluate"),
    **dict.fromkeys(("_save_checkpoint", "save_checkpoint", "save_model", "save_pretrained", "save_file"), "save"),
    **dict.fromkeys(("from_pretrained", "load_file", "load_checkpoint", "_load_from_checkpoint"), "load"),
    **dict.fromkeys(("get_peft_model", "prepare_model_for_kbit_training", "load_state_dict"), "load"),
    **dict.fromkeys(("backward", "_engine_run_backward", "run_backward"), "backward"),
    **dict.fromkeys(("clip_grad_norm_", "clip_grad_norm", "clip_grads", "optimizer_step", "zero_grad"), "optimizer"),
}
_FILES = (
    (re.compile(r"/torch/optim/(?!lr_scheduler)|/bitsandbytes/optim/|/accelerate/optimizer\.py$"), "optimizer"),
    (re.compile(r"/torch/serialization\.py$"), "save"),
)
_FORWARD = re.compile(r"/torch/nn/(modules|functional)|/transformers/models/|/peft/tuners/")


def ran_out(text: str) -> bool:
    """Whether ``text``, an error's type and message, says that memory ran out."""
    return any(said in text for said in _SAID)


def asked(text: str) -> int | None:
    """Bytes that could not be had; None where it does not say."""
    found = _ASKED.search(text)
    if found is None:
        return None
    return int(float(found["size"]) * _UNITS[found["unit"] or "bytes"])


def phase_of(frames: Iterable[Frame]) -> str:
    """The phase in which these frames are, the outermost first; empty where they do not tell."""
    forward = False
    for file, function in frames:
        if function in _FUNCTIONS:
            return _FUNCTIONS[function]
        for pattern, phase in _FILES:
            if pattern.search(file):
                return "load" if phase == "save" and function == "load" else phase
        forward = forward or function in ("forward", "compute_loss") or bool(_FORWARD.search(file))
    return "forward" if forward else ""


def from_log(lines: Sequence[str]) -> tuple[str, str] | None:
    """(phase, line) of the last time that a program whose log this is ran out of memory; None where it did not. The phase is
    empty where no traceback stands before the line."""
    for place in range(len(lines) - 1, -1, -1):
        if not ran_out(lines[place]):
            continue
        return phase_of(_frames_before(lines, place)), lines[place].strip()
    return None


def _frames_before(lines: Sequence[str], place: int) -> list[Frame]:
    """The frames of the traceback that ends at ``place``."""
    frames: list[Frame] = []
    for line in reversed(lines[max(0, place - 400) : place]):
        if "Traceback (most recent call last)" in line:
            break
        if found := _FRAME.search(line):
            frames.append((found["file"], found["function"]))
    return frames[::-1]
