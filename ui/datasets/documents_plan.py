"""The plan for asking about documents: which model, how, how many requests and how long; and the button that starts it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from backend.data.collected import MAX_NAME_CHARS
from backend.data.documents import Chunk, prompts
from backend.data.documents.forecast import forecast
from backend.data.documents.preview import Count
from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.servers import Server, running_servers
from backend.specs import parse
from backend.specs.ask_documents import AskDocumentsSpec
from backend.workspace import ROOT
from ui import context, errors, serving, spec_form, words
from ui.datasets import documents_files as datasets_documents_files
from ui.datasets import documents_trial as datasets_documents_trial
from ui.datasets import jobs as datasets_jobs
from ui.datasets import state as datasets_state

KEY = "documents"
DEPLOY_PAGE = ROOT / "pages" / "deploy.py"
CHUNKING = ("chunk_chars", "overlap_chars")
MORE = (*CHUNKING, "concurrency", "answer_tokens", "temperature", "seed", "wait_s")


def draw(paths: Sequence[str]) -> None:
    """Draw the documents, the choices, what will happen, and the passages."""
    cut = {name: _number(name) for name in CHUNKING}
    cut["overlap_chars"] = min(cut["overlap_chars"], cut["chunk_chars"] // 2)
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, key="documents_have"):
        st.subheader(_("Documents"), anchor=False)
        try:
            looks, count = datasets_documents_files.draw(paths, cut["chunk_chars"], cut["overlap_chars"])
        except PanelError as error:
            errors.show(error, key=KEY)
            st.button(_("Choose other documents"), key="documents_none", on_click=_none)
            return
    first = next((look.chunks[0] for look in looks if look.chunks), None)
    if first is None:
        return  # each line says why
    with right, st.container(border=True, key="documents_plan"):
        st.subheader(_("Questions and answers"), anchor=False)
        server = _model()
        values = _choices(paths, first)
    with left, st.container(border=True, key="documents_passages"):
        st.subheader(_("Passages"), anchor=False, help=_("The model reads one of them at a time."))
        chunk = datasets_documents_files.pick(looks) or first
        spec = _spec({**values, "files": list(paths), "model": server.model if server else "-"})
        if spec is not None:
            datasets_documents_trial.draw(spec, chunk, server)
    with right:
        _start(spec, server, count)


def _number(name: str) -> int:
    """A choice that is drawn further below; what it is now decides what is shown above."""
    return int(st.session_state.get(f"{KEY}_{name}") or AskDocumentsSpec.model_fields[name].default)


def _none() -> None:
    """Callback: no documents."""
    st.query_params.pop(datasets_documents_files.DOCUMENT, None)


def _model() -> Server | None:
    """The choice among models that answer now; where there is none, the way to start one."""
    found = {
        name: server
        for server in reversed(running_servers(context.store()))
        for name in server.names()
        if _answers(server)
    }
    if not found:
        with st.container(border=True, key="documents_no_model"):
            coming = list(serving.jobs())
            if coming:
                text = _("{model} is starting. It can be chosen here as soon as it answers.")
                st.markdown(":material/hourglass: " + text.format(model=f"**{errors.plain(coming[0])}**"))
                _await()
            else:
                st.markdown(
                    ":material/info: "
                    + _("No model is running. Start one: it reads the documents and writes the pairs.")
                )
            st.page_link(DEPLOY_PAGE, label=_("Start a model"), icon=":material/dns:")
        return None
    name = st.selectbox(
        _("Model"),
        list(found),
        key=f"{KEY}_model",
        help=_("Models that run now. A large one writes far better questions than a small one."),
        filter_mode=None,
    )
    return found[str(name)].asked_for(str(name)) if name in found else None


def _answers(server: Server) -> bool:
    return server.ready and not server.asleep and "chat" in server.capabilities


@st.fragment(run_every=1)
def _await() -> None:
    """Look whether a server answers by now."""
    if any(map(_answers, running_servers(context.store()))) or not serving.jobs():
        st.rerun()


def _choices(paths: Sequence[str], first: Chunk) -> dict[str, Any]:
    """What the person chooses; the rest is folded."""
    st.session_state.setdefault(f"{KEY}_dataset", Path(paths[0]).stem[:MAX_NAME_CHARS])
    values = spec_form.draw_fields(AskDocumentsSpec, ("dataset",), {}, key=KEY)
    name = " ".join(str(values["dataset"] or "").split())
    if name and datasets_state.sets().exists(name):
        st.caption(":material/history: " + _("There is one of this name: the pairs are added to it, as a new version."))
    columns = st.columns(2)
    with columns[0]:
        values |= spec_form.draw_fields(AskDocumentsSpec, ("pairs",), {}, key=KEY)
    with columns[1]:
        values |= spec_form.draw_fields(AskDocumentsSpec, ("language",), {}, key=KEY)
    values |= spec_form.draw_fields(AskDocumentsSpec, ("style", "instructions"), {}, key=KEY)
    with st.expander(_("Prompt"), icon=":material/edit_note:", key="documents_prompt_box", type="compact"):
        values["prompt"] = _prompt(values["language"], first)
    with st.expander(_("More settings"), icon=":material/tune:", key="documents_more_settings", type="compact"):
        values |= spec_form.draw_fields(AskDocumentsSpec, MORE, {}, key=KEY)
    return values


def _prompt(language: str, first: Chunk) -> str:
    """The text that the model is sent; empty where it is the one that comes with TuneDeck."""
    meant: prompts.Language = (
        "zh" if language == "zh" else "en" if language == "en" else prompts.language_of(first.text)
    )
    text = prompts.default(meant)
    key = f"{KEY}_prompt_{meant}"
    typed = st.text_area(
        _("Prompt"),
        text,
        key=key,
        height=320,
        label_visibility="collapsed",
    )
    st.caption(
        _("The places in braces are filled in for each passage: {places}. {text} must be there.").format(
            places=", ".join(f"`{{{{{place}}}}}`" for place in prompts.PLACES), text="`{{text}}`"
        )
    )
    if typed.strip() == text.strip():
        return ""
    st.button(
        _("Back to the prompt of TuneDeck"),
        key="documents_prompt_back",
        icon=":material/undo:",
        on_click=_reset,
        args=(key, text),
    )
    return typed


def _reset(key: str, text: str) -> None:
    st.session_state[key] = text


def _spec(values: dict[str, Any]) -> AskDocumentsSpec | None:
    """The choices as a spec; what is wrong with them is shown."""
    try:
        spec = parse("ask_documents", values)
    except PanelError as error:
        errors.show(error, key=f"{KEY}_spec")
        return None
    assert isinstance(spec, AskDocumentsSpec)
    return spec


def _start(spec: AskDocumentsSpec | None, server: Server | None, count: Count) -> None:
    """What will happen, and the button."""
    with st.container(border=True, key="documents_start_box"):
        st.markdown(f"**{_requests(count)}** · {_duration(spec, server, count)}")
        pressed = st.button(
            _("Ask about these documents"),
            key="documents_start",
            type="primary",
            icon=":material/quiz:",
            disabled=spec is None or server is None,
        )
        if server is None:
            st.caption(_("Start a model first."))
        elif spec is None:
            st.caption(_("Correct what is marked in red."))
        else:
            st.caption(_("It runs as a job: close this page, and it goes on. Each answer is kept as it comes."))
    if pressed and spec is not None:
        with datasets_state.problems():
            row = datasets_jobs.submit("ask_documents", spec.model_dump(mode="json"), spec.dataset)
            datasets_state.say(_("Job {job} asks the model.").format(job=row.id))
            _none()
        st.rerun()


def _requests(count: Count) -> str:
    number = f"{count.chunks:,}"
    if not count.exact:
        return _("about {n} requests to the model").format(n=number)
    return ngettext("{n} request to the model", "{n} requests to the model", count.chunks).format(n=number)


def _duration(spec: AskDocumentsSpec | None, server: Server | None, count: Count) -> str:
    if spec is None or server is None:
        return _("time unknown")
    trial = datasets_documents_trial.seconds(spec)
    found = forecast(context.store(), spec.model, count.chunks, spec.concurrency, trial)
    if found is None:
        return _("time unknown: try one passage, and it is estimated")
    source = {"jobs": _("from an earlier job with this model"), "trial": _("from the passage that was tried")}[
        found.source
    ]
    low, high = words.duration(max(1.0, found.low_s)), words.duration(max(1.0, found.high_s))
    if low == high:
        return _("about {time} ({source})").format(time=low, source=source)
    return _("{low} to {high} ({source})").format(low=low, high=high, source=source)
