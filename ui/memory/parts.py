"""Who has the memory of one place: our jobs (by role where that is known), other people, what is hidden, and what is free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.i18n import _
from backend.memory.sample import HOST, DeviceSample, HostSample, Sample
from ui.charts import PALETTE
from ui.memory import terms as memory_terms
from ui.memory import words as memory_words

OTHERS = "#7F8C8D"
"""What is neither ours nor a person's, on every page."""
LEAST = 0.004
"""A rest smaller than this share of the whole is rounding, and not told as somebody's."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the bar. kind: ``job``, ``role`` (of a job), ``user``, ``hidden``, ``free``. label: plain text.
    size: bytes. job: ours. source: of the figure, see :data:`backend.memory.sample.Source`; "" where it is what is left."""

    kind: str
    label: str
    size: int
    colour: str
    job: int | None = None
    source: str = ""


def job_colour(job: int) -> str:
    """The colour of a job, the same on all views."""
    return PALETTE[job % len(PALETTE)]


def user_colour(name: str) -> str:
    """The colour of a person, the same on all views; drawn striped, so that it is never taken for a job's."""
    return PALETTE[sum(name.encode()) % len(PALETTE)]


def total_of(where: DeviceSample | HostSample) -> int | None:
    """Bytes of the whole place."""
    return where.ram_total if isinstance(where, HostSample) else where.total


def used_of(where: DeviceSample | HostSample) -> int | None:
    """Bytes in use."""
    return where.ram_used if isinstance(where, HostSample) else where.used


def free_of(where: DeviceSample | HostSample) -> int | None:
    """Bytes that are free."""
    return where.ram_total - where.ram_used if isinstance(where, HostSample) else where.free


def parts(
    sample: Sample,
    where: DeviceSample | HostSample,
    titles: Mapping[int, str],
    roles: Mapping[int, Mapping[str, int]] | None = None,
) -> list[Part]:
    """The pieces of ``where``, ours first, free last; their sizes never add up to more than the whole.

    Args:
        titles: names of our jobs.
        roles: job -> term -> bytes, where a job's memory can be told apart (estimated).
    """
    place = HOST if isinstance(where, HostSample) else where.uuid
    found: list[Part] = []
    for use in sorted((use for use in sample.jobs if use.place == place), key=lambda use: use.job):
        name = f"#{use.job} {titles.get(use.job, '')}".strip()
        split = (roles or {}).get(use.job)
        if split:
            found += [
                Part(
                    "role", f"{name} · {memory_terms.word(term)}", size, memory_terms.colour(term), use.job, use.source
                )
                for term, size in split.items()
                if size > 0
            ]
        else:
            found.append(Part("job", name, use.size, job_colour(use.job), use.job, use.source))
    if isinstance(where, DeviceSample):
        found += _people(where)
    used = used_of(where)
    if used is None:
        return found
    rest = used - sum(part.size for part in found)
    if rest > LEAST * (total_of(where) or used):
        found.append(Part("hidden", _rest(sample, where, bool(found)), rest, OTHERS))
    free = free_of(where)
    if free:
        found.append(Part("free", memory_terms.word("free"), free, "transparent"))
    return found


def _people(device: DeviceSample) -> list[Part]:
    """Programs that are not ours, together by the person that they run as."""
    sizes: dict[str, int] = {}
    counts: dict[str, int] = {}
    for process in device.processes:
        if process.job is None and process.size:
            sizes[process.user] = sizes.get(process.user, 0) + process.size
            counts[process.user] = counts.get(process.user, 0) + 1
    return [
        Part(
            "user",
            f"{user or _('somebody')} · {memory_words.processes(counts[user])}",
            size,
            user_colour(user),
            source="driver",
        )
        for user, size in sorted(sizes.items(), key=lambda item: -item[1])
    ]


def _rest(sample: Sample, where: DeviceSample | HostSample, others: bool) -> str:
    """What that is which nobody in the list has."""
    if isinstance(where, HostSample):
        return _("other programs and the system")
    if any(device.parent == where.uuid for device in sample.devices if device.parent):
        return _("in its slices")
    silent = sorted({process.user for process in where.processes if process.size is None and process.user})
    if silent:
        return _("{people}: how much each has is not told").format(people=", ".join(silent))
    if where.hidden:
        return _("programs that the driver does not name")
    return _("the driver itself, and rounding") if others else _("in use, the driver does not say by whom")
