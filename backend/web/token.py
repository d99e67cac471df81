"""The login token: who has it is let in. One per workspace, in ``secrets/token`` (0600), shown only in the link.

The browser keeps a cookie instead of the token: the time of the login and a HMAC of it under the token. So replacing
the token locks every browser out at once, and a stolen cookie does not give the token away.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path

from backend.web.secret_file import Reread, write_secret
from backend.workspace import Workspace, explain_os_error

FILE = "token"
COOKIE_DAYS = 30
_TOKEN = re.compile(rb"[A-Za-z0-9_-]{32,128}")
_COOKIE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)
_PURPOSE = b"tunedeck login cookie\0"


class Token:
    """The token of one workspace. Follows the file: a token replaced by another process counts at once.

    Without a usable file nobody is let in; :meth:`ensure` makes one.
    """

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.time) -> None:
        self.path: Path = workspace.secrets / FILE
        self._clock = clock
        self._file: Reread[bytes | None] = Reread(self.path, _parse)

    def ensure(self) -> str:
        """The token in force; made if there is none. One that others could read is replaced.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        try:
            shared = stat.S_IMODE(self.path.stat().st_mode) & 0o077
        except FileNotFoundError:
            shared = 0
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        if shared:
            return self.replace()
        if current := self.current():
            return current
        # Two panels that start together must end up with one token: the file that is there first stays.
        write_secret(self.path, _fresh(), replace=False)
        return self.current() or self.replace()

    def replace(self) -> str:
        """Put a new token in force: links and cookies of the old one stop working.

        Raises:
            WorkspaceError: the file cannot be written; the old token stays.
        """
        token = _fresh()
        write_secret(self.path, token, replace=True)
        return token.decode("ascii").strip()

    def current(self) -> str | None:
        """The token in force, or None where there is no usable file."""
        token = self._file.get()
        return token.decode("ascii") if token else None

    def matches(self, given: str) -> bool:
        """Whether ``given`` is the token, compared in constant time."""
        token = self._file.get()
        # Compare even without a token, so that the answer takes as long.
        same = hmac.compare_digest(token or b"-", given.encode("utf-8", "surrogatepass"))
        return same and token is not None

    def cookie(self) -> str:
        """A cookie value for a browser that has shown the token, good for 30 days under this token.

        Raises:
            RuntimeError: there is no token.
        """
        token = self._file.get()
        if token is None:
            raise RuntimeError("no token to sign with")
        issued = str(int(self._clock()))
        return f"{issued}.{_sign(token, issued)}"

    def cookie_holds(self, value: str) -> bool:
        """Whether ``value`` was given out under the token in force, not longer than 30 days ago."""
        token = self._file.get()
        match = _COOKIE.fullmatch(value)
        if token is None or match is None:
            return False
        if not hmac.compare_digest(_sign(token, match[1]), match[2]):
            return False
        # A clock that was set back must not lock people out: a cookie from the future was signed by us all the same.
        return self._clock() - int(match[1]) <= COOKIE_DAYS * 86400


def _fresh() -> bytes:
    return secrets.token_urlsafe(32).encode("ascii") + b"\n"


def _parse(data: bytes | None) -> bytes | None:
    token = (data or b"").strip()
    return token if _TOKEN.fullmatch(token) else None


def _sign(token: bytes, issued: str) -> str:
    return hmac.new(token, _PURPOSE + issued.encode("ascii"), hashlib.sha256).hexdigest()
