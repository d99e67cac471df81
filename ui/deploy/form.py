"""The start of a server: a few choices, beside them what will happen, below them the exact command."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from typing import Any, Literal

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard, bases
from backend.deploy import planning
from backend.deploy.planning import Plan, Wish
from backend.engines import ENGINES
from backend.engines.serving import Prepared, prepare
from backend.errors import PanelError, SpecError
from backend.i18n import N_, _, ngettext
from backend.queue.rows import JobRow
from backend.specs.serve import ServeSpec
from backend.workspace import ROOT
from ui import context, errors, serving, spec_form
from ui.deploy import fit as deploy_fit
from ui.deploy import servers as deploy_servers
from ui.fit import now as fit_now

ENGINE_WORDS = {
    "transformers": N_("Runs on any processor or GPU, in the panel's own environment."),
    "lmdeploy": N_("The faster one on GPUs."),
}
MOST_PEOPLE = 256
OWN = ("max_batch_size", "adapters")
"""Fields of the spec that the form asks for in its own way."""


def draw() -> None:
    """The form; it redraws itself alone while somebody chooses."""
    st.fragment(errors.guarded(_form, "deploy_form"))()


def _form() -> None:
    cards = catalog.models(context.workspace())
    refused = planning.refused(cards)
    usable = {card.name: card for card in cards if card.name not in refused}
    if usable:
        left, right = st.columns(2, gap="medium")
        with left, st.container(border=True, height="stretch", key="deploy_choices"):
            wish = _wish(usable)
        row = serving.jobs().get(_served(wish))
        made = _checked(wish, deploy_fit.plan(wish, row))
        with right, st.container(border=True, height="stretch", key="deploy_plan"):
            _plan(wish, made, usable, row)
        _command(wish, made)
    else:
        st.markdown(
            _("No model here can be served. Get one on the Models page, or see below what holds each of them up.")
        )
    _refused(refused)
    if st.session_state.pop("deploy_pressed", False):
        st.rerun()  # the servers are drawn outside of this form


def _served(wish: Wish) -> str:
    """The name that clients will call it by."""
    return str(wish.more.get("name") or wish.card.name)


def _checked(wish: Wish, made: Plan) -> Plan:
    """``made``, with what only the start itself would find out, such as an adapter that is not there."""
    if made.problem is None:
        try:
            _prepared(wish, made)
        except PanelError as error:
            return replace(made, problem=error)
    return made


def _prepared(wish: Wish, made: Plan) -> Prepared:
    return prepare(context.workspace(), wish.card.name, **made.options)


def _wish(usable: dict[str, ModelCard]) -> Wish:
    names = list(usable)
    asked = st.query_params.get("model", "")
    if st.session_state.get("deploy_model") not in usable:
        st.session_state["deploy_model"] = asked if asked in usable else names[0]
    name = st.selectbox(_("Model"), names, key="deploy_model", filter_mode="fuzzy" if len(names) > 10 else None)
    card = usable[name]
    if card.base is not None:
        st.caption(
            _("An adapter: its base {model} is loaded, and the adapter put on top.").format(
                model=errors.plain(card.base.name)
            )
        )
    engine = _engine(card)
    people, memory = st.columns(2)
    asking = people.number_input(
        _("People at the same time"),
        1,
        MOST_PEOPLE,
        1,
        key="deploy_people",
        help=_("How many ask in the same moment. Ten people who read and type are about two."),
    )
    free = fit_now.budget().free_after_growth
    gib = memory.number_input(
        _("Memory it may take (GiB)"),
        0.1,
        value=None,
        step=0.5,
        format="%.1f",
        key="deploy_memory",
        placeholder=_("what is free: {free}").format(free=f"{free / 2**30:.1f}") if free else _("what is free"),
        help=_("Weights, KV cache and program together. Less memory means shorter conversations."),
    )
    with st.expander(_("More settings"), icon=":material/tune:", key="deploy_more", type="compact"):
        st.caption(_("What is left as it is follows from the choices above."))
        fields = [field for field in ("name", *ENGINES[engine].options()) if field not in OWN]
        chosen = spec_form.draw_fields(ServeSpec, fields, {}, key="deploy_spec")
        if "adapters" in ENGINES[engine].options():
            chosen["adapters"] = _adapters(card)
    return Wish(card, engine, int(asking), float(gib or 0), _changed(chosen))


def _engine(card: ModelCard) -> str:
    """The engine: a choice among those that can serve ``card``; beside it, why the others cannot."""
    reasons = planning.engines_for(card)
    able = [name for name, reason in reasons.items() if reason is None]
    if st.session_state.get("deploy_engine") not in able:
        st.session_state["deploy_engine"] = able[0]
    chosen = st.selectbox(
        _("Engine"),
        able,
        key="deploy_engine",
        format_func=lambda name: ENGINES[name].title,
        help=_("The program that runs the model."),
        filter_mode=None,
    )
    if chosen in ENGINE_WORDS:
        st.caption(_(ENGINE_WORDS[chosen]))
    for reason in reasons.values():
        if reason is not None:
            message, hint = reason.localized()
            st.caption(f":material/block: {errors.plain(message)}", help=errors.plain(hint) or None)
            errors.link(reason)
    return chosen


def _adapters(card: ModelCard) -> list[str]:
    """Those on the list that belong to ``card``; nothing is drawn where there are none."""
    names = [found.name for found in bases.adapters(context.workspace(), card) if found.problem is None]
    info = ServeSpec.model_fields["adapters"]
    if not names:
        return []
    return st.multiselect(
        spec_form.label("adapters", info),
        names,
        key="deploy_adapters",
        help=_(info.description) if info.description else None,
        placeholder=_("none"),
    )


def _changed(chosen: dict[str, Any]) -> dict[str, Any]:
    """Only what differs from the spec's own defaults."""
    defaults = {name: info.get_default(call_default_factory=True) for name, info in ServeSpec.model_fields.items()}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    return {name: value for name, value in chosen.items() if value != plain[name]}


def _plan(wish: Wish, made: Plan, usable: dict[str, ModelCard], row: JobRow | None) -> None:
    st.markdown("**" + _("What will happen") + "**")
    engine = ENGINES[wish.engine].title
    where = _("{engine} loads {model} on the GPU.") if made.on_gpu else _("{engine} loads {model} on the processor.")
    lines = [
        (
            ":material/dns:",
            where.format(engine=engine, model=_what(wish.card)),
        ),
        (":material/group:", _answers(wish, made)),
        (
            ":material/notes:",
            _("A conversation may have {n} tokens, prompts and answers together.").format(n=f"{made.context:,}"),
        ),
    ]
    st.markdown("  \n".join(f":gray[{icon}] {errors.plain(text)}" for icon, text in lines))
    deploy_fit.draw(wish, made, usable)
    if made.problem is not None and not deploy_fit.said(made):
        _refuse(made.problem)
    kind: Literal["primary", "secondary"] = "secondary" if row or deploy_servers.answers() else "primary"
    label = _("Restart {model} with these settings") if row else _("Start {model}")
    st.button(
        label.format(model=errors.plain(wish.card.name)),
        key="deploy_restart" if row else "deploy_start",
        type=kind,
        icon=":material/restart_alt:" if row else ":material/play_arrow:",
        disabled=made.problem is not None,
        on_click=_press,
        args=(wish.card.name, made.options, row.id if row else None),
    )
    if row:
        st.caption(_("It runs as job {job}. A restart ends the answers that are being written.").format(job=row.id))


def _what(card: ModelCard) -> str:
    return (
        _("{base} with the adapter {adapter}").format(base=card.base.name, adapter=card.name)
        if card.base
        else card.name
    )


def _answers(wish: Wish, made: Plan) -> str:
    if made.together and wish.people == 1:
        return _("It can compute several answers together.")
    if made.together:
        return _("Answers are computed together, so that {n} people need not wait for one another.").format(
            n=wish.people
        )
    if wish.people > 1:
        return _("It gives one answer at a time, the fastest way for few people; the others wait for their turn.")
    return _("It gives one answer at a time.")


def _refuse(problem: PanelError) -> None:
    """Why it cannot be started like that: every setting that is wrong, by the name that it has in the form."""
    if isinstance(problem, SpecError) and problem.problems:
        lines = [f"**{_label(item['field'])}** · {errors.plain(item['message'])}" for item in problem.problems]
    else:
        lines = [errors.plain(" ".join(problem.localized()))]
    st.markdown("  \n".join(f":red[:material/error:] {line}" for line in lines))


def _label(field: str) -> str:
    name = field.split(".")[0]
    info = ServeSpec.model_fields.get(name)
    return errors.plain(spec_form.label(name, info) if info else field)


def _press(model: str, options: dict[str, Any], restart: int | None) -> None:
    st.session_state["deploy_pressed"] = True
    if restart is not None:
        serving.stop(restart)
        if serving.failed():
            return
    row = serving.start_with(model, options)
    if row is not None:
        st.session_state["deploy_said"] = _("Job {job} starts {model}.").format(job=row.id, model=model)


def _command(wish: Wish, made: Plan) -> None:
    folded = st.expander(
        _("Exact command"), icon=":material/terminal:", key="deploy_command", on_change="rerun", type="compact"
    )
    if not folded.open:
        return
    with folded:
        try:
            ready = _prepared(wish, made)
        except PanelError as error:
            _refuse(error)
            return
        st.markdown(_("The job that the button makes. It also runs in a shell on the server, without the panel."))
        given = ready.spec.model_dump(mode="json", exclude_defaults=True)
        spec = shlex.quote(json.dumps(given, ensure_ascii=False))
        job = shlex.join([sys.executable, "-m", "jobs.serve", "serve.json"])
        st.code(f"cd {shlex.quote(str(ROOT))} && echo {spec} > serve.json && {job}", language="bash", wrap_lines=True)
        st.markdown(_("What that job runs then; it chooses a free port and its folder, and restarts it after a crash."))
        st.code(shlex.join(ready.command), language="bash", wrap_lines=True)


def _refused(refused: dict[str, PanelError]) -> None:
    if not refused:
        return
    title = ngettext("{n} model cannot be served here", "{n} models cannot be served here", len(refused))
    with st.expander(title.format(n=len(refused)), icon=":material/block:", type="compact"):
        for name, reason in list(refused.items())[:50]:
            st.markdown(f"**{errors.plain(name)}** · {errors.plain(' '.join(reason.localized()))}")
        if len(refused) > 50:
            st.caption(_("The Models page lists them all."))
