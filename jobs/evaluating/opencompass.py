"""OpenCompass as the evaluator: asks by its own prompts, reads answers by its own extractors and counts by its own rules, in its own environment.

A subject's score and answers are kept as soon as it is asked. A second attempt goes on in the same output folder: OpenCompass leaves out what is
answered, down to the single batch of questions. Its exit code is not believed: what counts is a number for each subject, and where there is none, why.
"""

from __future__ import annotations

import time

from backend.engines import opencompass_config as oc
from backend.engines import opencompass_results as results
from backend.envs import places
from backend.errors import PanelError
from backend.queue.store import open_store
from jobs.evaluating import opencompass_child as child
from jobs.evaluating import serving
from jobs.evaluating.opencompass_child import Child
from jobs.evaluating.opencompass_following import Following
from jobs.evaluating.opencompass_setup import Setup, set_up, write_config
from jobs.evaluating.work import Ended, Served, Work
from jobs.harness import Stopped

LOOK_S = 0.3
GONE = "opencompass_server_gone"
MOST_STARTS = 4
"""A server that goes away again and again is left to a person."""
MANY_UNREAD = 0.1


def evaluate(work: Work) -> Ended:
    """See :mod:`jobs.evaluating.work`.

    Raises:
        PanelError: it cannot be started, or something ended it that the other subjects would have met as well; what was answered is kept.
        Stopped: the person asked to stop.
    """
    setup = set_up(work)
    following = Following(work, setup)
    following.plan()
    following.recover()
    served = work.served
    for start in range(1, MOST_STARTS + 1):
        before = following.answered()
        if not following.left and (following.cells or not setup.edited):
            break
        problem = _run(work, setup, following, served)
        if problem is None:
            break
        if problem.code != GONE or start == MOST_STARTS or (start > 1 and following.answered() == before):
            raise problem
        served = _back(work, problem)
    return Ended("done", _notices(work), _version(setup))


def _run(work: Work, setup: Setup, following: Following, served: Served | None) -> PanelError | None:
    """Start it and follow it to its end; why the whole of it ended early, if it did."""
    assert setup.found.python is not None
    work.job.phase("start")
    config = write_config(setup, served)
    earlier = results.attempt(setup.out)
    reuse = earlier.name if earlier else ""
    argv = oc.command(setup.found.python, config, setup.out, program=child.PROGRAM, reuse=reuse)
    key = served.key if served is not None else ""
    variables = child.environ(setup.found, setup.home, key, setup.text, by=work.spec.by)
    work.job.log(" ".join(argv))
    following.asking_since, following.startup_s = 0.0, None
    began = time.monotonic()

    def say(line: str) -> None:
        following.hear(line)
        work.job.log(line)

    running = Child(argv, setup.home, variables, say)
    try:
        while not running.ended():
            if work.stop_requested:
                break
            _look(work, following, began)
            running.wait(LOOK_S)
    finally:
        running.end()
        _look(work, following, began)
    if work.stop_requested:
        raise Stopped
    ended = following.finish(running.process.returncode, running.lines())
    return ended.error if ended is not None else None


def _look(work: Work, following: Following, began: float) -> None:
    """Take what is new; tell once how long it took to start."""
    if following.asking_since and following.startup_s is None:
        following.startup_s = following.asking_since - began
        work.job.log(f"OpenCompass took {following.startup_s:.1f} s to start")
        work.job.progress("start", 1, 1, 0.0, {"startup_s": round(following.startup_s, 2)})
        work.job.phase("ask")
    following.look()


def _back(work: Work, problem: PanelError) -> Served:
    """The server again, which broke off.

    Raises:
        PanelError: it does not come back. Stopped.
    """
    assert work.served is not None
    work.job.log(f"waiting for the server: {problem}")
    queue = open_store(work.workspace)
    try:
        elsewhere = bool(work.spec.base_url)
        way = _Elsewhere(work.served) if elsewhere else serving.reach(work.job, queue, work.workspace, work.spec)
        waiting = serving.back(way, work.served.model, work.spec.timeout_s, str(problem.params.get("line", "")))
        return serving.until_stopped(waiting, lambda: work.stop_requested)
    finally:
        queue.close()


class _Elsewhere:
    """A server at an address, which is where it was."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def find(self) -> Served:
        return self._served


def _version(setup: Setup) -> str:
    """Of OpenCompass; of an environment that was made by hand nothing is written down."""
    known = setup.found.versions.get("opencompass")
    return known or places.distributions(setup.found.folder).get("opencompass", "")


def _notices(work: Work) -> tuple[str, ...]:
    tallies = work.store.tallies(work.run_id)
    asked, unread = sum(one.asked for one in tallies), sum(one.unread for one in tallies)
    return ("answers_unread",) if asked and unread >= MANY_UNREAD * asked else ()
