"""How states, times and sizes read: the same word, icon and colour on every page, in the person's language.

Numbers: GiB with one decimal, durations in at most two units, relative times with the absolute one on hover.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from backend.i18n import N_, _, ngettext
from backend.queue.rows import JobRow

Colour = Literal["violet", "green", "gray", "orange", "red"]
# The theme paints "violet" in the accent: Streamlit's "primary" is too dark for text on a dark page.


@dataclass(frozen=True)
class Look:
    """A state's word, Material icon and colour; never the colour alone."""

    message: str
    icon: str
    colour: Colour

    @property
    def word(self) -> str:
        return _(self.message)

    @property
    def chip(self) -> str:
        """The state as an inline Markdown badge."""
        return f":{self.colour}-badge[{self.icon} {self.word}]"


STATES = {
    "queued": Look(N_("waiting"), ":material/schedule:", "gray"),
    "starting": Look(N_("starting"), ":material/play_circle:", "violet"),
    "running": Look(N_("running"), ":material/sync:", "violet"),
    "stopping": Look(N_("stopping"), ":material/stop_circle:", "orange"),
    "succeeded": Look(N_("done"), ":material/check_circle:", "green"),
    "failed": Look(N_("failed"), ":material/error:", "red"),
    "cancelled": Look(N_("cancelled"), ":material/cancel:", "gray"),
    "lost": Look(N_("lost"), ":material/help:", "orange"),
}
STUCK = Look(N_("stuck"), ":material/pause_circle:", "orange")
QUIET = Look(N_("quiet"), ":material/volume_off:", "orange")
SERVING = Look(N_("running"), ":material/dns:", "violet")

VERBS = {
    "serve": (N_("Serve"), ":material/dns:"),
    "pretrain": (N_("Train from scratch"), ":material/school:"),
    "download": (N_("Download"), ":material/download:"),
    "change_data": (N_("Change a dataset"), ":material/edit_note:"),
    "convert": (N_("Convert weights"), ":material/sync_alt:"),
    "drill": (N_("Practice job"), ":material/fitness_center:"),
    "install_env": (N_("Install an engine"), ":material/deployed_code_update:"),
    "test_env": (N_("Test an engine"), ":material/fact_check:"),
    "bundle_env": (N_("Make a bundle"), ":material/archive:"),
    "count_tokens": (N_("Count tokens"), ":material/tag:"),
    "examine_data": (N_("Examine a dataset"), ":material/troubleshoot:"),
    "export_data": (N_("Export rows"), ":material/ios_share:"),
    "import_data": (N_("Import rows"), ":material/upload_file:"),
    "agent_check": (N_("Check how it calls tools"), ":material/rule:"),
    "ask_documents": (N_("Ask about documents"), ":material/quiz:"),
    "finetune": (N_("Fine-tune"), ":material/school:"),
    "rehearse": (N_("Rehearse"), ":material/rule:"),
    "quantize": (N_("Quantize"), ":material/compress:"),
    "report_card": (N_("Report card"), ":material/scoreboard:"),
    "bench": (N_("Benchmark"), ":material/speed:"),
    "evaluate": (N_("Evaluate"), ":material/rule_settings:"),
    "bench_matrix": (N_("Compare set-ups"), ":material/table_chart:"),
}

PHASES = {
    "check": N_("checking"),
    "start": N_("starting"),
    "load": N_("loading"),
    "ready": N_("ready"),
    "train": N_("training"),
    "evaluate": N_("evaluating"),
    "save": N_("saving"),
    "work": N_("working"),
    "count": N_("counting"),
    "hung": N_("not answering"),
    "restart": N_("restarting"),
    "corpus": N_("writing the corpus"),
    "tokenizer": N_("making the tokenizer"),
    "list": N_("asking the hub"),
    "download": N_("downloading"),
    "wait": N_("waiting for the hub"),
    "verify": N_("comparing checksums"),
    "convert": N_("converting"),
    "register": N_("putting it on the list"),
    "turn": N_("waiting for another install"),
    "create": N_("making the environment"),
    "install": N_("installing packages"),
    "patch": N_("applying patches"),
    "selftest": N_("testing itself"),
    "documents": N_("reading the documents"),
    "ask": N_("asking the model"),
    "server": N_("waiting for the model's server"),
    "read": N_("reading rows"),
    "write": N_("writing rows"),
    "examine": N_("examining rows"),
    "prepare": N_("preparing rows"),
    "rehearse": N_("rehearsing"),
    "merge": N_("merging"),
    "prove": N_("checking what it learned"),
    "calibrate": N_("choosing calibration rows"),
    "quantize": N_("quantizing layers"),
    "plan": N_("planning"),
    "report": N_("measuring a report card"),
    "time": N_("measuring speed"),
}

METRICS = {
    "loss": N_("loss"),
    "eval_loss": N_("validation loss"),
    "lr": N_("learning rate"),
    "grad_norm": N_("gradient norm"),
    "tokens_s": N_("tokens/s"),
    "memory_mib": N_("memory"),
    "s_per_step": N_("seconds a step"),
    "epoch": N_("epoch"),
    "requests": N_("requests"),
    "rss_mib": N_("memory"),
    "mb_per_s": N_("MB/s"),
    "files": N_("files"),
    "files_total": N_("files in all"),
    "pairs": N_("pairs"),
    "refused": N_("refused"),
    "requests_s": N_("requests/s"),
    "first_token_s": N_("first token (s)"),
    "failed": N_("failed"),
    "right": N_("right"),
    "wrong": N_("wrong"),
    "unread": N_("not extracted"),
    "accuracy": N_("accuracy (%)"),
    "low": N_("at least (%)"),
    "high": N_("at most (%)"),
    "startup_s": N_("start-up (s)"),
}
"""What a metric is called; any other one stands for itself."""
SERVICE_METRICS = ("requests", "tokens_s", "rss_mib")
"""What of a server is worth a line in a list."""
RUN_METRICS, RUN_PHASES = ("loss", "eval_loss", "tokens_s"), ("train", "evaluate", "save")
"""What of a training is, and while it does what."""


def look(row: JobRow) -> Look:
    """The state of ``row`` as people see it; a suspended or silent job is not simply running."""
    if row.state == "running" and row.health == "stopped":
        return STUCK
    if row.state == "running" and row.health == "quiet":
        return QUIET
    return STATES.get(row.state, STATES["lost"])


def verb_word(verb: str) -> str:
    """The kind of job in words; an unknown verb stands for itself."""
    return _(VERBS[verb][0]) if verb in VERBS else verb


def verb_icon(verb: str) -> str:
    """The Material icon of a kind of job."""
    return VERBS[verb][1] if verb in VERBS else ":material/work:"


def phase_word(phase: str) -> str:
    """What a job does now, in words; a phase that an engine invented stands for itself."""
    return _(PHASES[phase]) if phase in PHASES else phase.replace("_", " ")


def metric_word(name: str) -> str:
    """What the metric ``name`` is called; one that an engine invented stands for itself."""
    return _(METRICS[name]) if name in METRICS else name.removesuffix("_mib").replace("_", " ")


def figure(name: str, value: object) -> str:
    """The value of a metric: memory in GiB, others in at most four digits. NaN arrives as text and stays so."""
    if name.endswith("_mib") and isinstance(value, int | float):
        return gib(value * 2**20)
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def progress_of(row: JobRow) -> float | None:
    """The share done, 0 to 1, or None when the job does not say."""
    step, total = row.progress.get("step"), row.progress.get("total")
    if not isinstance(step, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(1.0, max(0.0, step / total))


def eta_line(row: JobRow, now: float | None = None) -> str:
    """``12 min left, done about 14:05``; empty for a service, or when the job gives no estimate."""
    eta = row.progress.get("eta_s")
    if row.service or not row.live or not isinstance(eta, int | float):
        return ""
    now = time.time() if now is None else now
    said = float(row.progress.get("t") or now)
    left = max(0.0, said + float(eta) - now)
    return _("{left} left, done about {time}").format(left=duration(left), time=clock(now + left))


def duration(seconds: float | None) -> str:
    """``45 s``, ``12 min``, ``1 h 5 min``, ``2 d 3 h``; a dash with no number behind it is never shown."""
    if seconds is None:
        return _("unknown")
    whole = max(0, round(seconds))
    if whole < 60:
        return _("{n} s").format(n=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return _("{n} min").format(n=minutes)
    if minutes < 24 * 60:
        hours, minutes = divmod(minutes, 60)
        return (_("{h} h {m} min") if minutes else _("{h} h")).format(h=hours, m=minutes)
    days, hours = divmod(round(minutes / 60), 24)
    return (_("{d} d {h} h") if hours else _("{d} d")).format(d=days, h=hours)


def ago(when: float | None, now: float | None = None) -> str:
    """``just now``, ``12 min ago``; beyond a week the date."""
    if when is None:
        return _("never")
    passed = (time.time() if now is None else now) - when
    if passed < 10:
        return _("just now")
    if passed > 7 * 24 * 3600:
        return datetime.fromtimestamp(when, timezone()).strftime("%Y-%m-%d")
    return _("{duration} ago").format(duration=duration(passed))


def stamp(when: float | None) -> str:
    """The absolute time, for hovers: ``2026-11-21 14:05:09`` in the person's time zone."""
    return datetime.fromtimestamp(when, timezone()).strftime("%Y-%m-%d %H:%M:%S") if when is not None else _("never")


def clock(when: float) -> str:
    """``14:05``, with the day in front when it is not today."""
    zone = timezone()
    at = datetime.fromtimestamp(when, zone)
    return at.strftime("%H:%M" if at.date() == datetime.now(zone).date() else "%m-%d %H:%M")


def timezone() -> tzinfo:
    """The zone of the person's browser; the server's where the browser does not say."""
    name = st.context.timezone
    if name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            pass  # a browser may know zones that this machine does not
    local = datetime.now().astimezone().tzinfo
    assert local is not None  # astimezone() always sets one
    return local


def gib(size: float | None) -> str:
    """Bytes as GiB with one decimal: for memory."""
    return _("{n} GiB").format(n=f"{size / 2**30:.1f}") if size is not None else _("unknown")


def size(count: float | None) -> str:
    """Bytes in the unit that fits, for files: ``640 B``, ``12.3 MiB``, ``1.5 GiB``."""
    if count is None:
        return _("unknown")
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def parameters(count: int | None) -> str:
    """A model's size as people say it: ``4.8 M``, ``8.0 B`` parameters."""
    if count is None:
        return _("unknown")
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return str(count)


def rate(tokens_per_s: float) -> str:
    """Tokens per second: no decimals above 10."""
    return f"{tokens_per_s:.0f}" if tokens_per_s >= 10 else f"{tokens_per_s:.1f}"


def jobs(count: int) -> str:
    """``1 job``, ``3 jobs``."""
    return ngettext("{n} job", "{n} jobs", count).format(n=count)
