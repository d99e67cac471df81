"""The Evaluate page as a visitor has it, without a browser."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from backend.workspace import ROOT


def opened(view: str, **query: str) -> AppTest:
    """The page as the address with ``view`` and these parameters opens it."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60)
    for key, value in {"view": view, **query}.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / "evaluate.py")).run()
    assert not app.exception, app.exception
    return app


def moved(app: AppTest, view: str, **query: str) -> AppTest:
    """The same visitor at another address of the page."""
    app.query_params.clear()
    app.query_params.update({"view": view, **query})
    app.run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    """Press the button ``label``."""
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def tables(app: AppTest) -> str:
    """The HTML of the page's tables and answers."""
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def address(app: AppTest) -> dict[str, str]:
    """The parameters of its address."""
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}
