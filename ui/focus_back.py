"""A dialog that closes gives the keyboard back: to what had the focus before it, or before the menu that it was chosen from.

Without this the focus falls to the page as a whole, and whoever works without a mouse begins again at its top.
"""

from __future__ import annotations

import streamlit as st

# What had the focus lately, the newest first: a menu's own entries are gone when the dialog closes, its button is still there. What is
# pressed counts, too: not every browser gives a pressed button the focus, and the input of a minute ago is not where the person was.
_WATCH = """<script>
if (!window.tunedeckFocus) {
  window.tunedeckFocus = true;
  let before = [], dialog = null;
  const note = (target) => {
    const inside = target.closest('[role=dialog]');
    if (inside) dialog = inside;
    else before = [target, ...before.filter((each) => each !== target)].slice(0, 8);
  };
  document.addEventListener('focusin', ({target}) => note(target));
  document.addEventListener('pointerdown', ({target}) => {
    const pressed = target.closest('button, a, input, textarea, [tabindex]');
    if (pressed) note(pressed);
  }, true);
  new MutationObserver(() => {
    if (!dialog || dialog.isConnected) return;
    dialog = null;
    if (document.activeElement !== document.body) return;
    before.find((each) => each.isConnected && each.getClientRects().length)?.focus({preventScroll: true});
  }).observe(document.body, {childList: true, subtree: true});
}
</script>"""


def watch() -> None:
    """On every page, once per run: does nothing until a dialog closes."""
    st.html(_WATCH, unsafe_allow_javascript=True, width="content")
