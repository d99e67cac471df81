"""One safetensors file written anew with some of its tensors changed: as much memory as the largest tensor takes.

The header is taken over byte for byte, since names, shapes and number formats stay as they are, and so is every tensor that is
not changed. Format: see :mod:`backend.catalog.weights`.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import safe_open

from backend.catalog.weights import read_header

Change = Callable[[torch.Tensor], torch.Tensor]
PIECE = 16 << 20


def rewrite(source: Path, target: Path, changes: Mapping[str, Change], step: Callable[[int], None]) -> None:
    """Write ``source`` to ``target`` with each tensor in ``changes`` replaced by what its function makes of it. ``step`` is
    called with the bytes of every piece that was written. ``target`` appears whole or not at all.

    Raises:
        ModelError: ``source`` is damaged. OSError: the disk is full. What ``changes`` and ``step`` raise.
    """
    header = read_header(source)
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        with source.open("rb") as old, temporary.open("wb") as new, safe_open(source, framework="pt") as tensors:
            begin = 8 + struct.unpack("<Q", old.read(8))[0]
            _copy(old, new, 0, begin, lambda _bytes: None)
            for name, entry in sorted(header.items(), key=lambda one: one[1]["data_offsets"]):
                start, end = entry["data_offsets"]
                if name in changes:
                    _write(new, changes[name](tensors.get_tensor(name)), end - start)
                    step(end - start)
                else:
                    _copy(old, new, begin + start, end - start, step)
            new.flush()
            os.fsync(new.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_new(target: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """A new file that holds ``tensors``, whole or not at all."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, value in tensors.items():
        size = value.numel() * value.element_size()
        header[name] = {"dtype": _NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        with temporary.open("wb") as new:
            new.write(struct.pack("<Q", len(raw)) + raw)
            for value in tensors.values():
                _write(new, value, value.numel() * value.element_size())
            new.flush()
            os.fsync(new.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def _copy(old: BinaryIO, new: BinaryIO, begin: int, size: int, step: Callable[[int], None]) -> None:
    old.seek(begin)
    while size:
        piece = old.read(min(PIECE, size))
        if not piece:
            raise OSError(f"{old.name} ended early")
        new.write(piece)
        size -= len(piece)
        step(len(piece))


def _write(new: BinaryIO, value: torch.Tensor, size: int) -> None:
    raw = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    if raw.nbytes != size:
        raise ValueError(f"{raw.nbytes} bytes where {size} belong")
    new.write(raw.data)
