"""Pictures and texts that come with a message, kept in the workspace and put into requests.

Files are named by their content and may be shared by several messages; :func:`sweep` removes what no message uses any
more. In a request a text file is part of the message, quoted under its name; a picture is a part of its own.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backend.errors import ConflictError, ModelError, PanelError
from backend.i18n import N_
from backend.workspace import Workspace, explain_os_error

_ORPHAN_S = 24 * 3600.0

Content = str | list[dict[str, Any]]
"""A message's content as the OpenAI API takes it: text, or parts of text and pictures."""


@dataclass(frozen=True)
class Attachment:
    """One file of a message. digest: SHA-256 of what is stored, its name there. kind: ``image`` or ``text``. media_type:
    of what is stored. size: bytes. width, height: pixels of an image. chars: of a text."""

    digest: str
    name: str
    kind: str
    media_type: str
    size: int
    width: int = 0
    height: int = 0
    chars: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Upload:
    """A file that was checked (:mod:`backend.chat.uploads`) and is not stored yet."""

    attachment: Attachment
    data: bytes


def store(workspace: Workspace, uploads: Sequence[Upload]) -> None:
    """Write them, 0600, inside :func:`changing`.

    Raises:
        WorkspaceError: disk full or read-only.
    """
    for upload in uploads:
        path = workspace.attachments / upload.attachment.digest
        if path.exists():
            continue
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with os.fdopen(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb"
            ) as file:
                file.write(upload.data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise explain_os_error(error, path.parent) from error


@contextlib.contextmanager
def storing(workspace: Workspace, uploads: Sequence[Upload]) -> Iterator[None]:
    """Files for the message that is stored in this block.

    Raises:
        WorkspaceError: disk full or read-only.
    """
    if not uploads:
        yield
        return
    try:
        workspace.attachments.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, workspace.attachments) from error
    with changing(workspace):
        store(workspace, uploads)
        yield


@contextlib.contextmanager
def changing(workspace: Workspace) -> Iterator[None]:
    """Alone with the folder, so that nobody removes a file between its writing and its message."""
    try:
        fd = os.open(workspace.attachments, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def read(workspace: Workspace, attachment: Attachment) -> bytes:
    """What is stored of it.

    Raises:
        ConflictError: ``file_gone``.
    """
    try:
        return (workspace.attachments / attachment.digest).read_bytes()
    except OSError as error:
        raise ConflictError(
            "file_gone",
            N_("The file '{name}' is no longer in the workspace, so this conversation cannot be sent as it was."),
            N_("Edit the message it came with, or start a new conversation."),
            name=attachment.name,
        ) from error


def used(db: sqlite3.Connection, conversation: str) -> set[str]:
    """Digests of the files in one conversation, all branches."""
    query = "SELECT attachments FROM messages WHERE conversation = ? AND attachments <> '[]'"
    return {str(each["digest"]) for row in db.execute(query, (conversation,)) for each in json.loads(row[0])}


def sweep(workspace: Workspace, db: sqlite3.Connection, candidates: set[str]) -> None:
    """Remove those of ``candidates`` that no message uses, and what a crash left unused for a day."""
    query = "SELECT 1 FROM messages WHERE attachments <> '[]' AND instr(attachments, ?) LIMIT 1"
    # A disk that cannot be written keeps a file too many: no reason to keep the conversation.
    with contextlib.suppress(OSError):
        for path in workspace.attachments.iterdir():
            old = time.time() - path.stat().st_mtime > _ORPHAN_S
            if (old or path.name in candidates) and db.execute(query, (path.name,)).fetchone() is None:
                path.unlink(missing_ok=True)


def content(text: str, attachments: Sequence[Attachment], files: Mapping[str, bytes]) -> Content:
    """A message's content for a request: ``text`` after the files that came with it.

    ``files`` holds the stored bytes by digest. A picture that is not among them is only named: the model cannot see, or
    there are newer ones enough.
    """
    quoted, pictures = list[str](), list[dict[str, Any]]()
    for each in attachments:
        data = files.get(each.digest)
        if each.kind == "text" and data is not None:
            quoted.append(_quoted(each.name, data.decode("utf-8")))
        elif data is not None:
            url = f"data:{each.media_type};base64,{base64.b64encode(data).decode()}"
            pictures.append({"type": "image_url", "image_url": {"url": url}})
        else:
            quoted.append(f"[{each.name}]")
    whole = "\n\n".join([*quoted, *([text] if text else [])])
    if not pictures:
        return whole
    return [*pictures, *([{"type": "text", "text": whole}] if whole else [])]


def can_see(workspace: Workspace, model: str) -> bool | None:
    """Whether the model takes pictures; None where nobody knows (it is not on the list of models)."""
    from backend import catalog

    try:
        return catalog.find(workspace, model).served.vision
    except PanelError:
        return None


def refuse_if_blind(workspace: Workspace, model: str, attachments: Sequence[Attachment]) -> None:
    """Say before anything is sent that the model cannot see.

    Raises:
        ModelError: ``model_cannot_see``.
    """
    names = [each.name for each in attachments if each.kind == "image"]
    if names and can_see(workspace, model) is False:
        raise ModelError(
            "model_cannot_see",
            N_("'{model}' reads text only: it cannot see {names}. Nothing was sent."),
            N_(
                "Pick a model that sees (its card on the Models page says so), or send your message without the picture."
            ),
            model=model,
            names=", ".join(names),
        )


def _quoted(name: str, text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{name}:\n{fence}\n{text.rstrip()}\n{fence}"
