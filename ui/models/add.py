"""Models that are on this server already: one folder put on the list, or all models below a folder found and chosen."""

from __future__ import annotations

import hashlib
import os

import streamlit as st

from backend import catalog
from backend.catalog import Found, ModelCard, Scan
from backend.errors import PanelError
from backend.i18n import _, ngettext
from ui import context, errors
from ui.models import card as model_card
from ui.models import convert as models_convert

SHOWN = 30
SCANNED = "folder"
"""The address's parameter with the folder that was looked into."""


def draw() -> None:
    """Draw the form for one folder, and the search below a folder with what it found."""
    result, problem = _result()
    usable = _usable(result) if result else []
    with st.container(border=True, key="add_box"):
        st.subheader(_("One model"), anchor=False)
        with st.form("add", border=False):
            st.text_input(
                _("Folder on this server"),
                key="add_path",
                placeholder="/data/models/Qwen3-0.6B",
                help=_("The folder that holds config.json and the safetensors files. Nothing is copied."),
            )
            st.text_input(
                _("Name"),
                key="add_name",
                placeholder=_("the folder's name"),
                help=_("What people and programs will call it. Leave it empty to take the folder's name."),
            )
            st.form_submit_button(
                _("Add to the list"),
                icon=":material/add:",
                type="secondary" if usable else "primary",
                on_click=_add,
            )
    with st.container(border=True, key="scan_box"):
        st.subheader(_("All models below a folder"), anchor=False)
        with st.form("scan", border=False):
            st.text_input(
                _("Folder of models"),
                key="scan_path",
                placeholder="/data/models",
                help=_("A shared model store, a download cache, or an output folder. Nothing is changed or copied."),
            )
            st.form_submit_button(_("Look for models below it"), icon=":material/search:", on_click=_look)
        if problem is not None:
            errors.show(problem, key="scan")
        elif result is not None:
            _found(result, usable)


def _add() -> None:
    """Callback of the form: put the folder on the list, and empty the form when that went well."""
    path, name = st.session_state["add_path"].strip(), st.session_state["add_name"].strip()
    st.session_state.pop("models_problem", None)
    if not path:
        return
    try:
        added = catalog.add(context.workspace(), path, name or None)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["add_path"] = st.session_state["add_name"] = ""
    st.session_state["models_said"] = _("{model} is on the list now.").format(model=added.name)


def _look() -> None:
    """Callback: the folder goes into the address, from where the page takes it; the same one is looked into anew."""
    for name in ("models_scan", "models_scan_without"):
        st.session_state.pop(name, None)
    path = st.session_state["scan_path"].strip()
    if path:
        st.query_params[SCANNED] = path
    else:
        st.query_params.pop(SCANNED, None)


def _result() -> tuple[Scan | None, PanelError | None]:
    """What lies below the folder in the address, looked up once; or why that could not be said."""
    folder = st.query_params.get(SCANNED, "")
    if not folder:
        return None, None
    kept: tuple[str, Scan | None, PanelError | None] | None = st.session_state.get("models_scan")
    if kept is None or kept[0] != folder:
        st.session_state.setdefault("scan_path", folder)
        with st.spinner(_("Looking for models in {folder} …").format(folder=errors.plain(folder)), show_time=True):
            try:
                kept = (folder, catalog.scan(folder, context.workspace()), None)
            except PanelError as error:
                kept = (folder, None, error)
        st.session_state["models_scan"] = kept
    return kept[1], kept[2]


def _listed() -> dict[str, str]:
    """Folder -> name of what is on the list now, links followed too."""
    cards = catalog.models(context.workspace())
    return {path: card.name for card in reversed(cards) for path in (os.path.realpath(card.path), str(card.path))}


def _name_on_list(one: Found, listed: dict[str, str]) -> str:
    return listed.get(str(one.card.path)) or listed.get(os.path.realpath(one.card.path), "")


def _usable(result: Scan) -> list[Found]:
    listed = _listed()
    return [one for one in result.found if one.card.problem is None and not _name_on_list(one, listed)]


def _found(result: Scan, usable: list[Found]) -> None:
    listed = _listed()
    known = [(one.card, name) for one in result.found if (name := _name_on_list(one, listed))]
    bad = [one.card for one in result.found if one.card.problem is not None and not _name_on_list(one, listed)]
    said = [ngettext("{n} model can be added", "{n} models can be added", len(usable)).format(n=len(usable))]
    if known:
        said.append(_("{n} on the list already").format(n=len(known)))
    if bad:
        said.append(_("{n} not usable").format(n=len(bad)))
    st.markdown(f"**{' · '.join(said)}**" if result.found else _("There is no model in this folder or below it."))
    if not result.complete:
        st.caption(
            ":orange[:material/warning:] "
            + _("There are too many folders; not all were looked into. Name a folder further below.")
        )
    if usable:
        _choice(usable)
    if bad:
        with st.expander(_("Not usable: {n}").format(n=len(bad)), icon=":material/error:", key="scan_bad"):
            for card in bad[:SHOWN]:
                _broken(card)
            _rest(len(bad))
    if known:
        with st.expander(_("On the list already: {n}").format(n=len(known)), icon=":material/check:", key="scan_known"):
            for card, name in known[:SHOWN]:
                st.markdown(f"**{errors.plain(name)}**  \n{errors.plain(str(card.path))}")
            _rest(len(known))
    if result.unreadable:
        with st.expander(
            _("Could not be looked into: {n}").format(n=len(result.unreadable)), icon=":material/lock:", key="scan_shut"
        ):
            st.markdown("\n".join(f"- {errors.plain(str(path))}" for path in result.unreadable[:SHOWN]))
            _rest(len(result.unreadable))


def _choice(usable: list[Found]) -> None:
    """One line a model with a box to tick; all are ticked at first, also those that are not drawn."""
    without: set[str] = st.session_state.setdefault("models_scan_without", set())
    chosen = [one.card for one in usable if str(one.card.path) not in without]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            ngettext("Add {n} model", "Add {n} models", len(chosen)).format(n=len(chosen)),
            key="scan_add",
            type="primary",
            icon=":material/playlist_add:",
            disabled=not chosen,
            on_click=_add_all,
            args=(chosen,),
        )
        if not chosen:
            st.caption(_("Tick at least one model."), width="content")
        if len(usable) > 1:
            st.button(_("Tick all"), key="scan_all", type="tertiary", on_click=_tick, args=(usable, True))
            st.button(_("Tick none"), key="scan_none", type="tertiary", on_click=_tick, args=(usable, False))
    for one in usable[:SHOWN]:
        path = str(one.card.path)
        key = _box_key(path)
        st.session_state.setdefault(key, path not in without)
        with st.container(gap="xxsmall"):
            st.checkbox(f"**{errors.plain(one.repo or one.card.name)}**", key=key, on_change=_ticked, args=(path, key))
            st.caption(f"{model_card.facts(one.card)}  \n{errors.plain(path)}")
    _rest(len(usable))


def _box_key(path: str) -> str:
    return f"scan_{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def _ticked(path: str, key: str) -> None:
    without: set[str] = st.session_state.setdefault("models_scan_without", set())
    (without.discard if st.session_state[key] else without.add)(path)


def _tick(usable: list[Found], ticked: bool) -> None:
    paths = {str(one.card.path) for one in usable}
    st.session_state["models_scan_without"] = set() if ticked else paths
    for path in paths:
        if _box_key(path) in st.session_state:
            st.session_state[_box_key(path)] = ticked


def _broken(card: ModelCard) -> None:
    assert card.problem is not None
    message, hint = card.problem.localized()
    st.markdown(f"**{errors.plain(card.name)}**  \n:red[:material/error:] {errors.plain(message)} {errors.plain(hint)}")
    key = hashlib.sha1(str(card.path).encode(errors="replace"), usedforsecurity=False).hexdigest()[:12]
    models_convert.button(card.problem, card.name, key)


def _rest(count: int) -> None:
    if count > SHOWN:
        st.caption(_("{n} more are not shown here.").format(n=count - SHOWN))


def _add_all(cards: list[ModelCard]) -> None:
    """Callback: put them all on the list; what one of them did not take is said, and hinders no other."""
    st.session_state.pop("models_problem", None)
    try:
        done = catalog.add_all(context.workspace(), cards)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    refused = [one.problem for one in done if one.problem is not None]
    if refused:
        st.session_state["models_problem"] = refused[0].to_dict()
    count = len(done) - len(refused)
    if count:
        st.session_state["models_said"] = ngettext(
            "{n} model is on the list now.", "{n} models are on the list now.", count
        ).format(n=count)
