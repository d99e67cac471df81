"""Reading the small files of a model folder, and the sentences for those that cannot be read: pointers, broken JSON."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from backend.errors import ModelError
from backend.i18n import N_

LFS_MARK = b"version https://git-lfs"
# A pointer is three short lines (git-lfs, docs/spec.md: "less than 1024 bytes").
LFS_MAX = 1024
LARGEST_JSON = 256 << 20
LARGEST_GIT_CONFIG = 64 << 10
PICKLED = (".bin", ".pt", ".pth", ".ckpt")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        ModelError: ``model_pointer``, ``model_config_bad`` or ``model_unreadable``.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise config_bad(path, "too large")
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    if raw.startswith(LFS_MARK):
        raise pointer_file(path)
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise config_bad(path, str(error)) from error
    if not isinstance(data, dict):
        raise config_bad(path, "not an object")
    return data


def read_optional(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``; empty where there is no such file. A link to nothing is a lost file, not none.

    Raises:
        ModelError: as :func:`read_object`.
    """
    return read_object(path) if os.path.lexists(path) else {}


def pointers(folder: Path) -> dict[str, int]:
    """git-lfs pointers in ``folder``: file name -> bytes that the real file has (0 where the pointer does not say).

    Pickled files do not count where there are safetensors files: nobody needs them.
    """
    found: dict[str, int] = {}
    with os.scandir(folder) as files:
        entries = [f for f in files if not f.name.startswith(".")]
    spare = any(f.name.endswith(".safetensors") for f in entries)
    for entry in entries:
        if spare and entry.name.endswith(PICKLED):
            continue
        try:
            if entry.is_file() and entry.stat().st_size < LFS_MAX:
                raw = Path(entry.path).read_bytes()
                if raw.startswith(LFS_MARK):
                    size = re.search(rb"^size (\d{1,18})$", raw, re.MULTILINE)
                    found[entry.name] = int(size[1]) if size else 0
        except OSError:
            continue
    return found


def size_text(size: int) -> str:
    """``size`` bytes for a person, in powers of 1000 as hubs and ``ls`` of downloads say them: ``16.1 GB``."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{size} B" if units[0] == "B" else f"{value:.3g} {units[0]}"


def config_bad(path: Path, problem: str) -> ModelError:
    """The JSON file ``path`` of a model is none, or not the one that it should be."""
    return ModelError(
        "model_config_bad",
        N_("The file {file} of the model cannot be used: {problem}."),
        N_("Copy or download this file again."),
        file=str(path),
        problem=problem,
    )


def pointer_file(path: Path) -> ModelError:
    """``path`` is a git-lfs pointer; the message counts the others of its folder, the hint says where they came from."""
    try:
        sizes = pointers(path.parent)
    except OSError:
        sizes = {}
    sizes.setdefault(path.name, 0)
    origin = cloned_from(path.parent)
    if len(sizes) > 1:
        message = N_(
            "{count} files of this model are only git-lfs pointers, such as {file}: {size} were never downloaded."
        )
        total = sum(sizes.values())
    else:
        message = N_("{file} is only a git-lfs pointer: the real file ({size}) was never downloaded.")
        total = sizes[path.name]
    if origin:
        hint = N_(
            "It was cloned from {origin} without git-lfs. Install git-lfs and run 'git lfs pull' in {folder}, or download "
            "the model again."
        )
    else:
        hint = N_(
            "Repositories of OpenXLab and other hubs look like this when they were cloned without git-lfs. Install git-lfs "
            "and run 'git lfs pull' in {folder}, or download the model again."
        )
    return ModelError(
        "model_pointer",
        message,
        hint,
        count=len(sizes),
        file=str(path),
        folder=str(path.parent),
        size=size_text(total),
        bytes=total,
        origin=origin,
    )


def cloned_from(folder: Path) -> str:
    """The address that ``folder`` was cloned from, without any login in it; empty where it is no clone."""
    try:
        text = (folder / ".git" / "config").read_bytes()[:LARGEST_GIT_CONFIG].decode("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r'^\[remote "origin"\](?:\n(?!\[).*)*?\n\s*url\s*=\s*(\S+)', text, re.MULTILINE)
    return re.sub(r"//[^/@]*@", "//", found[1]) if found else ""


def unreadable(path: Path, error: OSError) -> ModelError:
    """The system refuses to read ``path``."""
    return ModelError(
        "model_unreadable",
        N_("{file} cannot be read: {problem}."),
        N_("Check that the file exists and that you may read it."),
        file=str(path),
        problem=error.strerror or str(error),
    )
