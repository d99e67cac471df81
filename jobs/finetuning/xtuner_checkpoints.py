"""Checkpoints of XTuner in the shape that all runs have: taken out of its work folder, marked complete, and let go of.

XTuner writes ``work/iter_N.pth`` (a file; a folder with DeepSpeed) and then names it in ``work/last_checkpoint``. What it has
named is whole. It is moved to ``checkpoints/step-…/`` and ``complete.json`` is written last.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from backend.finetune import files, xtuner
from backend.finetune.files import Checkpoint

Describe = Callable[[int], Checkpoint]
"""Iterations done -> what is known of the state then."""


def named(work: Path) -> int:
    """Iterations of the newest checkpoint that XTuner has written whole; 0 where there is none."""
    try:
        name = Path((work / "last_checkpoint").read_text(encoding="utf-8").strip()).name
    except (OSError, UnicodeDecodeError):
        return 0
    return _iterations(name)


def adopt(
    job_dir: Path,
    work: Path,
    describe: Describe,
    *,
    newest: int | None = None,
    until: int | None = None,
    broken: int | None = None,
) -> list[Checkpoint]:
    """Take over every checkpoint that is whole; those that were, oldest first.

    newest: what :func:`named` said before the measurements were read that ``describe`` tells: a checkpoint that came after that
    waits, for what was measured of it is not known yet. until: of folders, those before so many iterations only, since each
    process still writes its part when the first has named it. broken: the iteration from which on weights are no numbers.

    Raises:
        OSError: the disk is full or gone.
    """
    newest, found = named(work) if newest is None else newest, list[Checkpoint]()
    for path in sorted(work.glob("iter_*.pth"), key=lambda one: _iterations(one.name)):
        done = _iterations(path.name)
        if not 0 < done <= newest or (until is not None and path.is_dir() and done >= until):
            continue
        if broken is not None and done >= broken:
            continue
        one = describe(done)
        folder = job_dir / files.CHECKPOINTS / files.checkpoint_name(one.step)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / files.COMPLETE).unlink(missing_ok=True)
        for old in folder.glob("iter_*.pth"):
            _remove(old)
        path.replace(folder / path.name)
        found.append(_complete(folder, one))
    return found


def mend(job_dir: Path, work: Path, describe: Describe) -> None:
    """After a kill: mark what had been moved already, take what is whole, and remove what was being written."""
    for folder in sorted((job_dir / files.CHECKPOINTS).glob("step-*")):
        inside = xtuner.checkpoint_in(folder)
        if inside is None:
            shutil.rmtree(folder, ignore_errors=True)
        elif not (folder / files.COMPLETE).is_file():
            _complete(folder, describe(_iterations(inside.name)))
    adopt(job_dir, work, describe)
    for path in work.glob("iter_*.pth"):
        _remove(path)


def let_go(job_dir: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` and the best one."""
    found = files.checkpoints(job_dir)
    for one in found[:-keep]:
        if not one.best:
            folder = Path(one.path)
            # Not a checkpoint any more before anything of it is gone.
            (folder / files.COMPLETE).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def _complete(folder: Path, one: Checkpoint) -> Checkpoint:
    inside = [path for path in folder.rglob("*") if path.is_file()]
    for path in inside:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    whole = Checkpoint(
        step=one.step,
        epoch=one.epoch,
        created=time.time(),
        loss=one.loss,
        eval_loss=one.eval_loss,
        bytes=sum(path.stat().st_size for path in inside),
        tokens=one.tokens,
    )
    files.write(folder / files.COMPLETE, whole)
    return whole


def _iterations(name: str) -> int:
    number = name.removeprefix("iter_").removesuffix(".pth")
    return int(number) if number.isdigit() else 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
