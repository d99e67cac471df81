"""Weights on disk, judged by the headers of their safetensors files; no tensor is read.

Format (huggingface/safetensors, README): 8 bytes little-endian header length N, N bytes JSON ``{name: {"dtype",
"shape", "data_offsets": [begin, end]}}``, then the data. So a file must be exactly ``8 + N + max(end)`` bytes long.

Covered: missing shards, files cut off or grown, git-lfs pointers, pickled-only folders, tensors the index promises but
no shard holds. Not covered: wrong values inside tensors of the right size.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import ModelError
from backend.i18n import N_

INDEX = "model.safetensors.index.json"
# The reference implementation refuses longer headers, too.
MAX_HEADER = 100_000_000
LFS_MARK = b"version https://git-lfs"

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

# Helpers of quantized formats; they describe weights and are none: AWQ and GPTQ, compressed-tensors, bitsandbytes.
SIDE_TENSORS = ("qzeros", "scales", "g_idx", "weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx")
SIDE_PARTS = (".absmax", ".quant_map", ".nested_", ".quant_state.", ".SCB")


@dataclass(frozen=True)
class Weights:
    """What the files hold. size_bytes: of all weight files. dtype: that of most bytes. parameters: counted unpacked."""

    files: tuple[str, ...]
    size_bytes: int
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
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ModelError(
            "model_damaged",
            N_("The weights file {file} is damaged: its header cannot be read."),
            N_("Copy or download this file again."),
            file=str(path),
        ) from error
    if 8 + length + end != size:
        raise _truncated(path, size, 8 + length + end)
    return tensors


def read_weights(folder: Path, quantization: dict[str, Any]) -> Weights:
    """The weights of a model folder. ``quantization``: the ``quantization_config`` of its ``config.json``, or {}.

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
        count = math.prod(entry.get("shape", []))
        if not name.endswith(SIDE_TENSORS) and not any(part in name for part in SIDE_PARTS):
            parameters += int(count * _packing(name, str(entry.get("dtype")), quantization))
        begin, end = entry["data_offsets"]
        by_dtype[str(entry.get("dtype"))] += end - begin
    kind = by_dtype.most_common(1)[0][0] if by_dtype else ""
    return Weights(
        tuple(f.name for f in files),
        sum(f.stat().st_size for f in files),
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
            raise ModelError(
                "model_missing_files",
                N_("{folder} is not complete: {count} of {total} weight files are missing, such as {example}."),
                N_("Copy or download the whole folder again."),
                folder=str(folder),
                count=len(missing),
                total=len(names),
                example=missing[0],
            )
        return [folder / n for n in names], set(weight_map)
    files = sorted(folder.glob("*.safetensors"))
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"], set()
    numbered = [f for f in files if "-of-" in f.name]
    if numbered:
        total = int("".join(c for c in numbered[0].stem.rsplit("-of-", 1)[1] if c.isdigit()) or 0)
        if len(numbered) != total:
            raise ModelError(
                "model_missing_files",
                N_("{folder} is not complete: {count} of {total} weight files are missing, such as {example}."),
                N_("Copy or download the whole folder again."),
                folder=str(folder),
                count=total - len(numbered),
                total=total,
                example=INDEX,
            )
        return numbered, set()
    if files:
        return files, set()
    pickled = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"), *folder.glob("*.ckpt")])
    if pickled:
        raise ModelError(
            "model_pickled",
            N_("{folder} holds only pickled weights ({example}); loading such a file can run any program it contains."),
            N_("Get the model in safetensors format."),
            folder=str(folder),
            example=pickled[0].name,
        )
    raise ModelError(
        "model_no_weights",
        N_("{folder} holds no weights: there is no *.safetensors file in it."),
        N_("Choose the folder that holds config.json and the *.safetensors files."),
        folder=str(folder),
    )


def _packing(name: str, dtype: str, quantization: dict[str, Any]) -> float:
    """How many weights one stored number of the tensor ``name`` holds."""
    bits = quantization_bits(quantization)
    if bits and dtype == "I32" and name.endswith(("qweight", "weight_packed")):
        return 32 / bits
    if bits and bits < 8 and dtype in ("U8", "I8") and name.endswith(("weight", "weight_packed")):
        return 8 / bits
    return 1


def quantization_bits(quantization: dict[str, Any]) -> int:
    """Bits per weight that a ``quantization_config`` names; 0 where it names none."""
    if quantization.get("load_in_4bit"):
        return 4
    if quantization.get("load_in_8bit"):
        return 8
    groups = quantization.get("config_groups")
    if isinstance(groups, dict):
        for group in groups.values():
            weights = group.get("weights") if isinstance(group, dict) else None
            if isinstance(weights, dict):
                return int(weights.get("num_bits") or 0)
    bits = quantization.get("bits") or quantization.get("w_bit")
    return bits if isinstance(bits, int) else 0


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        ModelError: ``model_pointer``, ``model_config_bad`` or ``model_unreadable``.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    if raw.startswith(LFS_MARK):
        raise pointer_file(path)
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise config_bad(path, str(error)) from error
    if not isinstance(data, dict):
        raise config_bad(path, "not an object")
    return data


def config_bad(path: Path, problem: str) -> ModelError:
    return ModelError(
        "model_config_bad",
        N_("The file {file} of the model cannot be used: {problem}."),
        N_("Copy or download this file again."),
        file=str(path),
        problem=problem,
    )


def pointer_file(path: Path) -> ModelError:
    return ModelError(
        "model_pointer",
        N_("{file} is only a git-lfs pointer: the real file was never downloaded."),
        N_("Run 'git lfs pull' in that folder, or download the model again."),
        file=str(path),
    )


def unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(
        "model_unreadable",
        N_("{file} cannot be read: {problem}."),
        N_("Check that the file exists and that you may read it."),
        file=str(path),
        problem=error.strerror or str(error),
    )


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
