"""The client that measures stand in for a browser with: its pages redraw themselves as in one."""

from __future__ import annotations

from backend.queue.store import open_store
from backend.workspace import open_workspace
from tests.support import by_hand
from tests.support.far_browser import FarBrowser
from tests.support.handmade_run import HandmadeRun
from tests.support.panel import Panel
from tests.support.wait import until


def test_a_page_that_stays_open_shows_what_comes_later(panel: Panel) -> None:
    store = open_store(open_workspace(panel.workspace))
    try:
        run = HandmadeRun(store, title="Rosemary")
        run.begin()
        run.learn(30)
        with FarBrowser(panel, f"/finetune?view=runs&job={run.row.id}") as far:
            assert "Rosemary" in far.text
            assert len(far.parts) >= 2, "the run, and the sidebar"
            seen = far.finished
            far.forget()
            run.learn(77, since=31)
            until(lambda: "training · 77 of 200" in far.text, 30, "the page tells of the new step")
            assert far.finished > seen
            by_hand.end(store, run.row)
            until(lambda: not far.parts, 60, "nothing moves any more, so nothing is asked for")
    finally:
        store.close()
