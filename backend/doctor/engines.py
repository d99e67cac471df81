"""Engines against this machine: their builds and the driver, their tools, and what they compile when they start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from backend.doctor import cards, facts
from backend.doctor.findings import Finding, Fix, Text, attention, bad, check, ok, say, unknown
from backend.doctor.here import Here
from backend.doctor.software import broken
from backend.errors import PanelError
from backend.i18n import N_

if TYPE_CHECKING:
    # Loaded by the checks that need them: what is wrong with these modules is their trouble, not the doctor's.
    from backend.engines.base import Engine
    from backend.envs.status import Status

INSTALL = "environments"


def statuses(here: Here) -> list[tuple[Engine, Status]]:
    """Every engine and its environment, looked at once for all checks."""

    def find() -> list[tuple[Engine, Status]]:
        from backend.engines.registry import engines
        from backend.envs import places

        return [(engine, places.status(here.workspace, name)) for name, engine in engines().items()]

    return here.once("statuses", find)


@check("engine_driver", N_("Builds of the engines and the driver"))
def builds(here: Here) -> Iterator[Finding]:
    found = cards.survey(here)
    if not found.answering:
        return
    oldest = min((card.capability for card in found.answering if card.capability), default=())
    for engine, status in statuses(here):
        title = say(N_("Build of {engine} and the driver"), engine=engine.title)
        for finding in _build(engine, status, found, oldest):
            yield Finding(
                finding.state, finding.evidence, finding.meaning, finding.fixes, f"engine_driver_{engine.name}", title
            )


def _build(engine: Engine, status: Status, found: cards.Survey, oldest: facts.Version) -> Iterator[Finding]:
    installed = status.usable and status.python is not None
    torch, cuda = facts.torch_build(status.python.parent.parent) if installed and status.python else ("", None)
    if installed and torch and cuda is None:
        yield attention(
            say(N_("torch {version} in {path} is built for the CPU."), version=torch, path=str(status.folder)),
            meaning=say(N_("{engine} does not use the GPUs of this machine."), engine=engine.title),
            fixes=[_reinstall(engine, status)],
        )
        return
    if not installed:
        from backend.envs import locks

        lock = locks.find(engine, "cuda")
        cuda = facts.locked_cuda(package.pin for package in lock.packages) if lock is not None else None
    if not cuda:
        return  # neither installed nor known: nothing to compare
    driver = facts.version(found.driver)
    values = {"engine": engine.title, "cuda": facts.dotted(cuda), "driver": found.driver or "?"}
    wanted, gpu = facts.oldest_driver(cuda), facts.oldest_gpu(cuda)
    line = (
        say(N_("Installed: built with CUDA {cuda}. The driver is {driver}."), **values)
        if installed
        else say(N_("Would be installed: built with CUDA {cuda}. The driver is {driver}."), **values)
    )
    # What nobody has installed yet cannot fail yet.
    judge = bad if installed else attention
    if wanted is None or not driver:
        yield unknown(line, meaning=say(N_("It is not known which driver this build needs.")))
    elif driver[0] < wanted:
        yield judge(
            line,
            say(N_("It needs driver {wanted} or newer."), wanted=str(wanted)),
            meaning=say(N_("{engine} cannot compute on the GPUs: 'driver version is insufficient'."), **values),
            fixes=[
                Fix(say(N_("Have a newer driver installed, then restart this machine."))),
                Fix(say(N_("Or use an environment of your own that is built with an older CUDA.")), place=INSTALL),
            ],
        )
    elif gpu and oldest and oldest < gpu:
        yield judge(
            line,
            say(
                N_("It has code for compute capability {wanted} and newer; a GPU here has {found}."),
                wanted=facts.dotted(gpu),
                found=facts.dotted(oldest),
            ),
            meaning=say(N_("On that GPU it stops with 'no kernel image is available'.")),
            fixes=[Fix(say(N_("Use an environment of your own that is built with an older CUDA.")), place=INSTALL)],
        )
    else:
        yield ok(line)


def _reinstall(engine: Engine, status: Status) -> Fix:
    if engine.recipe is None:
        return Fix(
            say(N_("Make the panel's environment anew while nothing runs, from an index that offers the CUDA build.")),
            command="rm -rf .venv && make setup",
        )
    if status.state == "own":
        return Fix(say(N_("Use the environment that TuneDeck makes, or another Python for it.")), place=INSTALL)
    return Fix(say(N_("Install it again.")), place=INSTALL)


@check("environments", N_("Environments of the engines"))
def environments(here: Here) -> Iterator[Finding]:
    lines: list[Text] = []
    wrong: list[Text] = []
    missing: list[str] = []
    for engine, status in statuses(here):
        if engine.recipe is None:
            continue
        if status.problem is not None:
            wrong.append(Text(status.problem.message, status.problem.params))
        elif status.state == "missing":
            missing.append(engine.title)
        elif status.python is not None and (lost := broken(status.python.parent.parent)):
            wrong.append(say(N_("{engine}: {path} is not there any more."), engine=engine.title, path=lost))
        else:
            versions = ", ".join(f"{name} {version}" for name, version in status.versions.items())
            lines.append(
                say(
                    N_("{engine}: {versions}, in {path}."),
                    engine=engine.title,
                    versions=versions or "?",
                    path=str(status.folder),
                )
            )
    if missing:
        lines.append(say(N_("Not installed: {engines}."), engines=", ".join(missing)))
    if wrong:
        yield bad(
            *wrong,
            *lines,
            meaning=say(N_("Jobs with this engine cannot be started.")),
            fixes=[Fix(say(N_("Install it again.")), place=INSTALL)],
        )
    else:
        yield ok(*(lines or [say(N_("No engine needs one."))]))


@check("torchrun", N_("torchrun"))
def torchrun(here: Here) -> Iterator[Finding]:
    """Started by name, it must be the one of the same environment: OpenCompass without it ends with a table of dashes."""
    lines: list[Text] = []
    lost: list[Text] = []
    prefixes = [(say(N_("the panel")), here.prefix)]
    prefixes += [
        (Text(e.title), s.python.parent.parent) for e, s in statuses(here) if e.recipe and s.usable and s.python
    ]
    for name, prefix in prefixes:
        if not facts.torch_build(prefix)[0]:
            continue  # an environment without torch has no use for it
        program = prefix / "bin" / "torchrun"
        if os.access(program, os.X_OK):
            lines.append(say(N_("{engine}: {path}"), engine=name, path=str(program)))
        else:
            lost.append(say(N_("{engine}: {path} is not there."), engine=name, path=str(program)))
    if lost:
        yield bad(
            *lost,
            *lines,
            meaning=say(N_("Trainings on several GPUs do not start, and evaluations end without a result.")),
            fixes=[Fix(say(N_("Install the environment again.")), place=INSTALL)],
        )
    elif lines:
        yield ok(*lines, say(N_("TuneDeck puts the environment's own folder first on the path.")))


@check("build_tools", N_("Compilers for DeepSpeed"))
def build_tools(here: Here) -> Iterator[Finding]:
    if not cards.survey(here).answering:
        yield ok(say(N_("Not needed: DeepSpeed trains on GPUs, and there is none.")))
        return
    path = here.environ.get("PATH", os.defpath)
    tools = {name: shutil.which(name, path=path) for name in ("gcc", "g++", "nvcc", "ninja")}
    home = here.environ.get("CUDA_HOME") or "/usr/local/cuda"
    if not tools["nvcc"] and os.access(Path(home) / "bin" / "nvcc", os.X_OK):
        tools["nvcc"] = str(Path(home) / "bin" / "nvcc")
    library = _library(here, "libaio.so")
    lines = [say(N_("{name}: {path}"), name=name, path=found) for name, found in tools.items() if found]
    if library:
        lines.append(say(N_("{name}: {path}"), name="libaio", path=str(library)))
    missing = [name for name, found in tools.items() if not found] + ([] if library else ["libaio"])
    if missing:
        yield attention(
            *lines,
            say(N_("Not found: {names}."), names=", ".join(missing)),
            meaning=say(
                N_(
                    "DeepSpeed compiles its offload kernels when a training starts. Trainings without offload need none of it."
                )
            ),
            fixes=[
                Fix(
                    say(N_("Have them installed (Debian, Ubuntu).")),
                    command="sudo apt install build-essential ninja-build libaio-dev nvidia-cuda-toolkit",
                )
            ],
        )
    else:
        yield ok(*lines)


def _library(here: Here, name: str) -> Path | None:
    folders = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "lib/*-linux-gnu", "usr/lib/*-linux-gnu")
    return next((found for folder in folders for found in sorted(here.root.glob(f"{folder}/{name}*"))), None)


@check("settings", N_("Settings"))
def settings(here: Here) -> Iterator[Finding]:
    try:
        found = here.settings
    except PanelError as error:
        yield bad(
            Text(error.message, error.params),
            meaning=say(N_("The panel does not start with it, or shows an error on every page.")),
            fixes=[Fix(Text(error.hint, error.params))],
        )
        return
    changed = sorted(name for name, value in found if value != type(found).model_fields[name].default)
    if changed:
        yield ok(say(N_("Changed: {names}."), names=", ".join(changed)))
    else:
        yield ok(say(N_("All as they came.")))


CHECKS = (settings, builds, environments, torchrun, build_tools)
