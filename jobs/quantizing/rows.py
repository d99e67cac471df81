"""The calibration texts of a job: chosen once, kept in its folder, the same for every attempt.

calibration.jsonl   {"text": "…"} a line, as the model reads it
calibration.json    how many, from where; written last
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.data.tokens.model import TokenModel, open_model
from backend.errors import DataError
from backend.i18n import N_
from backend.quantize import calibration
from backend.workspace import explain_os_error, open_workspace, read_json, write_json
from jobs.harness import Job

if TYPE_CHECKING:
    from jobs.quantizing.work import Work

TEXTS, INFO = "calibration.jsonl", "calibration.json"


@dataclass(frozen=True)
class Rows:
    """texts: as the model reads them; empty where nothing is looked at. source: ``bundled``, ``name@version`` or empty."""

    texts: tuple[str, ...] = ()
    source: str = ""


def kept(job: Job) -> bool:
    """Whether an earlier attempt has chosen them."""
    return isinstance(read_json(job.dir / INFO), dict)


def choose(job: Job, work: Work) -> Rows:
    """The texts of ``job``, written into its folder where they are not there yet.

    Raises:
        DataError: the dataset is gone or damaged, or has no row that can be used. ModelError: the model has no tokenizer.
        WorkspaceError: the disk is full or read-only.
    """
    told = read_json(job.dir / INFO)
    if isinstance(told, dict):
        return Rows(_read(job.dir / TEXTS), str(told.get("source") or ""))
    job.phase("calibrate")
    if work.spec.calibration == "none":
        write_json(job.dir / INFO, {"source": "", "rows": 0})
        return Rows()
    found = calibration.texts(open_workspace(), work.spec, tokens(work))
    texts = tuple(text for text in found.rows if text.strip())
    if not texts:
        raise DataError(
            "quantize_no_rows",
            N_("Of the calibration rows that were chosen ({source}), none has any text."),
            N_("Choose another dataset, or the bundled texts."),
            source=found.source or "-",
        )
    _write(job.dir / TEXTS, texts)
    told = {"source": found.source, "rows": len(texts), "asked": found.asked, "found": found.found, "cut": found.cut}
    write_json(job.dir / INFO, told)
    job.log(f"{len(texts)} calibration rows from {found.source}; {found.cut} of them are cut")
    return Rows(texts, found.source)


def tokens(work: Work) -> TokenModel:
    """The tokenizer of the model, with the chat template that a person chose for it where it has none.

    Raises:
        ModelError: see :func:`backend.data.tokens.model.open_model`.
    """
    chosen = catalog.chosen_template(open_workspace(), work.model)
    return open_model(work.model, chosen.template if chosen else "")


def pieces(rows: Rows, model: TokenModel, most: int) -> list[list[int]]:
    """The rows as tokens, each cut to ``most``; empty ones are left out. The special tokens of a chat are in its text."""
    found = [encoded.ids[:most] for encoded in model.tokenizer.encode_batch(list(rows.texts), add_special_tokens=False)]
    return [ids for ids in found if ids]


def _write(path: Path, texts: tuple[str, ...]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for text in texts:
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain_os_error(error, path.parent) from error


def _read(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    with path.open(encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [json.loads(line) for line in file]
    return tuple(str(row["text"]) for row in rows)
