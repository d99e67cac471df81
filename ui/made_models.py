"""What a finished job made, and the next step with it: models go onto the list, datasets are opened."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from backend import catalog
from backend.catalog import Lineage
from backend.catalog.entries import entries
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.workspace import ROOT
from ui import compare_link, context, errors

MODELS_PAGE, DATASETS_PAGE = ROOT / "pages" / "models.py", ROOT / "pages" / "datasets.py"
SHOWN, BRIEFLY = 5, 2
MADE = {
    "model": N_("Made the model {name}."),
    "adapter": N_("Made the adapter {name}."),
    "checkpoint": N_("Saved the checkpoint {name}."),
    "report": N_("Wrote the report {name}."),
    "file": N_("Wrote the file {name}."),
    "dataset": N_("Made the dataset {name}."),
    "environment": N_("Made the environment of {name}."),
    "bundle": N_("Made a bundle of {name}."),
}
MODELS = ("model", "adapter")


def draw(row: JobRow, found: list[dict[str, Any]], act: Any, key: str, *, compact: bool = False) -> None:
    """Draw what ``row`` made. act: ``act(key, action, job_id)`` is the callback that shows on the card what goes wrong.
    compact: a line each and no buttons, and only the models and datasets, where it made any."""
    if compact:
        _brief(found)
        return
    if not found:
        st.markdown(_("It ended well."))
    listed = {str(entry["path"]): str(entry["name"]) for entry in entries(context.workspace())}
    for number, item in enumerate(found[-SHOWN:]):
        kind, path = str(item.get("kind")), str(item.get("path", ""))
        name = listed.get(path) if kind in MODELS else None
        label = name or str(item.get("label") or Path(path).name)
        st.markdown(
            ":green[:material/check_circle:] "
            + _(MADE.get(kind, MADE["file"])).format(name=f"**{errors.plain(label)}**")
        )
        if kind == "environment":
            st.page_link(errors.ENVIRONMENTS_PAGE, label=_("Open Environments"), icon=":material/inventory_2:")
        if kind == "dataset":
            _dataset(label, f"{key}_open_{number}")
        if kind not in MODELS:
            continue
        if name:
            st.page_link(
                MODELS_PAGE,
                label=_("Show {model} on the list of models").format(model=errors.plain(name)),
                icon=":material/deployed_code:",
                query_params={"model": name},
            )
            compare_link.draw(name)
        elif Path(path).is_dir():
            st.button(
                _("Add {model} to the list of models").format(model=errors.plain(label)),
                key=f"{key}_add_{number}",
                icon=":material/playlist_add:",
                on_click=act,
                args=(key, partial(_receive, row.verb, path, label), row.id),
            )


def _brief(found: list[dict[str, Any]]) -> None:
    listed = {str(entry["path"]): str(entry["name"]) for entry in entries(context.workspace())}
    for item in [one for one in found if one.get("kind") in (*MODELS, "dataset")][-BRIEFLY:] or found[-1:]:
        path = str(item.get("path", ""))
        label = listed.get(path) or str(item.get("label") or Path(path).name)
        if item.get("kind") == "dataset":
            label = label.rpartition("@")[0] or label
        st.markdown(
            ":green[:material/check_circle:] "
            + _(MADE.get(str(item.get("kind")), MADE["file"])).format(name=f"**{errors.plain(label)}**")
        )


def _dataset(label: str, key: str) -> None:
    """The way to the version of a dataset that a job made: ``name@version``."""
    name, _at, version = label.rpartition("@")
    pressed = st.button(
        _("Open the dataset {name}").format(name=errors.plain(name)),
        key=key,
        icon=":material/dataset:",
    )
    if pressed:  # not a link: one to the page that it stands on changes nothing
        st.switch_page(DATASETS_PAGE, query_params={"set": name, "part": "doctor", "version": version})


def _receive(verb: str, path: str, label: str, job: int) -> None:
    known = catalog.read_lineage(Path(path)) or Lineage(job=job, verb=verb)
    catalog.receive(context.workspace(), path, label, known)


def inside(folder: Path) -> list[str]:
    """The names of models on the list whose files lie in ``folder``, such as that of a job: they go with it."""
    here = [entry for entry in entries(context.workspace()) if Path(str(entry["path"])).is_relative_to(folder)]
    return [str(entry["name"]) for entry in here]
