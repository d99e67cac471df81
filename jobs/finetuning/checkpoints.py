"""Checkpoints: a folder a step in the layout of Hugging Face's Trainer, there only when it is whole.

A checkpoint is written under another name, its marker (``complete.json``) last, and then renamed. Whatever ends the job in
between leaves the ones before as they were. The newest few are kept, and the best one.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from backend.errors import PanelError, WorkspaceError
from backend.finetune import files
from backend.finetune.files import Checkpoint
from backend.i18n import N_
from backend.workspace import explain_os_error, write_json


def save(job_dir: Path, record: Checkpoint, write: Callable[[Path], None]) -> Checkpoint:
    """Let ``write`` fill a new folder, and make it the checkpoint ``record``; returns it with its path and size.

    Raises:
        PanelError: ``checkpoint_disk_full``: nothing of it is left, the earlier ones are as they were.
    """
    home = job_dir / files.CHECKPOINTS
    name = files.checkpoint_name(record.step)
    part = home / f".{name}.part"
    try:
        home.mkdir(parents=True, exist_ok=True)
        clear(job_dir)
        part.mkdir()
        write(part)
        made = replace(record, created=time.time(), bytes=size(part), path="", best=False)
        for file in part.iterdir():
            _settle(file)
        write_json(part / files.COMPLETE, asdict(made), mode=0o644)
        _settle(part)
        old = home / name
        if old.exists():  # of a state that was left behind by going back
            shutil.rmtree(old)
        part.rename(old)
        _settle(home)
    except Exception as error:
        shutil.rmtree(part, ignore_errors=True)
        if is_full(error):
            raise disk_full(job_dir, record.step) from error
        raise
    return replace(made, path=str(home / name))


def prune(job_dir: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` and the best."""
    found = files.checkpoints(job_dir)
    for one in found[: max(0, len(found) - keep)]:
        if not one.best:
            remove(Path(one.path))


def remove(folder: Path) -> None:
    """Remove a checkpoint: its marker first, so that no half of it is ever taken for one."""
    (folder / files.COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def clear(job_dir: Path) -> None:
    """Remove what an interrupted save left."""
    for part in (job_dir / files.CHECKPOINTS).glob(".step-*.part"):
        shutil.rmtree(part, ignore_errors=True)


def newest(job_dir: Path) -> Checkpoint | None:
    """The newest complete checkpoint."""
    found = files.checkpoints(job_dir)
    return found[-1] if found else None


def best(job_dir: Path) -> Checkpoint | None:
    """The one with the lowest validation loss, the newer of two; without any validation the newest."""
    found = files.checkpoints(job_dir)
    judged = [one for one in found if one.best] or found
    return judged[-1] if judged else None


def size(folder: Path) -> int:
    """Bytes of the files in ``folder``."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def copy(source: Path, target: Path) -> None:
    """``source`` as ``target``. Weights take no room twice where the disk can do that: nobody changes such a file in place."""
    try:
        if source.suffix == ".safetensors":
            os.link(source, target)
            return
    except OSError:
        target.unlink(missing_ok=True)
    shutil.copyfile(source, target)


def disk_full(job_dir: Path, step: int) -> PanelError:
    """The checkpoint after ``step`` steps found no room."""
    before = newest(job_dir)
    there = {"folder": str(job_dir / files.CHECKPOINTS), "step": step}
    if before is None:
        return WorkspaceError(
            "checkpoint_disk_full",
            N_(
                "The disk is full: the checkpoint of step {step} could not be saved in {folder}, and there is none before it."
            ),
            N_("Make room on that disk, then start the training again."),
            **there,
        )
    return WorkspaceError(
        "checkpoint_disk_full",
        N_(
            "The disk is full: the checkpoint of step {step} could not be saved in {folder}. The one of step {last} is whole."
        ),
        N_("Make room on that disk, then press Resume: it goes on from step {last}."),
        **there,
        last=before.step,
    )


def is_full(error: Exception) -> bool:
    """Whether a failed write failed because of the disk; torch and safetensors say it in words only."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if isinstance(one, PanelError) and one.code == "workspace_full":
            return True
        text = str(one)
        if "No space left" in text or "os error 28" in text or "Disk quota exceeded" in text:
            return True
        # torch.save: "[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0", "file write failed".
        if "inline_container.cc" in text or "PytorchStreamWriter" in text or "file write failed" in text:
            return True
        one = one.__cause__ or one.__context__
    return False


def _settle(path: Path) -> None:
    """Have ``path`` on the disk before its name says that it is."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def result_unsaved(error: OSError, target: Path) -> PanelError:
    """What was learned is there as a checkpoint, and could not be copied to ``target``."""
    return explain_os_error(error, target)
