"""A folder with all package files of one environment, to be carried to a machine without a network.

FOLDER/bundle.json       written last: engine, flavour, Python, digest of the lock, and each file with size and sha256
FOLDER/*.whl, *.tar.gz   the files, as pip takes them
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.envs import wheels
from backend.envs.locks import Lock, Package
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import read_json, write_json

MANIFEST = "bundle.json"


def write(folder: Path, lock: Lock, digests: dict[str, str]) -> None:
    """The manifest of a folder that holds all files. digests: file name -> sha256."""
    files = {name: {"sha256": digest, "bytes": (folder / name).stat().st_size} for name, digest in digests.items()}
    write_json(
        folder / MANIFEST,
        {
            "engine": lock.engine,
            "flavour": lock.flavour,
            "python": lock.python,
            "lock": lock.digest,
            "files": dict(sorted(files.items())),
        },
        mode=0o644,
    )


def problem(folder: Path, lock: Lock) -> PanelError | None:
    """Why ``lock`` cannot be installed from ``folder``, as far as names and sizes tell; None where it can."""
    if not folder.is_dir():
        return PanelError(
            "env_bundle_missing",
            N_("There is no folder {folder}."),
            N_("Name the folder that the bundle was made into, as this machine sees it."),
            folder=str(folder),
        )
    manifest = _manifest(folder)
    if manifest and (manifest.get("engine"), manifest.get("flavour")) != (lock.engine, lock.flavour):
        return PanelError(
            "env_bundle_other",
            N_("{folder} is a bundle of {found}, not of {wanted}."),
            N_("Name the bundle that fits, or make it on a machine with a network: Environments, Make a bundle."),
            folder=str(folder),
            found=f"{manifest.get('engine')} ({manifest.get('flavour')})",
            wanted=f"{lock.engine} ({lock.flavour})",
        )
    here = wheels.present(folder, lock)
    lacking = [package.pin for package in lock.packages if package.pin not in here]
    if lacking:
        return PanelError(
            "env_bundle_lacks",
            N_("The bundle {folder} lacks {count} of {total} packages: {names}."),
            N_("Copy it again, whole, or make it anew with the same version of TuneDeck."),
            folder=str(folder),
            count=len(lacking),
            total=len(lock.packages),
            names=", ".join(lacking[:5]) + (" …" if len(lacking) > 5 else ""),
        )
    return None


def digest_of(folder: Path, path: Path) -> str | None:
    """The sha256 that the manifest of ``folder`` has for the file ``path``; None where it says nothing."""
    entry = (_manifest(folder).get("files") or {}).get(path.name)
    return entry.get("sha256") if isinstance(entry, dict) else None


def besides(folder: Path) -> dict[Path, str]:
    """Files below folders of ``folder`` that its manifest names, with their sha256: what an any-build package needs."""
    files = _manifest(folder).get("files") or {}
    return {
        folder / name: str(entry.get("sha256")) for name, entry in files.items() if "/" in name and ".." not in name
    }


def changed(folder: Path, path: Path, package: Package | None = None) -> PanelError:
    """A file of the bundle is not what the lock or the manifest says."""
    return PanelError(
        "env_bundle_changed",
        N_("{file} in the bundle {folder} is not the file that belongs there: it was changed, or copied only in part."),
        N_("Copy the bundle again, or make it anew. Nothing was installed."),
        file=path.name,
        folder=str(folder),
        package=package.pin if package else path.name,
    )


def _manifest(folder: Path) -> dict[str, Any]:
    data = read_json(folder / MANIFEST)
    return data if isinstance(data, dict) else {}
