"""What a measurement leaves in its job's folder: ``bench.json`` with the figures, ``requests.jsonl`` with every single request.

``bench.json`` is written anew after each level of load, so that what was measured is there when a server dies or a person stops.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.workspace import explain_os_error, read_json, write_json

BENCH = "bench.json"
REQUESTS = "requests.jsonl"


@dataclass(frozen=True, slots=True)
class Record:
    """One request.

    number: from 0, in the order in which they were sent. begin_s, end_s: seconds since the measurement of this level began;
    where visitors come at a rate, begin_s is the moment at which it was due. first_s: seconds from begin_s to the first
    token; None where none came, or the server does not stream. counted: the server told the tokens; else prompt_tokens is
    an estimate and completion_tokens the number of pieces that came. error: kind of what went wrong; empty: it was
    answered in full. token_s: seconds between pieces of the answer, so without the first; a piece may hold several tokens.
    """

    number: int
    concurrency: int
    begin_s: float
    end_s: float
    first_s: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counted: bool = False
    error: str = ""
    token_s: Sequence[float] = ()

    @property
    def latency_s(self) -> float:
        """Seconds from beginning to end."""
        return self.end_s - self.begin_s

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; seconds to the microsecond, those between pieces to a hundredth of a millisecond."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("begin_s", "end_s", "first_s"):
            data[name] = None if data[name] is None else round(data[name], 6)
        return {**data, "token_s": [round(s, 5) for s in self.token_s]}


@dataclass(frozen=True)
class Bench:
    """One measurement of a server, as far as it came.

    model, base_url: what was asked; no key. job: of the server, where it is one of ours. dialect: what the server knows.
    load: the fields of :class:`backend.specs.bench.Load`. levels: a :meth:`jobs.benching.measured.Measured.to_dict` for
    each number of people at once. knee: :meth:`backend.bench.knee.Knee.to_dict`. memory: figures of the server in bytes. complete: all levels were
    measured to the end; else ``problem`` says why not, as :meth:`backend.errors.PanelError.to_dict`.
    """

    model: str
    base_url: str
    load: dict[str, Any]
    created: float
    job: int | None = None
    engine: str = ""
    path: str = ""
    dialect: dict[str, Any] = field(default_factory=dict)
    levels: list[dict[str, Any]] = field(default_factory=list)
    knee: dict[str, Any] | None = None
    memory: dict[str, Any] | None = None
    notices: list[str] = field(default_factory=list)
    complete: bool = False
    problem: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def error(self) -> PanelError | None:
        """Why it is not complete, if something went wrong."""
        return PanelError.from_dict(self.problem) if self.problem else None


def write_bench(folder: Path, bench: Bench) -> Path:
    """Write ``bench.json`` into ``folder``, by rename.

    Raises:
        WorkspaceError: the disk is full or the folder read-only.
    """
    write_json(folder / BENCH, bench.to_dict())
    return folder / BENCH


def read_bench(folder: Path) -> Bench | None:
    """What a measurement left in ``folder``; None where there is nothing, or nothing that can be read."""
    data = read_json(folder / BENCH)
    if not isinstance(data, dict):
        return None
    known = {f.name for f in fields(Bench)}
    try:
        return Bench(**{name: value for name, value in data.items() if name in known})
    except TypeError:
        return None


def add_requests(folder: Path, records: Iterable[Record]) -> Path:
    """Append ``records`` to ``requests.jsonl``.

    Raises:
        WorkspaceError: the disk is full or the folder read-only.
    """
    path = folder / REQUESTS
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record.to_dict(), separators=(",", ":")) + "\n" for record in records)
    except OSError as error:
        raise explain_os_error(error, folder) from error
    return path


def read_requests(folder: Path) -> Iterator[Record]:
    """The requests of a measurement, in the order in which they ended; a half-written last line is left out."""
    known = {f.name for f in fields(Record)}
    try:
        file = (folder / REQUESTS).open(encoding="utf-8")
    except OSError:
        return
    with file:
        for line in file:
            if line.endswith("\n"):
                yield Record(**{name: value for name, value in json.loads(line).items() if name in known})
