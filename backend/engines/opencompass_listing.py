"""All configs that the installed OpenCompass brings, searched by model and data set as its own ``tools/list_configs.py`` did, which the wheel has not.

Looking through two thousand files takes a moment and changes only with an install: the list is kept for each environment as long as it is the same.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.engines.opencompass import ENGINE
from backend.envs import places
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import Workspace

SEARCHED = ("models", "datasets")
"""Kinds that its own tool listed."""


@dataclass(frozen=True)
class Config:
    """One of them. name: as a command line calls it. kind: ``models``, ``datasets``, ``summarizers``, … path: in the folder of packages."""

    name: str
    kind: str
    path: str

    @property
    def module(self) -> str:
        """What a config file imports it from."""
        return self.path.removesuffix(".py").replace("/", ".")


def listed(workspace: Workspace) -> tuple[Config, ...]:
    """All of the environment in use, by kind and name.

    Raises:
        PanelError: OpenCompass is not installed here.
    """
    found = places.status(workspace, ENGINE.name)
    if not found.usable or found.python is None:
        raise found.problem or ENGINE.unavailable() or _none(found.folder)
    root = found.python.parent.parent
    for packages in places.site_packages(root):
        home = packages / "opencompass" / "configs"
        if home.is_dir():
            return _below(str(packages), found.versions.get("opencompass", ""), home.stat().st_mtime_ns)
    raise _none(root)


def search(configs: Iterable[Config], patterns: Sequence[str] = (), kinds: Sequence[str] = ()) -> list[Config]:
    """Those whose name holds one of ``patterns``, with ``*`` and ``?`` for anything; upper and lower case are the same. No pattern: all."""
    wanted = [f"*{pattern.strip().lower()}*" for pattern in patterns if pattern.strip()]
    return [
        config
        for config in configs
        if (not kinds or config.kind in kinds)
        and (not wanted or any(fnmatch.fnmatchcase(config.name.lower(), pattern) for pattern in wanted))
    ]


@lru_cache(maxsize=4)
def _below(packages: str, _version: str, _changed: int) -> tuple[Config, ...]:
    root = Path(packages) / "opencompass" / "configs"
    found = []
    for folder, _folders, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        for file in files:
            if file.endswith(".py") and inside.parts:
                path = Path("opencompass", "configs", inside, file)
                found.append(Config(file.removesuffix(".py"), inside.parts[0], path.as_posix()))
    return tuple(sorted(found, key=lambda config: (config.kind, config.name.lower(), config.path)))


def _none(folder: Path) -> PanelError:
    return PanelError(
        "opencompass_no_configs",
        N_("The environment {folder} holds no configs of OpenCompass."),
        N_("Install it again on the Environments page."),
        folder=str(folder),
    )
