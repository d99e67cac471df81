"""All rows of a file of lines, once: findings of rows, and 70 bytes a row for what is judged together. On two processes.

    python -m backend.data.doctor.scan FOLDER

is the second process: it scans the range of lines that ``request.json`` there names, and writes ``part.npz`` and ``part.json``. The
first process does the other half meanwhile. Memory: a batch of lines, and the 70 bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
import xxhash

from backend.data.doctor import sketch
from backend.data.doctor.findings import Finding, Limits
from backend.data.doctor.look import Looked, look, whole
from backend.data.rows import Row, row_hash
from backend.errors import DataError
from backend.i18n import N_
from backend.workspace import ROOT

BATCH = 256
TWO_FROM_BYTES = 16_000_000
"""Below this a second process takes longer to start than it saves."""
Array = sketch.Array
Tick = Callable[[int], None]


@dataclass
class Lines:
    """Rows on the disk, one a line. edges: where each begins, and where the last one ends. numbers: what people call each row;
    None: its place counted from 1. images: the folder of their pictures; None: pictures are not looked at."""

    path: Path
    edges: Array
    images: Path | None = None
    numbers: Array | None = None

    def __len__(self) -> int:
        return max(0, len(self.edges) - 1)

    def number(self, place: int) -> int:
        """The number that people know the row at ``place`` by."""
        return int(place + 1 if self.numbers is None else self.numbers[place])

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The lines from place ``start`` up to ``stop``."""
        with self.path.open("rb", buffering=1 << 20) as file:
            file.seek(int(self.edges[start]))
            yield from islice(file, stop - start)


@dataclass
class Seen:
    """What a scan knows of the rows ``start`` and on. All arrays have one entry a row; see :class:`look.Looked`."""

    row: Array
    question: Array
    answer: Array
    language: Array
    split: Array
    chars: Array
    minima: Array
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @classmethod
    def room(cls, rows: int) -> Seen:
        """Arrays for so many rows."""
        hashes = [np.zeros(rows, np.uint64) for _ in range(3)]
        small = [np.zeros(rows, np.uint8) for _ in range(2)]
        minima = np.zeros((rows, sketch.WIDTH), np.uint16)
        return cls(hashes[0], hashes[1], hashes[2], small[0], small[1], np.zeros(rows, np.uint32), minima)

    def arrays(self) -> dict[str, Array]:
        """By name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}


def scan(lines: Lines, limits: Limits, tick: Tick | None = None) -> Seen:
    """Look at every row. tick: called with the number of rows done, now and then; may raise to stop.

    Raises:
        DataError: ``rows_damaged``: a line is no JSON.
    """
    seen = Seen.room(len(lines))
    if not len(lines):
        return seen
    if int(lines.edges[-1]) < TWO_FROM_BYTES or (os.cpu_count() or 1) < 2:
        _scan_range(lines, 0, len(lines), limits, seen, tick)
        return seen
    middle = int(np.searchsorted(lines.edges, int(lines.edges[-1]) // 2))
    with tempfile.TemporaryDirectory(prefix="tunedeck-doctor-") as name:
        with _Second(Path(name), lines, middle, limits) as second:
            _scan_range(lines, 0, middle, limits, seen, tick and (lambda done: tick(2 * done)))
            other = second.result()
        if other is None:  # it was killed, say for memory: what it would have done is done here
            _scan_range(lines, middle, len(lines), limits, seen, tick and (lambda done: tick(middle + done)))
            return seen
        for key, value in seen.arrays().items():
            with np.load(Path(name) / "part.npz") as part:
                value[middle:] = part[key]
    seen.counts.update(other["counts"])
    listed = Counter(finding.code for finding in seen.findings)
    for number, code, values in other["findings"]:
        if listed[code] < limits.listed:
            listed[code] += 1
            seen.findings.append(Finding(number, code, values))
    return seen


def _scan_range(
    lines: Lines, start: int, stop: int, limits: Limits, seen: Seen, tick: Tick | None, at: int = 0
) -> None:
    """Fill ``seen`` for the rows from ``start`` up to ``stop``; its first entry is of row ``at``."""
    whole.cache_clear()  # a picture may have come or gone since
    stream = lines.read(start, stop)
    counts, findings, listed = seen.counts, seen.findings, limits.listed
    place = start
    while batch := list(islice(stream, BATCH)):
        looked: list[Looked] = []
        salted = []
        for data in batch:
            data = data.rstrip(b"\n")
            try:
                row = orjson.loads(data)
            except orjson.JSONDecodeError as error:
                raise _damaged(lines, place) from error
            one = look(row, data, limits, lines.images)
            here = place - at
            seen.row[here] = _said(row, data)
            if one.told:
                for code, values in one.told:
                    counts[code] += 1
                    if counts[code] <= listed:
                        findings.append(Finding(lines.number(place), code, values))
            if one.pictures:
                salted.append((len(looked), one.pictures))
            looked.append(one)
            place += 1
        _, asked, answered, question, _, language, chars, split = zip(*looked, strict=True)
        part = slice(place - at - len(batch), place - at)
        seen.question[part], seen.language[part], seen.split[part] = question, language, split
        seen.chars[part] = chars
        seen.answer[part] = [xxhash.xxh3_64_intdigest(text) for text in answered]
        minima = sketch.sketches(asked, answered)
        for number, salt in salted:
            minima[number] ^= np.resize(np.array([salt], np.uint64).view(np.uint16), sketch.WIDTH)
        seen.minima[part] = minima
        if tick is not None:
            tick(place - start)


def _said(row: Any, data: bytes) -> int:
    """As :func:`backend.data.rows.row_hash`, at the price of a hash where the line says nothing else."""
    return row_hash(cast(Row, row)) if type(row) is dict and "meta" in row else xxhash.xxh3_64_intdigest(data)


def _damaged(lines: Lines, place: int) -> DataError:
    return DataError(
        "rows_damaged",
        N_("Row {row} of {path} is not what was written there: the file is damaged."),
        N_("Go back to another version on the tab Versions, or import the rows again."),
        row=lines.number(place),
        path=str(lines.path),
    )


class _Second:
    """The other process; ended with the block, whatever happened."""

    def __init__(self, folder: Path, lines: Lines, start: int, limits: Limits) -> None:
        self.folder = folder
        np.save(folder / "edges.npy", np.asarray(lines.edges))
        if lines.numbers is not None:
            np.save(folder / "numbers.npy", np.asarray(lines.numbers))
        request = {
            "path": str(lines.path),
            "images": lines.images and str(lines.images),
            "start": start,
            "stop": len(lines),
            "limits": asdict(limits),
        }
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")

    def __enter__(self) -> _Second:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "backend.data.doctor.scan", str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # what it stumbles over, the first one stumbles over again, and says so
        )
        return self

    def result(self) -> dict[str, Any] | None:
        """What it found beside its arrays; None where it did not come to an end."""
        if self.process.wait() != 0:
            return None
        found: dict[str, Any] = orjson.loads((self.folder / "part.json").read_bytes())
        return found

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def main(name: str) -> int:
    """The other process."""
    folder = Path(name)
    request = orjson.loads((folder / "request.json").read_bytes())
    numbers = folder / "numbers.npy"
    lines = Lines(
        Path(request["path"]),
        np.load(folder / "edges.npy", mmap_mode="r"),
        Path(request["images"]) if request["images"] else None,
        np.load(numbers, mmap_mode="r") if numbers.exists() else None,
    )
    start, stop = request["start"], request["stop"]
    seen = Seen.room(stop - start)
    parent = os.getppid()

    def still_wanted(done: int) -> None:
        if os.getppid() != parent:
            raise SystemExit(1)

    _scan_range(lines, start, stop, Limits(**request["limits"]), seen, still_wanted, start)
    np.savez(folder / "part.npz", **seen.arrays())  # type: ignore[arg-type]
    findings = [[finding.row, finding.code, finding.values] for finding in seen.findings]
    (folder / "part.json").write_bytes(orjson.dumps({"counts": dict(seen.counts), "findings": findings}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
