"""Why arXiv gave nothing, in words that say what helps."""

from __future__ import annotations

import math

from backend.errors import ConflictError, DataError, PanelError, ServerError
from backend.i18n import N_


def busy(host: str, status: int, pause: float) -> PanelError:
    """It asked to come back later, and again."""
    return ServerError(
        "arxiv_busy",
        N_("{host} takes no more requests at the moment (HTTP {status})."),
        N_("Wait at least {seconds} s before the next search; other programs at your address count, too."),
        host=host,
        status=status,
        seconds=math.ceil(pause),
    )


def status(host: str, status: int, said: str) -> PanelError:
    """Another answer than the papers."""
    if said:
        return refused(said)
    return ServerError(
        "arxiv_status",
        N_("{host} answered with HTTP {status}."),
        N_("Try simpler words, or later; in the tool's settings, arXiv's address must be that of its API."),
        host=host,
        status=status,
    )


def refused(said: str) -> PanelError:
    """It understood that something was wrong with the question."""
    return DataError(
        "arxiv_refused",
        N_("arXiv refuses this search: {problem}"),
        N_("Write a few key words, or one arXiv id such as 2106.09685."),
        problem=said[:300],
    )


def unreadable(problem: str) -> PanelError:
    """Something that is no feed."""
    return ServerError(
        "arxiv_unreadable",
        N_("What came is not an answer of arXiv's API: {problem}"),
        N_("Try again later. A login page of the network, or a wrong address in the settings, can also be the reason."),
        problem=problem,
    )


def base_url(given: str) -> PanelError:
    """A setting that is no address."""
    return DataError(
        "arxiv_address_unfit",
        N_("The address of arXiv's API in the tool's settings is not one: {given}"),
        N_("Remove it, and the official one is used."),
        given=given.rpartition("@")[2][:200],
    )


def waits() -> PanelError:
    """Other searches of this workspace came first."""
    return ConflictError(
        "arxiv_waits",
        N_("Other searches of this panel come first: arXiv allows one request every three seconds."),
        N_("Try again in a minute."),
    )
