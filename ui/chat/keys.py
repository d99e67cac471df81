"""The keys of the Chat page: new conversation and stop are shortcuts of their buttons; here is the way to the input."""

from __future__ import annotations

import streamlit as st

from backend.i18n import N_

NEW, STOP = "Mod+Shift+O", "Escape"
HELP = N_("Keys: / goes to the input, Enter sends, Shift+Enter begins a new line, Escape stops an answer.")

# Streamlit's shortcuts know no "/"; while somebody types it is a letter as any other.
_LISTEN = """<script>
if (!window.tunedeckKeys) {
  window.tunedeckKeys = true;
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.isContentEditable) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const input = document.querySelector('.st-key-chat_prompt textarea');
    if (input) { event.preventDefault(); input.focus(); }
  });
}
</script>"""


def listen() -> None:
    """Let "/" lead to the input."""
    st.html(_LISTEN, unsafe_allow_javascript=True)
