"""Search. Its user wants to: get to a thing of which they remember a word, whatever kind of thing it is; or read what the documentation says."""

from __future__ import annotations

import streamlit as st

from backend.i18n import _
from backend.search import KINDS, query
from ui.search import doc as search_doc
from ui.search import results as search_results
from ui.search import state as search_state
from ui.search import words as search_words

READING_PX = 820
# Links to this page are no marks of where one is.
LINKS = """<style>
[class*="st-key-search_"] [data-testid="stPageLink"] a { background: transparent; padding-left: 0; }
[class*="st-key-search_"] [data-testid="stPageLink"] a:hover { background: color-mix(in srgb, currentColor 7%, transparent); }
[class*="st-key-search_"] [data-testid="stPageLink"] a p { white-space: normal; }
.st-key-search_doc [data-testid="stMarkdownContainer"] { overflow-x: auto; }
</style>"""
INPUT, CHOSEN = "search_page", "search_kinds"
# Once, when the page is opened: whoever has put the focus elsewhere since keeps it.
FOCUS = """<script>
(() => {
  const until = Date.now() + 3000;
  const look = () => {
    const input = document.querySelector('.st-key-search_page input');
    const now = document.activeElement;
    const free = !now || now === document.body || now.closest('.st-key-search_side, [data-testid="stSidebarNav"]');
    if (input && free) input.focus({preventScroll: true});
    else if (!input && Date.now() < until) setTimeout(look, 100);
  };
  look();
})();
</script>"""
asked = query(search_state.asked())
st.html(LINKS)
doc = st.query_params.get(search_state.DOC, "")
if doc:
    search_doc.draw(doc, st.query_params.get(search_state.SECTION, ""), asked)
    st.stop()

with st.container(width=READING_PX, key="search_body"):
    st.title(_("Search"), anchor=False)
    st.session_state[INPUT] = asked.text
    st.text_input(
        _("Search for"),
        key=INPUT,
        type="search",
        placeholder=_("A name, a number, a word that was said, an error code"),
        icon=":material/search:",
        label_visibility="collapsed",
        on_change=search_state.search,
        args=(INPUT,),
    )
    st.html(FOCUS, unsafe_allow_javascript=True, width="content")
    st.session_state[CHOSEN] = search_state.kinds()
    st.pills(
        _("Kinds"),
        list(KINDS),
        selection_mode="multi",
        key=CHOSEN,
        format_func=lambda kind: f"{search_words.icon(kind)} {search_words.name(kind)}",
        label_visibility="collapsed",
        on_change=search_state.choose,
        args=(CHOSEN,),
        wrap=True,
    )
    if asked.words:
        search_results.draw(asked)
    else:
        st.caption(
            _("What was used last. All words must occur, in any order; a part of a word is enough. Ctrl+K leads here.")
        )
        search_results.last()
