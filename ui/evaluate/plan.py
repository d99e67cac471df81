"""Beside the form: how many questions, how long, how exact the score will be, what the server takes, and what is in the way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.engines import serving
from backend.errors import PanelError, SpecError
from backend.evaluate import forecast
from backend.evaluate.forecast import Estimate
from backend.i18n import N_, _, ngettext
from backend.specs import parse
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import default_root
from ui import context, errors, spec_form, words
from ui.evaluate import config as evaluate_config
from ui.evaluate import evaluator as evaluate_evaluator
from ui.evaluate import look as evaluate_look
from ui.evaluate import questions as evaluate_questions
from ui.evaluate import state as evaluate_state
from ui.evaluate import submit as evaluate_submit
from ui.evaluate import trial as evaluate_trial
from ui.evaluate import words as evaluate_words
from ui.evaluate.model import Offered
from ui.evaluate.questions import Chosen
from ui.models import fit as model_fit

SOURCES = {
    "trial": N_("measured by a trial"),
    "earlier run": N_("measured by an earlier run"),
}
FEW_QUESTIONS = 100
METERS = 3
"""Models whose memory is shown each in a line of its own."""


@dataclass(frozen=True)
class Made:
    """specs: one job each. problems: what keeps them from being made; red. warnings: what one had better know; Markdown."""

    specs: tuple[Mapping[str, Any], ...]
    chosen: Chosen
    problems: tuple[PanelError, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        return not self.problems


def make(
    models: Sequence[str], elsewhere: Mapping[str, str], chosen: Chosen, fields: Mapping[str, Any], judged: int
) -> Made:
    """What the form comes to. fields: evaluator, settings and judge. judged: questions that need a judge."""
    common = {"questions": chosen.found.name, "subjects": list(chosen.subjects), "limit": chosen.limit, **fields}
    common = {name: value for name, value in common.items() if value != EvaluateSpec.model_fields[name].default}
    common |= {"questions": chosen.found.name, "evaluator": fields["evaluator"]}
    if not common.get("subjects"):
        common.pop("subjects", None)
    specs = [{"model": name, **common} for name in models]
    if elsewhere:
        specs.append({**elsewhere, **common})
    return Made(tuple(specs), chosen, tuple(_problems(specs, chosen, fields, judged)), tuple(_warnings(chosen)))


def _problems(
    specs: Sequence[Mapping[str, Any]], chosen: Chosen, fields: Mapping[str, Any], judged: int
) -> list[PanelError]:
    found: list[PanelError] = []
    if not specs:
        found.append(PanelError("evaluate_no_model", N_("Choose at least one model.")))
    if chosen.found.problem:
        found.append(PanelError.from_dict(chosen.found.problem))
    elif not chosen.count:
        found.append(PanelError("evaluate_no_questions", N_("These subjects have no question that can be asked.")))
    missing = evaluate_evaluator.missing(str(fields["evaluator"]))
    if missing is not None:
        found.append(missing)
    if judged and fields["evaluator"] != "tunedeck":
        found.append(
            PanelError(
                "evaluate_judge_elsewhere",
                N_("This set needs a judge, and {evaluator} has none."),
                N_("Choose TuneDeck as the evaluator."),
                evaluator=evaluate_look.evaluator(str(fields["evaluator"])),
            )
        )
    elif judged and not fields.get("judge"):
        found.append(PanelError("evaluate_judge_missing", N_("Choose the model that judges.")))
    for spec in specs[:1]:
        try:
            parse("evaluate", dict(spec))
        except SpecError as error:
            found.append(error)
    if specs and not found:
        unfit = evaluate_config.problem(specs[0])
        found += [unfit] if unfit is not None else []
    return found


def _warnings(chosen: Chosen) -> list[str]:
    bad = [one for one in chosen.found.subjects if one.problem]
    said = []
    if bad:
        text = ngettext("{n} subject cannot be asked: {names}.", "{n} subjects cannot be asked: {names}.", len(bad))
        names = ", ".join(one.name for one in bad[:4]) + (" …" if len(bad) > 4 else "")
        said.append(text.format(n=len(bad), names=names) + " " + _("See under Question sets what is wrong with them."))
    return said


def draw(made: Made, offered: Offered) -> None:
    """Draw the plan, and the button under it."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**" + _("What will happen") + "**", width="content")
        if made.runs:
            st.markdown(f":green-badge[:material/check_circle: {_('ready')}]", width="content")
        else:
            st.markdown(f":red-badge[:material/block: {_('cannot run like this')}]", width="content")
    times = [_estimate(spec) for spec in made.specs] if made.runs else []
    _figures(made, times)
    _story(made, offered)
    _memory(made, offered)
    for warning in made.warnings:
        st.markdown(f":orange[:material/warning:] {errors.plain(warning)}")
    for number, problem in enumerate(made.problems):
        _problem(problem, number)
    if made.runs:
        open_specs = [spec for spec, time in zip(made.specs, times, strict=True) if time is None]
        evaluate_trial.draw(open_specs, made.specs)
    evaluate_submit.button(made.specs, evaluate_questions.title(made.chosen.found), runs=made.runs)


def _estimate(spec: Mapping[str, Any]) -> Estimate | None:
    """How long it takes; None where nothing like it ran here yet."""
    ended = context.store().list(verb="evaluate", states=("succeeded",), limit=1)
    return _measured(str(default_root()), json.dumps(spec, sort_keys=True), ended[0].id if ended else 0)


# It looks at what earlier jobs left on the disk, and the form is drawn at every choice.
@st.cache_resource(ttl=20, show_spinner=False, max_entries=64)
def _measured(root: str, spec: str, newest: int) -> Estimate | None:
    try:
        found = forecast.seconds(context.workspace(), context.store(), EvaluateSpec.model_validate_json(spec))
    except PanelError:
        return None  # a record that cannot be read hides no form
    return found if found.seconds is not None else None


def _figures(made: Made, times: Sequence[Estimate | None]) -> None:
    """Questions, time, and how exact: the three numbers that people ask for."""
    row = st.container(horizontal=True, horizontal_alignment="distribute", gap="small", key="evaluate_figures")
    count, several = made.chosen.count, len(made.specs)
    each = ngettext("each of {n} model", "each of {n} models", several).format(n=several) if several > 1 else ""
    _figure(row, _("Questions"), f"{count:,}", each or evaluate_words.subjects(len(made.chosen.asked)))
    known = [time for time in times if time is not None]
    if known and len(known) == len(times):
        low, high = sum(float(time.low or 0) for time in known), sum(float(time.high or 0) for time in known)
        source = _(SOURCES.get(str(known[0].source), "")) if known[0].source else ""
        band = f"{words.duration(low)} – {words.duration(high)}"
        _figure(row, _("Time"), words.duration(sum(float(time.seconds or 0) for time in known)), f"{band} · {source}")
    else:
        _figure(row, _("Time"), _("unknown"), _("a trial tells"))
    exact = f"± {evaluate_questions.margin(count):.0f}" if count else "–"
    _figure(row, _("Exact to"), exact, _("percentage points, 95 %"))


def _figure(row: DeltaGenerator, label: str, value: str, more: str) -> None:
    with row, st.container(gap=None, width="content"):
        st.metric(label, value, width="content")
        st.caption(more)


def _story(made: Made, offered: Offered) -> None:
    lines = []
    names = [str(spec["model"]) for spec in made.specs if spec.get("model") and not spec.get("base_url")]
    starting = [name for name in names if name not in offered.running and not serving.find(context.store(), name)]
    if any(spec.get("by") == "hf" for spec in made.specs):
        lines.append((":material/memory:", _("OpenCompass loads the model itself.")))
    elif starting:
        text = ngettext("{names} is started for it.", "{names} are started for it.", len(starting))
        lines.append((":material/dns:", text.format(names=", ".join(starting))))
    elif names:
        lines.append((":material/dns:", _("It answers already.") if len(names) == 1 else _("They answer already.")))
    if 0 < made.chosen.count < FEW_QUESTIONS:
        text = _("So few questions show whether it works. To tell two models apart, take more.")
        lines.append((":material/info:", text))
    if len(made.specs) > 1:
        lines.append(
            (":material/compare_arrows:", _("Same questions, same settings: they can be compared afterwards."))
        )
    if lines:
        st.markdown("  \n".join(f":gray[{icon}] {errors.plain(text)}" for icon, text in lines))


def _memory(made: Made, offered: Offered) -> None:
    """What each server takes, or will take."""
    names = [str(spec["model"]) for spec in made.specs if spec.get("model") and not spec.get("base_url")]
    for name in names[:METERS]:
        card = offered.cards.get(name)
        job = serving.find(context.store(), name)
        if card is None and job is None:
            continue
        with st.container(gap=None, key=f"evaluate_memory_{names.index(name)}"):
            if len(names) > 1:
                st.caption(f"**{errors.plain(name)}**")
            if card is not None:
                model_fit.draw(card, job)


def _problem(problem: PanelError, number: int) -> None:
    message, hint = problem.localized()
    with st.container(gap="xsmall", key=f"evaluate_problem_{number}"):
        if isinstance(problem, SpecError) and problem.problems:
            for item in problem.problems:
                name = str(item["field"]).split(".")[0]
                info = EvaluateSpec.model_fields.get(name)
                where = f"**{errors.plain(spec_form.label(name, info))}** · " if info else ""
                st.markdown(f":red[:material/error:] {where}{errors.plain(item['message'])}")
            return
        st.markdown(f":red[:material/error:] {errors.plain(message)} {errors.plain(hint)}".rstrip())
        if problem.code in errors.ENVIRONMENT_CODES:
            with st.container(horizontal=True, vertical_alignment="center"):
                errors.link(problem)
                st.button(
                    _("Use TuneDeck instead"),
                    key="evaluate_instead",
                    icon=":material/swap_horiz:",
                    type="tertiary",
                    on_click=_instead,
                )


def _instead() -> None:
    """Callback: the evaluator that needs no environment."""
    evaluate_state.own()
    evaluate_state.fill({"evaluator": "tunedeck"})
