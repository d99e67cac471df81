"""The hubs that models are fetched from: their addresses, access tokens and pages, and the room that a download needs.

Standard library only, and neither hub's client: pages use this, too.

Tokens lie in ``secrets/huggingface-token`` and ``secrets/modelscope-token``, mode 0600, one line each. They are sent to
the hub's endpoint alone (with a mirror in the settings: to that mirror), and stand in no spec, log or command line.
"""

from __future__ import annotations

import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backend.errors import AccessError, WorkspaceError
from backend.i18n import N_
from backend.settings import Settings
from backend.web.secret_file import write_secret
from backend.workspace import Workspace, explain_os_error

SPARE = 1.05
"""File systems need more than the bytes of the files: 5 % more is asked for."""

_TOKEN = re.compile(r"[!-~]{8,512}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True)
class Hub:
    """One hub. title: as people call it. home: its address without a mirror. models: the path below which models are.

    hosts: where its pages are seen, mirrors that people know included. revision: the default branch. mirror: name of the
    setting with another address. tokens: the path of the page where a person makes an access token.
    """

    key: str
    title: str
    home: str
    models: str
    hosts: tuple[str, ...]
    revision: str
    mirror: str
    tokens: str

    def page(self, repo: str) -> str:
        """The page on which a person reads about ``repo`` and accepts its licence."""
        return f"{self.home}/{self.models}{repo}"


HUBS = {
    hub.key: hub
    for hub in (
        Hub(
            "huggingface",
            "Hugging Face",
            "https://huggingface.co",
            "",
            ("huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com", "www.hf-mirror.com"),
            "main",
            "hf_endpoint",
            "settings/tokens",
        ),
        Hub(
            "modelscope",
            "ModelScope",
            "https://modelscope.cn",
            "models/",
            ("modelscope.cn", "www.modelscope.cn", "modelscope.ai", "www.modelscope.ai"),
            "master",
            "modelscope_endpoint",
            "my/myaccesstoken",
        ),
    )
}


@dataclass(frozen=True)
class Address:
    """What a person typed or pasted: ``source`` and ``revision`` are empty where it does not say."""

    repo: str
    source: str = ""
    revision: str = ""


def parse_address(text: str) -> Address:
    """``org/name``, or the address of a model's page cut down to that.

    Raises:
        ValueError: it names no model; the message says what to write.
    """
    given = text.strip()
    parts = urlsplit(given if "://" in given else f"//{given}")
    host = (parts.hostname or "").lower()
    known = next((hub for hub in HUBS.values() if host in hub.hosts), None)
    if "://" not in given and known is None:
        return Address(_checked(given))
    path = [unquote(piece) for piece in parts.path.split("/") if piece]
    if path[:1] and path[0] in ("datasets", "spaces", "studios", "collections"):
        raise ValueError("this is the address of something else; give that of a model, or org/name")
    if path[:1] == ["models"]:
        path = path[1:]
    repo = _checked("/".join(path[:2]))
    revision = "/".join(path[3:4]) if path[2:3] and path[2] in ("tree", "blob", "resolve") else ""
    return Address(repo, known.key if known else "", revision)


def _checked(repo: str) -> str:
    pieces = repo.removesuffix(".git").split("/")
    if len(pieces) != 2 or any(not _NAME.fullmatch(piece) or ".." in piece for piece in pieces):
        raise ValueError(
            "write the repository as org/name, such as Qwen/Qwen3-0.6B (letters, digits, '.', '_', '-'), "
            "or paste the address of the model's page"
        )
    return "/".join(pieces)


def endpoint(settings: Settings, source: str) -> str:
    """Where requests for ``source`` go: the mirror in the settings, else the hub itself; no slash at the end."""
    mirror: str = getattr(settings, HUBS[source].mirror)
    return mirror.rstrip("/") or HUBS[source].home


def token_file(workspace: Workspace, source: str) -> Path:
    """Where the access token for ``source`` lies, if there is one."""
    return workspace.secrets / f"{source}-token"


def save_token(workspace: Workspace, source: str, token: str) -> None:
    """Keep ``token`` for ``source``, in place of another; an empty one forgets what was kept.

    Raises:
        AccessError: ``hub_token_unfit``; nothing is changed then. The token itself is in no error.
        WorkspaceError: the file cannot be written.
    """
    path = token_file(workspace, source)
    if not token.strip():
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error(error, path.parent) from error
        return
    if not _TOKEN.fullmatch(token.strip()):
        raise AccessError(
            "hub_token_unfit",
            N_("This cannot be an access token for {hub}: a token has 8 to 512 letters, digits and signs, no blanks."),
            N_("Copy the whole token from {page}, and nothing else."),
            hub=HUBS[source].title,
            page=f"{HUBS[source].home}/{HUBS[source].tokens}",
        )
    write_secret(path, token.strip().encode() + b"\n", replace=True)


def token_since(workspace: Workspace, source: str) -> float | None:
    """When the access token for ``source`` was put where it is (epoch seconds); None where there is none."""
    try:
        found = token_file(workspace, source).stat()
    except OSError:
        return None
    return found.st_mtime if found.st_size else None


def read_token(workspace: Workspace, source: str) -> str | None:
    """The access token for ``source``, or None where none was kept. One that others could read is closed to them.

    Raises:
        AccessError: ``hub_token_bad``: the file holds something else.
    """
    path = token_file(workspace, source)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, path) from error
    return _parse_token(text, source, path) if text.strip() else None


def _parse_token(text: str, source: str, path: Path) -> str:
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise AccessError(
            "hub_token_bad",
            N_("What is kept as the access token for {hub} cannot be one."),
            N_("Enter it again on the Settings page, or put it alone, on one line, into {file}."),
            hub=HUBS[source].title,
            file=str(path),
        )
    return token


def check_room(folder: Path, needed: int, reserve: int) -> None:
    """Nothing may begin that cannot end: ``needed`` bytes and 5 % more must fit, and ``reserve`` bytes stay free.

    Raises:
        WorkspaceError: ``download_no_room``, with the figures.
    """
    free = shutil.disk_usage(folder).free
    wanted = int(needed * SPARE) + reserve
    if free < wanted:
        raise WorkspaceError(
            "download_no_room",
            N_(
                "{needed} are still to be fetched; with what must stay free that takes {wanted}, and {folder} has {free}."
            ),
            N_("Delete models or finished jobs that are no longer needed, then resume. Nothing was fetched."),
            needed=size_text(needed),
            wanted=size_text(wanted),
            free=size_text(free),
            folder=str(folder),
            wanted_bytes=wanted,
        )


def size_text(size: float) -> str:
    """``size`` bytes as people and hubs write it (powers of ten): ``3.1 GB``, ``412 MB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def name_bad(name: str) -> str:
    """Why ``name`` cannot be both a name on the list of models and a folder; empty where it can."""
    if not name or name.startswith(".") or not name.isprintable() or any(sign in name for sign in "/\\@"):
        return "use letters, digits, blanks or signs other than / \\ @, and no dot at the beginning"
    if len(name) > 96 or len(name.encode("utf-8", "surrogatepass")) > 200:
        return "use at most 96 characters (about 60 Chinese ones)"
    return ""
