"""The page that a browser without a login sees: one field for the token, in every language of the panel."""

from __future__ import annotations

import base64
import contextvars
import hashlib
from collections.abc import Callable
from html import escape
from importlib import resources

from backend.i18n import LANGUAGES, _, use

_STYLE = resources.files(__package__).joinpath("login.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode("utf-8")).digest()).decode("ascii")

HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'".encode("ascii"),
    ),
]
"""Sent with both pages: nothing is loaded, run, framed or kept, and the token goes nowhere else."""


def login_page(*, wrong: bool = False, wait_s: int = 0) -> bytes:
    """HTML that asks for the token. ``wrong``: the one given was not right; ``wait_s``: no more attempts for so long."""
    return _in_every_language(lambda: _form(wrong, wait_s))


def refusal_page(title: str, hint: str) -> bytes:
    """HTML that says no and why: two templates marked with ``N_``."""
    return _in_every_language(lambda: f"<h1>{escape(_(title))}</h1><p>{escape(_(hint))}</p>")


def retry_page(path: str) -> bytes:
    """HTML that asks for ``path`` (absolute on this host) again, this time as a request of our own.

    A browser keeps a SameSite=Strict cookie to itself when a link on another site led here; from this page it sends it.
    """
    return _document("", f'<meta http-equiv="refresh" content="0; url={escape(path, quote=True)}">')


def _in_every_language(draw: Callable[[], str]) -> bytes:
    def drawn(language: str) -> str:
        use(language)
        return draw()

    sections: dict[str, str] = {}
    for code in LANGUAGES:
        section = contextvars.copy_context().run(drawn, code)
        # Without a catalogue both languages read the same; once is enough.
        if section not in sections.values():
            sections[code] = section
    return _document("<hr>".join(f'<section lang="{c.replace("_", "-")}">{s}</section>' for c, s in sections.items()))


def _form(wrong: bool, wait_s: int) -> str:
    # Not inside an f-string: what collects the texts for the catalogues does not look in there.
    title = _("This panel is locked")
    how = _("Paste the token, or the whole link, that was printed where the panel was started.")
    label, button = _("Token or link"), _("Open the panel")
    lost = _("No link at hand? Run this in the folder of TuneDeck on the server; older links stop working:")
    notes = []
    if wrong:
        notes.append(_("That token is not right. It may have been replaced by a new one."))
    if wait_s:
        notes.append(_("Too many wrong tokens. Try again in {seconds} s.").format(seconds=wait_s))
    alert = f'<p role="alert">{escape(" ".join(notes))}</p>' if notes else ""
    return (
        f"<h1>{escape(title)}</h1><p>{escape(how)}</p>{alert}"
        f'<form method="get" action=""><label>{escape(label)}'
        '<input name="token" type="password" autocomplete="off" required></label>'
        f"<button>{escape(button)}</button></form>"
        f"<p>{escape(lost)} <code>make token</code></p>"
    )


def _document(body: str, head: str = "") -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>TuneDeck</title><style>{_STYLE}</style>{head}</head><body><main>{body}</main></body></html>"
    ).encode()
