"""From a turn of an agent to a row of a dataset: thoughts, calls and the answer, corrected where they have to be, and the collection it goes to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from backend.agent import traces
from backend.agent.records import Step, Turn
from backend.agent.traces import Part, Told
from backend.chat.answers import MAX_PROMPT_CHARS
from backend.chat.sent import Sent
from backend.data.collected import MAX_NAME_CHARS, Added, Collected
from backend.errors import PanelError
from backend.i18n import _, ngettext
from ui import collected_added, context, errors
from ui.agent import state as agent_state

SHOWN_CHARS = 500
_ASKED, _STATE = "agent_trace_asked", "agent_trace_state"


def button(turn: Turn) -> None:
    """The button under a turn that is over. :func:`dialog` opens what it asks for."""
    st.button(
        _("Make a training row"),
        key=f"agent_trace_{turn.id}",
        type="tertiary",
        icon=":material/dataset:",
        on_click=ask_for,
        args=(turn.id,),
        help=_("Keep this turn, corrected where it has to be, as a row that a model can be taught with."),
    )


def ask_for(turn: int) -> None:
    """Open the dialog for that turn; for a button's callback, in which nothing can be drawn yet."""
    st.session_state[_ASKED] = turn
    st.session_state.pop(_STATE, None)


def dialog() -> None:
    """The dialog that was asked for, over the page, until somebody closes it: a page that draws itself anew meanwhile takes nothing away that was
    typed. Once on a page, outside of fragments."""
    turn = st.session_state.get(_ASKED)
    if turn is not None:
        title = _("Make a training row")
        body = st.dialog(title, width="large", icon=":material/dataset:", on_dismiss=_close)(draw)
        body(int(turn))


def _close() -> None:
    st.session_state.pop(_ASKED, None)
    st.session_state.pop(_STATE, None)


def draw(turn_id: int) -> None:
    """What goes into the row, to be corrected; afterwards, where it is."""
    state = st.session_state.get(_STATE)
    if isinstance(state, Added):
        collected_added.draw(state)
        return
    try:
        turn = agent_state.store().turn(turn_id)
        steps = agent_state.store().steps([turn_id])
        own = traces.parts(turn, steps)
        _told(steps)
    except PanelError as error:
        errors.show(error, key="agent_trace")
        return
    if isinstance(state, dict):
        errors.show(state, key="agent_trace")
    st.caption(_("Learned is what stands in these fields. Results of tools and what was said before are there to be understood."))  # fmt: skip
    count = traces.left_out(steps)
    if count:
        text = ngettext(
            "{n} reply is left out: it came to nothing, or its call failed.",
            "{n} replies are left out: they came to nothing, or their calls failed.",
            count,
        )
        st.caption(":material/filter_alt: " + text.format(n=count))
    _form(turn, own)


def _form(turn: Turn, own: Sequence[Part]) -> None:
    known = [collection.name for collection in Collected(context.workspace()).list()]
    usual = _("From agent")
    with st.form(f"agent_trace_form_{turn.id}", border=False):
        st.markdown(f"**{errors.plain(_short(turn.text))}**")
        for number, part in enumerate(own):
            _part(turn.id, number, part)
        st.selectbox(
            _("Dataset"),
            [usual, *(name for name in known if name != usual)],
            key=_key(turn.id, "name"),
            accept_new_options=True,
            help=_("Choose one, or type the name of a new one."),
        )
        st.form_submit_button(
            _("Add to dataset"),
            key="agent_trace_add",
            type="primary",
            icon=":material/dataset:",
            on_click=_add,
            args=(turn.id,),
        )


def _part(turn: int, number: int, part: Part) -> None:
    if part.thought or part.calls:
        st.text_area(
            _("Thought"),
            part.thought,
            key=_key(turn, "thought", number),
            height="content",
            max_chars=MAX_PROMPT_CHARS,
        )
    for place, called in enumerate(part.calls):
        st.text_area(
            _("Arguments of {tool}").format(tool=called.call.name),
            json.dumps(called.call.arguments, ensure_ascii=False),
            key=_key(turn, "arguments", number, place),
            height="content",
            max_chars=MAX_PROMPT_CHARS,
            help=_("A JSON object, as the tool takes it. The result below stays as it was."),
        )
        st.caption(_("Result: {text}").format(text=errors.plain(_short(called.text))))
    if part.answer is not None:
        st.text_area(
            _("The answer that the model should give"),
            part.answer,
            key=_key(turn, "answer", number),
            height="content",
            max_chars=MAX_PROMPT_CHARS,
        )


def _add(turn_id: int) -> None:
    """Callback: read the fields and append the row; what is wrong is shown above them."""
    try:
        st.session_state[_STATE] = _collect(turn_id)
    except PanelError as error:
        st.session_state[_STATE] = error.to_dict()


def _collect(turn_id: int) -> Added:
    store = agent_state.store()
    turn, steps = store.turn(turn_id), store.steps([turn_id])
    own = traces.parts(turn, steps)
    typed = [_typed(turn_id, number, part) for number, part in enumerate(own)]
    earlier = [each for each in store.turns(turn.conversation) if each.id < turn.id]
    found = store.steps([each.id for each in earlier])
    before = [(each, [step for step in found if step.turn == each.id]) for each in earlier]
    name = str(st.session_state.get(_key(turn_id, "name")) or "")[: 2 * MAX_NAME_CHARS]
    return traces.collect(context.workspace(), name, before, turn, typed, _told(steps), own)


def _typed(turn: int, number: int, part: Part) -> Part:
    """``part`` as the fields have it."""
    state = st.session_state
    given = [
        traces.arguments(str(state.get(_key(turn, "arguments", number, place), "")), called.call.name)
        for place, called in enumerate(part.calls)
    ]
    thought = str(state.get(_key(turn, "thought", number), part.thought)).strip()
    answer = part.answer if part.answer is None else str(state.get(_key(turn, "answer", number), part.answer)).strip()
    return replace(traces.with_arguments(part, given), thought=thought, answer=answer)


def _told(steps: Sequence[Step]) -> Told:
    """What the model was told of its tools.

    Raises:
        ConflictError: ``trace_prompt_unknown``.
    """
    packed = next((data for step in steps if (data := agent_state.store().sent(step.id)) is not None), None)
    return traces.told_in(Sent.unpacked(packed) if packed is not None else Sent())


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def _key(turn: int, *names: object) -> str:
    return f"agent_trace_{turn}_{'_'.join(map(str, names))}"
