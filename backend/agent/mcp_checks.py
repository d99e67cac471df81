"""What can be wrong with an MCP server that a person adds, each thing by itself: an error to show, or None."""

from __future__ import annotations

import re
import shutil
import unicodedata
from urllib.parse import urlsplit

from backend.errors import AccessError, DataError, NotFoundError, PanelError
from backend.i18n import N_

MOST_NAME = 40
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,8190}[\x21-\x7e])?")
_OURS = frozenset({"host", "content-length", "content-type", "accept", "connection", "transfer-encoding"})


def name(text: str) -> PanelError | None:
    """Letters and digits of any language, with blanks, '.', '-' and '_' between them."""
    fit = 0 < len(text) <= MOST_NAME and text == text.strip()
    if fit and all(sign in " ._-" or unicodedata.category(sign)[0] in "LN" for sign in text):
        return None
    return DataError(
        "mcp_name_unfit",
        N_("'{name}' is no name for an MCP server: letters, digits, blanks, '.', '-' and '_', at most {most}."),
        N_("Choose a short name, such as 'files'."),
        name=text[:100],
        most=MOST_NAME,
    )


def command(text: str) -> PanelError | None:
    """A program that is here, by its path or found on PATH."""
    if text and "\0" not in text and shutil.which(text):
        return None
    return NotFoundError(
        "mcp_command_missing",
        N_("The program '{command}' was not found on this machine."),
        N_("Install it on this machine, or give its whole path. Arguments go into their own field."),
        command=text[:200],
    )


def url(text: str) -> PanelError | None:
    """http or https, with a host, and without a user or password in it: those would be shown and logged."""
    try:
        parts = urlsplit(text)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, fit = urlsplit(""), False
    if not fit or re.search(r"[\x00-\x20\x7f]", text):
        return DataError(
            "mcp_url_unfit",
            N_("'{url}' is no address of an MCP server: it begins with http:// or https:// and names a machine."),
            N_("Copy the whole address from the server's documentation, such as https://example.org/mcp."),
            url=text.partition("?")[0].rpartition("@")[2][:200],
        )
    if parts.username is not None or parts.password is not None:
        return AccessError(
            "mcp_url_secret",
            N_("The address of the server at {host} holds a user or a password, which would be shown and logged."),
            N_("Leave it out of the address, and give a header instead, such as Authorization."),
            host=parts.hostname,
        )
    return None


def env_name(text: str) -> PanelError | None:
    """What a shell takes as a variable's name."""
    if _ENV.fullmatch(text):
        return None
    return DataError(
        "mcp_env_unfit",
        N_("'{name}' is no name of an environment variable: letters, digits and '_', not a digit first."),
        N_("Give the name alone, such as API_TOKEN; its value goes beside it."),
        name=text.partition("=")[0][:100],
    )


def header_name(text: str) -> PanelError | None:
    """A header that we do not write ourselves."""
    if _HEADER.fullmatch(text) and text.lower() not in _OURS:
        return None
    return DataError(
        "mcp_header_unfit",
        N_("'{name}' cannot be a header of one's own."),
        N_("Give the name alone, such as Authorization; its value goes beside it."),
        name=text.partition(":")[0][:100],
    )


def header_value(name: str, value: str) -> PanelError | None:
    """Letters, digits and signs on one line."""
    return None if _HEADER_VALUE.fullmatch(value) else _value_unfit(name)


def value(name: str, text: str) -> PanelError | None:
    """Anything that an environment can hold."""
    return None if "\0" not in text and len(text) <= 32_768 else _value_unfit(name)


def _value_unfit(name: str) -> PanelError:
    return AccessError(
        "mcp_value_unfit",
        N_("The value of '{name}' cannot be sent: it is empty, too long, or has signs that do not belong there."),
        N_("Copy the whole value, and nothing else."),
        name=name[:100],
    )
