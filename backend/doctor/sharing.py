"""Who else is on the GPUs, and which of them a variable hides."""

from __future__ import annotations

from collections.abc import Iterator

from backend.doctor import cards
from backend.doctor.cards import Card
from backend.doctor.findings import Finding, Fix, Text, attention, check, gib, ok, say, unknown
from backend.doctor.here import Here
from backend.i18n import N_

GIB = 2**30
"""Below this it is what the driver itself and a desktop take."""


@check("gpu_neighbours", N_("Who else is on the GPUs"))
def neighbours(here: Here) -> Iterator[Finding]:
    answering = cards.survey(here).answering
    if not answering:
        return
    lines: list[Text] = []
    foreign = 0
    for card in answering:
        said, others = _tenants(card)
        lines += said
        foreign += others
    if all(card.tenants is None for card in answering):
        yield unknown(*lines, say(N_("The driver does not tell which processes are on the cards.")))
    elif foreign >= GIB:
        yield attention(
            *lines,
            meaning=say(
                N_("{size} of GPU memory are in use by others. Jobs wait until there is room, or get less of it."),
                size=gib(foreign),
            ),
            fixes=[Fix(say(N_("Agree with them who uses which card.")), command="nvidia-smi")],
        )
    else:
        yield ok(*lines, say(N_("Nobody else uses the GPUs.")))


def _tenants(card: Card) -> tuple[list[Text], int]:
    """What there is to say of the processes on ``card``, and the bytes that others hold."""
    lines: list[Text] = []
    others = visible = held_in_all = 0
    for tenant in card.tenants or ():
        held = tenant.held or 0
        held_in_all += held
        if tenant.program is None:
            continue  # counted with what cannot be seen
        visible += held
        params = {"index": str(card.index), "program": tenant.program, "pid": str(tenant.pid), "size": gib(held)}
        if tenant.mine:
            lines.append(say(N_("GPU {index}: your {program} holds {size} (process {pid})."), **params))
        else:
            others += held
            user = tenant.user or "?"
            lines.append(say(N_("GPU {index}: {program} of {user} holds {size} (process {pid})."), user=user, **params))
    hidden = max(card.used or 0, held_in_all) - visible
    if hidden >= GIB:
        others += hidden
        lines.append(
            say(
                N_(
                    "GPU {index}: {size} are held by processes that cannot be seen from here (other containers, or hidden)."
                ),
                index=str(card.index),
                size=gib(hidden),
            )
        )
    return lines, others


@check("gpu_visible", N_("GPUs that are hidden by a variable"))
def visible(here: Here) -> Iterator[Finding]:
    found = cards.survey(here)
    named = [n for n in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES") if n in here.environ]
    value = here.environ.get("CUDA_VISIBLE_DEVICES")
    if not found.cards and not value:
        return
    lines = [say(N_("{name} is '{value}'."), name=name, value=here.environ[name]) for name in named]
    if value is not None and found.cards:
        yield attention(
            *lines,
            meaning=say(N_("TuneDeck chooses the cards for each job itself, among all that the driver shows.")),
            fixes=[
                Fix(say(N_("Take it away in the shell that starts the panel.")), command="unset CUDA_VISIBLE_DEVICES")
            ],
        )
    else:
        yield ok(
            *(
                lines
                or [
                    say(N_("None.")),
                ]
            )
        )


CHECKS = (neighbours, visible)
