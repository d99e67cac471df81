"""Finding models below a folder: a shared model store, a hub's cache, an output folder full of checkpoints.

Knows the layouts of the caches: Hugging Face (``models--org--name/snapshots/HASH``, ``refs/main``) and ModelScope (dots
in names written ``___``). Hidden folders below the given one are skipped, links are followed, no folder is visited twice.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.catalog.cards import ModelCard, card
from backend.catalog.entries import entries, models
from backend.catalog.files import read_object
from backend.catalog.names import legal_name
from backend.errors import ModelError
from backend.i18n import N_
from backend.workspace import Workspace

DEPTH = 6
MOST_FOLDERS = 50_000
SKIPPED = {"blobs", "refs", "node_modules", "__pycache__", "site-packages", "lost+found"}
# Beside a config.json these make a folder a model's; a config.json alone lies in all kinds of projects.
COMPANIONS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "generation_config.json",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclass(frozen=True)
class Found:
    """One folder. card: under a name that the list can take. listed: its name on the list; empty when it is not on it.
    repo: ``org/name``, where a cache's layout tells."""

    card: ModelCard
    listed: str = ""
    repo: str = ""


@dataclass
class Scan:
    """found: by path. unreadable: folders that could not be looked into. complete: False where there were more folders
    than ``MOST_FOLDERS``."""

    found: list[Found] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)
    complete: bool = True


def scan(folder: Path | str, workspace: Workspace | None = None, depth: int = DEPTH) -> Scan:
    """All models and adapters in ``folder`` and ``depth`` levels below it, broken ones too. Adds nothing.

    With ``workspace``, what is on its list already says so.

    Raises:
        ModelError: ``scan_no_folder``.
        WorkspaceError: the list cannot be read.
    """
    top = Path(folder).expanduser().absolute()
    if not top.is_dir():
        raise ModelError(
            "scan_no_folder",
            N_("There is no folder at {folder}."),
            N_("Check the path. It must be a folder on the machine that TuneDeck runs on."),
            folder=str(top),
        )
    listed = {p: str(e["name"]) for e in entries(workspace) for p in _paths(e)} if workspace else {}
    cards = {str(c.path): c for c in models(workspace)} if workspace else {}
    result = Scan()
    for path in _folders(top, depth, result):
        repo, name = _names(path)
        known = cards.get(str(path))
        shown = known if known is not None else card(path, legal_name(name))
        builtin = shown.name if known is not None and known.builtin else ""
        result.found.append(Found(shown, listed.get(str(path)) or listed.get(os.path.realpath(path), builtin), repo))
    result.found = _apart(sorted(result.found, key=lambda f: str(f.card.path)))
    return result


def _paths(entry: dict[str, Any]) -> tuple[str, str]:
    """The folder of ``entry`` as it was given, and where its links lead: the same model is found under either."""
    return os.path.realpath(entry["path"]), entry["path"]


def _folders(top: Path, depth: int, result: Scan) -> Iterator[Path]:
    """Model folders, level by level, so that of a folder and a deeper link to it the folder is taken."""
    waiting = deque([(top, 0)])
    seen: set[tuple[int, int]] = set()
    while waiting:
        path, level = waiting.popleft()
        try:
            here = path.stat()
            if (here.st_dev, here.st_ino) in seen:
                continue
            if len(seen) >= MOST_FOLDERS:
                result.complete = False
                return
            seen.add((here.st_dev, here.st_ino))
            with os.scandir(path) as listing:
                inside = list(listing)
        except OSError:
            result.unreadable.append(path)
            continue
        names = {entry.name for entry in inside}
        if "model_index.json" in names:
            continue  # a diffusers pipeline: its parts look like models and are none
        if _is_model(path, names):
            yield path
        if level < depth:
            below = sorted((e for e in inside if _worth_a_look(e)), key=lambda e: (e.is_symlink(), e.name))
            waiting += ((Path(e.path), level + 1) for e in below)


def _worth_a_look(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith((".", "datasets--", "spaces--")) or entry.name in SKIPPED:
        return False
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_model(path: Path, names: set[str]) -> bool:
    if "adapter_config.json" in names or any(name.endswith((".safetensors", ".gguf")) for name in names):
        return True
    if "config.json" not in names:
        return False
    if names.intersection(COMPANIONS):
        return True
    try:
        config = read_object(path / "config.json")
    except ModelError as error:
        return error.code == "model_pointer"
    return "architectures" in config and "model_type" in config


def _names(path: Path) -> tuple[str, str]:
    """(org/name or empty, what to call it)."""
    cache = path.parent.parent.name
    if path.parent.name == "snapshots" and cache.startswith("models--"):
        repo = cache.removeprefix("models--").replace("--", "/", 1)
        return repo, repo if _is_main(path) else f"{repo} {path.name[:7]}"
    # ModelScope cannot have dots in its folders' names.
    return "", path.name.replace("___", ".")


def _is_main(snapshot: Path) -> bool:
    """Whether this is the snapshot that the cache would load, or the only one."""
    try:
        main = (snapshot.parent.parent / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    if main:
        return main == snapshot.name
    return sum(1 for _ in snapshot.parent.iterdir()) == 1


def _apart(found: list[Found]) -> list[Found]:
    """The same, with the parent's name before names that two folders share: ``checkpoint-500`` is no name."""
    count: dict[str, int] = {}
    for one in found:
        count[one.card.name] = count.get(one.card.name, 0) + 1
    return [
        replace(one, card=replace(one.card, name=legal_name(f"{one.card.path.parent.name}_{one.card.name}")))
        if count[one.card.name] > 1 and not one.listed
        else one
        for one in found
    ]
