"""Weights on disk, judged by the headers of their safetensors files; no tensor is read.

Format (huggingface/safetensors, README): 8 bytes little-endian header length N, N bytes JSON ``{name: {"dtype",
"shape", "data_offsets": [begin, end]}}``, then the data. So a file must be exactly ``8 + N + max(end)`` bytes long.

Covered: missing shards, files cut off or grown, git-lfs pointers, pickled-only folders, tensors the index promises but
no shard holds. Not covered: wrong values inside tensors of the right size.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from backend.catalog.files import (
    LFS_MARK,
    PICKLED,
    config_bad,
    pointer_file,
    read_object,
    unreadable,
)
from backend.catalog.quantization import Quantization
from backend.errors import ModelError
from backend.i18n import N_

INDEX = "model.safetensors.index.json"
# The reference implementation refuses longer headers, too.
MAX_HEADER = 100_000_000
# What trainers pickle beside the weights; it holds no weights.
NOT_WEIGHTS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{1,6})-of-(?P<total>\d{1,6})\.safetensors")
NAMED = 3
"""So many missing files are named in a message."""

DTYPE_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8",
    "F8_E5M2": "float8",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}

DTYPE_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}

# Helpers of quantized formats; they describe weights and are none: AWQ and GPTQ, compressed-tensors, bitsandbytes.
SIDE_TENSORS = ("qzeros", "scales", "g_idx", "weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx")
SIDE_PARTS = (".absmax", ".quant_map", ".nested_", ".quant_state.", ".SCB")


@dataclass(frozen=True)
class Weights:
    """What the files hold. size_bytes: of all weight files. tensor_bytes: of the tensors alone, which is what they take
    in memory as they are stored. dtype: that of most bytes. parameters: counted unpacked."""

    files: tuple[str, ...]
    size_bytes: int
    tensor_bytes: int
    parameters: int
    dtype: str


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Tensor name -> ``{"dtype", "shape", "data_offsets"}`` of one safetensors file.

    Raises:
        ModelError: ``model_pointer``, ``model_truncated`` or ``model_damaged``, naming the file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            if start + file.read(len(LFS_MARK) - len(start)) == LFS_MARK:
                raise pointer_file(path)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            file.seek(8)
            raw = file.read(length) if length <= min(MAX_HEADER, size) else b""
    except OSError as error:
        raise unreadable(path, error) from error
    if size < 8 or (length <= MAX_HEADER and 8 + length > size):
        raise _truncated(path, size, 8 + length)
    try:
        header = json.loads(raw)
        tensors = {name: _checked(entry) for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            "model_damaged",
            N_("The weights file {file} is damaged: its header cannot be read."),
            N_("Copy or download this file again."),
            file=str(path),
        ) from error
    if 8 + length + end != size:
        raise _truncated(path, size, 8 + length + end)
    return tensors


def read_headers(folder: Path) -> dict[str, dict[str, Any]]:
    """:func:`read_header` of all weight files of a model folder.

    Raises:
        ModelError: as for :func:`read_weights`.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in _shards(folder)[0]:
        found.update(read_header(file))
    return found


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    """A header's line about one tensor, if it is one; else ValueError, TypeError or KeyError."""
    begin, end = entry["data_offsets"]
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or not all(type(n) is int and 0 <= n < 2**63 for n in (begin, end, *shape)):
        raise ValueError("no tensor")
    if begin > end or (dtype in DTYPE_BYTES and math.prod(shape) * DTYPE_BYTES[dtype] != end - begin):
        raise ValueError("shape and offsets disagree")
    return entry


def read_weights(folder: Path, quantization: Quantization) -> Weights:
    """The weights of a model folder that is quantized like this.

    Raises:
        ModelError: ``model_no_weights``, ``model_pickled``, ``model_missing_files``, ``model_pointer``,
            ``model_truncated`` or ``model_damaged``.
    """
    files, promised = _shards(folder)
    tensors: dict[str, dict[str, Any]] = {}
    for file in files:
        tensors.update(read_header(file))
    absent = sorted(promised - tensors.keys())
    if absent:
        raise ModelError(
            "model_damaged_index",
            N_("{folder} lacks {count} tensors that its index promises, such as {example}."),
            N_("Copy or download the whole folder again: files of two models or versions may be mixed."),
            folder=str(folder),
            count=len(absent),
            example=absent[0],
        )
    by_dtype: Counter[str] = Counter()
    parameters = 0
    for name, entry in tensors.items():
        dtype: str = entry["dtype"]
        if not name.endswith(SIDE_TENSORS) and not any(part in name for part in SIDE_PARTS):
            parameters += math.prod(entry["shape"]) * _packed(name, dtype, quantization.bits)
        begin, end = entry["data_offsets"]
        by_dtype[dtype] += end - begin
    kind = by_dtype.most_common(1)[0][0] if by_dtype else ""
    return Weights(
        tuple(f.name for f in files),
        sum(f.stat().st_size for f in files),
        by_dtype.total(),
        parameters,
        DTYPE_NAMES.get(kind, kind.lower()),
    )


def _shards(folder: Path) -> tuple[list[Path], set[str]]:
    """The weight files of ``folder`` and the tensors that its index promises (empty without an index)."""
    index = folder / INDEX
    if index.is_file():
        data = read_object(index)
        weight_map = data.get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise config_bad(index, "weight_map")
        names = sorted({str(v) for v in weight_map.values()})
        # A name such as ../../x must not lead out of the folder.
        missing = [n for n in names if Path(n).name != n or not (folder / n).is_file()]
        if missing:
            raise _missing(folder, missing[:NAMED], len(missing), len(names))
        return [folder / n for n in names], set(weight_map)
    files = sorted(folder.glob("*.safetensors"))
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"], set()
    numbered = {f.name: part for f in files if (part := NUMBERED.fullmatch(f.name))}
    if numbered:
        first = next(iter(numbered.values()))
        total, width = int(first["total"]), len(first["number"])
        expected = (f"{first['stem']}-{n:0{width}d}-of-{first['total']}.safetensors" for n in range(1, total + 1))
        missing = list(islice((name for name in expected if name not in numbered), NAMED))
        if missing:
            raise _missing(folder, missing, max(total - len(numbered), len(missing)), total)
        return [f for f in files if f.name in numbered], set()
    if files:
        return files, set()
    pickled = pickled_files(folder)
    if pickled:
        raise ModelError(
            "model_pickled",
            N_("{folder} holds only pickled weights ({example}); loading such a file can run any program it contains."),
            N_(
                "Get the model in safetensors format, or convert it: TuneDeck reads such a file without running anything in it."
            ),
            folder=str(folder),
            example=pickled[0],
        )
    if any(folder.glob("*.gguf")):
        raise gguf(next(iter(sorted(folder.glob("*.gguf")))))
    raise ModelError(
        "model_no_weights",
        N_("{folder} holds no weights: there is no *.safetensors file in it."),
        N_("Choose the folder that holds config.json and the *.safetensors files."),
        folder=str(folder),
    )


def pickled_files(folder: Path) -> list[str]:
    """Names of the files in ``folder`` that hold weights in Python's pickle format, sorted."""
    return sorted(
        f.name for f in folder.iterdir() if f.name.endswith(PICKLED) and not f.name.startswith((*NOT_WEIGHTS, "."))
    )


def gguf(path: Path) -> ModelError:
    """``path`` is a model for another family of programs."""
    return ModelError(
        "model_gguf",
        N_("{file} is a GGUF file, the format of llama.cpp; the engines here cannot load it."),
        N_("Get the same model as a folder with config.json and *.safetensors files."),
        file=str(path),
    )


def _missing(folder: Path, examples: list[str], count: int, total: int) -> ModelError:
    return ModelError(
        "model_missing_files",
        N_("{folder} is not complete: {count} of {total} weight files are missing, such as {example}."),
        N_("Copy or download the whole folder again."),
        folder=str(folder),
        count=count,
        total=total,
        example=", ".join(examples),
    )


def _packed(name: str, dtype: str, bits: int) -> int:
    """How many weights of ``bits`` each one stored number of the tensor ``name`` holds."""
    if bits and dtype == "I32" and name.endswith(("qweight", "weight_packed")):
        return max(32 // bits, 1)
    if bits and bits < 8 and dtype in ("U8", "I8") and name.endswith(("weight", "weight_packed")):
        return 8 // bits
    return 1


def _truncated(path: Path, size: int, expected: int) -> ModelError:
    if size > expected:
        return ModelError(
            "model_damaged",
            N_("The weights file {file} is damaged: it has {size} bytes, its header says {expected}."),
            N_("Copy or download this file again."),
            file=str(path),
            size=size,
            expected=expected,
        )
    return ModelError(
        "model_truncated",
        N_("The weights file {file} is cut off: it has {size} of {expected} bytes."),
        N_("The copy or download was not finished. Get this file again."),
        file=str(path),
        size=size,
        expected=expected,
    )
