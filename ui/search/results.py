"""What a search found, kind by kind: links to the things themselves, with what was looked for marked; and what to do where nothing was."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.i18n import _, ngettext
from backend.search import Group, Hit, Query, recent, search
from backend.search import docs as documentation
from backend.workspace import ROOT
from ui import errors, words
from ui.search import state as search_state
from ui.search import words as search_words

NOTHING = Query("", ())


def draw(asked: Query) -> None:
    """Draw what was found."""
    kinds, most = search_state.kinds(), search_state.most()
    groups = search(search_state.sources(), asked, kinds, most=most)
    if asked.cut:
        st.caption(_("Only the beginning of what you typed was looked for."))
    if not any(group.count for group in groups):
        _nothing(asked, kinds)
    for group in groups:
        _group(group, asked, alone=len(kinds) == 1)
    if len(kinds) == 1 and groups and len(groups[0].hits) < min(groups[0].count, search_state.LIMIT):
        st.page_link(
            search_state.PAGE,
            label=_("Show more"),
            icon=":material/expand_more:",
            query_params=search_state.address(asked.text, kinds, most + search_state.STEP),
        )


def last() -> None:
    """Draw what was used last, and the pages of the documentation."""
    kinds = search_state.kinds()
    for group in recent(search_state.sources(), kinds):
        _group(group, NOTHING, alone=False)
    if kinds and "docs" not in kinds:
        return
    st.subheader(search_words.name("docs"), anchor=False)
    with st.container(gap="xxsmall", key="search_docs"):
        for doc in documentation.pages():
            first = next(iter(documentation.sections(doc)), None)
            if first is not None and "/" not in doc:
                query = {search_state.DOC: doc}
                icon = search_words.icon("docs")
                st.page_link(search_state.PAGE, label=errors.plain(first.title), icon=icon, query_params=query)


def _group(group: Group, asked: Query, *, alone: bool) -> None:
    with st.container(gap="xsmall", key=f"search_{group.kind}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(search_words.name(group.kind), anchor=False, width="content")
            if group.count and asked.words:
                st.markdown(f":gray-badge[{group.count:,}]", width="content")
            if len(group.hits) < group.count and asked.words and not alone:
                st.page_link(
                    search_state.PAGE,
                    label=_("Show all {n}").format(n=f"{group.count:,}"),
                    query_params=search_state.address(asked.text, [group.kind]),
                )
        if group.problem is not None:
            page = ROOT / "pages" / f"{search_words.KINDS[group.kind][2]}.py"
            way = errors.Action(_("Go to its page"), page=page, icon=search_words.icon(group.kind))
            errors.show(group.problem, key=f"search_{group.kind}", actions=[way])
        if group.near:
            st.caption(_("Nothing is called exactly so; this comes near:"))
        for hit in group.hits:
            _hit(hit, asked)
        if group.since:
            text = _("Only what is newer than {date} was looked at; its own page searches all of it.")
            st.caption(text.format(date=words.stamp(group.since)[:10]))


def _hit(hit: Hit, asked: Query) -> None:
    """The link to a thing, below it what it is and what was found in it."""
    address = dict(hit.address)
    if hit.kind == "docs" and asked.text:
        address[search_state.QUERY] = asked.text
    verb = str(hit.more.get("verb") or "")
    with st.container(gap=None, key=f"search_hit_{hit.kind}_{search_words.key_of(hit.key)}"):
        st.page_link(
            ROOT / "pages" / f"{hit.page}.py",
            label=search_words.marked(asked, hit.title) or _("Untitled"),
            icon=words.verb_icon(verb) if verb else search_words.icon(hit.kind),
            help=words.stamp(hit.when) if hit.when else None,
            query_params=address,
        )
        facts = [*_beside(hit), search_words.marked(asked, hit.context)]
        st.caption(" · ".join(filter(None, facts)))


def _beside(hit: Hit) -> list[str]:
    """What is said of ``hit`` before its own words, as Markdown: its state, its number, where it stands, when."""
    found: list[str] = []
    if "state" in hit.more:
        look = words.STATES.get(str(hit.more["state"]), words.STATES["lost"])
        found += [look.chip, f"{errors.plain(words.verb_word(str(hit.more['verb'])))} \\#{hit.more['number']}"]
    found += [errors.plain(" › ".join(hit.more["above"]))] if hit.more.get("above") else []
    found += [words.ago(hit.when)] if hit.when else []
    found += [errors.plain(str(hit.more["model"]))] if hit.more.get("model") else []
    more = int(hit.more.get("count") or 1) - 1
    if more > 0:
        found.append(ngettext("and in {n} earlier message", "and in {n} earlier messages", more).format(n=f"{more:,}"))
    return found


def _nothing(asked: Query, kinds: Sequence[str]) -> None:
    """What was searched, and what else can be tried."""
    looked = kinds or list(search_words.KINDS)
    with st.container(border=True, key="search_nothing", gap="small"):
        st.markdown(f":material/search_off: **{errors.plain(_('Nothing holds “{text}”.').format(text=asked.text))}**")
        st.caption(_("Searched: {kinds}.").format(kinds=", ".join(search_words.name(kind) for kind in looked)))
        st.markdown(
            _(
                "Fewer words, or a part of a word, find more. What stands in the rows of a dataset is found on its own page."
            )
        )
        with st.container(horizontal=True, gap="small"):
            if kinds:
                query = search_state.address(asked.text)
                st.page_link(
                    search_state.PAGE, label=_("Search everything"), icon=":material/search:", query_params=query
                )
            ways: tuple[tuple[str, dict[str, str], str, str], ...] = (
                ("models", {"view": "download"}, _("Download a model"), ":material/download:"),
                ("datasets", {}, _("Open Datasets"), ":material/dataset:"),
                ("environments", {"view": "log"}, _("Explain a log"), ":material/troubleshoot:"),
            )
            for page, address, label, icon in ways:
                st.page_link(ROOT / "pages" / f"{page}.py", label=label, icon=icon, query_params=address)
