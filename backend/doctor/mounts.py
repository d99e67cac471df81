"""File systems that are mounted, from ``/proc/self/mountinfo`` (man 5 proc). Reading it asks no file system anything."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "lustre", "gpfs", "beegfs", "vboxsf"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.juicefs", "fuse.goofys", "fuse.gcsfuse"),
        *("fuse.vmhgfs-fuse", "drvfs"),
    )
)
"""Kinds whose files lie on another machine or another system: locks and shared memory of SQLite are not to be relied on."""
VOLATILE = frozenset(("tmpfs", "ramfs", "rootfs"))
"""Gone at the next start of the machine."""
LAYERED = frozenset(("overlay", "aufs", "fuse.fuse-overlayfs"))
"""The writable layer of a container: gone with the container."""


@dataclass(frozen=True)
class Mount:
    """point: where. kind: such as ``ext4``. source: device or server. options: of the mount and of the file system."""

    point: Path
    kind: str
    source: str
    options: frozenset[str]


def parse(lines: Iterable[str]) -> list[Mount]:
    """The mounts that ``lines`` of mountinfo name, in their order; a line of another form is left out."""
    found = []
    for line in lines:
        before, dash, after = line.partition(" - ")
        left, right = before.split(), after.split(" ")
        if not dash or len(left) < 6 or len(right) < 2:
            continue
        options = {*left[5].split(","), *(right[2].split(",") if len(right) > 2 else ())}
        found.append(Mount(Path(_plain(left[4])), right[0], _plain(right[1]), frozenset(options)))
    return found


def of(path: Path, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that holds the absolute ``path``; of several at one place the last, which hides the others."""
    best: Mount | None = None
    for mount in mounts:
        if (path == mount.point or mount.point in path.parents) and (
            best is None or len(mount.point.parts) >= len(best.point.parts)
        ):
            best = mount
    return best


def _plain(text: str) -> str:
    """Blanks and the like stand as octal numbers there."""
    return (
        re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
        .encode("latin-1", "replace")
        .decode("utf-8", "replace")
    )
