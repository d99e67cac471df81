"""``python -m backend data stats FILE``: how many rows, turns, characters; with ``--tokenizer`` how many tokens, and what a
training would make of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from backend.cli import output
from backend.data import importing, schemas
from backend.data.containers import Item, Record, open_source
from backend.data.rows import SPLITS, Row
from backend.data.store import Datasets
from backend.data.tokens import TokenModel, histogram, open_listed
from backend.data.tokens.facts import Facts
from backend.data.tokens.lengths import Lengths, count, quantiles, truncated
from backend.data.tokens.plan import Forecast, Wish, forecast
from backend.data.versions import Version
from backend.errors import DataError
from backend.i18n import _, ngettext
from backend.workspace import open_workspace

QUANTILES = (0.5, 0.9, 0.99)


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(
        help=_("Count rows, turns, characters and tokens of a file or a dataset, and say what a training would take.")
    )(stats)


def stats(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help=_("A file or folder; or a dataset, as name or name@version."))
    ],
    tokenizer: Annotated[
        str,
        typer.Option(
            "--tokenizer", metavar="MODEL", help=_("Model whose tokens are counted: a name on the list, or a folder.")
        ),
    ] = "",
    max_length: Annotated[int, typer.Option(min=1, help=_("Tokens of a row; what is beyond is cut off."))] = 2048,
    batch_size: Annotated[int, typer.Option(min=1, help=_("Rows of one iteration."))] = 1,
    accumulation: Annotated[int, typer.Option(min=1, help=_("Iterations of one optimizer step."))] = 16,
    epochs: Annotated[int, typer.Option(min=1, help=_("How often every row is learned."))] = 3,
    warmup: Annotated[
        float, typer.Option(min=0.0, max=0.99, help=_("Part of the training in which the learning rate rises."))
    ] = 0.03,
    packing: Annotated[bool, typer.Option(help=_("Join short rows up to --max-length."))] = True,
    engine: Annotated[
        Literal["xtuner", "peft"], typer.Option(help=_("What trains: xtuner, or peft with transformers."))
    ] = "xtuner",
    as_json: Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))] = False,
) -> None:
    """Count ``file``."""
    model = open_listed(open_workspace(), tokenizer) if tokenizer else None
    facts, lengths, rejected = counted(file, model)
    data: dict[str, Any] = {"file": file, "rejected": rejected, **facts.to_dict()}
    lines = _lines(facts, rejected)
    if lengths is not None:
        wish = Wish(engine, max_length, packing, batch_size, accumulation, epochs, warmup_ratio=warmup)
        plan = forecast(lengths.of("train"), wish)
        data["tokens"] = tokens(lengths, max_length, tokenizer)
        data["plan"] = planned(plan)
        lines += ["", *_token_lines(data["tokens"]), "", *_plan_lines(plan)]
    output(data, as_json, "\n".join(lines))


def counted(file: str, model: TokenModel | None) -> tuple[Facts, Lengths | None, int]:
    """What ``file`` holds, its tokens for ``model``, and how many records could not be rows. Read once, never held whole.

    Raises:
        DataError: there is no such file or dataset, or it cannot be read.
    """
    facts = Facts()
    path = Path(file).expanduser()
    version = None if path.exists() else _dataset(file)
    refused = [version.info.rejected if version else 0]
    rows = facts.counted(enumerate(version, start=1) if version is not None else _rows(path, refused))
    if model is None:
        for _row in rows:
            pass
        return facts, None, refused[0]
    known = histogram.read(model, version) if version is not None else None
    lengths = known or Lengths(0)
    for _last in rows if known else count(model, rows, lengths):
        pass
    lengths.total = facts.rows
    return facts, lengths, refused[0]


def tokens(lengths: Lengths, cutoff: int, name: str) -> dict[str, Any]:
    """The token counts as JSON."""
    over = truncated(lengths, cutoff)
    return {
        "model": name,
        "total": sum(length * rows for length, rows in lengths.of().items()),
        "longest": max(lengths.of(), default=0),
        "quantiles": {f"{one.q:g}": one.tokens for one in quantiles(lengths, QUANTILES)},
        "max_length": cutoff,
        "truncated": over.rows,
        "truncated_share": over.share,
        "truncated_rows": [{"row": number, "tokens": length} for number, length in lengths.too_long(cutoff)[:100]],
        "refused": lengths.refused,
        "refused_rows": [{"row": number, "why": why} for number, why in lengths.failed],
    }


def planned(plan: Forecast) -> dict[str, Any]:
    """A forecast as JSON."""
    problems = [
        {
            "code": problem.code,
            "message": problem.message(),
            "fatal": problem.fatal,
            "settings": [{"name": s.name, "value": s.value, "message": s.words()} for s in problem.settings],
        }
        for problem in plan.problems
    ]
    return {**asdict(plan), "runs": plan.runs, "problems": problems}


def _dataset(name: str) -> Version:
    try:
        return Datasets(open_workspace()).resolve(name)
    except DataError:
        # A slip in a path is likelier than a dataset of that name: then the file is what is missing.
        if "/" in name or "." in name:
            with contextlib.closing(open_source(Path(name))):
                pass
        raise


def _rows(path: Path, refused: list[int]) -> Iterator[tuple[int, Row]]:
    mapping = importing.inspect(path).detection.mapping
    with open_source(path) as source:
        for item in source:
            row = _row(item, mapping)
            if row is None:
                refused[0] += 1
            else:
                yield item.number, row


def _row(item: Item, mapping: schemas.Mapping) -> Row | None:
    """``item`` as an import would read it; None where it could not be a row."""
    if not isinstance(item, Record):
        return None
    try:
        row = schemas.to_row(item.value, mapping)
    except DataError:
        return None
    if item.split in SPLITS and item.split != "train" and "split" not in row.get("meta", {}):
        row.setdefault("meta", {})["split"] = item.split
    return row


def _lines(facts: Facts, rejected: int) -> list[str]:
    mean = facts.characters / facts.rows if facts.rows else 0.0
    turns = facts.turns / facts.rows if facts.rows else 0.0
    found = [
        ngettext("{n} row", "{n} rows", facts.rows).format(n=f"{facts.rows:,}"),
        _("{mean} turns a row, {most} at most").format(mean=f"{turns:.1f}", most=facts.most_turns),
        _("{mean} characters a row, {most} at most").format(mean=f"{mean:,.0f}", most=f"{facts.most_characters:,}"),
        _("languages: {list}").format(list=_listed({name or "?": n for name, n in facts.languages.items()})),
        _("splits: {list}").format(list=_listed(facts.splits)),
    ]
    if rejected:
        text = ngettext("{n} record could not be a row", "{n} records could not be rows", rejected)
        found.append(text.format(n=f"{rejected:,}"))
    return found


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda pair: -pair[1])) or "–"


def _token_lines(data: dict[str, Any]) -> list[str]:
    parts = ", ".join(f"{float(q):.0%} ≤ {length:,}" for q, length in data["quantiles"].items())
    found = [
        _("{total} tokens of {model}; {quantiles}, longest {longest}").format(
            total=f"{data['total']:,}", model=data["model"], quantiles=parts or "–", longest=f"{data['longest']:,}"
        ),
        _("over {n} tokens: {rows} rows ({share})").format(
            n=f"{data['max_length']:,}", rows=f"{data['truncated']:,}", share=f"{data['truncated_share']:.1%}"
        ),
    ]
    if data["truncated_rows"]:
        rows = ", ".join(f"{one['row']:,}" for one in data["truncated_rows"][:10])
        found.append(_("the longest: rows {rows}").format(rows=rows))
    found += [
        _("Row {number}: {problem}").format(number=one["row"], problem=one["why"]) for one in data["refused_rows"][:5]
    ]
    return found


def _plan_lines(plan: Forecast) -> list[str]:
    found = [
        _(
            "{engine}: rows in training {packed}, iterations {iterations}, optimizer steps {steps}, warm-up {warmup}"
        ).format(
            engine=plan.wish.engine,
            packed=f"{plan.packed_rows:,}",
            iterations=f"{plan.iterations:,}",
            steps=f"{plan.steps:,}",
            warmup=f"{plan.warmup:,}",
        )
    ]
    for problem in plan.problems:
        found.append(("✗ " if problem.fatal else "! ") + problem.message())
        found += ["  - " + setting.words() for setting in problem.settings]
    return found
