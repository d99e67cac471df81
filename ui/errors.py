"""The one place that shows a failure: what happened, why (the evidence), what to do, and a report to copy."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from backend.errors import PanelError, SpecError
from backend.i18n import N_, _

_LOG_TAIL_CHARS = 20_000


@dataclass(frozen=True)
class Action:
    """A likely fix, as a button: ``label`` (a verb and its object), what it does, and its icon.

    It does ``on_click(*args)``, or leads to ``page`` with ``query`` in its address, or opens ``url`` in another tab.
    """

    label: str
    on_click: Callable[..., None] | None = None
    args: tuple[Any, ...] = ()
    icon: str | None = None
    disabled: bool = False
    help: str | None = None
    page: Path | None = None
    query: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def draw(self, key: str, *, primary: bool) -> None:
        """Draw the button; ``key`` is unique on the page."""
        kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
        if self.url:
            st.link_button(self.label, self.url, icon=self.icon, type=kind, help=self.help, disabled=self.disabled)
            return
        pressed = st.button(
            self.label,
            key=key,
            type=kind,
            icon=self.icon,
            disabled=self.disabled,
            help=self.help,
            on_click=self.on_click,
            args=self.args,
        )
        if pressed and self.page is not None:
            st.switch_page(self.page, query_params=self.query)


def show(
    error: PanelError | dict[str, Any],
    *,
    key: str,
    log: str = "",
    actions: Sequence[Action] = (),
) -> None:
    """Draw the error card.

    Args:
        error: what happened; a dict is the stored form (:meth:`PanelError.to_dict`, perhaps with ``evidence``).
        key: unique on the page; the card's widgets are named after it.
        log: end of the log, shown folded.
        actions: fixes, the likeliest first (it becomes the primary button).
    """
    evidence = str((error.get("evidence") or {}).get("text", "")) if isinstance(error, dict) else ""
    problem = PanelError.from_dict(error) if isinstance(error, dict) else error
    message, hint = problem.localized()
    with st.container(border=True, key=f"error_{key}"):
        said = plain(message) or _("Something went wrong.")
        st.markdown(f":red[:material/error:] **{said}**")
        if isinstance(problem, SpecError) and len(problem.problems) > 1:
            for item in problem.problems:
                st.markdown(f"- `{item['field']}`: {plain(item['message'])}")
        if evidence:
            st.caption(_("What the log says"))
            st.code(evidence, language=None, wrap_lines=True)
        if hint:
            st.markdown(plain(hint))
        _buttons(problem, key, evidence, log, actions)
        if log:
            with st.expander(_("End of the log"), icon=":material/article:"):
                st.code(log[-_LOG_TAIL_CHARS:], language=None, height=300)


def guarded(draw: Callable[[], None], key: str) -> Callable[[], None]:
    """``draw`` for a fragment: a timed redraw runs without the frame, so it needs an error card of its own."""

    def drawn() -> None:
        try:
            draw()
        except PanelError as error:
            show(error, key=key)
        except Exception as defect:  # as in the frame: every defect becomes an error card, and a line in the log
            logging.getLogger("tunedeck").exception("fragment %s", key)
            show_unexpected(defect, key=key)

    return drawn


def show_unexpected(error: Exception, *, key: str) -> None:
    """The card for a defect of the panel itself; the traceback is folded, for the report."""
    known = PanelError(
        "unexpected", N_("This page could not be drawn: {problem}"), problem=f"{type(error).__name__}: {error}"
    )
    show(known, key=key)
    with st.expander(_("Technical details"), icon=":material/bug_report:"):
        st.exception(error)


def plain(text: str) -> str:
    """``text`` with the characters that Markdown would take for markup made harmless (paths, names, shell text)."""
    for character in "\\`*_[]<>$#|~":
        text = text.replace(character, "\\" + character)
    return text.replace(":material/", "\\:material/").replace("\n", "  \n")


def _buttons(problem: PanelError, key: str, evidence: str, log: str, actions: Sequence[Action]) -> None:
    with st.container(horizontal=True):
        for index, action in enumerate(actions):
            action.draw(f"error_{key}_fix_{index}", primary=index == 0)
        with st.popover(_("Copy report"), icon=":material/content_copy:", type="tertiary"):
            st.caption(_("For your tutor or a bug report. It holds no keys."))
            st.code(_report(problem, evidence, log), language=None, wrap_lines=True, height=240)


def _report(problem: PanelError, evidence: str, log: str) -> str:
    """English on purpose: whoever helps reads one language."""
    lines = [
        f"TuneDeck: {problem} [{problem.code}]",
        f"Python {platform.python_version()}, Streamlit {st.__version__}, {platform.platform()}",
    ]
    if evidence:
        lines += ["", "Log line:", evidence]
    if log:
        lines += ["", "End of the log:", log[-4000:]]
    return "\n".join(lines)
