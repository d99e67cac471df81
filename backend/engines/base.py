"""What every engine can be asked, before and without loading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.catalog.cards import ModelCard
from backend.engines.recipes import Recipe
from backend.errors import PanelError
from backend.specs.serve import ServeSpec

PORT, FOLDER = "PORT", Path("JOB_FOLDER")
"""Stand in a command that is shown before a job has been given its port and its folder."""


@dataclass(frozen=True)
class Problem:
    """One setting that cannot be used. field: of the spec. message: for people, in their language."""

    field: str
    message: str


@dataclass(frozen=True)
class Place:
    """What is known only where and when a server starts. The defaults are for a command that is only shown.

    port: on loopback. folder: of the job. free_bytes: now free on the fullest of the GPUs it may use; None: not known.
    adapters: name and folder of each adapter that ``spec.adapters`` names.
    """

    port: int | str = PORT
    folder: Path = FOLDER
    free_bytes: int | None = None
    adapters: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True)
class Capability:
    """One thing that an engine may be used for on this machine. name: what, for people, translated when it is drawn.
    problem: why it cannot be done here; None: it can."""

    name: str
    problem: PanelError | None = None


class Engine(Protocol):
    """One program that a person's work is done with. A module of this package with an ``ENGINE`` is one."""

    @property
    def name(self) -> str:
        """As specs name it, such as ``transformers``; lower case, also the name of its environment and of its locks."""

    @property
    def title(self) -> str:
        """The name that its makers write, such as ``LMDeploy``."""

    @property
    def purpose(self) -> str:
        """What a person has it for, in one sentence, marked with ``N_``."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Of ``serve``, ``finetune``, ``quantize``, ``evaluate``, ``agent``: the pages that may offer it."""

    @property
    def recipe(self) -> Recipe | None:
        """How its environment is made; None where it lives in the panel's own."""

    def unavailable(self) -> PanelError | None:
        """Why it cannot run on this machine; None where it can. Starts no process, imports nothing heavy."""

    def capabilities(self) -> list[Capability]:
        """What it can be used for here, and what not, because of what."""


class ServingEngine(Engine, Protocol):
    """An engine that serves models. It says what it can do; the jobs start what :meth:`command` names."""

    @property
    def preference(self) -> int:
        """Where several can serve a model, the one with the greatest is taken."""

    @property
    def sleeps(self) -> bool:
        """Whether a running server can give its GPU memory back for a while and take it again (sleep and wake)."""

    def options(self) -> tuple[str, ...]:
        """The fields of :class:`backend.specs.serve.ServeSpec` that mean something to it, in the order of the spec."""

    def refuses(self, card: ModelCard) -> PanelError | None:
        """Why it cannot serve this model, however it is set; None where it can. Looks at the card only."""

    def problems(self, spec: ServeSpec, card: ModelCard, gpus: int | None = None) -> list[Problem]:
        """All settings of ``spec`` that do not fit together, the model, or this machine, which has ``gpus`` GPUs (None:
        not looked at)."""

    def command(self, spec: ServeSpec, card: ModelCard, place: Place) -> list[str]:
        """The command line that serves ``card`` as ``spec`` says, exactly as it is run. No secret is in it."""

    def memory_bytes(self, card: ModelCard, context_tokens: int) -> dict[str, int]:
        """Estimated bytes by part: ``{"weights", "kv_cache", "runtime"}``, for answers of ``context_tokens`` in all."""

    def explain(self, lines: Sequence[str], code: int, *, model: str, times: int) -> PanelError:
        """Why its process ended by itself, in plain words, from the ``lines`` of its log and its exit ``code`` (minus the
        signal where one ended it). ``times``: how often now."""
