"""What every engine can be asked, before and without loading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.catalog.cards import ModelCard
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


class Engine(Protocol):
    """One way to run a model. It says what it can do; the jobs start what :meth:`command` names."""

    @property
    def name(self) -> str:
        """As ``ServeSpec.engine`` names it, such as ``transformers``."""

    @property
    def title(self) -> str:
        """The name that its makers write, such as ``LMDeploy``."""

    @property
    def sleeps(self) -> bool:
        """Whether a running server can give its GPU memory back for a while and take it again (sleep and wake)."""

    def options(self) -> tuple[str, ...]:
        """The fields of :class:`backend.specs.serve.ServeSpec` that mean something to it, in the order of the spec."""

    def unavailable(self) -> PanelError | None:
        """Why it cannot run on this machine; None where it can."""

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
