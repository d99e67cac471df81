"""What the Quantize wizard works on: the settings chosen so far, and the step that is shown.

Both stand in the page's address, so that a reload and another tab show the same, and the settings in the session, too, so that
they are still there when one comes back from another page. A link names what it wants and leaves the rest as it was:
``?step=method&model=starter``; ``?from_job=12`` takes over the settings of job 12; any field of the spec, such as
``group_size=64``, sets it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.i18n import N_
from backend.specs.quantize import QuantizeSpec
from ui import context, errors

STEP, JOB, FROM_JOB = "step", "job", "from_job"
STEPS = {
    "model": N_("Model"),
    "method": N_("Method"),
    "calibration": N_("Calibration"),
    "plan": N_("Plan"),
    "run": N_("Run"),
    "report": N_("Report"),
}
CHOSEN = ("model", "method", "calibration", "plan")
"""Steps in which something is chosen."""
OF_MODEL = ("group_size", "name", "template")
"""Settings that are about one model."""
PROBLEM, SAID = "quantize_problem", "quantize_said"
_KEPT, _WRITTEN = "quantize_draft", "quantize_address"

Draft = dict[str, Any]
"""Fields of the spec that are chosen so far; the others are at their default."""


def read() -> Draft:
    """The draft, as the address asks for it, else as it was left."""
    address = _address()
    kept: Draft | None = st.session_state.get(_KEPT)
    if kept is not None and (not address or address == st.session_state.get(_WRITTEN)):
        return dict(kept)
    draft = _asked(address, kept or {})
    st.session_state[_KEPT], st.session_state[_WRITTEN] = draft, address
    return dict(draft)


def settle(draft: Draft) -> None:
    """Keep ``draft`` as it was drawn: what was proposed stays, whatever else comes onto the lists meanwhile."""
    st.session_state[_KEPT] = dict(draft)


def change(fields: Draft) -> None:
    """Callback: settings as a person, or a way out, wants them, kept and said in the address.

    What changes nothing is no wish: a browser that is slow may still send the state of a step's widgets when another step has
    taken its place.
    """
    draft = read()
    found = _changed(draft, {name: value for name, value in fields.items() if name in QuantizeSpec.model_fields})
    if found == draft:
        return
    told = {name: _text(value) for name, value in found.items()}
    st.session_state[_KEPT], st.session_state[_WRITTEN] = found, told
    st.query_params.from_dict({STEP: step(), **told})


def step() -> str:
    """The step that the address names."""
    asked = st.query_params.get(STEP, "model")
    return asked if asked in STEPS else "model"


def go(to: str) -> None:
    """Callback: show the step ``to``."""
    st.query_params[STEP] = to


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the page."""
    for name in (PROBLEM, SAID):
        st.session_state.pop(name, None)
    try:
        yield
    except PanelError as error:
        st.session_state[PROBLEM] = error.to_dict()


def notices() -> None:
    """Draw what went wrong, or well, at the last press."""
    stored = st.session_state.get(PROBLEM)
    if stored:
        errors.show(stored, key="quantize")
    said = st.session_state.pop(SAID, "")
    if said:
        st.toast(errors.plain(said), icon=":material/check_circle:")


def _address() -> dict[str, str]:
    names = (FROM_JOB, *QuantizeSpec.model_fields)
    return {name: str(st.query_params[name]) for name in names if name in st.query_params}


def _asked(address: dict[str, str], kept: Draft) -> Draft:
    """What the address asks for, on top of what there was."""
    draft = kept
    if FROM_JOB in address:
        with problems():
            draft = _copied(int(address[FROM_JOB]) if address[FROM_JOB].isdecimal() else 0)
    return _changed(draft, {name: _value(name, text) for name, text in address.items() if name != FROM_JOB})


def _changed(draft: Draft, fields: Draft) -> Draft:
    """``draft`` with other settings. What belongs to the model or the dataset that it was about goes with that."""
    gone: tuple[str, ...] = ()
    if fields.get("model", draft.get("model")) != draft.get("model"):
        gone += OF_MODEL
    if fields.get("dataset", draft.get("dataset")) != draft.get("dataset"):
        gone += ("version",)
    return {name: value for name, value in draft.items() if name not in gone} | fields


def _copied(job: int) -> Draft:
    """The settings of ``job`` that are not at their default; a copy made anew gets a name of its own.

    Raises:
        NotFoundError: ``job_unknown``.
    """
    store = context.store()
    store.get(job)
    usual = {name: info.default for name, info in QuantizeSpec.model_fields.items()}
    spec = store.spec(job)
    return {
        name: value
        for name, value in spec.items()
        if name in usual and name not in ("name", "template", "version") and value != usual[name]
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(name: str, text: str) -> Any:
    """A setting out of an address: text stays text, all else stands there as JSON has it."""
    info = QuantizeSpec.model_fields[name]
    if info.is_required() or isinstance(info.default, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # the plan says what is wrong with it
