"""TensorBoard event files, written without TensorBoard: curves only, in the format that has stood since 2015.

A file is a row of records, each ``length (8 bytes), masked CRC-32C of it, data, masked CRC-32C of the data`` (TensorFlow,
``lib/io/record_writer.cc``); the data is the protocol buffer ``Event`` (``core/util/event.proto``) with wall_time (1), step (2),
file_version (3) or summary (5), and in that ``value`` (1) with tag (1) and simple_value (2).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

POLYNOMIAL = 0x82F63B78
"""Of CRC-32C (Castagnoli), reflected."""


def _table() -> list[int]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return found


TABLE = _table()
TAGS = {
    "loss": "train/loss",
    "eval_loss": "eval/loss",
    "lr": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "tokens_s": "speed/tokens_per_second",
    "s_per_step": "speed/seconds_per_step",
    "memory_mib": "memory/mib",
    "epoch": "train/epoch",
}
"""Names of our figures on the board, as transformers' own callback groups them."""


class Board:
    """One event file of a run. Never ends a training: what cannot be written is left out."""

    def __init__(self, folder: Path) -> None:
        """Begin a new file in ``folder``; an interrupted run has several, which TensorBoard shows as one."""
        self._fd = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.0"
            self._fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._write(_double(1, time.time()) + _bytes(3, b"brain.Event:2"))
        except OSError:
            self.close()

    def scalars(self, step: int, figures: Mapping[str, float]) -> None:
        """Points of the curves :data:`TAGS` after ``step`` steps; figures with other names keep them."""
        values = b"".join(
            _bytes(1, _bytes(1, TAGS.get(name, name).encode()) + _float(2, value)) for name, value in figures.items()
        )
        self._write(_double(1, time.time()) + _whole(2, step) + _bytes(5, values))

    def close(self) -> None:
        """End the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            return
        length = struct.pack("<Q", len(data))
        record = length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))
        try:
            os.write(self._fd, record)
        except OSError:
            self.close()


def masked(data: bytes) -> int:
    """CRC-32C of ``data``, masked as the format wants it."""
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _whole(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
