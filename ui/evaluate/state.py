"""What the views of the Evaluate page share: what the form was asked for, the store of runs, what a press said, how jobs are made."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.queue.rows import JobRow
from backend.workspace import default_root
from ui import context, errors, once
from ui.evaluate import links as evaluate_links

if TYPE_CHECKING:
    from backend.evaluate.store import EvaluateStore

MODELS, SET, SUBJECTS, AMOUNT, LIMIT, EVALUATOR = (
    f"evaluate_{name}" for name in ("models", "set", "subjects", "amount", "limit", "evaluator")
)
"""The form's widgets in the session."""
VALUES, DRAWN = "evaluate_values", "evaluate_drawn"
"""The folded settings, and how often they were set from outside: their widgets are named after it."""
ASKED = ("model", "set", "subject", "limit", "evaluator", "preset")
"""What an address may ask the form for."""
PROBLEM, SAID, PRESSED = "evaluate_problem", "evaluate_said", "evaluate_pressed"
_APPLIED = "evaluate_applied"
MOST_LISTED = 100


@st.cache_resource(show_spinner=False, max_entries=4)
def _runs(root: str) -> EvaluateStore:
    from backend.evaluate import store  # what it needs, the form need not load

    return store.open_runs(context.workspace())


def runs() -> EvaluateStore:
    """The runs of this panel and their answers; shared by all sessions and threads."""
    return _runs(str(default_root()))


def rows() -> list[JobRow]:
    """All evaluations, the newest first."""
    store = context.store()
    found = [row for verb in evaluate_links.VERBS for row in store.list(verb=verb, limit=MOST_LISTED)]
    return sorted(found, key=lambda row: -row.id)


def finished() -> bool:
    """Whether one ended well on this panel."""
    return any(context.store().list(verb=verb, states=("succeeded",), limit=1) for verb in evaluate_links.VERBS)


def key_of(name: str) -> str:
    """What widgets of ``name`` are called after: any text can be a name, and a key becomes a CSS class."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def go(address: Mapping[str, Any]) -> None:
    """Callback: show what ``address`` names."""
    st.query_params.from_dict(dict(address))
    st.session_state[PRESSED] = True


def asked() -> dict[str, list[str]]:
    """What the address asks the form for, each time it says something new; empty where it was followed already."""
    found = {name: st.query_params.get_all(name) for name in ASKED if name in st.query_params}
    if found == st.session_state.get(_APPLIED, {}):
        return {}
    st.session_state[_APPLIED] = found
    return found


def own() -> None:
    """Callback of the form's widgets: a person has changed it, so it is no longer what the address says."""
    for name in ASKED:
        st.query_params.pop(name, None)
    st.session_state.pop(_APPLIED, None)


def fill(fields: Mapping[str, Any]) -> None:
    """Have the form show ``fields``, by their names in the spec; ``models`` is a list."""
    widgets = {"models": MODELS, "questions": SET, "subjects": SUBJECTS, "evaluator": EVALUATOR}
    for name, key in widgets.items():
        if name in fields:
            st.session_state[key] = list(fields[name]) if name in ("models", "subjects") else fields[name]
    if "limit" in fields:
        st.session_state[AMOUNT] = "some" if fields["limit"] else "all"
        if fields["limit"]:
            st.session_state[LIMIT] = int(fields["limit"])
    others = {name: value for name, value in fields.items() if name not in (*widgets, "limit")}
    if others:
        st.session_state[VALUES] = {**st.session_state.get(VALUES, {}), **others}
        st.session_state[DRAWN] = int(st.session_state.get(DRAWN, 0)) + 1


def submit(specs: Sequence[Mapping[str, Any]]) -> None:
    """Callback: make one job of each spec, and show the first; what goes wrong stands at the head of the page."""
    made: list[JobRow] = []
    with problems():
        for number, spec in enumerate(specs):
            key = once.submit_key(f"evaluate-{number}")
            made.append(context.store().submit("evaluate", dict(spec), submit_key=key))
    if not made:
        return
    own()
    text = ngettext("{n} evaluation is on its way.", "{n} evaluations are on their way.", len(made))
    say(text.format(n=len(made)))
    go(evaluate_links.of_job(made[0].id))


def try_some(specs: Sequence[Mapping[str, Any]]) -> None:
    """Callback: make jobs that ask a few questions only; the form stays."""
    with problems():
        for number, spec in enumerate(specs):
            title = _("Try: {model}").format(model=spec.get("model") or spec.get("base_url"))
            key = once.submit_key(f"evaluate-trial-{number}")
            context.store().submit("evaluate", dict(spec), title=title, submit_key=key)


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside a callback becomes the card at the head of the page."""
    for name in (PROBLEM, SAID):
        st.session_state.pop(name, None)
    st.session_state[PRESSED] = True
    try:
        yield
    except PanelError as error:
        st.session_state[PROBLEM] = error.to_dict()


def say(text: str) -> None:
    """Tell what went well, once, at the next drawing of the page."""
    st.session_state[SAID] = text


def notices() -> None:
    """Draw what went wrong, or well, at the last press."""
    stored: dict[str, Any] | None = st.session_state.get(PROBLEM)
    if stored:
        errors.show(stored, key="evaluate")
    said = st.session_state.pop(SAID, "")
    if said:
        st.toast(errors.plain(said), icon=":material/check_circle:")


def redraw_if_pressed() -> None:
    """At the end of a fragment: what its button began is drawn outside of it."""
    if st.session_state.pop(PRESSED, False):
        st.rerun()
