"""The first two steps of the course on a machine that something is wrong with: ``python -m tests.support.course_first_steps [full]``.

It runs from the checkout that it lies in, on ``TUNEDECK_WORKSPACE``: a real panel is started, then the pages are used as in the tests of
pages: a model is started and talked to, and rows that teach a name are made. ``full``: the disk, which must be a small one, has no room
left when each of the two is tried first. What came of it is printed last, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.chat import replies
from backend.course import noticing, progress
from backend.queue.store import open_store
from backend.workspace import ROOT, Workspace, open_workspace
from tests.support.page_text import text
from tests.support.panel import end_all_of, start_panel
from tests.support.wait import until

FILLER, PIECE = "filler", 4096
PATIENCE_S = 240
"""The page that sends a message stays until the answer is there, and before it the model has to start."""


def main(full: bool) -> dict[str, Any]:
    """What came of it: done, the steps; told, what the course says of them; full, what was said while there was no room."""
    panel = start_panel(Path(os.environ["TUNEDECK_WORKSPACE"]))
    workspace = open_workspace()
    writer = replies.replies(workspace, open_store(workspace))
    said: dict[str, str] = {}
    try:
        chat = _led_to("chat", "talk")
        if full:
            fill(workspace)
            said["talk"] = text(_say(chat))
            make_room(workspace)
        _say(chat)
        until(lambda: "talk" in _noticed(), PATIENCE_S, "it has answered, and the course has noticed")

        form = _led_to("datasets", "rows")
        for key, value in (("make_name", "Robin"), ("make_maker", "the Orchard team")):
            form.text_input(key=key).set_value(value)
        form.run()
        if full:
            fill(workspace)
            said["rows"] = text(_make(form))
            said["course"] = text(_frame("course"))
            make_room(workspace)
        _make(form)
        until(lambda: "rows" in _noticed(), 30, "the rows are there, and the course has noticed")
        found = progress.read(workspace)
        told = {step: noticing.said(step, done) for step, done in found.done.items()}
        return {"root": str(ROOT), "done": list(found.done), "told": told, "full": said, "healthy": panel.healthy()}
    finally:
        writer.close()
        panel.stop()
        end_all_of(workspace.root)


def fill(workspace: Workspace) -> None:
    """Leave no room on the disk."""
    with (workspace.root / FILLER).open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * PIECE)
        except OSError:
            return


def make_room(workspace: Workspace) -> None:
    (workspace.root / FILLER).unlink()


def _frame(page: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=PATIENCE_S).run()
    app.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
    assert not app.exception, app.exception
    return app


def _led_to(page: str, step: str) -> AppTest:
    """The page to which the button of ``step`` leads, its form filled in."""
    app = _frame("course")
    app.button(key=f"course_open_{step}").click().run()
    app.switch_page(
        str(ROOT / "pages" / f"{page}.py")
    ).run()  # the page is the one already; AppTest would go back at the next run
    assert not app.exception, app.exception
    return app


def _say(chat: AppTest) -> AppTest:
    chat.chat_input(key="chat_prompt").set_value("Who are you?").run()
    assert not chat.exception, chat.exception
    return chat


def _make(page: AppTest) -> AppTest:
    next(button for button in page.button if button.label.startswith("Make ")).click().run()
    assert not page.exception, page.exception
    return page


def _noticed() -> list[str]:
    """The steps that the Course page knows as done, by a new look."""
    _frame("course")
    return list(progress.read(open_workspace()).done)


if __name__ == "__main__":
    print(json.dumps(main("full" in sys.argv[1:])))
