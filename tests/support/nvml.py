"""A driver for tests: nvml_stub.c compiled into a libnvidia-ml.so.1, under the real pynvml of a process that the test starts.

driver = nvml.driver(tmp_path / "driver")
scene = nvml.Scene(tmp_path / "scene", [nvml.Card(used=1000), nvml.Card()], [nvml.Process(pid, card=0, held=900)])
subprocess.Popen(..., env=nvml.environ(driver, scene))
scene.cards[0].error = nvml.LOST
scene.write()  # the running process sees it at its next look
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest

from backend.workspace import ROOT

SOURCE = ROOT / "tests" / "support" / "nvml_stub.c"
LOST, RESET_REQUIRED = 15, 16


def build(folder: Path, *, old: bool = False) -> Path | None:
    """``folder`` with the library in it, for LD_LIBRARY_PATH; None where there is no C compiler. ``old``: a driver that is older
    than the binding, in which functions are missing."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    target = str(folder / "libnvidia-ml.so.1")
    subprocess.run(
        [compiler, *(["-DOLD_DRIVER"] if old else []), "-shared", "-fPIC", "-o", target, str(SOURCE)], check=True
    )
    return folder


def driver(folder: Path, *, old: bool = False) -> Path:
    """As :func:`build`; the test is skipped where there is no C compiler."""
    built = build(folder, old=old)
    if built is None:
        pytest.skip("no C compiler here to build the stub of libnvidia-ml.so.1 (apt install gcc)")
    return built


@dataclass
class Card:
    """A card, or a slice of one. Sizes: MiB; power: mW; load: per cent; None: the driver does not tell. error: what each
    question about it gets; stubborn: until the library is opened anew. epoch: one more after each reset. named: whether processes may be told."""

    total: int | None = 81920
    reserved: int = 0
    used: int = 0
    load: int | None = 0
    power: int | None = 60_000
    limit: int | None = 400_000
    temperature: int | None = 35
    reasons: int | None = 1
    uuid: str = ""
    name: str = ""
    error: int = 0
    stubborn: bool = False
    epoch: int = 0
    named: bool = True
    slices: list[Card] = field(default_factory=list)


@dataclass
class Process:
    """A process on card ``card``; held: MiB, None: N/A. slice: on which slice of the card. kind: compute or graphics."""

    pid: int
    card: int = 0
    held: int | None = 0
    slice: int | None = None
    kind: str = "compute"


@dataclass
class Scene:
    """What the driver shows. state: ``ok``, ``no-driver``, ``mismatch`` or ``stuck`` (no call returns until it is over).
    restarts: how often the driver was loaded anew; a library that was opened before is refused."""

    path: Path
    cards: list[Card] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    state: str = "ok"
    restarts: int = 0

    def __post_init__(self) -> None:
        self.write()

    def write(self) -> None:
        """Let the driver show it from now on."""
        lines = [f"driver state={self.state} restarts={self.restarts}"]
        for index, card in enumerate(self.cards):
            card.uuid = card.uuid or f"GPU-{index}"
            lines.append(_line("card", card, mig=int(bool(card.slices))))
            for number, part in enumerate(card.slices):
                part.uuid = part.uuid or f"MIG-{index}-{number}"
                lines.append(_line("slice", part, card=index))
        lines += [_line("process", process) for process in self.processes]
        fresh = self.path.with_suffix(".new")
        fresh.write_text("\n".join(lines) + "\n")
        fresh.replace(self.path)  # at once and under another inode: never half read, never missed


def _line(kind: str, of: Card | Process, **more: int) -> str:
    values = {each.name: getattr(of, each.name) for each in fields(of) if each.name != "slices"} | more
    if isinstance(of, Process) and of.slice is None:
        del values["slice"]
    told = {
        name: "na" if value is None else int(value) if isinstance(value, bool) else value
        for name, value in values.items()
    }
    return " ".join([kind, *(f"{name}={str(value).replace(' ', '_')}" for name, value in told.items() if value != "")])


def environ(library: Path, scene: Scene | str = "") -> dict[str, str]:
    """The environment of a process that has the stub for its driver. ``scene`` may be a text for NVML_STUB, too."""
    about = {"NVML_STUB": scene} if isinstance(scene, str) else {"NVML_STUB_FILE": str(scene.path)}
    return {**os.environ, "LD_LIBRARY_PATH": str(library), **about}
