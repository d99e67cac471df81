"""Where the news about a job leads: to what it made or measured, or to what helps where it failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.workspace import ROOT
from ui import context
from ui.benchmark import links as benchmark_links
from ui.evaluate import links as evaluate_links
from ui.finetune import links as finetune_links
from ui.quantize import links as quantize_links

JOBS_PAGE, MODELS_PAGE, DATASETS_PAGE, DEPLOY_PAGE, ENVIRONMENTS_PAGE = (
    ROOT / "pages" / f"{name}.py" for name in ("jobs", "models", "datasets", "deploy", "environments")
)
MODELS, ENVIRONMENTS = ("download", "convert"), ("install_env", "test_env")
DATASETS = ("change_data", "import_data", "ask_documents")


@dataclass(frozen=True)
class Way:
    """label: English template of what is there."""

    page: Path
    label: str
    icon: str
    query: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Path and query on this panel."""
        return f"/{self.page.stem}?{urlencode(self.query)}" if self.query else f"/{self.page.stem}"

    def draw(self) -> None:
        """The link."""
        st.page_link(self.page, label=_(self.label), icon=self.icon, query_params=self.query)


def way(row: JobRow) -> Way:
    """From the end of ``row`` to the page that shows most of it."""
    found = _result(row) if row.state == "succeeded" else _failure(row)
    if found is not None and found.page.is_file():
        return found
    return Way(JOBS_PAGE, N_("Details"), ":material/chevron_right:", {"job": str(row.id)})


def _result(row: JobRow) -> Way | None:
    if row.verb in finetune_links.VERBS:
        return Way(finetune_links.PAGE, N_("Open run"), ":material/monitoring:", finetune_links.run(row.id))
    if row.verb in quantize_links.VERBS:
        return Way(quantize_links.PAGE, N_("Show this run"), ":material/monitoring:", quantize_links.run(row.id))
    if row.verb in benchmark_links.VERBS:
        return Way(benchmark_links.PAGE, N_("Open result"), ":material/monitoring:", benchmark_links.address(row.id))
    if row.verb in evaluate_links.VERBS:
        return Way(evaluate_links.PAGE, N_("Open scores"), ":material/fact_check:", evaluate_links.of_job(row.id))
    if row.verb in ENVIRONMENTS:
        return Way(ENVIRONMENTS_PAGE, N_("Open Environments"), ":material/inventory_2:")
    if row.verb in MODELS:
        name = str((context.store().result(row.id) or {}).get("name") or "")
        return Way(MODELS_PAGE, N_("Show the model"), ":material/deployed_code:", {"model": name}) if name else None
    if row.verb in DATASETS:
        name = str((context.store().result(row.id) or {}).get("dataset") or "")
        return Way(DATASETS_PAGE, N_("Open the dataset"), ":material/dataset:", {"set": name}) if name else None
    return None


def _failure(row: JobRow) -> Way | None:
    """Pages that know more about a failure than the job itself does."""
    if row.verb in finetune_links.VERBS:
        return Way(finetune_links.PAGE, N_("Open run"), ":material/monitoring:", finetune_links.run(row.id))
    if row.verb == "serve":
        return Way(DEPLOY_PAGE, N_("See what helps"), ":material/dns:", {"view": "servers"})
    return None
