"""Typed settings: ``TUNEDECK_*`` environment variables over ``settings.json`` in the workspace over defaults.

Secrets are not settings: tokens and keys live in 0600 files under ``secrets/`` (see :mod:`backend.workspace`).
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend import stamps
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import Workspace, write_json

CORES = os.cpu_count() or 1


class Settings(BaseSettings):
    """Every setting with its unit and default; each can be given as ``TUNEDECK_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="TUNEDECK_", extra="ignore", env_ignore_empty=True)

    language: Literal["auto", "en", "zh_CN"] = Field("auto", description=N_("Language of the panel"))
    host: str = Field("127.0.0.1", description=N_("Address the panel listens on"))
    port: int | None = Field(
        None, ge=1, le=65535, description=N_("Port of the panel; empty means 8501 or the next free one")
    )
    allow_remote: bool = Field(False, description=N_("Allow an address other than this machine's loopback"))
    cpu_slots: int = Field(
        max(1, CORES // 2), ge=1, le=1024, description=N_("Jobs that may compute on the CPU at once")
    )
    grace_int_s: float = Field(10.0, ge=0, description=N_("Seconds a cancelled job has to save and stop"))
    grace_term_s: float = Field(5.0, ge=0, description=N_("Seconds before a job that ignores a stop is killed"))
    watcher_idle_s: float = Field(
        600.0, ge=1, description=N_("Seconds after which the watcher leaves when no panel is open and no job is left")
    )
    agent_idle_s: float = Field(
        300.0,
        ge=0,
        description=N_("Seconds after which the program that works for an agent leaves when nothing is asked"),
    )
    notice_after_s: float = Field(
        120.0,
        ge=0,
        description=N_("Seconds a job must have run for its end to be told at once on any page; failures always are"),
    )
    memory_history_mib: int = Field(
        512,
        ge=16,
        le=1 << 20,
        description=N_("Disk space in MiB that the record of memory may take; the oldest seconds go first"),
    )
    hf_endpoint: str = Field("", description=N_("Mirror of the Hugging Face hub"))
    modelscope_endpoint: str = Field("", description=N_("Mirror of the ModelScope hub"))
    hub_timeout_s: int = Field(
        20, ge=1, le=3600, description=N_("Seconds without a byte after which a download is tried again")
    )
    download_reserve_mib: int = Field(
        1024, ge=0, description=N_("Disk space in MiB that a download or an install must leave free")
    )
    environments_folder: str = Field(
        "",
        max_length=4000,
        description=N_(
            "Folder for the environments of engines; empty means ~/.tunedeck/environments, whatever the workspace"
        ),
    )
    shared_environments_folder: str = Field(
        "",
        max_length=4000,
        description=N_("Folder with environments that somebody made for everyone on this machine; only read"),
    )
    pip_index_url: str = Field(
        "", max_length=2000, description=N_("Package index, or a mirror of one; empty means what pip itself is set to")
    )
    pip_extra_index_url: str = Field(
        "", max_length=2000, description=N_("A second package index, for builds that the first one lacks")
    )
    proxy: str = Field(
        "", max_length=2000, description=N_("Proxy for packages; empty means what the environment of the panel says")
    )
    lmdeploy_python: str = Field(
        "",
        description=N_("Python of an environment of your own that holds LMDeploy; empty means the one TuneDeck makes"),
    )

    @field_validator("hf_endpoint", "modelscope_endpoint", "pip_index_url", "pip_extra_index_url", "proxy")
    @classmethod
    def _address(cls, value: str) -> str:
        address = value.strip().rstrip("/")
        if address and not address.startswith(("http://", "https://")):
            raise ValueError("an address begins with https:// or http://")
        return address

    @field_validator("pip_index_url", "pip_extra_index_url", "proxy")
    @classmethod
    def _no_password(cls, value: str) -> str:
        # Settings are shown to everyone who has the link, and stand in a file that people copy.
        if "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError(
                "a name and password do not belong here: put them into the file netrc of the folder secrets (see "
                "docs/operations.md), or for a proxy into HTTPS_PROXY"
            )
        return value

    @field_validator("environments_folder", "shared_environments_folder")
    @classmethod
    def _folder(cls, value: str) -> str:
        folder = value.strip()
        if folder and not Path(folder).expanduser().is_absolute():
            raise ValueError("a folder is written from the root, as in /data/environments")
        return folder


@cache
def _field_names() -> frozenset[str]:
    return frozenset(Settings.model_fields)


_Stamp = tuple[stamps.Stamp, tuple[tuple[str, str], ...]]
_loaded: dict[Path, tuple[_Stamp, Settings]] = {}
"""Settings file -> file and variables as they were read, and what came of them: true while both are the same."""


def load(workspace: Workspace) -> Settings:
    """Settings in force for ``workspace``.

    Raises:
        PanelError: ``settings_bad`` when a value in the file or the environment is not usable; names every bad field.
    """
    file = workspace.settings_file
    variables = tuple(sorted((k, v) for k, v in os.environ.items() if k.upper().startswith("TUNEDECK_")))
    now, known = (stamps.stamp(file), variables), _loaded.get(file)
    if known is not None and known[0] == now:
        return known[1].model_copy()
    found = _load(workspace)
    if stamps.settled(now[0]):
        _loaded[file] = (now, found)
    return found.model_copy()


def _load(workspace: Workspace) -> Settings:
    saved = _saved(workspace)
    env = {k[len("TUNEDECK_") :].lower() for k, v in os.environ.items() if k.startswith("TUNEDECK_") and v}
    try:
        return Settings(**{k: v for k, v in saved.items() if k in _field_names() and k not in env})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PanelError(
            "settings_bad",
            N_("A setting cannot be used: {problems}"),
            N_("Correct the TUNEDECK_ variable or {path}."),
            problems=problems,
            path=str(workspace.settings_file),
        ) from error


def save(workspace: Workspace, **changes: Any) -> Settings:
    """Store ``changes`` in the workspace's ``settings.json`` after checking them; returns what is now in force."""
    merged = {**_saved(workspace), **changes}
    try:
        Settings(**{k: v for k, v in merged.items() if k in _field_names()})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PanelError("settings_bad", N_("A setting cannot be used: {problems}"), problems=problems) from error
    write_json(workspace.settings_file, merged)
    return load(workspace)


def _saved(workspace: Workspace) -> dict[str, Any]:
    path: Path = workspace.settings_file
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PanelError(
            "settings_bad",
            N_("The settings file {path} is not readable JSON: {problem}"),
            N_("Correct it, or delete it to go back to the defaults."),
            path=str(path),
            problem=str(error),
        ) from error
    return data if isinstance(data, dict) else {}
