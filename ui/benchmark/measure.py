"""*Measure a server* of the Benchmark page: which server, how many people, how many requests; beside it what will happen."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.errors import SpecError
from backend.i18n import _, ngettext
from backend.memory import machine
from backend.servers import running_servers
from backend.specs import parse
from backend.specs.bench import BenchSpec, Load
from backend.workspace import ROOT
from ui import context, errors, spec_form
from ui.benchmark import command as benchmark_command
from ui.benchmark import keys as benchmark_keys
from ui.benchmark import state as benchmark_state

DEPLOY_PAGE = ROOT / "pages" / "deploy.py"
OTHER = ""
"""Stands for a server that is not ours."""
PEOPLE = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FOLDED = ("prompts", "input_tokens", "output_tokens", "ignore_eos", "rate", "warmup", "timeout_s", "seed")
REQUESTS_CPU, REQUESTS_GPU = 32, 200
"""Enough for a median on each: what a processor answers within minutes, and a GPU within one."""


def draw() -> None:
    """Draw the form, which redraws itself alone while somebody chooses."""
    st.fragment(errors.guarded(_form, "benchmark_measure"))()


def _form() -> None:
    served = [name for server in running_servers(context.store()) if server.ready for name in server.names()]
    if not served:
        _no_server()
    left, right = st.columns([4, 5], gap="medium")
    with left, st.container(border=True, height="stretch", key="benchmark_choices"):
        spec = _asked(served)
    with right, st.container(border=True, height="stretch", key="benchmark_plan"):
        _plan(spec)
    benchmark_command.draw("bench", spec)
    benchmark_state.redraw_if_pressed()


def _no_server() -> None:
    with st.container(border=True, key="benchmark_no_server"):
        st.markdown(":material/dns: **" + _("No model is served here now") + "**")
        st.markdown(
            _(
                "Start one on the Deploy page and come back, give the address of any other server below, or let TuneDeck "
                "start and stop the servers itself: Compare set-ups."
            )
        )
        st.page_link(DEPLOY_PAGE, label=_("Open Deploy"), icon=":material/dns:")


def _asked(served: list[str]) -> dict[str, Any]:
    """The three questions, and the rest folded: fields of :class:`backend.specs.bench.BenchSpec`."""
    spec: dict[str, Any] = {}
    options = [*dict.fromkeys(served), OTHER]
    wanted = st.query_params.get("model", "")
    if st.session_state.get("benchmark_server") not in options:
        st.session_state["benchmark_server"] = wanted if wanted in served else options[0]
    server = st.selectbox(
        _("Server"),
        options,
        key="benchmark_server",
        format_func=lambda name: name or _("Another address"),
        filter_mode=None,
    )
    if server:
        spec["server"] = server
    else:
        spec["base_url"] = st.text_input(
            _("Address"),
            key="benchmark_address",
            placeholder="http://127.0.0.1:23333/v1",
            help=_("Any server with the OpenAI API."),
        ).strip()
        spec["key_name"] = benchmark_keys.draw()
    spec["concurrency"] = sorted(
        st.pills(
            _("People at once"),
            PEOPLE,
            default=(1, 4),
            selection_mode="multi",
            key="benchmark_people",
            help=_("How many ask in the same moment. Each number is measured by itself, one after another."),
        )
    )
    spec["num_prompts"] = int(
        st.number_input(
            _("Requests"),
            1,
            1_000_000,
            REQUESTS_GPU if machine.gpus()[0] else REQUESTS_CPU,
            key="benchmark_requests",
            help=_("How many are sent with each number of people. More make steadier figures."),
        )
    )
    with st.expander(_("More settings"), icon=":material/tune:", key="benchmark_more", type="compact"):
        fields = [*FOLDED, *(("model",) if not server else ())]
        spec |= spec_form.draw_fields(BenchSpec, fields, {}, key="benchmark_spec")
    return spec


def _plan(spec: dict[str, Any]) -> None:
    st.markdown("**" + _("What will happen") + "**")
    problem = _problem(spec)
    if problem is None:
        load = Load.model_validate({name: value for name, value in spec.items() if name in Load.model_fields})
        st.markdown("  \n".join(f":gray[{icon}] {errors.plain(text)}" for icon, text in _lines(load)))
    else:
        for item in problem.problems or [{"field": "", "message": problem.localized()[0]}]:
            name = item["field"].split(".")[0]
            info = BenchSpec.model_fields.get(name)
            label = f"**{spec_form.label(name, info)}** · " if info else ""
            st.markdown(f":red[:material/error:] {label}{errors.plain(item['message'])}")
    label = _("Measure {server}").format(server=errors.plain(spec.get("server") or spec.get("base_url") or "…"))
    st.button(
        label,
        key="benchmark_start",
        type="primary",
        icon=":material/speed:",
        disabled=problem is not None,
        on_click=benchmark_state.submit,
        args=("bench", spec),
    )
    st.caption(_("What others ask this server meanwhile changes the figures."))
    benchmark_state.busy()


def _lines(load: Load) -> list[tuple[str, str]]:
    people = ", ".join(f"{n:,}" for n in load.concurrency)
    total = load.num_prompts * len(load.concurrency)
    lines = [
        (
            ":material/group:",
            _("{n} requests with each of: {people} people at once.").format(n=f"{load.num_prompts:,}", people=people),
        ),
        (
            ":material/send:",
            ngettext("{n} request in all.", "{n} requests in all.", total).format(n=f"{total:,}")
            + " "
            + _("{n} before each round warm it up and are not counted.").format(n=load.warmup),
        ),
        (":material/notes:", _("Answers end after {n} tokens at the latest.").format(n=f"{load.output_tokens:,}")),
    ]
    if load.rate:
        lines.append(
            (":material/schedule:", _("They come at random moments, {rate} a second.").format(rate=f"{load.rate:g}"))
        )
    lines.append(
        (":material/table:", _("The result: the columns of the notes, and latency against load with its knee."))
    )
    return lines


def _problem(spec: dict[str, Any]) -> SpecError | None:
    """What is wrong with the settings."""
    if not spec.get("server") and not spec.get("base_url"):
        return SpecError("spec_bad", _("Give the address of the server."), problems=[])
    if not spec["concurrency"]:
        return SpecError("spec_bad", _("Choose how many people ask at once."), problems=[])
    try:
        parse("bench", spec)
    except SpecError as error:
        return error
    return None
