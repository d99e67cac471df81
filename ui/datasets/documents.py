"""Questions and answers from documents: choose them, look at their passages, choose a model that runs, try one passage, start."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from ui.datasets import documents_done as datasets_documents_done
from ui.datasets import documents_files as datasets_documents_files
from ui.datasets import documents_plan as datasets_documents_plan
from ui.datasets import jobs as datasets_jobs

VERBS = ("ask_documents",)


def draw() -> None:
    """Draw what is under way and what ended, then the documents and the plan."""
    datasets_jobs.draw(VERBS, None, "documents_jobs", ended=False)
    datasets_documents_done.draw(datasets_jobs.recent(VERBS, None))
    paths = datasets_documents_files.chosen()
    if not paths:
        st.caption(
            _(
                "A model that runs here reads your documents passage by passage and writes questions with their answers. "
                "Each pair names the sentence that proves it; pairs whose sentence is not in the document are refused."
            )
        )
        datasets_documents_files.ask()
        return
    datasets_documents_plan.draw(paths)
