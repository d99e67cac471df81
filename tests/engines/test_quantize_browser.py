"""AWQ from the Quantize page, by LMDeploy in its real environment: chosen, made, and on the list of models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from playwright.sync_api import expect

from backend import catalog
from backend.envs.status import Status
from backend.queue.store import open_store
from backend.workspace import open_workspace
from tests.engines.conftest import FOLDER
from tests.support.browser import at_rest, chromium, visitor
from tests.support.panel import start_panel
from tests.support.wait import until


def test_a_copy_is_made_with_awq_from_the_page(environment: Callable[[str], Status], tmp_path: Path) -> None:
    environment("lmdeploy")
    panel = start_panel(tmp_path / "workspace", environments_folder=FOLDER)
    try:
        with chromium() as browser, visitor(browser, panel) as person:
            page = person.open("/")
            page.goto(panel.url + "/quantize?step=method&model=starter&report=false")
            page.get_by_text("AWQ, 4 bits", exact=True).click()
            button = page.get_by_role("button", name=re.compile(r"^Quantize starter to 4 bits \(AWQ\)"))
            expect(button).to_be_enabled(timeout=60_000)
            at_rest(page)
            button.click()
            page.wait_for_url(re.compile(r"step=run&job=\d+"))
            workspace = open_workspace(panel.workspace)
            with closing(open_store(workspace)) as store:
                (row,) = store.list(verb="quantize")
                assert (store.spec(row.id)["method"], store.spec(row.id)["report"]) == ("awq", False)
                until(lambda: store.get(row.id).done, 600, "the copy is made")
                ended = store.get(row.id)
                assert ended.state == "succeeded", json.dumps(ended.error)
            (made,) = [card for card in catalog.models(workspace) if card.made_by == row.id]
            assert (made.quantization, made.problem) == ("awq 4 bit", None)
            expect(page.get_by_text("As planned")).to_be_visible(timeout=60_000)
    finally:
        panel.stop()
