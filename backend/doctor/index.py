"""The package index that pip would ask on this machine: its address, whether it answers, and what time it has there."""

from __future__ import annotations

import configparser
import email.utils
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from backend.doctor import masking
from backend.doctor.here import Here

USUAL = "https://pypi.org/simple"
TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Answer:
    """date: epoch seconds, of its HTTP header, brought to the moment of asking; None: not known. problem: why there is no
    answer; empty where there is one. seconds: how long it took."""

    address: str
    date: float | None
    problem: str
    seconds: float


def address(here: Here) -> str:
    """As pip finds it (https://pip.pypa.io/en/stable/topics/configuration/): the settings over the variable over the files."""
    if chosen := here.settings.pip_index_url:
        return chosen
    if named := here.environ.get("PIP_INDEX_URL"):
        return named.strip()
    found = ""
    for file in _files(here):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            for option in ("index-url", "index_url"):
                found = parser.get(section, option, fallback=found)
    return found.strip() or USUAL


def answer(here: Here) -> Answer:
    """Whether it answers, asked once for all checks."""
    return here.once("index", lambda: _ask(address(here), here.settings.proxy))


def _files(here: Here) -> list[Path]:
    named = here.environ.get("PIP_CONFIG_FILE")
    config = Path(here.environ.get("XDG_CONFIG_HOME") or here.home / ".config")
    files = [here.root / "etc/pip.conf", here.home / ".pip/pip.conf", config / "pip/pip.conf", here.prefix / "pip.conf"]
    return [*files, Path(named)] if named else files


def _ask(url: str, proxy: str) -> Answer:
    began = time.monotonic()
    date, problem = None, ""
    try:
        request = urllib.request.Request(url.rstrip("/") + "/", method="HEAD")  # noqa: S310 - an address of the person's own
        # Without an address of its own the handler asks the environment for a proxy.
        ways = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)
        with urllib.request.build_opener(ways).open(request, timeout=TIMEOUT_S) as said:
            date = said.headers.get("Date")
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date")  # it answers, although it wants a password or does not know HEAD
        problem = "" if error.code in (401, 403, 404, 405) else f"HTTP {error.code}"
    except (OSError, ValueError, ssl.SSLError) as error:
        reason = getattr(error, "reason", error)
        problem = str(reason) or type(error).__name__
    seconds = time.monotonic() - began
    return Answer(masking.scrub(url), _seconds(date, seconds), problem, seconds)


def _seconds(date: str | None, took: float) -> float | None:
    if not date:
        return None
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - took / 2
    except (ValueError, TypeError):
        return None
