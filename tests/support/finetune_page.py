"""The Fine-tune page without a browser: opened by its address, answered and pressed by its labels, read as people read it."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from backend.data.make import identity
from backend.data.versions import VersionInfo
from backend.workspace import ROOT, Workspace
from tests.support import datasets
from tests.support.page_text import text

NAMED = identity.IdentityWish(name="Robin", maker="the Orchard team")


def persona(workspace: Workspace, name: str = "My persona") -> VersionInfo:
    """The dataset that *Teach a name* makes."""
    return datasets.keep(workspace, name, identity.rows(NAMED), steps=[{"do": "identity"}], made_from=[])


def open_finetune(**query: str) -> AppTest:
    """The page as the address with these parameters opens it."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / "finetune.py")).run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    """The first button that is called ``label``, pressed."""
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def off(app: AppTest, label: str) -> bool:
    """Whether the button ``label`` cannot be pressed."""
    return bool(next(button for button in app.button if button.label == label).disabled)


def said(app: AppTest) -> str:
    """What is written on the page, figures and toasts too."""
    figures = [f"{metric.label}: {metric.value}" for metric in app.metric]
    return "\n".join([text(app), *figures, *(toast.value for toast in app.toast)]).replace("\\", "")


def figure(app: AppTest, label: str) -> str:
    """The value of the figure ``label``."""
    return str(next(metric.value for metric in app.metric if metric.label == label))


def field(app: AppTest, name: str) -> Any:
    """The widget of the setting ``name`` in *All settings*."""
    return next(
        widget
        for kind in (app.number_input, app.selectbox, app.toggle, app.text_area, app.text_input)
        for widget in kind
        if widget.key == f"finetune_set_{name}"
    )
