"""The way from a step of the course that was done to what shows it: the conversation, the run, the report, the comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.course.lessons import Address
from backend.course.progress import Done
from backend.i18n import N_
from backend.workspace import ROOT
from ui.chat import compare_state as chat_compare_state
from ui.evaluate import links as evaluate_links
from ui.finetune import links as finetune_links
from ui.memory import compare_saved as memory_compare_saved
from ui.quantize import links as quantize_links

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """label: English template. address: made of what was kept of the step."""

    label: str
    page: str
    address: Callable[[Facts], Address]


SHOWN = {
    "talk": Shown(N_("Open the conversation"), "chat", lambda facts: {"c": facts["conversation"]}),
    "rows": Shown(N_("Open the dataset"), "datasets", lambda facts: {"set": facts["dataset"]}),
    "finetune": Shown(N_("Open run"), "finetune", lambda facts: {**finetune_links.run(int(facts["job"]))}),
    "both": Shown(
        N_("Open both answers"),
        "chat",
        lambda facts: {"view": "compare", chat_compare_state.OPEN: facts["comparison"]},
    ),
    "memory": Shown(
        N_("Open the comparison"),
        "memory",
        lambda facts: {"view": "compare", memory_compare_saved.OPEN: facts["comparison"]},
    ),
    "quantize": Shown(
        N_("Read its report card"), "quantize", lambda facts: {**quantize_links.report(int(facts["job"]))}
    ),
    "serve": Shown(N_("Open the job"), "jobs", lambda facts: {"job": str(facts["job"])}),
    "python": Shown(N_("Open the keys"), "settings", lambda _facts: {}),
    "tool": Shown(N_("Open the conversation"), "agent", lambda facts: {"c": facts["conversation"]}),
    "evaluate": Shown(
        N_("Compare these runs"), "evaluate", lambda facts: {**evaluate_links.side_by_side(facts["runs"])}
    ),
}


def evidence(step: str, done: Done) -> tuple[str, Path, Address] | None:
    """(label, page, address) of what shows that ``step`` was done; None where that was not kept."""
    shown = SHOWN[step]
    page = ROOT / "pages" / f"{shown.page}.py"
    try:
        return (shown.label, page, shown.address(done.facts)) if page.is_file() else None
    except (KeyError, TypeError, ValueError):
        return None
