"""API keys for ``/v1``, apart from the login token: one per program or person, with a name, revoked one by one.

A key is shown once, when it is made. The file ``secrets/keys.json`` (0600) keeps its SHA-256 and its first letters;
a key has 256 random bits, so nothing slower than SHA-256 is needed to keep it from being guessed back.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from backend.errors import ConflictError, NotFoundError, PanelError, WorkspaceError
from backend.i18n import N_
from backend.web.secret_file import Reread, write_secret
from backend.workspace import Workspace, alone

FILE = "keys.json"
LOCK = "keys.lock"
MARK = "td-"
NAME_MAX = 64
SAVE_EVERY_S = 60.0


@dataclass(frozen=True)
class Key:
    """What is known of a key. prefix: its first letters; created, last_used: epoch seconds, None: never used. answered: when a model last
    answered through it, None: never; model: which."""

    name: str
    prefix: str
    digest: str
    created: float
    last_used: float | None = None
    answered: float | None = None
    model: str = ""


class Keys:
    """The keys of one workspace. Follows the file: a key revoked by another process is refused at once."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.time) -> None:
        self.path = workspace.secrets / FILE
        self._clock = clock
        self._file: Reread[dict[str, Key] | None] = Reread(self.path, _parse)
        self._used: dict[str, float] = {}
        self._answered: dict[str, tuple[float, str]] = {}
        self._told: dict[str, float] = {}
        self._saved_at = clock()

    def create(self, name: str) -> tuple[Key, str]:
        """Make a key called ``name``; returns what is kept, and the key itself, which nobody can show again.

        Raises:
            PanelError: ``key_name_bad``. ConflictError: ``key_name_taken``. WorkspaceError: cannot be written.
        """
        name = unicodedata.normalize("NFC", name).strip()
        if not name or len(name) > NAME_MAX or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise PanelError(
                "key_name_bad",
                N_("A key needs a name of 1 to {max} letters, without line breaks."),
                N_("Name the program or the person that will use it, such as 'notebook'."),
                max=NAME_MAX,
            )
        text = MARK + secrets.token_urlsafe(32)
        key = Key(name, text[:9], _digest(text), self._clock())
        with self._locked() as keys:
            if any(k.name == name for k in keys.values()):
                raise ConflictError(
                    "key_name_taken",
                    N_("There is a key called '{name}' already."),
                    N_("Choose another name, or revoke that key first."),
                    name=name,
                )
            keys[key.digest] = key
        return key, text

    def list(self) -> list[Key]:
        """All keys, oldest first.

        Raises:
            WorkspaceError: ``keys_bad`` when the file cannot be read.
        """
        return sorted(self._known().values(), key=lambda k: k.created)

    def revoke(self, name: str) -> Key:
        """Take back the key called ``name``, or that with this prefix; its next request is refused.

        Raises:
            NotFoundError: ``key_unknown``.
        """
        with self._locked() as keys:
            key = next((k for k in keys.values() if k.name == name), None)
            key = key or next((k for k in keys.values() if k.prefix == name), None)
            if key is None:
                raise NotFoundError(
                    "key_unknown",
                    N_("There is no key called '{name}'."),
                    N_("The keys are: {known}."),
                    name=name,
                    known=", ".join(k.name for k in keys.values()) or "-",
                )
            del keys[key.digest]
        return key

    def check(self, text: str) -> Key | None:
        """The key that ``text`` is, or None. Its use is noted in memory; :meth:`save_used` writes it down later."""
        # Looked up by digest: how long that takes tells nothing about the key behind it.
        key = (self._file.get() or {}).get(_digest(text))
        if key is not None:
            self._used[key.digest] = self._clock()
        return key

    def note_answer(self, key: Key, model: str) -> bool:
        """Note that ``model`` answered a program with ``key``. Returns whether that should be written at once: none was for a minute."""
        now = self._clock()
        self._answered[key.digest] = (now, model)
        if now - self._told.get(key.digest, -SAVE_EVERY_S) < SAVE_EVERY_S:
            return False
        self._told[key.digest] = now
        return True

    def save_due(self) -> bool:
        """Whether uses wait to be written, and the last writing is a minute ago."""
        return bool(self._used) and self._clock() - self._saved_at >= SAVE_EVERY_S

    def save_used(self) -> None:
        """Write down when each key was last used, and when a model last answered through it.

        Raises:
            WorkspaceError: cannot be written; the uses are kept for the next time.
        """
        used, self._used, self._saved_at = self._used, {}, self._clock()
        answered, self._answered = self._answered, {}
        if not used and not answered:
            return
        try:
            with self._locked() as keys:
                for digest, when in used.items():
                    if digest in keys:
                        keys[digest] = replace(keys[digest], last_used=max(when, keys[digest].last_used or 0.0))
                for digest, (when, model) in answered.items():
                    if digest in keys and when >= (keys[digest].answered or 0.0):
                        keys[digest] = replace(keys[digest], answered=when, model=model)
        except WorkspaceError:
            self._used = {**used, **self._used}
            self._answered = {**answered, **self._answered}
            raise

    def _known(self) -> dict[str, Key]:
        known = self._file.get()
        if known is None:
            raise WorkspaceError(
                "keys_bad",
                N_("The file of API keys {path} cannot be read."),
                N_("Restore it, or delete it: then all keys are gone and new ones can be made."),
                path=str(self.path),
            )
        return known

    @contextmanager
    def _locked(self) -> Iterator[dict[str, Key]]:
        """The keys to change; written when the block ends without an error. One writer at a time on this machine."""
        with alone(self.path.with_name(LOCK)):
            keys = dict(self._known())
            before = dict(keys)
            yield keys
            if keys != before:
                data = json.dumps([asdict(k) for k in keys.values()], ensure_ascii=False, indent=1)
                write_secret(self.path, data.encode("utf-8"), replace=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _parse(data: bytes | None) -> dict[str, Key] | None:
    """The keys in the file: none without a file, None where it is damaged (then no key opens anything)."""
    if data is None:
        return {}
    try:
        return {row["digest"]: Key(**row) for row in json.loads(data)}
    except (ValueError, TypeError, KeyError):
        return None
