"""The next step, as the first page proposes it: one button for what is sensible now, and the ways to what else can be done."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from backend import catalog, next_step
from backend.data.store import Datasets
from backend.i18n import _
from backend.next_step import Next
from backend.servers import Server
from backend.workspace import ROOT
from ui import compare_link, connect, context, errors, serving, words
from ui.course import line as course_line
from ui.datasets import words as datasets_words
from ui.evaluate import links as evaluate_links

DATASETS_PAGE, FINETUNE_PAGE, QUANTIZE_PAGE, BENCHMARK_PAGE = (
    ROOT / "pages" / f"{name}.py" for name in ("datasets", "finetune", "quantize", "benchmark")
)
STARTER = "starter"


def draw(answering: Mapping[str, Server], *, newcomer: bool) -> None:
    """Draw it. answering: the servers that answer now. newcomer: nothing was ever started here."""
    starter, found = catalog.find(context.workspace(), STARTER), next_step.find(context.workspace(), context.store())
    talking = next(iter(answering), None)
    if found is not None:
        st.subheader(_("Next step"), anchor=False)
        {"teach": _teach, "try": _try, "measure": _measure}[found.do](found)
        other = next((name for name in answering if name != found.name), None)
        if other:
            _talk(other, key="talk_other", primary=False)
    elif talking:
        st.subheader(_("Next step"), anchor=False)
        st.markdown(_("**{model}** is running and answers now.").format(model=errors.plain(talking)))
        _talk(talking)
        st.caption(_("Programs can use it too, through the same port as this page."))
        connect.link(talking, _("Connect a program"))
    elif starter.problem is None:
        st.subheader(_("A small model is ready"), anchor=False)
        st.markdown(
            _(
                "The starter model ships with TuneDeck: {parameters} parameters, {size}. It knows a little English "
                "and Chinese and runs on any processor, so you can try every step in minutes."
            ).format(parameters=words.parameters(starter.parameters), size=words.size(starter.size_bytes))
        )
        if st.button(_("Talk to the starter model"), key="talk", type="primary", icon=":material/forum:"):
            serving.start_and_talk(STARTER)
        st.caption(_("This starts it as a job, which takes a few seconds. It goes on running when you close the page."))
    else:
        st.subheader(_("The starter model is not usable"), anchor=False)
        errors.show(starter.problem, key="starter")
    course_line.way(newcomer=newcomer)
    if not newcomer or found is not None:
        _ways(found)


def _teach(found: Next) -> None:
    st.markdown(
        _("The dataset **{dataset}** has {rows}, and no model has learned from them yet.").format(
            dataset=errors.plain(found.name), rows=datasets_words.rows(found.rows)
        )
    )
    pressed = st.button(
        _("Fine-tune a model with {dataset}").format(dataset=errors.plain(found.name)),
        key="teach",
        type="primary",
        icon=":material/school:",
    )
    if pressed:
        st.switch_page(FINETUNE_PAGE, query_params={"dataset": found.name})
    st.caption(_("You see what it takes before anything is started: steps, time, memory."))


def _try(found: Next) -> None:
    name = errors.plain(found.name)
    base = errors.plain(found.base)
    st.markdown(
        _("**{model}** was made from {base}. Ask it something, and see what it has learned.").format(
            model=name, base=base
        )
        if base
        else _("**{model}** was made here. Ask it something, and see what it has learned.").format(model=name)
    )
    _talk(found.name)
    compare_link.draw(found.name)
    evaluate_links.with_base(found.name, _("Is it better than {base}?").format(base=base))


def _measure(found: Next) -> None:
    name = errors.plain(found.name)
    base = errors.plain(found.base)
    st.markdown(
        _("**{model}** is a smaller copy of {base}. See how fast it is, and whether it is still as good.").format(
            model=name, base=base
        )
        if base
        else _("**{model}** is a smaller copy. See how fast it is, and whether it is still as good.").format(model=name)
    )
    if BENCHMARK_PAGE.is_file():
        label = _("Measure how fast {model} answers").format(model=name)
        if st.button(label, key="measure", type="primary", icon=":material/speed:"):
            st.switch_page(BENCHMARK_PAGE, query_params={"model": found.name})
    else:
        _talk(found.name)
    compare_link.draw(found.name)
    evaluate_links.with_base(found.name, _("Is it as good as {base}?").format(base=base))


def _talk(name: str, *, key: str = "talk", primary: bool = True) -> None:
    pressed = st.button(
        _("Talk to {model}").format(model=errors.plain(name)),
        key=key,
        type="primary" if primary else "tertiary",
        icon=":material/forum:",
    )
    if pressed:
        serving.start_and_talk(name)


def _ways(found: Next | None) -> None:
    """What else can be done, each a way to its page: those that there are, and for which there is something to do it with."""
    model = {"model": found.name} if found is not None and found.do == "try" else {}
    with st.container(horizontal=True, gap="small", key="next_ways"):
        st.page_link(DATASETS_PAGE, label=_("Make rows to teach a model with"), icon=":material/dataset:")
        if not (found is not None and found.do == "teach") and Datasets(context.workspace()).list():
            st.page_link(FINETUNE_PAGE, label=_("Teach a model with your rows"), icon=":material/school:")
        if QUANTIZE_PAGE.is_file():
            query = {"step": "method", **model} if model else {}
            st.page_link(QUANTIZE_PAGE, label=_("Make a model smaller"), icon=":material/compress:", query_params=query)
        if BENCHMARK_PAGE.is_file() and not (found is not None and found.do == "measure"):
            st.page_link(
                BENCHMARK_PAGE, label=_("Measure how fast a model answers"), icon=":material/speed:", query_params=model
            )
        if not (found is not None and found.do in ("try", "measure")):
            evaluate_links.evaluate(label=_("See how good a model is"))
