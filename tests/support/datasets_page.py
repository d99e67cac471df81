"""The Datasets page without a browser: opened by its address, pressed by its labels, read as people read it."""

from __future__ import annotations

import html
import re

from streamlit.testing.v1 import AppTest

from backend.workspace import ROOT
from tests.support.page_text import text


def open_datasets(**query: str) -> AppTest:
    """The page as the address with these parameters opens it."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / "datasets.py")).run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    """The first button that is called ``label``, pressed."""
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    """What is written on the page, rows and toasts too, without markup."""
    bodies = [
        html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", part.proto.body, flags=re.S))
        for part in app.get("html")
    ]
    return "\n".join([text(app), *(toast.value for toast in app.toast), *bodies]).replace("\\", "")
