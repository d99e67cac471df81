"""Take the pictures of the tutorial from a real panel, while the whole course is really done in it: ``python -m scripts.tutorial``.

One newcomer takes the course in English, as the browser tests do; at each place that the tutorial shows, a second browser opens the same
place in Chinese. Nothing is put in front of the camera: the model is the starter, the training is a real one, and each picture waits for
what it shows. It takes about a quarter of an hour on two cores. With ``--workspace`` it goes on where it broke off, at the step that is not
done yet.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, ViewportSize, expect

from backend import i18n
from backend.course.lessons import STEPS
from backend.queue.store import open_store
from backend.workspace import ROOT, open_workspace
from tests.support.browser import Visitor, at_rest, chromium, settle, visitor
from tests.support.course_walk import MAKER, NAME, Walk
from tests.support.panel import Panel, start_panel

FOLDER = ROOT / "docs" / "images" / "tutorial"
WINDOW: ViewportSize = {"width": 1280, "height": 860}
COLOURS = 128
"""Of a picture: a page of the panel has few, and a palette makes the file a third as large."""


@dataclass(frozen=True)
class Picture:
    """One picture. file: its name, before the language. to: the text that is scrolled to, as the catalogue knows it; empty for the top."""

    file: str
    to: str = ""


PICTURES = {
    "home": Picture("home"),
    "begin": Picture("course"),
    "talk_done": Picture("talk"),
    "rows_filled": Picture("rows"),
    "finetune": Picture("finetune"),
    "finetune_done": Picture("finetune-done"),
    "both_done": Picture("both"),
    "memory_save": Picture("memory", to="Save comparison"),
    "quantize": Picture("quantize"),
    "quantize_done": Picture("quantize-done"),
    "serve_done": Picture("serve"),
    "python": Picture("python"),
    "tool_done": Picture("tool"),
    "evaluate": Picture("evaluate"),
    "evaluate_done": Picture("evaluate-done"),
    "after_evaluate": Picture("end"),
}
"""By the moment of the walk at which each is taken (:mod:`tests.support.course_walk`)."""


DRAWN = """() => [...document.images].every(image => image.complete)
    && [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')].every(chart => chart.querySelector('canvas, svg'))
    && !document.querySelector('[data-testid="stSkeleton"], [role="tooltip"]')"""


class Camera:
    """Takes each picture in both languages. ``reader``: somebody who reads Chinese, in a browser of their own."""

    def __init__(self, reader: Visitor, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.reader = reader
        self.chinese = reader.open("/")

    def __call__(self, page: Page, moment: str) -> None:
        picture = PICTURES.get(moment)
        if picture is None:
            return
        i18n.use("en")
        self._take(page, picture, "en")
        i18n.use("zh_CN")
        self.chinese.goto(page.url)
        settle(self.chinese)
        if moment in ACTS:
            ACTS[moment](self.chinese)
        self._take(self.chinese, picture, "zh")
        i18n.use("en")

    def _take(self, page: Page, picture: Picture, language: str) -> None:
        page.mouse.move(WINDOW["width"] - 2, WINDOW["height"] // 2)  # off all buttons, whose help would open
        page.evaluate("document.activeElement?.blur()")
        ready(page)
        if picture.to:
            _text(page, picture.to).evaluate("element => element.scrollIntoView({block: 'end'})")
        else:
            # A conversation, which has no such element, stays at its end.
            page.evaluate("document.querySelector('[data-testid=stMain]')?.scrollTo(0, 0)")
        ready(page)
        path = self.folder / f"{picture.file}-{language}.png"
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.name} ({path.stat().st_size // 1024} KiB)", flush=True)


def ready(page: Page) -> None:
    """Wait until the page stands still with its fonts, pictures and charts, and no help covers it."""
    at_rest(page)
    page.evaluate("document.fonts.ready")
    page.wait_for_function(DRAWN)
    at_rest(page)


def ask_in_chinese(page: Page) -> None:
    """The first question, in a conversation of its own."""
    page.goto(page.url.partition("?")[0] + "?model=starter")
    settle(page)
    field = page.get_by_placeholder(i18n._("Write a message"))
    expect(field).to_be_enabled()
    field.fill(i18n._("Who are you?"))
    field.press("Enter")
    expect(_text(page, "Regenerate")).to_be_attached()  # it is shown when the mouse is there


def fill_in_chinese(page: Page) -> None:
    """The facts of the rows, which live in the browser that they were typed into."""
    for label, value in (("Its name", NAME), ("Who made it", MAKER)):
        page.get_by_role("textbox", name=i18n._(label), exact=True).fill(value)
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=re.compile(NAME))).to_be_enabled()


ACTS: dict[str, Callable[[Page], None]] = {"talk_done": ask_in_chinese, "rows_filled": fill_in_chinese}
"""What the reader of Chinese does for a picture of theirs, where the address alone does not show the same."""


def _text(page: Page, english: str) -> Locator:
    """Where the page says ``english``, in the language of now."""
    return page.get_by_text(i18n._(english), exact=True).last


def take_the_course(panel: Panel, work: Path) -> None:
    """All steps that are not done yet, with the camera beside."""
    workspace = open_workspace(panel.workspace)
    with (
        chromium() as browser,
        visitor(browser, panel, viewport=WINDOW) as person,
        visitor(browser, panel, locale="zh-CN", viewport=WINDOW) as reader,
    ):
        walk = Walk(person, open_store(workspace), work, seen=Camera(reader))
        done = walk.progress.done
        if not done:
            walk.begin()
        else:
            walk.page.goto(panel.url + "/course")
            settle(walk.page)
        for step in STEPS:
            if step.id not in done:
                walk.step(step.id)
                print(f"{step.id}: {walk.took[step.id]:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, help="a folder that is kept, to go on in after an error")
    kept = parser.parse_args().workspace
    FOLDER.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=300_000)  # a model may take minutes to start where others use the cores, too
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "program"
        work.mkdir()
        panel = start_panel(kept or Path(folder) / "workspace")
        try:
            take_the_course(panel, work)
        finally:
            panel.stop()


if __name__ == "__main__":
    main()
