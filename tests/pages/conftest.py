"""Pages without a browser: the frame runs in this process and shows the page that was asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from backend.workspace import ROOT

OpenPage = Callable[[str], AppTest]


@pytest.fixture
def open_page() -> OpenPage:
    """``open_page("jobs")`` runs the frame and that page; it must draw without a defect."""

    def open_(name: str = "home") -> AppTest:
        app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=30).run()
        if name != "home":
            app.switch_page(str(ROOT / "pages" / f"{name}.py")).run()
        assert not app.exception, app.exception
        return app

    return open_
