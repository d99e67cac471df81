"""Fetch a model from Hugging Face or ModelScope and put it on the list: ``python -m jobs.download SPEC.json``.

list      what the repository holds
check     what of it is needed, and whether there is room
download  several files at once; what an earlier attempt left is gone on with
verify    every file against the hub's own checksum; one that differs is fetched once more
register  the whole folder moves into place and onto the list of models
"""

from __future__ import annotations

import os
import threading
from typing import Any

from backend import catalog, hubs, settings
from backend.errors import ConflictError
from backend.i18n import N_
from backend.specs.download import DownloadSpec
from backend.workspace import Workspace, open_workspace
from jobs.downloads import environment, transfer
from jobs.downloads.folder import Folder, total
from jobs.downloads.listing import RemoteFile, select
from jobs.downloads.problems import Asked
from jobs.downloads.retry import persist
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any] | None:
    """The program; a stop leaves what was fetched, and the next attempt goes on from there."""
    spec = job.spec_as(DownloadSpec)
    workspace = open_workspace()
    current = settings.load(workspace)
    name = spec.list_name()
    refuse_taken_name(workspace, name)
    folder = Folder(workspace, name, spec.source, spec.repo)
    stopping = threading.Event()
    environment.prepare(job.dir / "hub", current.hub_timeout_s)
    hub = connect(job, spec, workspace, current, stopping)

    job.phase("list")
    listing = transfer.alone(job, stopping, lambda: persist(hub.listing, hub, job, stopping))
    job.phase("check")
    files, left_out = select(listing.files, hubs.HUBS[spec.source], spec.repo)
    for file in files:
        hub.check(file)
    folder.prepare(listing, files)
    here = sum(folder.have(file) for file in files)
    tell(job, spec, listing.commit, files, left_out, here)
    if not folder.finished:
        hubs.check_room(workspace.downloads, total(files) - here, current.download_reserve_mib * 2**20)
        fetch(job, hub, folder, files, stopping)
    job.phase("register")
    if not folder.finished:
        register_ready(folder, name)
        folder.finish()
    card = catalog.add(workspace, folder.final, name, made_by=int(os.environ.get("TUNEDECK_JOB_ID") or 0) or None)
    job.artifact("model", folder.final, label=name)
    job.log(f"'{card.name}' is on the list of models: {folder.final}")
    return {
        "complete": True,
        "model": str(folder.final),
        "name": name,
        "repo": spec.repo,
        "source": spec.source,
        "commit": listing.commit,
        "files": len(files),
        "bytes": total(files),
        "fetched_bytes": total(files) - here,
    }


def refuse_taken_name(workspace: Workspace, name: str) -> None:
    """Better now than after hours.

    Raises:
        ConflictError: ``model_name_taken`` by a folder that no download makes.
    """
    taken = next((card for card in catalog.models(workspace) if card.name == name), None)
    if taken is not None and taken.path != workspace.downloads / name:
        raise ConflictError(
            "model_name_taken",
            N_("There is already a model called '{model}', at {path}."),
            N_("Give this one another name."),
            model=name,
            path=str(taken.path),
        )


def connect(
    job: Job, spec: DownloadSpec, workspace: Workspace, current: settings.Settings, stopping: threading.Event
) -> transfer.Hub:
    """The hub's client, imported only now that its environment is set."""
    token = hubs.read_token(workspace, spec.source)
    asked = Asked(
        hubs.HUBS[spec.source],
        spec.repo,
        spec.revision,
        hubs.endpoint(current, spec.source),
        bool(token),
        hubs.token_file(workspace, spec.source),
    )
    job.log(f"{spec.repo} from {asked.endpoint}, {'with' if token else 'without'} an access token")
    if spec.source == "modelscope":
        from jobs.downloads.modelscope import ModelScope

        return ModelScope(asked, token, job.dir / "hub")
    from jobs.downloads.huggingface import HuggingFace

    return HuggingFace(asked, token, current.hub_timeout_s, stopping)


def tell(
    job: Job, spec: DownloadSpec, commit: str, files: list[RemoteFile], left_out: list[RemoteFile], here: int
) -> None:
    """What will be done, into the log."""
    job.log(f"commit {commit}" if commit else f"revision {spec.revision or hubs.HUBS[spec.source].revision}")
    job.log(f"{len(files)} files, {hubs.size_text(total(files))}; {hubs.size_text(here)} of it are here")
    if left_out:
        names = ", ".join(file.path for file in left_out[:20]) + (" ..." if len(left_out) > 20 else "")
        job.log(f"not needed: {len(left_out)} files, {hubs.size_text(total(left_out))}: {names}")


def fetch(job: Job, hub: transfer.Hub, folder: Folder, files: list[RemoteFile], stopping: threading.Event) -> None:
    """Everything here and verified; a file that differs is fetched once more, then it is an error."""
    job.phase("download")
    transfer.fetch_all(job, hub, folder, files, stopping)
    job.phase("verify")
    bad, _looked = transfer.verify_all(job, folder, files, stopping)
    if not bad:
        return
    job.phase("download")
    transfer.fetch_all(job, hub, folder, files, stopping)
    job.phase("verify")
    still_bad, _looked = transfer.verify_all(job, folder, files, stopping)
    if still_bad:
        raise hub.asked.corrupt(still_bad[0].path)


def register_ready(folder: Folder, name: str) -> None:
    """Nothing moves into place that the list would refuse.

    Raises:
        ModelError: what the repository holds is no usable model.
    """
    found = catalog.card(folder.path, name)
    if found.problem is not None:
        raise found.problem


if __name__ == "__main__":
    raise SystemExit(main("download", run))
