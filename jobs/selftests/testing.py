"""One self-test of an engine's environment: its checks one after another, what each showed, and the report of them all.

Covered: programs are started in the environment as people's jobs start them (same variables, same patches); what they print
stands in the job's log as it comes; a check that fails leaves the others, but for those that build on it; a stop ends every
program that was started (see programs.py).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from backend.engines import Engine
from backend.envs.status import Check, Outcome, Report
from backend.errors import PanelError
from backend.i18n import N_
from backend.queue import proctree
from backend.queue.resources import cards
from backend.workspace import ROOT
from jobs.harness import Stopped
from jobs.selftests import programs

MODEL = ROOT / "models" / "starter"
IMPORTS = N_("The libraries load")
IMPORT_S = 300.0
"""A cold disk and a CUDA build of torch: a minute has been seen."""
GPU_FREE_MIB = 4096
"""A self-test computes on a GPU that has at least this much left."""
READ_VERSIONS = """
import importlib, json, sys
from importlib.metadata import PackageNotFoundError, version
modules, packages = json.loads(sys.argv[1])
for module in modules:
    importlib.import_module(module)
found = {}
for package in packages:
    try:
        found[package] = version(package)
    except PackageNotFoundError:
        sys.exit(f"ModuleNotFoundError: the package {package} is not installed")
print(json.dumps(found))
"""


class Test:
    """What a self-test works with.

    engine: its name. flavour: ``cpu`` or ``cuda``. python: the environment's interpreter. environ: for every program in it.
    folder: empty, for nobody else, gone afterwards. model: the starter. gpu: programs may use one, and see that one only.
    """

    __test__ = False  # no test of pytest's

    def __init__(
        self,
        engine: str,
        flavour: str,
        python: Path,
        environ: Mapping[str, str],
        folder: Path,
        say: Callable[[str], None],
        *,
        gpu: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.engine, self.flavour, self.python = engine, flavour, python
        self.environ, self.folder, self.model, self.gpu = dict(environ), folder, MODEL, gpu
        self.checks: list[Check] = []
        self._say, self._stopping, self._saying = say, stopping, threading.Lock()

    def log(self, text: str) -> None:
        """A line for the job's log."""
        with self._saying:
            self._say(text)

    def check(self, name: str, function: Callable[[], Mapping[str, str] | None], needs: Sequence[str] = ()) -> None:
        """Run ``function`` and record what became of it: passed with the figures that it returns (names marked with ``N_``
        to values with their units), or failed with the error that it raises.

        ``needs``: names of checks without which this one makes no sense; where one of them has not passed, this one is
        recorded as not tested.

        Raises:
            Stopped: the person asked to stop.
        """
        self.check_stop()
        for needed in needs:
            found = next((check for check in self.checks if check.name == needed), None)
            assert found is not None, f"'{name}' needs '{needed}', which was not checked before it"
            if found.outcome != "passed":
                self.not_tested(name, found.problem if found.outcome == "not_tested" and found.problem else _follows())
                return
        self.log(f"[{name}]")
        began = time.monotonic()
        outcome: Outcome = "passed"
        figures: dict[str, str] = {}
        problem = None
        try:
            figures = dict(function() or {})
        except Stopped:
            raise
        except PanelError as error:
            outcome, problem = "failed", error
        except Exception as error:  # noqa: BLE001 - a defect of one check is that check's failure, not the end of the others
            outcome, problem = "failed", _broken(error)
        self.checks.append(Check(name, outcome, round(time.monotonic() - began, 2), figures, problem))
        said = "; ".join(f"{key}: {value}" for key, value in figures.items()) or str(problem or "")
        self.log(f"[{name}] {outcome} after {time.monotonic() - began:.1f} s. {said}".rstrip())

    def not_tested(self, name: str, problem: PanelError) -> None:
        """Record that this machine or environment cannot show ``name``, and why: never as good."""
        self.checks.append(Check(name, "not_tested", problem=problem))
        self.log(f"[{name}] not tested: {problem}")

    def no_gpu(self) -> PanelError | None:
        """Why nothing can be computed on a GPU here; None where it can: for :meth:`not_tested`."""
        if self.gpu:
            return None
        if self.flavour == "cpu":
            return PanelError(
                "env_flavour_cpu",
                N_("This environment computes on the CPU only."),
                N_("On a machine with an NVIDIA GPU, install it again for CUDA."),
            )
        return PanelError(
            "env_no_gpu",
            N_("No NVIDIA GPU with {mib} MiB of free memory is here."),
            N_("Test it again on a machine that has one, or when the GPU is free."),
            mib=GPU_FREE_MIB,
        )

    def child(
        self, argv: programs.Argv, timeout: float, *, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end; what it prints goes to the log as it comes. ``environ``: on top.

        Raises:
            PanelError: ``env_selftest_program`` where it ends with another code than 0, with its last line;
                ``env_selftest_slow`` where it has not ended after ``timeout`` seconds.
            Stopped: the person asked to stop.
        """
        found = {**self.environ, **(environ or {})}
        return programs.run(argv, timeout, self.folder, found, self.log, self.check_stop)

    def answer(self, argv: programs.Argv, timeout: float) -> dict[str, Any]:
        """The JSON object that a program of the environment prints as its last line. Raises as :meth:`child`, and
        ``env_selftest_answer`` where there is none."""
        last = self.child(argv, timeout).stdout.strip().rpartition("\n")[2]
        try:
            found = json.loads(last)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise PanelError(
                "env_selftest_answer",
                N_("{program} did not say what it was asked for, but: {line}"),
                N_("The log of this job has all that it said."),
                program=programs.short(argv),
                line=last[:500] or "-",
            )
        return found

    def started(
        self, argv: programs.Argv, *, environ: Mapping[str, str] | None = None, lines: programs.Lines | None = None
    ) -> AbstractContextManager[subprocess.Popen[str]]:
        """A program of the environment that runs as long as the ``with`` block: a server. It is ended with all that it
        started. ``lines`` takes what it prints to standard output and standard error."""
        return programs.started(argv, self.folder, {**self.environ, **(environ or {})}, self.log, lines or ([], []))

    def check_stop(self) -> None:
        """Raise :class:`Stopped` where the person asked to stop; for checks that wait for something."""
        if self._stopping():
            raise Stopped


def run_selftest(
    engine: Engine,
    python: Path,
    flavour: str,
    folder: Path,
    say: Callable[[str], None],
    *,
    lock: str = "",
    stopping: Callable[[], bool] = lambda: False,
    environ: Mapping[str, str] | None = None,
) -> Report:
    """Test the environment of ``python``: its libraries load, then what the engine's own module does.

    ``folder``: empty, the caller's to remove. ``lock``: digest for the report. ``stopping``: asked often; true ends it.
    ``environ``: of its programs; None: as people's jobs have it.

    Raises:
        Stopped: ``stopping`` became true.
    """
    if environ is None:
        from backend.envs import running

        environ = running.environ(engine, python, flavour)
    gpu = _gpu() if flavour == "cuda" else ""
    cookie = {name: os.environ[name] for name in (proctree.COOKIE,) if name in os.environ}
    own = {**environ, **cookie, "CUDA_VISIBLE_DEVICES": gpu, "PYTHONUNBUFFERED": "1"}
    test = Test(engine.name, flavour, python, own, folder, say, gpu=bool(gpu), stopping=stopping)
    at, began = time.time(), time.monotonic()
    recipe = engine.recipe
    # An engine in the panel's own environment has no recipe; what must load there, it says itself.
    built_in = getattr(engine, "imports", (engine.name,))
    asked = [recipe.imports, recipe.packages] if recipe else [built_in, (engine.name,)]

    def imports() -> dict[str, str]:
        return {key: str(value) for key, value in test.answer(words, IMPORT_S).items()}

    words = [str(python), "-c", READ_VERSIONS, json.dumps(asked)]
    test.check(IMPORTS, imports)
    module = f"jobs.selftests.{engine.name}"
    if importlib.util.find_spec(module) and test.checks[0].outcome == "passed":
        importlib.import_module(module).run(test)
    return Report(engine.name, flavour, lock, at, round(time.monotonic() - began, 2), tuple(test.checks))


def _gpu() -> str:
    """UUID of the GPU to use: one of the job's own, else the one with the most free memory; empty where none has enough."""
    ours = [uuid for uuid in os.environ.get("TUNEDECK_JOB_GPUS", "").split(",") if uuid]
    free = [card for card in cards() if card.free_mib >= GPU_FREE_MIB and (not ours or card.uuid in ours)]
    return max(free, key=lambda card: card.free_mib).uuid if free else ""


def _follows() -> PanelError:
    return PanelError("env_selftest_follows", N_("What it builds on did not work."), N_("Mend that first."))


def _broken(error: Exception) -> PanelError:
    return PanelError(
        "env_selftest_broken",
        N_("This check itself broke: {kind}: {problem}"),
        N_("Report it to the makers of TuneDeck, with the log of this job."),
        kind=type(error).__name__,
        problem=str(error)[:500],
    )
