"""Two languages through gettext: English and Simplified Chinese.

Codes and English templates are stored; translation happens when a person reads (``_``), in the language set for the
current thread or task (``use``). ``N_`` only marks a text for the catalogue. Catalogues: ``locale/<code>/LC_MESSAGES``.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

LANGUAGES = {"en": "English", "zh_CN": "简体中文"}
LOCALE_DIR = Path(__file__).resolve().parent.parent / "locale"

_current: ContextVar[str | None] = ContextVar("language", default=None)
_follow: Callable[[], str | None] | None = None


def guess(tag: str | None) -> str:
    """The catalogue for a browser's or the shell's language tag (``zh-Hans-CN``, ``zh_CN.UTF-8``, ``de``): zh* or English."""
    return "zh_CN" if (tag or "").lower().startswith("zh") else "en"


def from_environment() -> str:
    """The catalogue for the command line: ``TUNEDECK_LANGUAGE``, else the shell's locale."""
    names = ("TUNEDECK_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    return guess(next((os.environ[n] for n in names if os.environ.get(n)), None))


def use(language: str) -> None:
    """Translate into ``language`` from here on in this thread or task; unknown codes fall back by :func:`guess`."""
    _current.set(language if language in LANGUAGES else guess(language))


def follow(resolver: Callable[[], str | None]) -> None:
    """Ask ``resolver`` in threads where nobody called :func:`use`: callbacks and timed redraws of the panel start there."""
    global _follow
    _follow = resolver


def current() -> str:
    """The language in use, a key of :data:`LANGUAGES`."""
    return _current.get() or (_follow() if _follow else None) or "en"


@lru_cache(maxsize=len(LANGUAGES))
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("tunedeck", LOCALE_DIR, [language], fallback=True)


def _(message: str) -> str:
    """``message`` in the current language; a text without translation comes back as it is."""
    return _catalogue(current()).gettext(message) if message else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form for ``n`` things in the current language, not yet filled in."""
    return _catalogue(current()).ngettext(singular, plural, n)


def N_(message: str) -> str:
    """Mark ``message`` for the catalogue; translated later, where it is shown."""
    return message
