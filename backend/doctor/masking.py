"""No secret leaves: what looks like one, or is the value of a variable that is named like one, is replaced by ``***``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "***"
NAMED = re.compile(r"(?i)token|secret|passw|passphrase|credential|api_?key|access_?key|private_?key|_auth\b")
SHORTEST = 6
"""Shorter values are words such as "yes": to replace them everywhere would make nonsense of a report."""

_PATTERNS = (
    # Greedy up to the last @: a password that holds one, or a slash, is still a password.
    (re.compile(r"(\w+://)\S*@"), rf"\1{MASK}@"),
    (re.compile(r"(?<!\S)[^\s:/@]+:(?!//)\S+@(?=\S)"), f"{MASK}@"),
    (re.compile(r"(?i)([?&](?:token|key|api_?key|password|secret|signature|sig)=)[^&\s]+"), rf"\1{MASK}"),
    # Tokens of hubs and of programs like us: long, and of no words (hf_endpoint is a setting).
    (re.compile(r"\b(?:hf_[A-Za-z0-9]{12,}|(?:sk-|ms-|td-|gh[pousr]_|github_pat_|glpat-|pypi-)[\w-]{16,})"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
)


def known(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of variables that are named like secrets."""
    return frozenset(value for name, value in environ.items() if NAMED.search(name) and len(value) >= SHORTEST)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without ``secrets`` and without what looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern, masked in _PATTERNS:
        text = pattern.sub(masked, text)
    return text
