"""lm-evaluation-harness as a child of the job: where it is, and how it runs (:mod:`jobs.child`)."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backend.engines.lm_eval import ENGINE
from backend.engines.lm_eval_causes import is_bar
from backend.envs.status import Status
from backend.i18n import N_
from backend.workspace import Workspace
from jobs import child


def environment(workspace: Workspace) -> Status:
    """The environment of lm-evaluation-harness.

    Raises:
        PanelError: it cannot be used, and what to do.
    """
    return child.environment(
        workspace,
        ENGINE,
        "lm_eval_not_ready",
        N_("The environment of lm-evaluation-harness is not ready: {folder}."),
        N_("Install it again on the Environments page, or evaluate with TuneDeck's own evaluator."),
    )


class Child(child.Child):
    """The program at work, started in ``folder``. output: takes what it prints, and each line of it but progress bars is handed to ``say``."""

    first, patience = signal.SIGTERM, 3.0

    def __init__(
        self, argv: Sequence[str], folder: Path, variables: Mapping[str, str], output: Path, say: Callable[[str], None]
    ) -> None:
        def without_bars(line: str) -> None:
            if line and not is_bar(line):
                say(line)

        super().__init__(argv, folder, variables, without_bars, output)

    def lines(self) -> list[str]:
        """What it printed last, since it was started, but for its bars."""
        return [line for text in super().lines() for line in re.split(r"\r+", text) if not is_bar(line)]
