"""*Compare set-ups* of the Benchmark page: which set-ups of which model; beside it which of them this machine can measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from backend import catalog
from backend.bench import export, matrix, presets
from backend.bench.presets import ENGINES, LMDEPLOY, PRESETS
from backend.errors import PanelError
from backend.i18n import N_, _, ngettext
from backend.specs import parse
from backend.specs.bench import BenchMatrixSpec, SetUp, Size
from backend.workspace import ROOT
from ui import context, errors, spec_form
from ui.benchmark import command as benchmark_command
from ui.benchmark import state as benchmark_state

QUANTIZE_PAGE = ROOT / "pages" / "quantize.py"
OWN = "own"
TRUST_S = 30.0
SIZES = tuple(dict.fromkeys((*presets.HOMEWORK, *presets.ONE_AND_MANY, *presets.CROWD)))
KV_WORDS = {0: N_("16 bits"), 8: "int8", 4: "int4"}
CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768)
SHARES = (0.8, 0.5, 0.2, 0.01)


def draw() -> None:
    """Draw the form, which redraws itself alone while somebody chooses."""
    st.fragment(errors.guarded(_form, "benchmark_setups"))()


def _form() -> None:
    left, right = st.columns([4, 5], gap="medium")
    with left, st.container(border=True, height="stretch", key="benchmark_setups_choices"):
        spec = _asked()
    with right, st.container(border=True, height="stretch", key="benchmark_setups_plan"):
        _plan(spec)
    benchmark_command.draw("bench_matrix", spec)
    benchmark_state.redraw_if_pressed()


def _asked() -> dict[str, Any]:
    """Fields of the :class:`backend.specs.bench.BenchMatrixSpec`."""
    models = [card.name for card in catalog.models(context.workspace(), TRUST_S) if card.problem is None]
    names = [*PRESETS, OWN]
    asked, wanted = _wanted()
    preset = st.pills(
        _("What to compare"),
        names,
        default=asked if asked in names else names[0],
        required=True,
        key="benchmark_preset",
        format_func=lambda name: _(PRESETS[name].title) if name in PRESETS else _("My own table"),
    )
    st.caption(_(PRESETS[preset].description) if preset in PRESETS else _("Every combination of what you choose."))
    if preset == OWN:
        spec = _own(models)
    else:
        if st.session_state.get("benchmark_model") not in models:
            st.session_state["benchmark_model"] = wanted if wanted in models else models[0]
        model = st.selectbox(
            _("Model"), models, key="benchmark_model", filter_mode="fuzzy" if len(models) > 10 else None
        )
        spec = presets.build(context.workspace(), str(preset), model)
    with st.expander(_("More settings"), icon=":material/tune:", key="benchmark_setups_more", type="compact"):
        usual = [Size(**size) for size in spec["sizes"]]
        sizes = st.multiselect(
            _("Sizes"),
            list(dict.fromkeys([*usual, *SIZES])),
            default=usual,
            format_func=export.size_words,
            key=f"benchmark_sizes_{preset}",
            help=_("What is measured of each set-up: how many at once, tokens of the prompt and of the answer."),
        )
        spec["sizes"] = [size.model_dump() for size in sizes]
        fields = ("num_prompts", "prompts", "seed")
        spec |= spec_form.draw_fields(BenchMatrixSpec, fields, {}, key="benchmark_setups_spec")
    return spec


def _wanted() -> tuple[str, str]:
    """Preset and model that the address asks for; of a smaller copy, the model that it was made of and all its copies."""
    preset, model = st.query_params.get("preset", ""), st.query_params.get("model", "")
    if preset or not model:
        return preset, model
    card = next((one for one in catalog.models(context.workspace(), TRUST_S) if one.name == model), None)
    if card is None or not card.quantization or card.lineage is None:
        return preset, model
    return "copies", card.lineage.base


def _own(models: list[str]) -> dict[str, Any]:
    chosen = st.multiselect(_("Models"), models, default=models[:1], key="benchmark_own_models")
    engines = st.multiselect(
        _("Engines"),
        list(ENGINES),
        default=["transformers", "together"],
        format_func=lambda name: ENGINES[name][0],
        key="benchmark_own_engines",
    )
    bits: tuple[int, ...] = (0,)
    shares: tuple[float, ...] = ()
    if set(engines) & set(LMDEPLOY):
        bits = tuple(
            st.pills(
                _("KV cache bits"),
                list(KV_WORDS),
                default=[0],
                selection_mode="multi",
                format_func=lambda value: _(KV_WORDS[value]),
                key="benchmark_own_bits",
            )
        ) or (0,)
        shares = tuple(
            st.pills(
                _("KV cache (share of free memory)"),
                SHARES,
                selection_mode="multi",
                key="benchmark_own_shares",
                help=_("None chosen: the engine's own, 0.8."),
            )
        )
    contexts = st.multiselect(
        _("Context length (tokens)"),
        CONTEXTS,
        key="benchmark_own_contexts",
        placeholder=_("the model's own"),
    )
    setups = presets.table(chosen, engines, kv_bits=bits, shares=shares, contexts=contexts)
    return {
        "preset": "",
        "setups": [one.model_dump() for one in setups],
        "sizes": [size.model_dump() for size in presets.ONE_AND_MANY],
    }


def _plan(spec: dict[str, Any]) -> None:
    st.markdown("**" + _("What will happen") + "**")
    problems = _problems([SetUp(**one) for one in spec["setups"]])
    able = [label for label, problem in problems.items() if problem is None]
    for label in able:
        st.markdown(f":green[:material/check_circle:] **{errors.plain(label)}**")
    _refused({label: problem for label, problem in problems.items() if problem is not None})
    wrong = "" if able else _("None of these set-ups can be measured on this machine.")
    wrong = wrong if problems else _("Choose at least one model and one engine.")
    wrong = wrong or ("" if spec["sizes"] else _("Choose at least one size."))
    if not wrong:
        st.markdown("  \n".join(f":gray[{icon}] {errors.plain(text)}" for icon, text in _lines(spec, len(able))))
    else:
        st.markdown(f":red[:material/error:] {errors.plain(wrong)}")
    st.button(
        ngettext("Measure {n} of {all} set-ups", "Measure {n} of {all} set-ups", len(able)).format(
            n=len(able), all=len(problems)
        ),
        key="benchmark_setups_start",
        type="primary",
        icon=":material/table_chart:",
        disabled=bool(wrong) or not _whole(spec),
        on_click=benchmark_state.submit,
        args=("bench_matrix", spec, _title(spec)),
    )
    benchmark_state.busy()


def _title(spec: dict[str, Any]) -> str:
    """The job's name; empty: the spec's own."""
    preset = PRESETS.get(spec["preset"])
    if preset is None or not spec["setups"]:
        return ""
    return _("{model}: {preset}").format(model=spec["setups"][0]["serve"]["model"], preset=_(preset.title))


def _refused(problems: Mapping[str, PanelError]) -> None:
    """What cannot be measured here, the same reason once."""
    reasons: dict[str, tuple[PanelError, list[str]]] = {}
    for label, problem in problems.items():
        reasons.setdefault(" ".join(filter(None, problem.localized())), (problem, []))[1].append(label)
    for reason, (problem, labels) in reasons.items():
        names = ", ".join(map(errors.plain, labels))
        st.markdown(f":gray[:material/block:] **{names}**  \n:small[:gray[{errors.plain(reason)}]]")
        errors.link(problem)
        if problem.code == "bench_model_missing" and QUANTIZE_PAGE.is_file():
            st.page_link(QUANTIZE_PAGE, label=_("Open Quantize"), icon=":material/compress:")


def _lines(spec: dict[str, Any], able: int) -> list[tuple[str, str]]:
    sizes = "; ".join(export.size_words(Size(**size)) for size in spec["sizes"])
    count = able * len(spec["sizes"])
    return [
        (":material/straighten:", _("Each with: {sizes}.").format(sizes=sizes)),
        (
            ":material/repeat:",
            ngettext("{n} measurement, one after another.", "{n} measurements, one after another.", count).format(
                n=count
            )
            + " "
            + _("Each server is started, measured for memory and speed, and stopped."),
        ),
        (
            ":material/save:",
            _("It goes on when you close this page. What was measured is kept, also when it is stopped half-way."),
        ),
    ]


def _problems(setups: list[SetUp]) -> dict[str, PanelError | None]:
    return {one.label: matrix.problem(context.workspace(), one) for one in setups}


def _whole(spec: dict[str, Any]) -> bool:
    try:
        parse("bench_matrix", spec)
    except PanelError as error:
        st.markdown(f":red[:material/error:] {errors.plain(error.localized()[0])}")
        return False
    return True
