"""A small component of ours: what Python sends is drawn by the script that lies beside the module, and styled by the sheet beside it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer


def beside(module: str, name: str, html: str) -> ComponentRenderer:
    """The component of ``module``, with its ``.css`` and ``.js``.

    Args:
        module: ``__file__`` of the module that draws it.
        name: unique in the panel.
        html: what is there before the script fills it.
    """
    here = Path(module)
    css, js = (here.with_suffix(kind).read_text(encoding="utf-8") for kind in (".css", ".js"))
    # Without a line's end Streamlit takes it for the name of a file.
    return st.components.v2.component(name, html=f"{html}\n<!-- filled by {here.stem}.js -->\n", css=css, js=js)
