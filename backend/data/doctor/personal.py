"""Secrets and personal data in a text: found, and covered by a word in brackets.

Covered: keys of well-known services by their form, private keys, passwords in addresses, JSON web tokens; e-mail addresses,
Chinese mobile numbers, Chinese identity numbers (their check digit must be right), card numbers (known beginnings, Luhn), IPv4.
Not covered: names, postal addresses, passwords in running text, phone numbers of other countries, a key cut in two.

:func:`suspects` is what makes a million rows affordable: a few substring tests on the bytes of a row say which of the
regular expressions could match at all. Most rows need none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

SECRET, PERSONAL, ADDRESS = "secret", "personal", "ip_address"
_NOT_IN_WORD = r"(?<![A-Za-z0-9])"
_DIGITS_BEFORE, _DIGITS_AFTER = r"(?<![0-9A-Za-z.+-])", r"(?![0-9A-Za-z]|[.-][0-9])"


@dataclass(frozen=True)
class Kind:
    """One kind of thing that should not be learned. code: the finding it makes; cover: what stands in its place."""

    code: str
    pattern: re.Pattern[str]
    cover: str
    right: Callable[[str], bool] | None = None


def luhn(text: str) -> bool:
    """Whether the check digit of a card number is right (ISO/IEC 7812)."""
    digits = [int(c) for c in text if c.isascii() and c.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = (2 * d - 9 * (d > 4) for d in digits[-2::-2])
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def identity_number(text: str) -> bool:
    """Whether the check digit of a Chinese identity number is right (GB 11643-1999, ISO 7064 MOD 11-2)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(w * int(c) for w, c in zip(weights, text[:17], strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def _has_digit(text: str) -> bool:
    """Keys are drawn by chance; long words of letters alone are names."""
    return any(c.isascii() and c.isdigit() for c in text)


def _address(text: str) -> bool:
    """Four numbers up to 255; not a version (1.2.3.4), this machine, or a mask."""
    parts = [int(part) for part in text.split(".")]
    return all(p < 256 for p in parts) and max(parts[:2]) > 9 and parts[0] not in (0, 127, 255)


KINDS: dict[str, Kind] = {
    "private_key": Kind(
        SECRET,
        re.compile(
            r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        "[SECRET]",
    ),
    "api_key": Kind(
        SECRET,
        re.compile(
            _NOT_IN_WORD
            + r"(?:sk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{20,}|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}"
            r"|github_pat_[A-Za-z0-9_]{40,}|hf_[A-Za-z0-9]{30,}|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{20,}"
            r"|AIza[A-Za-z0-9_-]{35}|LTAI[A-Za-z0-9]{12,24}|AKID[A-Za-z0-9]{32})(?![A-Za-z0-9])"
        ),
        "[SECRET]",
        _has_digit,
    ),
    "web_token": Kind(
        SECRET,
        re.compile(_NOT_IN_WORD + r"eyJ[A-Za-z0-9_-]{13,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        "[SECRET]",
        _has_digit,
    ),
    "url_password": Kind(
        SECRET, re.compile(r"(?<=://)[^\s/:@\[\]\"'<>]{1,80}:[^\s/:@\[\]\"'<>]{1,120}(?=@[A-Za-z0-9])"), "[SECRET]"
    ),
    "email": Kind(
        PERSONAL,
        re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
        ),
        "[EMAIL]",
        # Addresses that stand for nobody (RFC 2606) are what good examples are made of.
        lambda text: not re.search(r"@(?:[\w-]+\.)*(?:example(?:\.\w+)?|test|invalid|localhost)$", text, re.IGNORECASE),
    ),
    "id_number": Kind(
        PERSONAL,
        re.compile(
            _DIGITS_BEFORE
            + r"[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
            + _DIGITS_AFTER
        ),
        "[ID NUMBER]",
        identity_number,
    ),
    "card_number": Kind(
        PERSONAL,
        re.compile(
            _DIGITS_BEFORE + r"(?:4[0-9]{15}|5[1-5][0-9]{14}|2[2-7][0-9]{14}|3[47][0-9]{13}|62[0-9]{14,17}"
            r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|3[47][0-9]{2}([ -])[0-9]{6}\1[0-9]{5}"
            r"|[2-6][0-9]{3}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{4}(?:\2[0-9]{1,3})?)" + _DIGITS_AFTER
        ),
        "[CARD NUMBER]",
        luhn,
    ),
    "mobile_number": Kind(
        PERSONAL,
        re.compile(r"(?<![0-9A-Za-z.])(?:\+?86[ -]?)?1[3-9][0-9](?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})" + _DIGITS_AFTER),
        "[PHONE]",
    ),
    "ip_address": Kind(
        ADDRESS,
        re.compile(r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z]|\.[0-9])"),
        "[IP ADDRESS]",
        _address,
    ),
}
"""In the order in which they are covered: an identity number before what could be seen as a card number within it."""

_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_ZEROS = bytes(ord("0") if 48 <= b <= 57 else b for b in range(256))
_WORDS = bytes(ord("w") if b < 128 and (chr(b).isalnum() or chr(b) in "-_") else 0 for b in range(256))
_LONG_WORD = b"w" * 16
_LONG_NUMBERS = (b"00000000000", b"0 0000 0000", b"0-0000-0000", b"0000 000000 0", b"0000-000000-0")
_KEY_SIGNS: tuple[bytes, ...] = (
    b"sk-",
    b"AKIA",
    b"ASIA",
    b"ghp_",
    b"gho_",
    b"ghu_",
    b"ghs_",
    b"ghr_",
    b"github_pat_",
    b"hf_",
    b"glpat-",
)
_KEY_SIGNS += (b"xox", b"AIza", b"LTAI", b"AKID")


def suspects(data: bytes) -> list[str]:
    """Kinds that may stand in ``data``, UTF-8 of a text or of JSON; what is not named does not stand in it."""
    found = []
    if b"PRIVATE KEY" in data:
        found.append("private_key")
    digits = len(data.translate(None, _NO_DIGITS))
    if digits and _LONG_WORD in data.translate(_WORDS):  # no key is without a digit
        for sign in _KEY_SIGNS:
            if sign in data:
                found.append("api_key")
                break
        if b"eyJ" in data:
            found.append("web_token")
    if b"@" in data:
        if b"://" in data:
            found.append("url_password")
        found.append("email")
    if digits < 5:
        return found
    zeros = data.translate(_ZEROS)
    if digits > 10 and b"0000" in zeros:
        for sign in _LONG_NUMBERS:
            if sign in zeros:
                found += ("id_number", "card_number", "mobile_number")
                break
    if b"0.0" in zeros and zeros.count(b"0.0") > 1:
        found.append("ip_address")
    return found


def find(text: str, kinds: list[str]) -> list[str]:
    """Which of ``kinds`` stand in ``text``, each once."""
    return [kind for kind in kinds if any(_matches(KINDS[kind], text))]


def _matches(kind: Kind, text: str) -> list[str]:
    right = kind.right
    return [m[0] for m in kind.pattern.finditer(text) if right is None or right(m[0])]


def cover(text: str, codes: frozenset[str]) -> str:
    """``text`` with everything covered whose finding is one of ``codes``."""
    while text:
        before = text
        for name in suspects(text.encode("utf-8", "replace")):
            kind = KINDS[name]
            if kind.code in codes:
                text = kind.pattern.sub(partial(_covered, kind), text)
        if text == before:  # what stood beside a covered number may only now be seen as one
            return text
    return text


def _covered(kind: Kind, match: re.Match[str]) -> str:
    return match[0] if kind.right is not None and not kind.right(match[0]) else kind.cover
