"""What the side-by-side view works on, and what its buttons do. The truth is in the workspace; the session only knows the
columns of a comparison that has not begun (and the address knows their models), and what went wrong last."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from backend.chat.params import ChatParams, parse_params, with_preset
from backend.compare import pairs, votes
from backend.compare.asking import MAX_SEED, Asking, new_seed
from backend.compare.asking import asking as asking_of
from backend.compare.comparisons import Comparisons
from backend.compare.records import MOST, Comparison, Contender
from backend.errors import NotFoundError, PanelError
from ui import context
from ui.chat import state as chat_state

PROMPT, SEED, BLIND = "compare_prompt", "compare_seed", "compare_blind"
OPEN, MODELS = "comparison", "models"
"""Of the address: the comparison that is open, and the models of one that has not begun."""
_PROBLEM, _DRAFT, _ADDRESS, _SEED_OF, _COUNT = (
    "compare_problem",
    "compare_draft",
    "compare_address",
    "compare_seed_of",
    "compare_count",
)


@dataclass(frozen=True)
class Slot:
    """A column of a comparison that has not begun. key: new whenever we set its values ourselves (a widget that is folded
    away takes up a new value only under a new key)."""

    key: int
    contender: Contender


def asking() -> Asking:
    """The comparisons that this panel works on."""
    return asking_of(context.workspace(), context.store())


def comparisons() -> Comparisons:
    return asking().comparisons


def opened() -> Comparison | None:
    """The comparison in the address, or None where none has begun; its seed is taken up when it changed."""
    wanted = st.query_params.get(OPEN, "")
    found: Comparison | None = None
    if wanted:
        try:
            found = comparisons().get(wanted)
        except NotFoundError as error:
            del st.query_params[OPEN]
            st.session_state[_PROBLEM] = error.to_dict()
    here = found.id if found else ""
    if st.session_state.get(_SEED_OF) != here or SEED not in st.session_state:
        st.session_state[_SEED_OF] = here
        st.session_state[SEED] = found.seed if found else new_seed()
    return found


def problem() -> dict[str, Any] | None:
    """What went wrong at the last press; asked for once."""
    stored: dict[str, Any] | None = st.session_state.pop(_PROBLEM, None)
    return stored


def draft() -> list[Slot]:
    """The columns of a comparison that has not begun: as in the address, else as chosen here, else a useful pair."""
    address = st.query_params.get(MODELS, "")
    known: list[Slot] | None = st.session_state.get(_DRAFT)
    if known and (not address or address == st.session_state.get(_ADDRESS)):
        return known
    named = [Contender(name) for name in pairs.from_address(address)]
    if len(named) == 1:  # alone it cannot be compared
        named.append(replace(named[0], params=with_preset(ChatParams(), "creative")))
    made = [_slot(each) for each in named or pairs.default(context.workspace(), chat_state.models())]
    st.session_state[_DRAFT] = made
    st.session_state[_ADDRESS] = address
    return made


def _slot(contender: Contender) -> Slot:
    st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    return Slot(st.session_state[_COUNT], contender)


def _put(slots: list[Slot]) -> None:
    """Take up ``slots``, and their models into the address, so that a reload finds them."""
    st.session_state[_DRAFT] = slots
    st.session_state[_ADDRESS] = pairs.to_address([slot.contender.model for slot in slots])
    st.query_params[MODELS] = st.session_state[_ADDRESS]


# --- what the buttons do (callbacks: they run before the page is drawn)


def choose(place: int, key: str) -> None:
    """Another model in the column at ``place``."""
    slots = draft()
    if st.session_state[key]:
        slot = replace(slots[place], contender=replace(slots[place].contender, model=st.session_state[key]))
        _put([*slots[:place], slot, *slots[place + 1 :]])


def edit(place: int, field: str, key: str) -> None:
    """A setting of the column at ``place`` was changed by hand."""
    slots, value = draft(), st.session_state.get(key)
    with problems():
        now = slots[place].contender
        params = parse_params({**now.params.model_dump(), field: "" if value is None else value})
        _put([*slots[:place], replace(slots[place], contender=replace(now, params=params)), *slots[place + 1 :]])


def preset(place: int, key: str) -> None:
    """The column at ``place`` takes the sampling of a preset."""
    slots, name = draft(), st.session_state.get(key)
    if name:
        now = slots[place].contender
        slot = _slot(replace(now, params=with_preset(now.params, name)))
        _put([*slots[:place], slot, *slots[place + 1 :]])


def add() -> None:
    """One more column: a model that has none yet, else the last one again."""
    slots = draft()
    if len(slots) < MOST:
        used = [slot.contender.model for slot in slots]
        model = next((name for name in chat_state.models() if name not in used), used[-1])
        _put([*slots, _slot(Contender(model, slots[-1].contender.params))])


def remove(place: int) -> None:
    """One column less."""
    slots = draft()
    _put(slots[:place] + slots[place + 1 :])


def other_seed() -> None:
    st.session_state[SEED] = new_seed()


def send() -> None:
    """Ask all columns what was typed; a refused message goes back into the input."""
    prompt = st.session_state.get(PROMPT)
    if not prompt:
        return
    seed = min(MAX_SEED, max(0, int(st.session_state.get(SEED) or 0)))
    here = st.query_params.get(OPEN, "")
    try:
        if here:
            asking().ask(here, prompt, seed=seed)
            return
        contenders = [slot.contender for slot in draft()]
        begun = asking().begin(contenders, prompt, seed=seed, blind=bool(st.session_state.get(BLIND)))
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
        st.session_state[PROMPT] = prompt
        return
    show(begun.id)


def again(comparison: str, position: int) -> None:
    with problems():
        asking().again(comparison, position)


def stop(message_id: int) -> None:
    with problems():
        asking().stop(message_id)


def stop_all(comparison: str) -> None:
    with problems():
        asking().stop_all(comparison)


def new(like: Comparison | None = None) -> None:
    """A comparison that has not begun, with the columns of ``like``."""
    st.query_params.pop(OPEN, None)
    if like is not None:
        _put([_slot(contender) for contender in like.contenders])


def show(comparison: str) -> None:
    """Open ``comparison``."""
    st.query_params.pop(MODELS, None)
    st.query_params[OPEN] = comparison


def rename(comparison: str, key: str) -> None:
    with problems():
        comparisons().rename(comparison, st.session_state[key])


def delete(comparison: str) -> None:
    with problems():
        asking().delete(comparison)
        new()


def reveal(comparison: str) -> None:
    with problems():
        comparisons().reveal(comparison)


def vote(comparison: str, turn: int, key: str) -> None:
    """The verdict that was pressed: ``0`` … for a column, else tie or bad; nothing where it was pressed again."""
    pressed = st.session_state.get(key)
    with problems():
        if pressed is None:
            votes.withdraw(comparisons(), turn)
        elif pressed.isdigit():
            votes.cast(comparisons(), comparison, turn, "better", int(pressed))
        else:
            votes.cast(comparisons(), comparison, turn, pressed)


def explain(turn: int, key: str) -> None:
    with problems():
        votes.explain(comparisons(), turn, st.session_state.get(key) or "")


def dismiss_notice() -> None:
    with problems():
        comparisons().columns.dismiss_notice()


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """What goes wrong inside becomes the card at the head of the view."""
    try:
        yield
    except PanelError as error:
        st.session_state[_PROBLEM] = error.to_dict()
