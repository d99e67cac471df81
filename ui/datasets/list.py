"""The datasets of this machine as cards: what each holds, where it is from, what the doctor says; and rows from the chat."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from backend.data.store import DatasetInfo
from backend.i18n import N_, _, ngettext
from ui import errors, words
from ui.datasets import collected as datasets_collected
from ui.datasets import doctor as datasets_doctor
from ui.datasets import jobs as datasets_jobs
from ui.datasets import state as datasets_state
from ui.datasets import words as named
from ui.finetune import ways_in as finetune_ways_in

FILTERS_FROM = 4
SHOWN, MORE = 20, 40
"""Cards that are drawn at first, and that come with one press."""
ORDERS = {"updated": N_("Last changed first"), "name": N_("Name"), "rows": N_("Most rows first")}
MAKERS = ("import_data", "ask_documents", "change_data")
"""Jobs that make a set."""
_DRAWN = "datasets_drawn"


def open_set(name: str, *, version: str = "", part: str = "", row: int | None = None) -> None:
    """Show the set ``name``: for a callback. In the body of a page, ``st.rerun()`` has to follow.

    version: an id; the current one otherwise. part: the view, such as ``doctor``; the rows otherwise. row: from 1.
    """
    st.query_params.from_dict(datasets_state.address(name, version=version, part=part, row=row))


def go(view: str) -> None:
    """Callback: the view ``view`` of the page without a set."""
    st.query_params.from_dict({"view": view})


def draw() -> None:
    """Draw the jobs that make sets, the sets, and the rows that were collected in the chat."""
    datasets_jobs.draw(MAKERS, None, "datasets_making", ended=datasets_jobs.FAILED)
    found = datasets_state.sets().list()
    collections = datasets_collected.waiting(found)
    if not found:
        _empty(bool(collections))
    else:
        shown = _narrowed(found) if len(found) >= FILTERS_FROM else found
        _cards(shown)
    datasets_collected.draw(collections, found)


def _empty(collected: bool) -> None:
    with st.container(border=True, horizontal_alignment="center", key="datasets_empty"):
        st.markdown(":material/dataset: **" + _("No datasets yet") + "**", width="content")
        st.markdown(
            _(
                "A dataset holds the examples that a model learns from: questions, and the answers that you want. "
                "Import a file, and every row that would not work is named with its number and what helps."
            ),
            text_alignment="center",
        )
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.button(
                _("Import a file"),
                key="datasets_empty_import",
                type="primary",
                icon=":material/upload_file:",
                on_click=go,
                args=("import",),
            )
            st.button(
                _("Make rows here"),
                key="datasets_empty_make",
                icon=":material/auto_awesome:",
                help=_("Who the model is, a role that it plays, or questions from your documents."),
                on_click=go,
                args=("make",),
            )
        if not collected:
            st.caption(_("Or collect good answers on the Chat page: they are offered here."), text_alignment="center")


def _narrowed(found: list[DatasetInfo]) -> list[DatasetInfo]:
    with st.container(horizontal=True, vertical_alignment="center", key="datasets_filters"):
        wanted = st.text_input(
            _("Search datasets"),
            key="datasets_search",
            placeholder=_("Name, file that it is from, note"),
            icon=":material/search:",
            width=280,
            label_visibility="collapsed",
            persist_state="session",
        )
        order = st.selectbox(
            _("Order"),
            list(ORDERS),
            key="datasets_order",
            format_func=lambda order: _(ORDERS[order]),
            width=190,
            label_visibility="collapsed",
            filter_mode=None,
            persist_state="session",
        )
        st.caption(_("{n} datasets").format(n=f"{len(found):,}"), width="content")
    pieces = wanted.casefold().split()
    left = [info for info in found if all(piece in _searched(info) for piece in pieces)]
    if order == "name":
        return sorted(left, key=lambda info: info.name.casefold())
    if order == "rows":
        return sorted(left, key=lambda info: -info.current.rows)
    return left


def _searched(info: DatasetInfo) -> str:
    return " ".join((info.name, named.origin(info.current), info.current.note)).casefold()


def _cards(found: list[DatasetInfo]) -> None:
    asked = f"{st.session_state.get('datasets_search')}\0{st.session_state.get('datasets_order')}"
    kept, drawn = st.session_state.get(_DRAWN, ("", SHOWN))
    if kept != asked:  # another search begins at the top
        drawn = SHOWN
    for place, info in enumerate(found[:drawn]):
        _card(info, primary=place == 0)
    left = len(found) - drawn
    if left > 0:
        st.button(
            ngettext("Show {n} more", "Show {n} more", min(left, MORE)).format(n=min(left, MORE)),
            key="datasets_more",
            icon=":material/expand_more:",
            help=_("{n} are not shown. The search narrows the list.").format(n=f"{left:,}"),
            on_click=_more,
            args=(asked, drawn + MORE),
        )
    if not found:
        st.caption(_("No dataset here is like that. Change the search."))


def _more(asked: str, drawn: int) -> None:
    st.session_state[_DRAWN] = (asked, drawn)


def _card(info: DatasetInfo, *, primary: bool) -> None:
    key = datasets_state.key_of(info.name)
    version = datasets_state.sets().open(info.name)
    with st.container(border=True, key=f"dataset_{key}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{errors.plain(info.name)}**", width="content")
            st.markdown(datasets_doctor.state(version).chip, width="content")
        st.caption(facts(info), help=words.stamp(info.updated))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                _("Open {name}").format(name=errors.plain(info.name)),
                key=f"dataset_open_{key}",
                type="primary" if primary else "secondary",
                icon=":material/dataset:",
                on_click=open_set,
                args=(info.name,),
            )
            st.button(
                _("Examine"),
                key=f"dataset_doctor_{key}",
                type="tertiary",
                icon=":material/troubleshoot:",
                help=_("The doctor: what is wrong with which row, and what helps."),
                on_click=partial(open_set, part="doctor"),
                args=(info.name,),
            )
            if info.current.rows:
                finetune_ways_in.from_dataset(info.name)
            actions(info, key)


def facts(info: DatasetInfo) -> str:
    """Rows, splits, where from, size, versions and age, in one line of Markdown."""
    current = info.current
    parts: list[Any] = [named.rows(current.rows), named.splits(current.counts)]
    if current.rejected:
        text = ngettext("{n} record not taken", "{n} records not taken", current.rejected)
        parts.append(text.format(n=f"{current.rejected:,}"))
    origin = named.origin(current)
    own = all(item.get("dataset") == info.name for item in current.made_from)  # or it is made from nothing
    parts.append(named.steps(current.steps, brief=True) if own else _("from {origin}").format(origin=origin))
    parts.append(words.size(current.bytes))
    if info.versions > 1:
        parts.append(ngettext("{n} version", "{n} versions", info.versions).format(n=info.versions))
    parts.append(words.ago(info.updated))
    return errors.plain(" · ".join(str(part) for part in parts if part))


def actions(info: DatasetInfo, key: str) -> None:
    """Rename and delete, each asking first."""
    box = st.popover(
        _("Rename"), icon=":material/edit:", type="tertiary", key=f"dataset_renaming_{key}", on_change="rerun"
    )
    if box.open:
        with box:
            st.text_input(_("New name"), info.name, key=f"dataset_new_{key}", max_chars=60)
            working = _working(info.name)
            st.button(
                _("Rename it"),
                key=f"dataset_rename_{key}",
                icon=":material/check:",
                disabled=working,
                on_click=_rename,
                args=(info.name, f"dataset_new_{key}"),
            )
    box = st.popover(
        _("Delete"), icon=":material/delete:", type="tertiary", key=f"dataset_deleting_{key}", on_change="rerun"
    )
    if box.open:
        with box:
            text = ngettext(
                "Delete **{name}** with its {n} version? This cannot be undone.",
                "Delete **{name}** with all {n} versions? This cannot be undone.",
                info.versions,
            )
            st.markdown(text.format(name=errors.plain(info.name), n=info.versions))
            working = _working(info.name)
            st.button(
                _("Delete {name}").format(name=errors.plain(info.name)),
                key=f"dataset_delete_{key}",
                icon=":material/delete:",
                disabled=working,
                on_click=_delete,
                args=(info.name,),
            )


def _working(name: str) -> bool:
    """Whether a job works on the set ``name``, which would then lose its place; says so."""
    jobs = datasets_jobs.of((*MAKERS, "export_data", "examine_data", "count_tokens"), name)
    if jobs:
        st.caption(_("Job {job} works on it now. Cancel that first.").format(job=jobs[0].id))
    return bool(jobs)


def _rename(name: str, key: str) -> None:
    with datasets_state.problems():
        new = datasets_state.sets().rename(name, str(st.session_state.get(key) or ""))
        if st.query_params.get(datasets_state.SET) == name:
            st.query_params[datasets_state.SET] = new
        if new != name:
            datasets_state.say(_("It is called '{name}' now.").format(name=new))


def _delete(name: str) -> None:
    with datasets_state.problems():
        datasets_state.sets().delete(name)
        if st.query_params.get(datasets_state.SET) == name:
            go("list")
        datasets_state.say(_("'{name}' is deleted.").format(name=name))
