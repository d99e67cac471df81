"""The keys of the review: they press its buttons. Streamlit's own shortcuts cannot be R, which here rejects and there reruns."""

from __future__ import annotations

import streamlit as st

from backend.i18n import N_

HELP = N_(
    "Keys: A accepts, E edits, R rejects, U undoes, J or → is the next row, K or ← the one before. Esc ends editing."
)
CARD = "review_card"
ANSWER = "review_answer"
BUTTONS = {
    "j": "next",
    "ArrowRight": "next",
    "k": "previous",
    "ArrowLeft": "previous",
    "a": "accept",
    "r": "reject",
    "u": "undo",
}

# In the capture phase, before Streamlit's own keys. While somebody types, a letter is a letter; Escape leaves the text, which
# keeps it. A key that is held down is one wish.
_LISTEN = """<script>
if (!window.tunedeckReviewKeys) {
  window.tunedeckReviewKeys = true;
  const buttons = {BUTTONS};
  window.addEventListener('keydown', (event) => {
    if (!document.querySelector('.st-key-CARD')) return;
    const at = event.target;
    const typing = at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
    if (event.key === 'Escape' && at.tagName === 'TEXTAREA') { at.blur(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (at.closest('[data-testid="stDataFrame"], [role="listbox"], [role="radiogroup"], [role="slider"]')) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const text = key === 'e' ? document.querySelector('.st-key-ANSWER textarea') : null;
    const button = buttons[key] ? document.querySelector('.st-key-review_' + buttons[key] + ' button') : null;
    if (!text && !button) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat) return;
    if (text) { text.focus(); text.setSelectionRange(text.value.length, text.value.length); return; }
    if (!button.disabled) button.click();
  }, true);
}
</script>"""
_NAMES = {"BUTTONS": ", ".join(f"{key}: '{name}'" for key, name in BUTTONS.items()), "CARD": CARD, "ANSWER": ANSWER}
for _place, _name in _NAMES.items():
    _LISTEN = _LISTEN.replace(_place, _name)


def listen() -> None:
    """Let the keys press the buttons of the review, wherever it is drawn."""
    st.html(_LISTEN, unsafe_allow_javascript=True)
