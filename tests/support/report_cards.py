"""Report cards by hand: for what only looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.catalog import ModelCard
from backend.quantize import report_cells
from backend.quantize.report_records import Answer, Cell, Heard, Raw, Report, Said, Subject


def card() -> ModelCard:
    """Of a model whose weights take 2000 bytes."""
    return ModelCard("copy", Path("/models/copy"), dtype="float16", tensor_bytes=2000, parameters=1000)


def raw_of(
    losses: list[float],
    tokens: list[int] | None = None,
    divergences: list[float] | None = None,
    same: list[int] | None = None,
    heard: list[Heard | None] | list[Heard] | None = None,
) -> Raw:
    """What was measured of a model that read rows with these losses."""
    return Raw(
        "mark",
        tokens or [10] * len(losses),
        losses,
        divergences,
        same,
        list(heard) if heard is not None else None,
        way="as_stored",
    )


def copy(
    name: str = "copy",
    *,
    size: float = 300,
    change: tuple[float, float | None, float | None] = (0.01, 0.0, 0.02),
    divergence: float = 0.01,
    agreement: float = 0.98,
    score: tuple[float, float, float] | None = None,
    speed: float | None = None,
    cells: Sequence[Cell] | None = None,
) -> Subject:
    """A copy with these figures; sizes in bytes, of 1000 that the base has."""
    moved, low, high = score or (0.0, -0.04, 0.04)
    found = [
        Cell("size_bytes", size, "B", n=1),
        Cell("memory_steady_bytes", size, "B", n=1),
        Cell(
            "perplexity", 3.03, low=2.9, high=3.2, n=64, change=change[0], change_low=change[1], change_high=change[2]
        ),
        Cell("divergence", divergence, "nat", divergence * 0.9, divergence * 1.1, 64),
        Cell("agreement", agreement, low=agreement - 0.02, high=min(1.0, agreement + 0.02), n=64),
        Cell("first_tokens", 0.97, low=0.9, high=0.99, n=100),
        Cell("score", 0.93 + moved, low=0.86, high=0.97, n=100, change=moved, change_low=low, change_high=high),
    ]
    if speed is not None:
        found.append(Cell("tokens_s", speed, "1/s", speed * 0.98, speed * 1.02, 10))
    return Subject(name, f"/models/{name}", "gptq 4 bit", 4, tuple(cells if cells is not None else found))


def base(speed: float | None = None) -> Subject:
    """The base: 1000 bytes, ``speed`` tokens/s."""
    cells = [
        Cell("size_bytes", 1000.0, "B", n=1),
        Cell("memory_steady_bytes", 1000.0, "B", n=1),
        Cell("perplexity", 3.0, low=2.8, high=3.2, n=64),
        Cell("score", 0.93, low=0.86, high=0.97, n=100),
    ]
    if speed is not None:
        cells.append(Cell("tokens_s", speed, "1/s", speed * 0.98, speed * 1.02, 10))
    return Subject("base", "/models/base", "float16", 0, tuple(cells))


def made(*copies: Subject, answers: Sequence[Answer] = (), base_speed: float | None = None) -> Report:
    """The whole report of :func:`base` and ``copies``."""
    first = base(base_speed)
    compared = [
        Subject(
            one.name,
            one.folder,
            one.about,
            one.bits,
            tuple(report_cells.against(cell, first.cell(cell.name)) for cell in one.cells),
            one.served,
        )
        for one in copies
    ]
    return Report(
        models=(first, *compared),
        answers=tuple(answers),
        rows=64,
        tokens=731,
        questions=100,
        people=4,
        device="cpu",
        seconds=84.0,
        made=1_790_000_000.0,
        complete=True,
    )


def answers(count: int, different: int) -> list[Answer]:
    """``count`` answers of a base and one copy, of which the first ``different`` differ and are wrong then."""
    return [
        Answer(
            f"Question {n}?",
            f"Answer {n}",
            "en",
            (
                Said(f"Answer {n} it is", True, True),
                Said(f"Other {n} it is" if n < different else f"Answer {n} it is", True, n >= different),
            ),
        )
        for n in range(count)
    ]
