"""The copy from the engine to its place in the job's folder, in stages that are each done once, whatever interrupts.

An engine writes into a folder that is not the copy's; when it has ended well, a marker goes in, last. What has the marker is checked
and dressed, and then gets its name in one step: what carries the name is whole. Without a marker, all is made anew.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from backend.catalog.files import read_optional
from backend.errors import ModelError
from backend.finetune import contract
from backend.quantize import plan as planning
from backend.workspace import read_json, write_json
from jobs.harness import Job
from jobs.libraries import loading
from jobs.quantizing import checking, failing, keeping
from jobs.quantizing.checking import Checked
from jobs.quantizing.rows import Rows
from jobs.quantizing.work import Work

ENGINES = {"llmcompressor": "jobs.quantizing.compressor", "lmdeploy": "jobs.quantizing.lite"}
"""Modules with ``make(job, work, rows, target)``, loaded when one is used."""
NAMES = {"llmcompressor": "llm-compressor", "lmdeploy": "LMDeploy"}
PARTIAL, MARKER = ".model.partial", ".quantized.json"


@dataclass(frozen=True)
class Made:
    """folder: of the whole copy. seconds: of the engine, over all attempts only the one that ended well."""

    folder: Path
    checked: Checked
    seconds: float


def copy(job: Job, work: Work, rows: Rows) -> Made:
    """The whole copy in the job's folder; what an earlier attempt has finished is not done again.

    Raises:
        ModelError: it is no good copy, see :mod:`jobs.quantizing.checking`; ``template_changed``. PanelError: what keeps the engine
        from it. WorkspaceError: ``quantize_no_room``. Stopped.
    """
    final, partial = job.dir / planning.OUT, job.dir / PARTIAL
    told = work.made_from()
    record = read_optional(final / contract.FILE).get("quantization")
    if isinstance(record, dict) and record.get("from") == told:
        (final / MARKER).unlink(missing_ok=True)
        job.log(f"made already: {final}")
        return Made(final, Checked(**record["check"]), float(record["seconds"]))
    agreed = keeping.agreed(work)
    shutil.rmtree(final, ignore_errors=True)
    with failing.told(job.dir, partial, NAMES[work.engine], work.spec.model):
        seconds = _engine(job, work, rows, partial, told)
    try:
        keeping.dress(work, partial, agreed)
        checked = checking.check(job, work, rows, partial)
        how = {"from": told, "check": checked.to_dict(), "seconds": seconds, "calibration": rows.source}
        keeping.record(work, partial, how)
        partial.rename(final)
    except ModelError:
        # Another attempt comes to the same end.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    except Exception as error:
        meant = failing.explained(error, job.dir, "transformers", work.spec.model)
        if failing.full(error):
            # Half a model helps nobody, and what goes on here needs the room.
            shutil.rmtree(partial, ignore_errors=True)
        if meant is error:
            raise
        raise meant from error
    (final / MARKER).unlink()
    return Made(final, checked, seconds)


def _engine(job: Job, work: Work, rows: Rows, partial: Path, told: dict[str, Any]) -> float:
    """Let the engine fill ``partial``; returns its seconds. What an earlier attempt has finished there stays."""
    known = read_json(partial / MARKER)
    if isinstance(known, dict) and known.get("from") == told:
        job.log(f"quantized already: {partial}")
        return float(known["seconds"])
    shutil.rmtree(partial, ignore_errors=True)
    began = time.monotonic()
    with loading():
        engine = import_module(ENGINES[work.engine])
    engine.make(job, work, rows, partial)
    seconds = time.monotonic() - began
    write_json(partial / MARKER, {"from": told, "seconds": seconds})
    return seconds
