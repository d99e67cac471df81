"""axe-core in a page: what a rule of WCAG 2 (A, AA) finds there, less what is known and cannot be changed from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Error, Frame, Page

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
RUN = """async tags => {
  const how = {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations'], iframes: false}
  const found = await axe.run(document, how)
  return found.violations.map(v => ({rule: v.id, help: v.help, nodes: v.nodes.map(n => ({
    selector: n.target.flat(9).join(' '), html: n.html.slice(0, 300), why: n.failureSummary.slice(0, 400)}))}));
}"""


@dataclass(frozen=True)
class Violation:
    """One element that breaks one rule. selector: where it is; html: its beginning; why: what axe says of it."""

    rule: str
    selector: str
    html: str
    why: str
    page: str

    def __str__(self) -> str:
        return f"{self.page}: {self.rule}: {self.selector}\n    {self.html}\n    {' '.join(self.why.split())}"


@dataclass(frozen=True)
class Known:
    """What is wrong and not ours. inside: a selector that the element, or something around it, must match."""

    rule: str
    inside: str
    reason: str


@cache
def script() -> str:
    """axe-core, as the package bundles it."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page, name: str, known: Iterable[Known] = ()) -> tuple[list[Violation], set[Known]]:
    """What is wrong on ``page`` and its frames, and which of ``known`` were met there."""
    known = tuple(known)
    found: list[Violation] = []
    met: set[Known] = set()
    for frame in page.frames:
        if frame.is_detached() or frame.url == "about:blank":
            continue
        for rule in _run(page, frame):
            for node in rule["nodes"]:
                one = Violation(rule["rule"], node["selector"], node["html"], node["why"], name)
                excuse = _excuse(frame, one, known)
                if excuse:
                    met.add(excuse)
                else:
                    found.append(one)
    return found, met


def _run(page: Page, frame: Frame) -> list[dict[str, Any]]:
    try:
        if not frame.evaluate("() => 'axe' in window"):
            frame.evaluate(script())
        return list(frame.evaluate(RUN, list(TAGS)))
    except Error:
        if frame is page.main_frame or frame in page.frames:
            raise
        return []  # a menu was made anew meanwhile; the new one is looked at on the next page


def _excuse(frame: Frame, one: Violation, known: Iterable[Known]) -> Known | None:
    for each in known:
        if each.rule == one.rule and frame.evaluate(
            "([s, around]) => !!document.querySelector(s)?.closest(around)", [one.selector, each.inside]
        ):
            return each
    return None
