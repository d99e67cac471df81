"""How a run is looked at: its title in a person's words, the plan that it keeps, and whether it has a report card."""

from __future__ import annotations

from typing import Any

from backend.quantize import report_records
from backend.quantize.plan import OUT
from backend.queue.rows import JobRow
from backend.specs.finetune import short
from backend.workspace import read_json
from ui import context
from ui.quantize import words as quantize_words

PLAN = "plan.json"


def title(row: JobRow) -> str:
    """``starter → GPTQ, 4 bits``; of a report card the models that it measures."""
    spec = context.store().spec(row.id)
    if row.verb == "report_card":
        return ", ".join(short(str(name)) for name in spec.get("models") or ()) or row.title
    return f"{short(str(spec.get('model', '')))} → {quantize_words.title(str(spec.get('method') or 'gptq'))}"


def plan_of(row: JobRow) -> dict[str, Any]:
    """The plan that the job keeps; empty before it has one."""
    try:
        data = read_json(context.store().job_dir(row.id) / PLAN)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def has_report(row: JobRow) -> bool:
    """Whether it has measured something of a report card, be it not all."""
    return (context.store().job_dir(row.id) / report_records.FILE).is_file()


def stage(row: JobRow) -> str:
    """Which of :data:`ui.quantize.words.STAGES` a job is at, or ``report``."""
    if (context.store().job_dir(row.id) / OUT).is_dir():  # it has its name when it is whole, and not before
        return "report"
    phase = row.progress.get("phase")
    return "check" if phase == "check" else "copy" if phase in ("load", "quantize", "save") else "rows"
