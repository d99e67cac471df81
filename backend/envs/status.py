"""What is known of one engine's environment, as pages and the command line show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from backend.errors import PanelError

State = Literal["builtin", "missing", "ready", "unproven", "outdated", "damaged", "own"]
"""builtin: the panel's own environment. missing: nothing there. ready: made from the lock of this TuneDeck, self-test
passed. unproven: the same, but no self-test has passed. outdated: proven, from another lock than the one shipped now.
damaged: its files are not what was installed. own: a person named a Python of their own in the settings."""
Outcome = Literal["passed", "failed", "not_tested"]


@dataclass(frozen=True)
class Check:
    """One part of a self-test.

    name: what was done, an English text marked with ``N_``, translated when it is drawn, such as "Three training steps".
    outcome: ``not_tested`` is for what this machine cannot do; it is never shown as good. figures: what was measured, name
    (marked with ``N_``) to value and unit in one string, such as ``{"Loss": "3.42 → 3.10"}``. problem: why it failed, or
    was not tested.
    """

    name: str
    outcome: Outcome
    seconds: float = 0.0
    figures: Mapping[str, str] = field(default_factory=dict)
    problem: PanelError | None = None


@dataclass(frozen=True)
class Report:
    """One self-test of an environment. at: epoch seconds. lock: digest of the lock it was made from."""

    engine: str
    flavour: str
    lock: str
    at: float
    seconds: float
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Something was tested, and nothing failed."""
        outcomes = [check.outcome for check in self.checks]
        return "passed" in outcomes and "failed" not in outcomes

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` reads it."""
        # Not asdict(): it copies deeply, and an error that is raised with several values cannot be copied.
        checks = [
            {**vars(check), "figures": dict(check.figures), "problem": check.problem and check.problem.to_dict()}
            for check in self.checks
        ]
        return {**vars(self), "checks": checks}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """What :meth:`to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: it did not.
        """
        checks = tuple(
            Check(**{**check, "problem": PanelError.from_dict(check["problem"]) if check.get("problem") else None})
            for check in data["checks"]
        )
        return cls(**{**data, "checks": checks})


@dataclass(frozen=True)
class Status:
    """One environment now.

    engine: its name. python: its interpreter; None where there is none. folder: where it lies, or would. versions: of
    ``Recipe.packages``, as installed. size_bytes: as measured when it was made. installed_at: epoch seconds; 0: never.
    shared: it lies in a folder that others look after. report: the last self-test of exactly this environment. problem: why
    it is damaged or cannot be made here.
    """

    engine: str
    state: State
    folder: Path
    python: Path | None = None
    flavour: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    installed_at: float = 0.0
    shared: bool = False
    report: Report | None = None
    problem: PanelError | None = None

    @property
    def usable(self) -> bool:
        """A program can be started in it."""
        return self.state in ("builtin", "ready", "unproven", "outdated", "own")
