"""A figure of a run, where it comes from, and how both read. Codes are stored; words are found when a person reads.

A memory figure is in bytes, a time in seconds, a speed in tokens/s.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.i18n import N_, _

GIB = 1 << 30
MEMORY = ("disk", "gpu_peak", "gpu_steady", "ram_peak", "ram_steady")
FIGURES = (*MEMORY, "load", "tokens_s")
"""What a comparison says of every run, in this order."""
GPU_FIGURES = ("gpu_peak", "gpu_steady")

NAMES = {
    "disk": N_("Model on disk"),
    "gpu_peak": N_("GPU memory, peak"),
    "gpu_steady": N_("GPU memory, steady"),
    "ram_peak": N_("Main memory, peak"),
    "ram_steady": N_("Main memory, steady"),
    "load": N_("Load time"),
    "tokens_s": N_("tokens/s"),
}
ABOUT = {
    "gpu_peak": N_("the most that it took on all of its GPUs"),
    "gpu_steady": N_("the median over the second half of its life"),
    "ram_peak": N_("the most that all of its processes took together"),
    "ram_steady": N_("the median over the second half of its life"),
    "load": N_("from its start until it could answer, or until its first step"),
    "tokens_s": N_("tokens that it wrote or learned from in a second of work"),
}

MEASURED = {
    "driver": N_("the GPU's driver tells it for each process"),
    "lease": N_("how much more the GPU held since the job had it for itself"),
    "process": N_("main memory of its processes, summed"),
    "files": N_("the sizes of its weight files"),
    "ready": N_("from its start until it had answered a first request"),
    "first_step": N_("from its start until its first step"),
    "counted": N_("tokens by its own counters, over the seconds in which they grew"),
}
REPORTED = {
    "trainer": N_("what the program says that it has allocated"),
    "busy": N_("tokens by its own counters, over the seconds in which it says that it was busy"),
    "metric": N_("the tokens/s that it told last"),
}
MISSING = {
    "no_samples": N_("no memory was recorded while it ran"),
    "no_gpu": N_("it used no GPU"),
    "gpu_hidden": N_("it had a GPU, and the driver did not tell what it took there"),
    "no_model": N_("this kind of job works with no model"),
    "model_gone": N_("its model is not there any more"),
    "nothing_made": N_("it has made no model"),
    "never_ready": N_("it never came so far that it could answer"),
    "not_ready": N_("it cannot answer yet"),
    "no_step": N_("it has not reached its first step"),
    "no_loading": N_("this kind of job loads nothing first"),
    "nobody_asked": N_("nobody has asked it anything yet"),
    "too_short": N_("it wrote too little to tell its speed; ask it for longer answers"),
    "no_tokens": N_("this kind of job writes no tokens"),
    "not_told": N_("it does not tell its speed"),
    "job_deleted": N_("the job was deleted"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` is None where there is none; ``source``, a key of MEASURED, REPORTED or MISSING, then says why."""

    value: float | None
    source: str

    @property
    def kind(self) -> str:
        """``measured``, ``reported`` (by the engine) or ``missing``."""
        if self.value is None:
            return "missing"
        return "reported" if self.source in REPORTED else "measured"

    def tag(self) -> str:
        """Where it comes from, in a word or two."""
        kinds = {"measured": _("measured"), "reported": _("reported by the engine"), "missing": _("not measured")}
        return kinds[self.kind]

    def about(self) -> str:
        """Where it comes from, or why it is missing, in one sentence."""
        words = {**MEASURED, **REPORTED, **MISSING}.get(self.source, "")
        return _("{kind}: {why}").format(kind=self.tag(), why=_(words)) if words else self.tag()


def missing(source: str) -> Figure:
    """There is no figure, because of ``source``."""
    return Figure(None, source)


def text(name: str, value: float) -> str:
    """A value of the figure ``name`` with its unit."""
    if name == "disk":
        return _size(value)
    if name in MEMORY:
        return gib(value)
    return seconds(value) if name == "load" else rate(value)


def difference(name: str, first: Figure, other: Figure) -> str:
    """``+1.2 GiB · +35%``: how far ``other`` is from ``first``; empty where one of them is missing."""
    if first.value is None or other.value is None:
        return ""
    off = other.value - first.value
    if not off:
        return _("the same")
    sign = "+" if off > 0 else "−"
    share = f" · {sign}{abs(off) / first.value:.0%}" if first.value else ""
    return f"{sign}{text(name, abs(off))}{share}"


def gib(value: float) -> str:
    """GiB with one decimal; with two where one would say nothing but zero."""
    amount = value / GIB
    return _("{n} GiB").format(n=f"{amount:.2f}" if 0 < amount < 0.95 else f"{amount:.1f}")


def seconds(value: float) -> str:
    """``3.2 s``, ``45 s``, ``2 min 5 s``, ``1 h 3 min``."""
    if value < 59.5:
        return _("{n} s").format(n=f"{value:.1f}" if value < 9.95 else f"{value:.0f}")
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return _("{m} min {s} s").format(m=minutes, s=rest)
    return _("{h} h {m} min").format(h=minutes // 60, m=minutes % 60)


def rate(value: float) -> str:
    """Tokens/s: no decimals above 10."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _size(value: float) -> str:
    return gib(value) if value >= GIB else f"{value / (1 << 20):.1f} MiB"
