"""What this machine's kernel lets us put between code and everything else: found out by doing it, once.

    python -m jobs.agent.sandbox.ability    # the same as JSON, for the doctor

Without a wall around files there is no running: a list of forbidden names in Python would be no wall.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from backend.errors import PanelError
from backend.i18n import N_
from jobs.agent.sandbox import landlock
from jobs.agent.sandbox.running import Limits, Walls, WallsMissing, run

WALLS = {
    "seccomp": N_("Refuses the network, other programs and other processes."),
    "Landlock": N_("Leaves only the libraries to be read and one folder to be written."),
    "namespaces": N_("Leaves the rest of the disk, the network and all processes out of sight."),
}
"""What each wall is for, in the order in which the doctor shows them."""

STEPS = {
    "namespaces": (
        *("unshare", "mount", "mount_setattr", "pivot_root", "umount2"),
        *("/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups"),
    ),
    "Landlock": ("landlock", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"),
}
TRIED = (Walls(), Walls(namespaces=False), Walls(landlock=False))
"""From the most to the least that is enough."""

_found: list[Ability] = []


@dataclass(frozen=True)
class Wall:
    """One of :data:`WALLS`. said: the kernel's words where it does not stand, else what is known of it."""

    name: str
    stands: bool
    said: str = ""


@dataclass(frozen=True)
class Ability:
    """walls: those to put up, None where they are not enough to run anything. report: each of :data:`WALLS`."""

    walls: Walls | None
    report: tuple[Wall, ...]

    def refusal(self) -> PanelError:
        """Why nothing can be run here."""
        missing = "; ".join(f"{wall.name} ({wall.said})" for wall in self.report if not wall.stands)
        return no_walls(missing)


def no_walls(missing: str) -> PanelError:
    """Nothing is run: ``missing`` says which of the kernel's features, and why."""
    return PanelError(
        "python_no_walls",
        N_("Python code cannot be shut in safely on this machine, so none is run: {missing}."),
        N_(
            "It needs Linux with seccomp, and either Landlock (5.13 or newer) or user namespaces. In a container its "
            "settings may forbid them: ask who looks after the machine."
        ),
        missing=missing,
    )


def ability() -> Ability:
    """What can be put up here. Tried once; a machine that can do too little is asked again the next time."""
    if not _found or _found[0].walls is None:
        _found[:] = [_tried()]
    return _found[0]


def forget() -> None:
    """Try again the next time: what stood before did not stand now."""
    _found.clear()


def _tried() -> Ability:
    if sys.platform != "linux":
        return Ability(None, tuple(Wall(name, False, sys.platform) for name in WALLS))
    failed: dict[str, str] = {}
    walls = next((each for each in TRIED if _stands(each, failed)), None)
    report = [Wall(name, name not in failed and walls is not None, failed.get(name, "")) for name in WALLS]
    version = landlock.version()
    return Ability(
        walls,
        tuple(
            Wall(wall.name, True, f"version {version}") if wall.name == "Landlock" and wall.stands else wall
            for wall in report
        ),
    )


def _stands(walls: Walls, failed: dict[str, str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="tunedeck-walls-") as folder:
        try:
            return run("", Path(folder) / "python", walls=walls, limits=Limits(seconds=10)).ended == "done"
        except (WallsMissing, OSError) as error:
            step, _colon, why = str(error).partition(": ")
            name = next((name for name, steps in STEPS.items() if step in steps), "seccomp")
            failed.setdefault(name, f"{step}: {why}" if why else step)
            return False


def main() -> None:
    """Print it."""
    found = ability()
    told = [{"name": wall.name, "stands": wall.stands, "said": wall.said} for wall in found.report]
    print(json.dumps({"enough": found.walls is not None, "walls": told}))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
