"""One passage, tried before all of them are asked about: what the model is sent, what it says, and what would be kept of it."""

from __future__ import annotations

import asyncio
from typing import Any

import streamlit as st

from backend.data.documents import Chunk, asking
from backend.data.documents.asking import Answer
from backend.data.documents.checking import Checker, Refused
from backend.errors import PanelError, ServerError
from backend.i18n import N_, _
from backend.servers import Server
from backend.specs.ask_documents import AskDocumentsSpec
from ui import errors, words

TRIAL = "documents_trial"
LONGEST_S = 180
"""A trial holds the page; what takes longer than this is for the job."""


def draw(spec: AskDocumentsSpec, chunk: Chunk, server: Server | None) -> None:
    """Draw the prompt of ``chunk``, the button that tries it, and what came of the last trial."""
    with st.expander(
        _("What the model is sent for this passage"), icon=":material/send:", key="documents_sent", type="compact"
    ):
        st.code(asking.question(spec, chunk), language=None, wrap_lines=True)
    pressed = st.button(
        _("Try this passage"),
        key="documents_try",
        icon=":material/experiment:",
        disabled=server is None,
        help=_("Asks the model once. Nothing is kept of it, and it tells how long all passages will take."),
    )
    if pressed and server is not None:
        with st.spinner(_("The model reads and writes …"), show_time=True):
            st.session_state[TRIAL] = {"model": spec.model, "chunk": chunk, "spec": spec, **_tried(spec, chunk, server)}
        st.rerun()  # the forecast stands above
    tried = st.session_state.get(TRIAL)
    if tried and tried["chunk"] == chunk and tried["model"] == spec.model:
        _show(tried)


def seconds(spec: AskDocumentsSpec) -> float | None:
    """How long the last trial of this model took; None where there was none, or none that would be like it."""
    tried = st.session_state.get(TRIAL)
    if not tried or "answer" not in tried or tried["model"] != spec.model:
        return None
    same = all(
        getattr(tried["spec"], name) == getattr(spec, name)
        for name in ("pairs", "style", "answer_tokens", "chunk_chars")
    )
    return float(tried["answer"].seconds) if same else None


def _tried(spec: AskDocumentsSpec, chunk: Chunk, server: Server) -> dict[str, Any]:
    async def once() -> Answer:
        async with asyncio.timeout(LONGEST_S):
            return await asking.ask(server, spec, chunk)

    try:
        return {"answer": asyncio.run(once())}
    except TimeoutError:
        error: PanelError = ServerError(
            "documents_trial_slow",
            N_("The model has not finished with this passage within {seconds} seconds."),
            N_("The job waits longer. Or ask for fewer pairs per passage, or shorter passages."),
            seconds=LONGEST_S,
        )
    except PanelError as failed:
        error = failed
    return {"error": error.to_dict()}


def _show(tried: dict[str, Any]) -> None:
    if "error" in tried:
        errors.show(tried["error"], key=TRIAL)
        return
    answer: Answer = tried["answer"]
    spec: AskDocumentsSpec = tried["spec"]
    st.caption(
        _("It answered in {duration}, with {n} tokens.").format(
            duration=words.duration(answer.seconds) if answer.seconds >= 1 else _("less than a second"),
            n=f"{answer.tokens:,}",
        )
    )
    for judged in asking.judge(spec, tried["chunk"], answer, Checker(spec.model)):
        with st.container(border=True, gap="xsmall"):
            if isinstance(judged, Refused):
                _refused(judged)
            else:
                st.markdown(f":green[:material/check_circle:] **{errors.plain(judged['messages'][0]['content'])}**")
                st.markdown(errors.plain(judged["messages"][1]["content"]))
                st.caption(":material/format_quote: " + errors.plain(str(judged["meta"]["quote"])))
    with st.expander(
        _("What it wrote, word for word"), icon=":material/article:", key="documents_said", type="compact"
    ):
        st.code(answer.said or " ", language=None, wrap_lines=True)


def _refused(judged: Refused) -> None:
    reason = _("Refused: {reason}").format(reason=_(judged.message))
    st.markdown(f":orange[:material/block:] {errors.plain(reason)}")
    if judged.pair is not None:
        for text in (judged.pair.question, judged.pair.answer, judged.pair.quote):
            if text:
                st.caption(errors.plain(text))
