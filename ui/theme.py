"""Light, dark, or as the system says: one choice for all pages, kept in the person's browser.

Streamlit keeps its own choice per address path (``stActiveTheme-<path>-v2`` in the browser's local storage), so that a
person who turned ``/`` dark would find ``/jobs`` light after a reload. Ours writes it for every page at once.
tests/e2e/test_frame.py shows that it works with the Streamlit that is pinned.
"""

from __future__ import annotations

import json

import streamlit as st

from backend.i18n import N_, _

COOKIE = "tunedeck_theme"
THEMES = {"System": N_("Auto"), "Light": N_("Light"), "Dark": N_("Dark")}
_YEAR_S = 365 * 24 * 3600
# Streamlit fades captions and quotations as a whole, to 60 %. What is coloured in them, and links, would fall below 4.5 to 1;
# here only their plain text is fainter. What is chosen of several is written in the accent on its own tint: in the dark the accent,
# which is also the ground of white text on a button, is too dark for that. A button without a frame is written in the accent under the
# pointer, and in a darkened one while it is pressed, or open: black on black in the dark.
READABLE = """<style>
[data-testid='stCaptionContainer'], [data-testid='stMarkdownContainer'] blockquote {
  opacity: 1;
  color: color-mix(in srgb, currentColor 66%, transparent);
}
[data-testid='stButtonGroup'] [data-selected='true'] p { color: color-mix(in srgb, currentColor 60%, CanvasText); }
button[kind='tertiary']:is(:hover, :active):not(:disabled), button[kind='tertiary'][aria-expanded='true'] {
  color: inherit;
  background-color: color-mix(in srgb, currentColor 10%, transparent);
}
</style>"""
# A popover whose content comes with the next run is placed while it is empty: so little seems to fit below a button at the page's end, and
# what comes then is cut off there. With a least height it opens above such a button.
ROOM = "<style>[data-testid='stPopoverBody'] { min-height: 9rem; }</style>"


def switch(paths: list[str]) -> None:
    """Draw the switch; ``paths`` are the addresses of all pages."""
    st.html(READABLE + ROOM)
    cookie = st.context.cookies.to_dict().get(COOKIE, "")
    st.session_state.setdefault("theme", cookie if cookie in THEMES else "System")
    st.segmented_control(
        _("Theme"),
        list(THEMES),
        key="theme",
        required=True,
        format_func=lambda name: _(THEMES[name]),
        on_change=_changed,
        label_visibility="collapsed",
        persist_state="session",
        width="stretch",
    )
    # Until the reload, which ends this session: the next run may come before the browser has run the script.
    if st.session_state.get("theme_changed") and st.session_state["theme"] in THEMES:
        _keep(st.session_state["theme"], paths)


def _changed() -> None:
    st.session_state["theme_changed"] = True


def _keep(theme: str, paths: list[str]) -> None:
    # The browser applies it on load only. What stands on the page is in the workspace or in its address.
    st.html(
        f"""<script>
        for (const path of {json.dumps(paths)}) {{
          const key = `stActiveTheme-${{path}}-v2`;
          if ({json.dumps(theme)} === "System") localStorage.removeItem(key);
          else localStorage.setItem(key, JSON.stringify({json.dumps(theme)}));
        }}
        document.cookie = "{COOKIE}={theme};path=/;max-age={_YEAR_S};samesite=strict";
        location.reload();
        </script>""",
        unsafe_allow_javascript=True,
        width="content",
    )
