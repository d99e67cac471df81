"""Servers that ended lately: why, in plain words, and the likely way on."""

from __future__ import annotations

import time

import streamlit as st

from backend import catalog
from backend.catalog import ModelCard
from backend.deploy import fixes
from backend.errors import NotFoundError
from backend.i18n import N_, _
from backend.queue import folder, logs
from backend.queue.rows import DONE, JobRow
from backend.workspace import ROOT
from ui import context, errors, serving, words
from ui.jobs import card as job_card
from ui.jobs import forecast as job_forecast

JOBS_PAGE, MODELS_PAGE = ROOT / "pages" / "jobs.py", ROOT / "pages" / "models.py"
DAY_S = 24 * 3600
SHOWN = 3
"""The others are on the Jobs page."""
FIXES = {
    "less_memory": N_("Start again with less memory"),
    "transformers": N_("Start again with transformers"),
    "own_template": N_("Start again with the model's own chat template"),
    "no_parsers": N_("Start again without parsers"),
    "no_adapters": N_("Start again without adapters"),
    "auto_format": N_("Start again with the weight format on auto"),
}
"""The buttons of :func:`backend.deploy.fixes.fix`."""


def job_link(row: JobRow) -> None:
    """The way to everything about the job ``row``."""
    label = _("Job {job}").format(job=row.id)
    st.page_link(JOBS_PAGE, label=label, icon=":material/chevron_right:", query_params={"job": str(row.id)})


def draw(alive: set[str]) -> None:
    """The newest end of each server that is not among ``alive``, the names of those that run or wait."""
    rows = context.store().list(states=DONE, verb="serve", limit=50)
    newest: dict[str, JobRow] = {}
    for row in rows:
        newest.setdefault(row.title, row)
    shown = [row for row in newest.values() if row.title not in alive and time.time() - (row.ended or 0) < DAY_S]
    if shown:
        st.subheader(_("Ended in the last day"), anchor=False)
    for row in shown[:SHOWN]:
        with st.container(border=True, key=f"ended_{row.id}", gap="small"):
            _end(row)


def _end(row: JobRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{errors.plain(row.title)}**", width="content")
        st.markdown(words.look(row).chip, width="content", help=_(job_card.MEANINGS[row.state]))
    st.caption(f"#{row.id} · {words.ago(row.ended)}", help=words.stamp(row.ended))
    job_forecast.draw(row)
    if row.state == "failed":
        log = folder.log_file(context.store().job_dir(row.id), row.attempt)
        errors.show(row.error, key=f"server_{row.id}", log=logs.tail(log, lines=200).text, actions=_fixes(row))
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            _again(row).draw(f"again_{row.id}", primary=False)
            job_link(row)


def _again(row: JobRow) -> errors.Action:
    return errors.Action(
        _("Start again"),
        serving.again,
        (row.id,),
        ":material/play_arrow:",
        help=_("A new server with the same settings."),
    )


def _fixes(row: JobRow) -> list[errors.Action]:
    """What is likely to help against the failure of ``row``, the likeliest first."""
    code, spec = str(row.error.get("code")), context.store().spec(row.id)
    if code in ("model_needs_code", "engine_needs_code"):
        return [errors.Action(_("Look at its code"), icon=":material/code:", page=MODELS_PAGE), _again(row)]
    found = fixes.fix(code, spec, _card_of(str(spec.get("model", ""))))
    if found is None:
        return [_again(row)]
    name, new = found
    shorter = _("A conversation may have {n} tokens then.").format(n=f"{new.get('context_length') or 0:,}")
    better = errors.Action(
        _(FIXES[name]),
        serving.again,
        (row.id, new),
        ":material/build:",
        help=shorter if name == "less_memory" else None,
    )
    return [better, _again(row)]


def _card_of(model: str) -> ModelCard | None:
    try:
        return catalog.find(context.workspace(), model)
    except NotFoundError:
        return None
