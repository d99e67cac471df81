"""What the launch form works on: the answers to its four questions, and the settings that were changed by hand.

They stand in the page's address, so that a reload and another tab show the same, and in the session, so that they are still
there when one comes back from another page. A link of another page names what it wants, and leaves the rest as it was:
``?dataset=``, ``?model=``; ``?from_job=12`` takes over the settings of job 12; any field of the spec, such as ``epochs=6``, sets it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from backend.catalog import ModelCard
from backend.data.versions import Version
from backend.errors import PanelError
from backend.finetune import presets
from backend.memory.machine import Machine
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT
from ui import context, errors

PAGE = ROOT / "pages" / "finetune.py"
ANSWERS = ("model", "dataset", "version", "purpose", "time")
FROM_JOB = "from_job"
NOT_COPIED = (
    "model", "dataset", "version", "purpose", "name", "template", "device", "dtype", "start_from", "start_mode"
)  # fmt: skip
"""Fields that do not go from an earlier run into a new one as changes: they are answers, or are made anew."""
OF_BOTH = ("start_from", "start_mode", "config_text", "template", "name")
"""Settings that are about one model and one dataset."""
MOST_ADDRESS = 4000
"""Characters of a setting that an address holds; a config written by hand is longer, and stays in the session."""
PROBLEM, SAID = "finetune_problem", "finetune_said"
_KEPT, _WRITTEN = "finetune_draft", "finetune_address"


@dataclass(frozen=True)
class Draft:
    """What is chosen so far; an empty answer is still open. own: fields of the spec that were changed by hand."""

    model: str = ""
    dataset: str = ""
    version: str = ""
    purpose: str = ""
    time: str = ""
    own: dict[str, Any] = field(default_factory=dict)


def read() -> Draft:
    """The draft, as the address asks for it, else as it was left."""
    address = _address()
    kept: Draft | None = st.session_state.get(_KEPT)
    if kept is not None and (not address or address == st.session_state.get(_WRITTEN)):
        return kept
    draft = _asked(address, kept or Draft())
    st.session_state[_KEPT], st.session_state[_WRITTEN] = draft, address
    return draft


def settle(draft: Draft) -> None:
    """Keep ``draft`` as it was drawn: what was proposed stays, whatever else comes onto the lists meanwhile."""
    st.session_state[_KEPT] = draft


def write(draft: Draft) -> None:
    """Keep ``draft``, and say it in the address. For callbacks.

    What changes nothing is no wish: a browser that is slow may still send the state of this form's widgets when another part of
    the page has taken its place, and Streamlit then calls their callbacks. The address must not lead back here.
    """
    if draft == st.session_state.get(_KEPT):
        return
    told = {name: value for name in ANSWERS if (value := getattr(draft, name))}
    for name, value in draft.own.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(text) <= MOST_ADDRESS:
            told[name] = text
    st.session_state[_KEPT], st.session_state[_WRITTEN] = draft, told
    st.query_params.from_dict({"view": "new", **told})


def answer(**given: str) -> None:
    """Callback: answers to the four questions. Another dataset begins with its current version, and asks anew what for."""
    draft = read()
    write(_answered(draft, given))


def change(fields: dict[str, Any]) -> None:
    """Callback: settings as a person, or a way out, wants them; those that are answers become answers."""
    draft = read()
    draft = _answered(draft, {name: str(value) for name, value in fields.items() if name in ANSWERS})
    own = {name: value for name, value in fields.items() if name in FinetuneSpec.model_fields and name not in ANSWERS}
    kept = {name: value for name, value in draft.own.items() if name != "config_text" or "engine" not in own}
    write(replace(draft, own={**kept, **own}))


def undo(*names: str) -> None:
    """Callback: the fields ``names`` as the preset has them again; all of them where none is named."""
    draft = read()
    left = {name: value for name, value in draft.own.items() if names and name not in names}
    write(replace(draft, own=left))


def base(draft: Draft, card: ModelCard, version: Version, machine: Machine) -> dict[str, Any]:
    """The settings that the four answers come to on this machine."""
    engine = "xtuner" if draft.own.get("engine") == "xtuner" else "peft"
    seconds = presets.TIMES.get(draft.time)
    found = presets.settings(draft.purpose, card, version, machine, seconds, engine=engine)  # type: ignore[arg-type]
    return {"engine": engine, **found}


def spec(draft: Draft, made: dict[str, Any]) -> dict[str, Any]:
    """Fields of the spec: the answers, the settings ``made`` of them, and what was changed by hand."""
    answers = {"model": draft.model, "dataset": draft.dataset, "version": draft.version, "purpose": draft.purpose}
    return {**made, **draft.own, **answers}


def changed(draft: Draft, made: dict[str, Any]) -> dict[str, Any]:
    """What was changed by hand and is not as the preset has it."""
    usual = {name: info.get_default(call_default_factory=True) for name, info in FinetuneSpec.model_fields.items()}
    return {name: value for name, value in draft.own.items() if value != made.get(name, usual.get(name))}


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
        errors.show(stored, key="finetune")
    said = st.session_state.pop(SAID, "")
    if said:
        st.toast(errors.plain(said), icon=":material/check_circle:")


def _address() -> dict[str, str]:
    names = (*ANSWERS, FROM_JOB, *(name for name in FinetuneSpec.model_fields if name not in ANSWERS))
    return {name: str(st.query_params[name]) for name in names if name in st.query_params}


def _asked(address: dict[str, str], kept: Draft) -> Draft:
    """What the address asks for, on top of what there was."""
    draft = kept
    if FROM_JOB in address:
        with problems():
            draft = _copied(int(address[FROM_JOB]) if address[FROM_JOB].isdecimal() else 0)
    answers = {name: address[name] for name in ANSWERS if name in address}
    if answers.get("purpose") not in (None, "", *presets.PRESETS):
        answers["purpose"] = ""
    own = {name: _value(name, text) for name, text in address.items() if name not in (*ANSWERS, FROM_JOB)}
    draft = _answered(draft, answers)
    return replace(draft, own={**draft.own, **own})


def _answered(draft: Draft, answers: dict[str, str]) -> Draft:
    """``draft`` with other answers. What belongs to the model or the dataset that it was about goes with that."""
    new: dict[str, Any] = dict(answers)
    if new.get("dataset", draft.dataset) != draft.dataset:
        new = {"version": "", "purpose": "", **new}
    found = replace(draft, **new)
    if (found.model, found.dataset) != (draft.model, draft.dataset):
        return replace(found, own={name: value for name, value in found.own.items() if name not in OF_BOTH})
    return found


def _copied(job: int) -> Draft:
    """The settings of ``job``.

    Raises:
        NotFoundError: ``job_unknown``.
    """
    store = context.store()
    store.get(job)
    spec = store.spec(job)
    own = {name: value for name, value in spec.items() if name not in NOT_COPIED}
    answers = {name: str(spec.get(name) or "") for name in ANSWERS if name != "time"}
    return Draft(**answers, time="own", own=own)


def _value(name: str, text: str) -> Any:
    """A setting out of an address: text stays text, all else stands there as JSON has it."""
    if isinstance(FinetuneSpec.model_fields[name].get_default(call_default_factory=True), str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # the plan says what is wrong with it
