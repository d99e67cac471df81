"""A panel whose every page was looked at has loaded neither torch nor transformers, by its own account."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.bench.bench_panel import HEAVY, PAGES, loaded_modules
from tests.support.browser import visitor
from tests.support.panel import start_panel


def test_no_page_makes_the_panel_load_torch(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    panel = start_panel(tmp_path / "workspace")
    try:
        with visitor(browser, panel) as person:
            for path in PAGES:
                person.open(path)
        modules = loaded_modules(panel.log)
    finally:
        panel.stop()
    assert {"streamlit", "backend.web.gate", "ui.sidebar"} <= modules, "the account is not complete"
    assert [name for name in HEAVY if name in modules] == []
