"""The Chat page in AppTest: what a person does there, and what they see."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from backend.workspace import ROOT


def reopen(conversation: str) -> AppTest:
    """The page in a new session, by its address."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=30).run()
    app.query_params["c"] = conversation
    app.switch_page(str(ROOT / "pages" / "chat.py")).run()
    assert not app.exception, app.exception
    return app


def say(app: AppTest, prompt: str) -> AppTest:
    """Send ``prompt`` and wait for the end of the answer."""
    app.chat_input(key="chat_prompt").set_value(prompt).run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    """Press the button called ``key``."""
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def choose(app: AppTest, message: int, action: str) -> AppTest:
    """Choose from the menu under an answer."""
    app.menu_button(key=f"chat_more_{message}").click(action).run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> list[str]:
    """The texts of the messages, as they are drawn."""
    return ["\n".join(str(e.value) for e in [*m.markdown, *m.text]) for m in app.chat_message]


def popovers(app: AppTest) -> list[str]:
    """The labels of what is folded away behind a button."""
    return [block.proto.popover.label for block in app.get("popover")]


def plan(**script: object) -> str:
    """A prompt that tells the stub server what to do."""
    return "!" + json.dumps(script)


def here(app: AppTest) -> str:
    """The conversation in the address."""
    value = app.query_params["c"]
    return value[0] if isinstance(value, list) else value
