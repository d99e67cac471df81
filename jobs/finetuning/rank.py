"""One of the processes that train together, but for the first: ``python -m jobs.finetuning.rank JOB_FOLDER NUMBER``.

It says nothing to the job: what it prints goes into a file of its own, and why it failed into another (see :mod:`jobs.finetuning.ranks`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.specs import parse
from backend.specs.finetune import FinetuneSpec
from backend.workspace import read_json, write_json
from jobs import threads
from jobs.harness import Job, unexpected
from jobs.libraries import loading

DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of Linux's prctl."""


class Silent(Job):
    """The same job, of which another process tells."""

    def __init__(self, spec: FinetuneSpec, folder: Path) -> None:
        self.spec, self.dir, self.stop_requested = spec, folder, False

    def phase(self, phase: str) -> None:
        """Printed only."""
        self.log(f"[{phase}]")

    def progress(self, *_args: Any, **_more: Any) -> None:
        """Not told."""

    def artifact(self, *_args: Any, **_more: Any) -> None:
        """Not told."""


def run(folder: Path, number: int) -> None:
    """Learn with the others until rank 0 says that it is enough."""
    with loading():
        import torch

        from jobs.finetuning import ranks, session, training
        from jobs.finetuning.running_out import watching

    told = read_json(folder / ranks.TOLD)
    spec = parse(FinetuneSpec.verb, told["spec"])
    assert isinstance(spec, FinetuneSpec)
    part = ranks.Part(spec, told["folder"], told["resume"], told["steps"], told["warmup"])
    job = Silent(spec, folder)
    if spec.device != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(number)
    with watching(folder, device=spec.device) as phases:
        current = session.opened(job, spec, part.folder, phases)
        ranks.join(folder, number, spec.gpus, current.place.kind)
        try:
            with phases("train"):
                training.learn(training.learner_of(current, part, []), part)
        finally:
            ranks.leave()


def main(argv: list[str]) -> int:
    """0: done. 1: failed, and the reason is written down."""
    folder, number = Path(argv[0]), int(argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    threads.wait_briefly()
    try:
        run(folder, number)
    except Exception as error:  # noqa: BLE001 - the border of the program: everything becomes a recorded failure
        traceback.print_exc()
        told = error if isinstance(error, PanelError) else unexpected(error)
        write_json(folder / f".rank-{number}.json", told.to_dict())
        return 1
    return 0


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended)  # not through Python's end: gloo's threads, which outlive the group, may abort the process there
