"""How memory reads: places, what happened, what is wrong, where a figure comes from, and what a GPU does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from backend.i18n import N_, _, ngettext
from backend.memory.sample import HOST, DeviceSample, HostSample, Moment
from ui import errors, words

MOMENTS = {
    "job_started": words.Look(N_("job started"), ":material/play_circle:", "violet"),
    "phase": words.Look(N_("next phase"), ":material/flag:", "gray"),
    "checkpoint": words.Look(N_("checkpoint saved"), ":material/save:", "green"),
    "job_ended": words.Look(N_("job ended"), ":material/stop_circle:", "gray"),
    "out_of_memory": words.Look(N_("out of memory"), ":material/report:", "red"),
    "neighbour_came": words.Look(N_("somebody else came"), ":material/person_add:", "orange"),
    "neighbour_left": words.Look(N_("somebody else left"), ":material/person_remove:", "gray"),
    "gpu_lost": words.Look(N_("GPU lost"), ":material/link_off:", "red"),
    "gpu_back": words.Look(N_("GPU back"), ":material/link:", "green"),
    "recorder_began": words.Look(N_("recording began"), ":material/fiber_manual_record:", "gray"),
    "recorder_ended": words.Look(N_("recording ended"), ":material/stop:", "gray"),
    "record_damaged": words.Look(N_("the record was damaged"), ":material/warning:", "orange"),
    "clock_jumped": words.Look(N_("the clock was set"), ":material/schedule:", "orange"),
    "disk_full": words.Look(N_("disk full"), ":material/hard_drive:", "red"),
}
"""Kind of a moment -> how it looks; an unknown kind stands for itself."""

SOURCES = {
    "driver": (N_("measured by the driver"), N_("The NVIDIA driver tells it for each process.")),
    "lease": (
        N_("rise of the whole GPU"),
        N_("The driver hides processes here, so this is by how much the GPU rose since the job got it for itself."),
    ),
    "trainer": (N_("said by the program"), N_("What the training program says that it has taken.")),
    "process": (N_("measured in the system"), N_("Main memory of all processes of the job.")),
}
"""Where a figure comes from -> (short, in a sentence)."""

THROTTLES = {
    "gpu_idle": N_("it has nothing to do"),
    "applications_clocks_setting": N_("its clock is set lower"),
    "sw_power_cap": N_("its power limit is reached"),
    "hw_slowdown": N_("the hardware protects itself"),
    "sync_boost": N_("it keeps step with other GPUs"),
    "sw_thermal_slowdown": N_("it is warm"),
    "hw_thermal_slowdown": N_("it is too hot"),
    "hw_power_brake_slowdown": N_("the power supply asked for it"),
    "display_clock_setting": N_("its display sets the clock"),
    "board_limit": N_("a limit of its board is reached"),
    "reliability": N_("to work reliably"),
}
WHYS = {"idle": N_("nothing ran and nobody looked"), "asked": N_("it was asked to end")}
"""Why the recorder ended."""
SLICE = "MIG-"
"""How the UUID of a slice of a GPU begins."""
HARMLESS = ("gpu_idle", "none")


def size(count: float | None) -> str:
    """Memory in GiB with one decimal; what would read as 0.0 is told as small."""
    if count is not None and 0 < count < 0.05 * 2**30:
        return _("under 0.1 GiB")
    return words.gib(count)


def place(uuid: str, devices: Sequence[DeviceSample], known: Mapping[str, tuple[int, str]] | None = None) -> str:
    """``Main memory``, ``GPU 0``, ``GPU 0, slice 2``, as Markdown.

    Args:
        uuid: of the place, or :data:`HOST`.
        devices: as they are in a sample.
        known: UUID -> (index, name) of all that were ever seen, in the order of their numbers; for one that is gone.
    """
    if uuid == HOST:
        return _("Main memory")
    device = next((device for device in devices if device.uuid == uuid), None)
    if device is not None:
        twins = [each.uuid for each in devices if each.parent and each.parent == device.parent]
        return _place(device.index, twins.index(uuid) + 1 if device.parent else 0)
    if not known or uuid not in known:
        return _("GPU {index}").format(index=errors.plain(uuid.removeprefix("GPU-")[:8]))
    index = known[uuid][0]
    twins = [each for each, (number, _name) in known.items() if number == index and each.startswith(SLICE)]
    return _place(index, twins.index(uuid) + 1 if uuid in twins else 0)


def _place(index: int, part: int) -> str:
    gpu = _("GPU {index}").format(index=index)
    return _("{gpu}, slice {n}").format(gpu=gpu, n=part) if part else gpu


def second(t: float) -> str:
    """``14:05:09``, with the day in front when it is not today."""
    zone = words.timezone()
    at = datetime.fromtimestamp(t, zone)
    return at.strftime("%H:%M:%S" if at.date() == datetime.now(zone).date() else "%Y-%m-%d %H:%M:%S")


TOLD = ("job", "title", "uuid", "place", "user", "code", "verb", "index", "path")
"""Details that stand elsewhere in the line."""


def moment(kind: str) -> words.Look:
    """How a moment of this kind looks."""
    return MOMENTS.get(kind, words.Look(kind.replace("_", " "), ":material/circle:", "gray"))


def source(name: str) -> str:
    """Where a figure comes from, in three words."""
    return _(SOURCES[name][0]) if name in SOURCES else name


def sources_help(names: Iterable[str]) -> str:
    """What the sources mean, a line each."""
    return "  \n".join(
        f"{_(SOURCES[name][0])}: {_(SOURCES[name][1])}" for name in sorted(set(names)) if name in SOURCES
    )


def throttle(reasons: Iterable[str]) -> str:
    """Why a GPU is slowed down; empty where nothing slows it down."""
    said = [
        _(THROTTLES[name]) if name in THROTTLES else name.replace("_", " ") for name in reasons if name not in HARMLESS
    ]
    return _("slowed down: {reasons}").format(reasons=", ".join(said)) if said else ""


def work(device: DeviceSample) -> str:
    """What a GPU does now: ``37 % busy · 210 of 400 W · 61 °C · slowed down: it is too hot``; what it does not tell is left out."""
    parts = []
    if device.load is not None:
        parts.append(_("{share} busy").format(share=percent(device.load)))
    if device.power_w is not None:
        limit = device.power_limit_w
        watts = f"{device.power_w:.0f}"
        parts.append(_("{w} of {limit} W").format(w=watts, limit=f"{limit:.0f}") if limit else f"{watts} W")
    if device.temperature_c is not None:
        parts.append(f"{device.temperature_c:.0f} °C")
    return " · ".join([*parts, *filter(None, [throttle(device.throttle)])])


def host_work(host: HostSample) -> str:
    """What the machine does now: processor, swap, disk."""
    parts = []
    if host.cpu is not None:
        parts.append(_("processor {share} busy").format(share=percent(host.cpu)))
    if host.swap_total:
        parts.append(_("swap {used} of {total}").format(used=size(host.swap_used), total=size(host.swap_total)))
    else:
        parts.append(_("no swap"))
    if host.disk_free is not None:
        parts.append(_("{free} of disk free").format(free=words.gib(host.disk_free)))
    return " · ".join(parts)


def percent(share: float) -> str:
    """``37 %``."""
    return f"{share * 100:.0f} %"


def not_told(hidden: bool) -> str:
    """Why a process on a GPU has no figure. hidden: the driver hides processes there."""
    return _("hidden by the driver, as in a container") if hidden else _("not told by the driver")


def processes(count: int) -> str:
    """``1 process``, ``3 processes``."""
    return ngettext("{n} process", "{n} processes", count).format(n=count)


def about(found: Moment, titles: Mapping[int, str]) -> str:
    """What a moment is about, in plain text: the job by number and name, or who came, and what else is known of it."""
    details = dict(found.details or {})
    job = job_of(found)
    first = f"#{job} {titles.get(job) or details.get('title') or ''}".strip() if job is not None else found.subject
    if found.kind in ("neighbour_came", "neighbour_left"):
        first = str(details.get("user") or found.subject or _("somebody"))
    return " · ".join(filter(None, [first, *(_detail(name, value) for name, value in details.items())]))


def job_of(found: Moment) -> int | None:
    """The job that a moment is about."""
    told = (found.details or {}).get("job")
    if isinstance(told, int):
        return told
    mine = found.kind in ("job_started", "phase", "checkpoint", "job_ended", "out_of_memory")
    return int(found.subject) if mine and found.subject.isdigit() else None


def _detail(name: str, value: object) -> str:
    """What a detail of a moment says; empty for what is told already, or tells a person nothing."""
    if value in (None, "", False) or name in TOLD:
        return ""
    if name == "phase":
        return words.phase_word(str(value))
    if name == "state":
        look = words.STATES.get(str(value))
        return look.word if look else str(value)
    if name == "why":
        return _(WHYS[str(value)]) if value in WHYS else str(value)
    if name == "pid":
        return _("process {pid}").format(pid=value)
    if name == "attempt":
        return _("attempt {n}").format(n=value) if value != 1 else ""
    if name == "suspected":
        return _("most likely: the system ended it when the memory was full")
    if isinstance(value, int | float):
        if name == "size":
            return size(value)
        if name == "seconds":
            return (_("forward by {time}") if value > 0 else _("back by {time}")).format(
                time=words.duration(abs(value))
            )
        if name == "until":
            return _("until {time}").format(time=words.clock(value))
    return str(value) if isinstance(value, str | int | float) else ""
