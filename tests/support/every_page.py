"""Every page of the panel and its parts, as addresses, and a workspace in which each of them has something to show."""

from __future__ import annotations

import time
from contextlib import closing

from playwright.sync_api import Page

from backend import catalog
from backend.errors import ServerError
from backend.evaluate.store import open_runs
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import benchmarks, models
from tests.support.browser import settle
from tests.support.coursework import DATASET, SMALL, TUNED, Coursework
from tests.support.evaluated import evaluated
from tests.support.handmade_run import HandmadeRun

PAGES = (
    "/",
    "/chat",
    "/agent",
    "/datasets",
    "/finetune",
    "/quantize",
    "/models",
    "/deploy",
    "/benchmark",
    "/evaluate",
    "/memory",
    "/jobs",
    "/environments",
    "/settings",
    "/course",
)
PARTS = (
    "/chat?view=compare",
    "/datasets?view=import",
    "/datasets?view=make",
    "/finetune?view=runs",
    "/finetune?view=compare",
    "/quantize?step=run",
    "/quantize?step=report",
    "/models?view=add",
    "/models?view=download",
    "/deploy?view=connect",
    "/benchmark?view=matrix",
    "/benchmark?view=results",
    "/evaluate?view=results",
    "/evaluate?view=compare",
    "/evaluate?view=sets",
    "/memory?view=past",
    "/memory?view=compare",
    "/environments?view=machine",
    "/environments?view=log",
    "/search?q=starter",
    "/search?doc=operations",
)
"""Parts that are there in an empty workspace, too."""


SET_PARTS = ("rows", "doctor", "tokens", "review", "split", "versions", "export")

GO = """address => new Promise(begun => {
  const app = document.querySelector('[data-testid=stApp]')
  const state = () => app.getAttribute('data-test-script-state')
  const seen = new MutationObserver(() => { if (state() !== 'notRunning') { seen.disconnect(); begun() } })
  seen.observe(app, {attributes: true})
  history.pushState({}, '', address)
  dispatchEvent(new PopStateEvent('popstate'))
  setTimeout(begun, 20000)
})"""


def go(page: Page, address: str) -> None:
    """The page at ``address`` in the same session, as by the browser's way back, once its script has run."""
    page.evaluate(GO, address)
    settle(page)


def fill(workspace: Workspace, store: Store) -> tuple[str, ...]:
    """Put models, a dataset, conversations and finished jobs of the important kinds into ``workspace``; returns the
    addresses of what can be looked at in full."""
    work = Coursework(workspace, store)
    for name in (TUNED, SMALL):
        catalog.add(workspace, models.folder(workspace.root / "models" / name), name)
    work.everything()
    talk = work.talk(
        answer="I am **Starter**. A list:\n\n1. `code`\n2. [a link](https://example.org)\n\n> A quotation."
    )
    run = HandmadeRun(store, model="starter", dataset=DATASET)
    run.begin()
    run.learn(run.steps // 2)
    run.end("failed", ServerError("out_of_memory", "The memory did not suffice.", "Take a smaller batch."))
    benchmarks.bench(store, 1, 2, 4)
    matrix = benchmarks.ended_matrix(store, workspace)
    with closing(open_runs(workspace)) as runs:
        one = evaluated(runs, "starter", right=0.5, unread=0.1, failed=0.1, missing=("animals",), began=time.time())
        two = evaluated(runs, TUNED, right=0.8, began=time.time(), seed=2)
    done = store.list(verb="finetune", states=("succeeded",), limit=1)[0].id
    return (
        f"/chat?c={talk}",
        *(f"/datasets?set={DATASET}&part={part}" for part in SET_PARTS),
        f"/finetune?view=runs&job={done}",
        f"/benchmark?view=results&job={matrix.id}",
        f"/evaluate?view=results&run={one}",
        f"/evaluate?view=compare&runs={one},{two}",
        f"/jobs?job={run.row.id}",
        f"/finetune?view=runs&job={run.row.id}",
    )
