"""The course as a newcomer walks it in a browser: from Home's link through all ten steps, by what is written on the pages.

Nothing is told to the course: each step is really done, and is over when the course itself has noticed it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from backend.course import progress
from backend.course.lessons import STEPS, number
from backend.deploy.connect import KEY_VARIABLE
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import open_workspace
from tests.support.browser import Visitor, at_rest, settle
from tests.support.panel import Panel
from tests.support.wait import until

NAME, MAKER = "Robin", "the Orchard team"
LONGEST_S = 900
"""That a training may take on two cores which other programs use, too."""
PATIENCE_S = 300
"""Until the course has noticed that a step is done, the start of a model included."""
FEW_STEPS = 40
Seen = Callable[[Page, str], None]


class Walk:
    """One newcomer on the way. page: that is open. took: seconds of each step, by its name. said: what the program from the page printed.
    work: an empty folder for that program. seen: is shown what is on the page at each place. midway: is called with the verb of a long
    job when its page is open. short: settings of the forms make the long jobs short: few steps, the quickest method, no report."""

    def __init__(
        self,
        person: Visitor,
        store: Store,
        work: Path,
        *,
        seen: Seen = lambda _page, _what: None,
        midway: Callable[[str], None] = lambda _verb: None,
        short: bool = False,
    ) -> None:
        self.person, self.store, self.work = person, store, work
        self.seen, self.midway, self.short = seen, midway, short
        self.took: dict[str, float] = {}
        self.said = ""
        self.page = person.open("/")

    @property
    def panel(self) -> Panel:
        return self.person.panel

    @property
    def progress(self) -> progress.Progress:
        return progress.read(open_workspace(self.panel.workspace))

    def begin(self) -> None:
        """From Home into the course."""
        self.seen(self.page, "home")
        self.page.get_by_role("link", name="Or take the course").click()
        expect(self.page.get_by_role("heading", name="Course", exact=True)).to_be_visible()
        at_rest(self.page)
        self.seen(self.page, "begin")

    def step(self, name: str) -> None:
        """One step: its button on the Course page, what is to be done on the page that it opens, and the way back by the line there."""
        began = time.monotonic()
        getattr(self, name)()
        expect(self._line(name, "is done. Go on with the course")).to_be_visible(timeout=PATIENCE_S * 1000)
        self.took[name] = time.monotonic() - began
        at_rest(self.page)
        self.seen(self.page, f"{name}_done")
        self._line(name, "is done. Go on with the course").click()
        expect(self.page.get_by_role("heading", name="Course", exact=True)).to_be_visible()
        expect(self.page.get_by_text(f"{number(name)} of {len(STEPS)} steps")).to_be_visible()
        at_rest(self.page)
        self.seen(self.page, f"after_{name}")

    def comes_back(self) -> None:
        """The page that is open finds the panel again by itself, once that is there again."""
        settle(self.page)
        expect(self.page.get_by_role("heading", name="Course", exact=True)).to_be_visible()

    def to_page(self, step: str, label: str) -> None:
        """From the Course page by the button of ``step``; its page has opened, and says where the way back is."""
        button = self.page.get_by_role("button", name=re.compile(label))
        expect(button).to_be_visible()
        at_rest(self.page)
        button.click()
        expect(self._line(step, "Back to the course")).to_be_visible()
        at_rest(self.page)
        self.seen(self.page, step)

    def _line(self, step: str, ending: str) -> Locator:
        place = f"Course: step {number(step)} of {len(STEPS)}"
        return self.page.get_by_role("link", name=re.compile(rf"^{place}\.? {ending}"))

    def press(self, label: str) -> None:
        """The button whose label matches ``label``, once it can be pressed."""
        button = self.page.get_by_role("button", name=re.compile(label))
        expect(button).to_be_enabled()
        at_rest(self.page)
        button.click()

    def send(self, box: str, text: str) -> None:
        """Write into the field of a conversation, and send."""
        field = self.page.get_by_placeholder(box)
        expect(field).to_be_enabled()
        field.fill(text)
        field.press("Enter")

    def ended(self, verb: str) -> JobRow:
        """The newest job of that kind, once it has ended well."""
        job = self.store.list(verb=verb, limit=1)[0].id
        self.midway(verb)
        until(lambda: self.store.get(job).done, LONGEST_S, f"{verb} has ended")
        row = self.store.get(job)
        assert row.state == "succeeded", row.error
        return row

    # --- the steps

    def talk(self) -> None:
        self.to_page("talk", "^Open Chat with starter")
        self.send("Write a message", "Who are you?")

    def rows(self) -> None:
        self.to_page("rows", "^Open “Teach a name”")
        for label, value in (("Its name", NAME), ("Who made it", MAKER)):
            self.page.get_by_role("textbox", name=label, exact=True).fill(value)
            self.page.keyboard.press("Tab")
        expect(self.page.get_by_text("rows held out for the proof")).to_be_visible()
        self.seen(self.page, "rows_filled")
        self.press(f"^Make .* rows as .*{NAME}")

    def finetune(self) -> None:
        self.to_page("finetune", "^Open Fine-tune with starter")
        if self.short:
            self._train_shortly()
        self.press(f"^Fine-tune starter on '.*{NAME}")
        self.page.wait_for_url(re.compile(r"view=runs&job=\d+"))
        self.seen(self.page, "finetune_runs")
        self.ended("finetune")
        if not self.short:
            expect(self.page.get_by_role("heading", name="It learned what it was taught.")).to_be_visible()
            expect(self.page.get_by_text(re.compile("^In unusual words|In unusual words, far from"))).to_be_visible()
            expect(self.page.get_by_role("link", name="Chat with both").first).to_be_visible()

    def both(self) -> None:
        self.to_page("both", "^Open both side by side")
        self.send("Ask all columns", "Who are you?")

    def memory(self) -> None:
        self.to_page("memory", "^Open the comparison of memory")
        self.press("Save")
        self.seen(self.page, "memory_save")

    def quantize(self) -> None:
        self.to_page("quantize", "^Open Quantize with")
        if self.short:
            self._quantize_shortly()
        self.press("^Quantize ")
        self.page.wait_for_url(re.compile(r"step=run&job=\d+"))
        self.seen(self.page, "quantize_runs")
        self.ended("quantize")

    def serve(self) -> None:
        self.to_page("serve", "^Open Deploy with")
        self.press("^Start ")

    def python(self) -> None:
        self.to_page("python", "^Open the examples for")
        self.page.get_by_text("Make a key here").click()
        self.page.get_by_role("textbox", name="Name of the new key").fill("my first program")
        self.press("^Create key")
        line = self.page.get_by_text(re.compile(rf"export {KEY_VARIABLE}=td-")).first.inner_text()
        key = line.strip().removeprefix(f"export {KEY_VARIABLE}=")
        self.seen(self.page, "python_key")
        program = self._copied("openai")
        env = {"PATH": os.environ["PATH"], KEY_VARIABLE: key}
        done = subprocess.run([sys.executable, "-c", program], env=env, cwd=self.work, capture_output=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        self.said = done.stdout.decode().strip()

    def tool(self) -> None:
        self.to_page("tool", "^Open Agent with starter")
        self.send("Ask something", "Compute 17 * 23 with the calculator.")

    def evaluate(self) -> None:
        self.to_page("evaluate", "^Open Evaluate with both models")
        if self.short:
            self.page.get_by_role("radio", name="Some of each subject").click()
            at_rest(self.page)
        self.press("^Evaluate ")
        self.seen(self.page, "evaluate_runs")
        self.midway("evaluate")
        until(lambda: "evaluate" in self.progress.done, LONGEST_S, "both are evaluated, and the page has noticed")

    def _train_shortly(self) -> None:
        """Few steps, and neither a rehearsal nor a proof."""
        self.page.get_by_text("All settings").click()
        settings = self.page.get_by_role("radiogroup", name="Which settings")
        settings.get_by_text("Steps", exact=True).click()
        self.page.get_by_role("spinbutton", name="Steps at most").fill(str(FEW_STEPS))
        self.page.keyboard.press("Enter")
        settings.get_by_text("Before and after", exact=True).click()
        self._turn_off("Rehearse first")
        self._turn_off("Check whether it worked")

    def _quantize_shortly(self) -> None:
        """By the quickest method, and without a report card."""
        self.page.get_by_text("Plain rounding, 4 bits", exact=True).click()
        self.press("^Next: Calibration")
        self.press("^Next: Plan")
        self._turn_off("Report card")

    def _turn_off(self, label: str) -> None:
        at_rest(self.page)
        self.page.get_by_text(label, exact=True).click()
        expect(self.page.get_by_role("switch", name=label)).not_to_be_checked()

    def _copied(self, example: str) -> str:
        """The example ``example``, by its copy button."""
        self.page.get_by_role("tab", name=example, exact=True).click()
        code = self.page.get_by_role("tabpanel", name=example, exact=True).get_by_test_id("stCode")
        code.hover()
        code.get_by_role("button").click()
        return str(self.page.evaluate("navigator.clipboard.readText()"))
