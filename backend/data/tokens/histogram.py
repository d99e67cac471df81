"""The token counts of a version: of a sample at once, of all rows from the file that the job ``count_tokens`` leaves.

versions/<version>/tokens/<model's fingerprint>.json            all rows
versions/<version>/tokens/<model's fingerprint>.partial.json    a count that goes on from there
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from backend.data.rows import Row
from backend.data.tokens.lengths import Lengths, count
from backend.data.tokens.model import TokenModel
from backend.data.versions import Version
from backend.workspace import read_json, write_json

SAMPLE = 2_000
"""Rows of a sample: the share that is cut off is then known to within about two of a hundred, whatever the dataset."""


def sample(model: TokenModel, version: Version, rows: int = SAMPLE, seed: int = 0) -> Lengths:
    """The distribution of ``rows`` rows, drawn at random without putting back; of all where there are no more.

    Raises:
        ModelError: the model has no template, or it is broken. DataError: the version is damaged.
    """
    found = Lengths(len(version))
    for _last in count(model, _drawn(version, rows, seed), found):
        pass
    found.start = len(version) if found.exact else 0
    return found


def _drawn(version: Version, rows: int, seed: int) -> Iterator[tuple[int, Row]]:
    total = len(version)
    if total <= rows:
        yield from enumerate(version, start=1)
        return
    for place in sorted(random.Random(seed).sample(range(total), rows)):  # noqa: S311 - no secret hangs on it
        yield place + 1, version[place]


def path(model: TokenModel, version: Version) -> Path:
    """Where the counts of all rows lie."""
    return version.folder / "tokens" / f"{model.fingerprint}.json"


def read(model: TokenModel, version: Version) -> Lengths | None:
    """The counts of all rows; None where nobody counted them yet."""
    return _read(path(model, version), len(version), whole=True)


def read_partial(model: TokenModel, version: Version) -> Lengths | None:
    """What an unfinished count has; None where there is none."""
    return _read(_partial(model, version), len(version), whole=False)


def write(model: TokenModel, version: Version, found: Lengths, name: str) -> Path:
    """Keep ``found``; ``name``: what the model is called. One that is whole replaces what was left of its count.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    whole = found.exact
    file = path(model, version) if whole else _partial(model, version)
    file.parent.mkdir(exist_ok=True)
    write_json(file, {"model": name, "fingerprint": model.fingerprint, **found.to_dict()})
    if whole:
        _partial(model, version).unlink(missing_ok=True)
    return file


def _partial(model: TokenModel, version: Version) -> Path:
    return version.folder / "tokens" / f"{model.fingerprint}.partial.json"


def _read(file: Path, total: int, *, whole: bool) -> Lengths | None:
    data = read_json(file)
    if not isinstance(data, dict):
        return None
    try:
        found = Lengths.from_dict(data)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # it was derived from the rows, and can be again
    fits = found.total == total and (found.exact if whole else found.counted == found.start <= total)
    return found if fits else None
