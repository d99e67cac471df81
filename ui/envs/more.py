"""What few people need of an engine's environment: other ways to install it, a bundle, what is in it, removal."""

from __future__ import annotations

import shlex
import sys

import streamlit as st

from backend.engines import Engine
from backend.engines.recipes import Recipe
from backend.envs import locks, removing
from backend.envs.status import Status
from backend.i18n import _, ngettext
from backend.workspace import ROOT
from ui import context, errors, words
from ui.envs import actions as envs_actions
from ui.envs import plan as envs_plan
from ui.envs import words as envs_words


def draw(engine: Engine, status: Status, *, busy: bool) -> None:
    """The folded part of the card. busy: a job works on it, so nothing else can be begun."""
    recipe = engine.recipe
    if recipe is None:
        _inside(engine, status, recipe)
        return
    removable = status.state not in ("missing", "own") and not status.shared
    names = [_("Install in another way"), _("Make a bundle"), _("What is in it"), *([_("Remove")] if removable else [])]
    tabs = st.tabs(names)
    with tabs[0]:
        _otherwise(engine, status, recipe, busy)
    with tabs[1]:
        _bundle(engine, recipe, busy)
    with tabs[2]:
        _inside(engine, status, recipe)
    if removable:
        with tabs[3]:
            _remove(engine, busy)


def command(engine: Engine, *words_: str) -> str:
    """What the page's button does, as a line for the shell on the server."""
    line = shlex.join([sys.executable, "-m", "backend", "envs", *words_])
    return f"cd {shlex.quote(str(ROOT))} && {line}"


def _otherwise(engine: Engine, status: Status, recipe: Recipe, busy: bool) -> None:
    flavour = _flavour(("auto", *recipe.flavours), f"engine_flavour_{engine.name}")
    wheels = st.text_input(
        _("Folder of a bundle"),
        key=f"engine_wheels_{engine.name}",
        placeholder=_("empty: from the network"),
        help=_("A folder that 'Make a bundle' has filled on a machine with network. Then no network is used here."),
    ).strip()
    plan = envs_plan.now(engine.name, flavour, wheels)
    there = status.state != "missing"
    st.button(
        _("Make it anew like this") if there else _("Install like this"),
        key=f"engine_otherwise_{engine.name}",
        icon=":material/restart_alt:" if there else ":material/download:",
        disabled=busy or bool(plan.problems),
        help=_("What is there stays in use until the new one has passed its self-test.") if there else None,
        on_click=envs_actions.install,
        args=(engine.name, flavour, wheels, there),
    )
    envs_plan.draw(plan)
    more = [*(["--flavour", flavour] if flavour != "auto" else []), *(["--from", wheels] if wheels else [])]
    st.caption(_("The same in a shell on the server:"))
    again = ["--reinstall"] if there else []
    st.code(command(engine, "install", engine.name, *more, *again), language="bash", wrap_lines=True)


def _bundle(engine: Engine, recipe: Recipe, busy: bool) -> None:
    st.markdown(
        _(
            "Fetches all its packages into a folder, for a machine without network: copy the folder there, and name it under "
            "'Install in another way'."
        )
    )
    flavour = _flavour(recipe.flavours, f"engine_bundle_flavour_{engine.name}")
    folder = st.text_input(
        _("Folder to fill"),
        key=f"engine_bundle_folder_{engine.name}",
        placeholder="/data/bundles",
        help=_("A folder on this server. It is made where it is not there."),
    ).strip()
    lock = locks.find(engine, flavour)
    if lock is None:
        st.caption(_("TuneDeck has no list of its packages {flavour}.").format(flavour=envs_words.flavour(flavour)))
    else:
        size = words.size(lock.download_bytes)
        count = ngettext("{n} package, {size}", "{n} packages, {size}", len(lock.packages))
        st.caption(count.format(n=len(lock.packages), size=size))
    st.button(
        _("Make the bundle"),
        key=f"engine_bundle_{engine.name}",
        icon=":material/archive:",
        disabled=busy or not folder or lock is None,
        on_click=envs_actions.bundle,
        args=(engine.name, flavour, folder),
    )
    if not folder:
        st.caption(_("Name a folder first."))


def _inside(engine: Engine, status: Status, recipe: Recipe | None) -> None:
    st.caption(_("Folder") if status.usable else _("Folder that it will have"))
    st.code(str(status.folder), language=None, wrap_lines=True)
    if status.python is not None:
        st.caption(_("Python, for programs of your own"))
        st.code(str(status.python), language=None, wrap_lines=True)
    if recipe is None:
        return
    for patch in recipe.patches:
        until = _("Needed with {package} {versions}; left out with others.").format(
            package=patch.package, versions=patch.versions
        )
        where = " · ".join(map(envs_words.flavour, patch.flavours))
        st.markdown(
            f":material/healing: **{errors.plain(patch.name)}** · {errors.plain(_(patch.why))}  \n"
            f":gray[{errors.plain(f'{until} {where}')}]"
        )
    flavour = status.flavour or envs_plan.now(engine.name).flavour
    lock = locks.find(engine, flavour)
    if lock is None:
        return
    size = words.size(lock.download_bytes)
    count = ngettext(
        "{n} package {flavour}, {size} to download, for Python {python}",
        "{n} packages {flavour}, {size} to download, for Python {python}",
        len(lock.packages),
    )
    st.caption(
        count.format(
            n=len(lock.packages), flavour=envs_words.flavour(flavour), size=size, python=" / ".join(lock.pythons)
        )
    )
    rows = [
        {_("Package"): package.name, _("Version"): package.version, _("Download"): words.size(package.bytes)}
        for package in lock.packages
    ]
    st.dataframe(rows, hide_index=True, height=min(35 * (len(rows) + 1) + 3, 280), alt=_("Packages"))


def _remove(engine: Engine, busy: bool) -> None:
    frees = words.size(_size(str(context.workspace().root), engine.name))
    st.markdown(_("Deletes the environment and what was downloaded for it. It can be installed again at any time."))
    with st.popover(
        _("Remove {engine}").format(engine=errors.plain(engine.title)), icon=":material/delete:", disabled=busy
    ):
        st.markdown(_("Remove {engine} from this machine?").format(engine=errors.plain(engine.title)))
        st.button(
            _("Remove and free {size}").format(size=frees),
            key=f"engine_remove_{engine.name}",
            type="primary",
            icon=":material/delete:",
            on_click=envs_actions.remove,
            args=(engine.name, engine.title),
        )


def _flavour(options: tuple[str, ...], key: str) -> str:
    return st.selectbox(
        _("Kind of build"),
        options,
        key=key,
        format_func=envs_words.choice,
        help=_(
            "What its packages compute on. The one for the CPU runs on any machine; the other one needs an NVIDIA GPU to compute."
        ),
        filter_mode=None,
        disabled=len(options) == 1,
    )


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def _size(_root: str, engine: str) -> int:
    """A walk over tens of thousands of files; at most once a minute."""
    return removing.size(context.workspace(), engine)
