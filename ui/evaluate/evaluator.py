"""Fourth question of the form: who asks and marks. Three evaluators, what each can, and whether its environment is there."""

from __future__ import annotations

import streamlit as st

from backend.engines.registry import engines
from backend.errors import PanelError
from backend.evaluate.records import EVALUATORS, Evaluator
from backend.i18n import _
from ui import errors
from ui.evaluate import look as evaluate_look
from ui.evaluate import state as evaluate_state
from ui.evaluate import words as evaluate_words


@st.cache_resource(ttl=5, show_spinner=False)
def _missing(engine: str) -> PanelError | None:
    return engines()[engine].unavailable()


def missing(evaluator: str) -> PanelError | None:
    """Why ``evaluator`` cannot run on this machine; None where it can."""
    engine = evaluate_words.ENGINES.get(evaluator)  # type: ignore[call-overload]
    return _missing(engine) if engine else None


def offered() -> list[Evaluator]:
    """The evaluators that this TuneDeck knows."""
    known = engines()
    return [name for name in EVALUATORS if evaluate_words.ENGINES.get(name, "") in ("", *known)]


def draw() -> Evaluator:
    """Draw the choice."""
    names = offered()
    if st.session_state.get(evaluate_state.EVALUATOR) not in names:
        st.session_state[evaluate_state.EVALUATOR] = names[0]
    chosen: Evaluator = st.radio(
        _("Evaluator"),
        names,
        key=evaluate_state.EVALUATOR,
        format_func=evaluate_look.evaluator,
        captions=[_caption(name) for name in names],
        help=_(
            "They put the questions in other words and read answers in other ways, so their scores are not comparable: "
            "they never stand in one column."
        ),
        on_change=evaluate_state.own,
        persist_state="session",
    )
    return chosen


def _caption(name: Evaluator) -> str:
    about = errors.plain(_(evaluate_words.ABOUT[name]))
    if missing(name) is None:
        return about
    return f"{about} :orange[:material/radio_button_unchecked: {_('not installed')}]"
