"""Room on the disks that TuneDeck and its engines write to: bytes, inodes, quotas, and caches that can be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from backend.doctor import mounts
from backend.doctor.findings import Check, Finding, Fix, Text, attention, bad, check, gib, ok, say, unknown
from backend.doctor.here import Here, ask, existing
from backend.i18n import N_

GIB = 2**30
FEW_INODES, NO_INODES = 50_000, 1_000
"""One engine's environment has about 30,000 files."""


def room(code: str, title: str, folder: str, low: float, least: float, needed: Text, fix: Fix) -> Check:
    """A check of the disk that holds ``folder`` (an attribute of :class:`Here`, or of its workspace).

    Below ``low`` GiB it needs attention, below ``least`` GiB it is bad; ``needed`` says what wants the room.
    """

    @check(code, title)
    def look(here: Here) -> Iterator[Finding]:
        path = here.workspace.root if folder == "workspace" else getattr(here, folder)
        path = path[0] if isinstance(path, tuple) else path
        yield from _room(path, low, least, needed, fix)

    return look


def _room(path: Path, low: float, least: float, needed: Text, fix: Fix) -> Iterator[Finding]:
    disk = os.statvfs(existing(path))
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    lines = [say(N_("{path}: {free} of {total} are free."), path=str(path), free=gib(free), total=gib(total))]
    # Some file systems (btrfs, most network ones) have no fixed number of inodes and say 0.
    scarce = disk.f_files > 0 and disk.f_favail < FEW_INODES
    if disk.f_files > 0:
        lines.append(say(N_("Files that can still be made: {count}."), count=f"{disk.f_favail:,}"))
    if free < low * GIB:
        judge = bad if free < least * GIB else attention
        yield judge(*lines, meaning=needed, fixes=[fix, _largest(path)])
    elif scarce:
        judge = bad if disk.f_favail < NO_INODES else attention
        yield judge(
            *lines,
            meaning=say(
                N_(
                    "The disk has room for bytes but hardly any for new files (inodes). Installs fail with 'No space left'."
                )
            ),
            fixes=[
                Fix(
                    say(N_("Find the folder with very many small files, and delete what is not needed.")),
                    command=f"du --inodes -x -d 2 {_quoted(existing(path))} | sort -n | tail",
                )
            ],
        )
    else:
        yield ok(*lines)


def _largest(path: Path) -> Fix:
    return Fix(
        say(N_("See what takes the room there.")), command=f"du -x -h -d 1 {_quoted(existing(path))} | sort -h | tail"
    )


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


workspace_room = room(
    "disk_workspace",
    N_("Disk of the workspace"),
    "workspace",
    10,
    1,
    say(N_("Checkpoints, models and logs are written here. A job that finds the disk full fails.")),
    Fix(say(N_("Delete jobs that have ended, with their files.")), place="jobs"),
)
environments_room = room(
    "disk_environments",
    N_("Disk of the engines' environments"),
    "environments",
    10,
    3,
    say(N_("An engine's environment takes about 2 GiB, and 6 to 8 GiB where it computes on GPUs.")),
    Fix(say(N_("Remove an engine that you do not use.")), place="environments"),
)
cache_room = room(
    "disk_hf_cache",
    N_("Disk of the Hugging Face cache"),
    "hf_cache",
    5,
    0.5,
    say(N_("Engines that fetch a model or dataset by its name store it here. An 8 B model takes about 16 GiB.")),
    Fix(
        say(N_("Put the cache on a disk with room, before the panel is started.")),
        command="export HF_HOME=/path/with/room/huggingface",
    ),
)
pip_room = room(
    "disk_pip_cache",
    N_("Disk of pip's cache"),
    "pip_cache",
    5,
    0.5,
    say(N_("Packages are kept here after they were fetched, so that the next install is quick.")),
    Fix(
        say(N_("Empty the cache; packages are fetched again when they are needed.")),
        command="python3 -m pip cache purge",
    ),
)
temporary_room = room(
    "disk_tmp",
    N_("Disk for temporary files"),
    "temporary",
    2,
    0.2,
    say(N_("Packages are unpacked and compiled here while an engine is installed.")),
    Fix(
        say(N_("Use another folder for temporary files, before the panel is started.")),
        command="export TMPDIR=/path/with/room/tmp",
    ),
)


@check("tmp_usable", N_("Temporary files can be made and run"))
def temporary_usable(here: Here) -> Iterator[Finding]:
    folder = here.temporary
    mount = mounts.of(folder.resolve(), here.mounts)
    line = say(N_("{path} can be written: {yes}."), path=str(folder), yes=_word(os.access(folder, os.W_OK)))
    fix = Fix(
        say(N_("Use another folder for temporary files, before the panel is started.")), command="export TMPDIR=~/tmp"
    )
    if not os.access(folder, os.W_OK):
        yield bad(line, meaning=say(N_("Nothing can be installed, and many programs do not start.")), fixes=[fix])
    elif mount and "noexec" in mount.options:
        yield attention(
            line,
            say(N_("{path} is mounted with noexec."), path=str(mount.point)),
            meaning=say(N_("What is compiled there cannot be run: engines that build kernels when they start fail.")),
            fixes=[fix],
        )
    else:
        yield ok(line)


@check("hf_cache", N_("Hugging Face cache"))
def hf_cache(here: Here) -> Iterator[Finding]:
    path, variable = here.hf_cache
    nearest = existing(path)
    where = (
        say(N_("{path}, named by {variable}."), path=str(path), variable=variable)
        if variable
        else say(N_("{path}, the usual place."), path=str(path))
    )
    if not os.access(nearest, os.W_OK | os.X_OK):
        owner = _owner(nearest)
        yield bad(
            where,
            say(N_("{path} belongs to {user} and cannot be written."), path=str(nearest), user=owner),
            meaning=say(N_("Engines cannot store what they fetch by name, and stop with 'Permission denied'.")),
            fixes=[
                Fix(
                    say(N_("Use a cache of your own, before the panel is started.")),
                    command="export HF_HOME=~/.cache/huggingface",
                )
            ],
        )
    elif here.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        yield ok(where, say(N_("HF_HUB_OFFLINE is set: nothing is fetched by name, only what is there is used.")))
    else:
        yield ok(where)


@check("quota", N_("Disk quota"), deadline_s=4.0)
def quota(here: Here) -> Iterator[Finding]:
    mount = mounts.of(here.workspace.root.resolve(), here.mounts)
    limited = mount and {o for o in mount.options if "quota" in o and not o.startswith("noquota")}
    if mount and not limited and mount.kind not in mounts.NETWORK:
        yield ok(say(N_("The file system at {path} ({kind}) has no quota."), path=str(mount.point), kind=mount.kind))
        return
    said = ask(["quota", "-w", "-p", "--show-mntpoint", "--hide-device"], here.environ)
    rows = [row for row in map(_quota_row, (said or "").splitlines()) if row]
    if not rows:
        yield unknown(
            say(N_("The program quota is not there, or tells nothing.")),
            meaning=say(N_("There may be a limit on what you may store. A full quota looks like a full disk.")),
            fixes=[Fix(say(N_("Ask who looks after this machine whether your home folder has a quota.")))],
        )
    for point, used, limit in rows:
        line = say(N_("{path}: {used} of {limit} used."), path=point, used=gib(used), limit=gib(limit))
        left = limit - used
        if left < 5 * GIB:
            judge = bad if left < GIB // 2 else attention
            yield judge(
                line,
                meaning=say(N_("A full quota looks like a full disk: jobs and installs fail.")),
                fixes=[Fix(say(N_("Delete what is not needed, or ask for more room."))), _largest(here.home)],
            )
        else:
            yield ok(line)


def _quota_row(line: str) -> tuple[str, int, int] | None:
    """(mount point, bytes used, bytes allowed) of a line of ``quota -w -p``; it counts in KiB. None where it limits nothing."""
    words = line.split()
    if len(words) < 4 or not words[0].startswith("/"):
        return None
    numbers = [word.rstrip("*") for word in words[1:4]]
    if not all(number.isdigit() for number in numbers):
        return None
    used, soft, hard = map(int, numbers)
    limit = soft or hard
    return (words[0], used * 1024, limit * 1024) if limit else None


def _owner(path: Path) -> str:
    import pwd

    number = path.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _word(yes: bool) -> Text:
    return say(N_("yes")) if yes else say(N_("no"))


CHECKS = (
    workspace_room,
    environments_room,
    cache_room,
    pip_room,
    temporary_room,
    temporary_usable,
    hf_cache,
    quota,
)
