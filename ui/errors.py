"""The one place that shows a failure: what happened, why (the evidence), what to do, and a report to copy."""

from __future__ import annotations

import logging
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from backend.errors import PanelError, SpecError
from backend.i18n import N_, _
from backend.workspace import ROOT

_LOG_TAIL_CHARS = 20_000
ENVIRONMENTS_PAGE = ROOT / "pages" / "environments.py"
ENVIRONMENT_CODES = (
    "engine_missing_environment",
    "engine_wrong_version",
    "engine_flavour_cpu",
    "env_damaged",
    "env_missing",
    "env_own_missing",
)
"""Failures that are mended on the Environments page, wherever they are met."""
WORD_JOINER = "\u2060"
_PICTURE = re.compile(r":(?=(?:[A-Za-z_+\-][\w+\-\\]*|100|1234|8ball|material/[a-z0-9_\\]+):)")
_DIRECTIVE = re.compile(r":(?=[A-Za-z])")


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


@dataclass(frozen=True)
class Why:
    """What a failure's log says about its cause, where the error itself does not know it. commands: (what for, line)."""

    cause: str
    line: int | None = None
    text: str = ""
    helps: Sequence[str] = ()
    commands: Sequence[tuple[str, str]] = ()


def show(
    error: PanelError | dict[str, Any],
    *,
    key: str,
    log: str = "",
    actions: Sequence[Action] = (),
    why: Why | None = None,
) -> None:
    """Draw the error card.

    Args:
        error: what happened; a dict is the stored form (:meth:`PanelError.to_dict`, perhaps with ``evidence``).
        key: unique on the page; the card's widgets are named after it.
        log: end of the log, shown folded.
        actions: fixes, the likeliest first (it becomes the primary button).
        why: the cause that the log tells, which then comes first, with its line as the evidence.
    """
    evidence = str((error.get("evidence") or {}).get("text", "")) if isinstance(error, dict) else ""
    problem = PanelError.from_dict(error) if isinstance(error, dict) else error
    message, hint = problem.localized()
    way = way_on(problem)
    actions = [way, *actions] if way else actions
    if why is not None:
        evidence = why.text or evidence
    with st.container(border=True, key=f"error_{key}"):
        said = plain(message) or _("Something went wrong.")
        st.markdown(f":red[:material/error:] **{plain(why.cause) if why else said}**")
        if why is not None:
            st.caption(said)
        if isinstance(problem, SpecError) and len(problem.problems) > 1:
            for item in problem.problems:
                st.markdown(f"- `{item['field']}`: {plain(item['message'])}")
        if evidence:
            st.caption(where(why.line if why else None))
            st.code(evidence, language=None, wrap_lines=True)
        if why is not None:
            _what_helps(why)
        elif hint:
            st.markdown(plain(hint))
        _buttons(problem, key, evidence, log, actions)
        if log:
            with st.expander(_("End of the log"), icon=":material/article:", type="compact"):
                st.code(log[-_LOG_TAIL_CHARS:], language=None, height=300)


def way_on(problem: PanelError) -> Action | None:
    """The button that belongs to this failure on any page: it leads to where that is mended. None where there is none."""
    if problem.code not in ENVIRONMENT_CODES or not ENVIRONMENTS_PAGE.is_file():
        return None
    if st.session_state.get("page_shown") == ENVIRONMENTS_PAGE.stem:  # see ui/shell.py
        return None
    engine = str(problem.params.get("engine") or "")
    query = {"engine": engine} if engine else {}
    return Action(_("Open Environments"), icon=":material/inventory_2:", page=ENVIRONMENTS_PAGE, query=query)


def link(problem: PanelError) -> None:
    """:func:`way_on` as a link, for a reason that stands in a text; nothing where there is none."""
    way = way_on(problem)
    if way is not None and way.page is not None:
        st.page_link(way.page, label=way.label, icon=way.icon, query_params=way.query)


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
    with st.expander(_("Technical details"), icon=":material/bug_report:", type="compact"):
        st.exception(error)


def plain(text: str) -> str:
    """``text`` with the characters that Markdown would take for markup made harmless (paths, names, shell text).

    Streamlit looks for names of pictures, such as ``:rocket:``, after Markdown has been read: there a backslash does not help, a joiner
    without width does. Of ``:red`` it makes nothing at all.
    """
    for character in "\\`*_[]<>$#|~&":
        text = text.replace(character, "\\" + character)
    text = _PICTURE.sub(":" + WORD_JOINER, text)
    return _DIRECTIVE.sub(r"\\:", text).replace("\n", "  \n")


def where(line: int | None) -> str:
    """The caption over a line of a log."""
    return _("What the log says, in line {n}").format(n=f"{line:,}") if line else _("What the log says")


def _what_helps(why: Why) -> None:
    st.caption(_("What helps"))
    st.markdown("\n".join(f"- {plain(text)}" for text in why.helps))
    for purpose, line in why.commands:
        st.markdown(f":material/terminal: {plain(purpose)}")
        st.code(line, language="bash", wrap_lines=True)


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
