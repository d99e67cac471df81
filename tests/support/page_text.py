"""What a person reads on a page that runs in AppTest."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def text(app: AppTest) -> str:
    """All headings, texts, captions, code and labels of the page's main part, one a line."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.code, app.error, app.warning, app.info)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def labels(app: AppTest) -> list[str]:
    """The labels of all buttons."""
    return [button.label for button in app.button]
