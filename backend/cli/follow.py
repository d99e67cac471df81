"""A job followed in a shell until it ends: one line that moves on a terminal, a line now and then in a log."""

from __future__ import annotations

import shutil
import sys
import time

import typer

from backend.errors import PanelError
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.queue.store import Store

POLL_S = 0.2
LEAST_MB_S = 0.05
"""What is slower than this is no rate but a pause."""
LOG_S = 10.0
"""Without a terminal: a line so often, and one for each new phase."""
PHASES = {
    "ask": N_("asking"),
    "check": N_("checking"),
    "create": N_("making the environment"),
    "download": N_("downloading"),
    "install": N_("installing packages"),
    "patch": N_("applying patches"),
    "selftest": N_("testing itself"),
    "server": N_("waiting for the server"),
    "time": N_("measuring speed"),
}


def follow(store: Store, row: JobRow, *, quiet: bool = False) -> JobRow:
    """``row`` once it has ended well. Ctrl-C asks whether to cancel the job; without a terminal it leaves it alone.

    Raises:
        PanelError: why it failed or was lost; ``job_cancelled`` where somebody stopped it elsewhere.
        typer.Abort: the person turned away from it, or cancelled it here; the exit code is 130.
    """
    writer = _Writer(quiet)
    cancelled = False
    while not row.done:
        try:
            writer.show(row)
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            writer.end()
            cancelled = _asked(store, row, cancelled)
        row = store.get(row.id)
    writer.end()
    if row.state == "succeeded":
        return row
    if cancelled:
        typer.echo(_("Cancelled. The same command goes on from what is there."), err=True)
        raise typer.Abort
    if row.error:
        raise PanelError.from_dict(row.error)
    raise PanelError(
        "job_cancelled",
        N_("Job {job} was cancelled."),
        N_("The same command goes on from what is there."),
        job=row.id,
    )


def progress_line(row: JobRow) -> str:
    """``#12 install xtuner · downloading · 310 of 640 · 12.5 MB/s · 30 s left``."""
    progress = row.progress
    phase = str(progress.get("phase") or "")
    parts = [f"#{row.id} {row.title}", _(PHASES[phase]) if phase in PHASES else phase or _state(row)]
    step, total, rate = progress.get("step"), progress.get("total"), (progress.get("metrics") or {}).get("mb_per_s")
    if isinstance(step, int | float) and isinstance(total, int | float) and total:
        text = _("{step} of {total}") if rate is None else _("{step} of {total} MB")
        parts.append(text.format(step=f"{step:,.0f}", total=f"{total:,.0f}"))
        if isinstance(rate, int | float) and rate >= LEAST_MB_S:
            parts.append(f"{rate:.1f} MB/s")
    left = progress.get("eta_s")
    if isinstance(left, int | float) and row.state == "running":
        parts.append(_("{n} s left").format(n=f"{left:,.0f}"))
    return " · ".join(parts)


class _Writer:
    """Where progress goes: over the same line on a terminal, line after line into a file or pipe, nowhere when quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.terminal = quiet, sys.stdout.isatty()
        self._phase, self._text, self._at = "", "", 0.0

    def show(self, row: JobRow) -> None:
        text, phase = progress_line(row), str(row.progress.get("phase") or row.state)
        now = time.monotonic()
        if self.quiet or text == self._text:
            return
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            typer.echo(f"\r\x1b[K{text[:width]}", nl=False)
        elif phase == self._phase and now - self._at < LOG_S:
            return
        else:
            typer.echo(text)
        self._phase, self._text, self._at = phase, text, now

    def end(self) -> None:
        """The next word begins on a line of its own."""
        if self.terminal and not self.quiet and self._text:
            typer.echo()
        self._text = ""


def _asked(store: Store, row: JobRow, cancelled: bool) -> bool:
    """Whether the person now wants the job to stop; it is told to.

    Raises:
        typer.Abort: they want to go and leave it running.
    """
    go_on = _("Job {job} goes on. Follow it with: python -m backend jobs watch {job}").format(job=row.id)
    if not cancelled and sys.stdin.isatty():
        try:
            if not typer.confirm(_("Cancel job {job}? What it has downloaded stays.").format(job=row.id), default=True):
                typer.echo(go_on, err=True)
                raise typer.Abort
        except KeyboardInterrupt:
            raise typer.Abort from None
        store.cancel(row.id)
        return True
    typer.echo(go_on, err=True)
    raise typer.Abort


def _state(row: JobRow) -> str:
    """Before it works: why it does not yet."""
    return _("waiting") if row.state == "queued" else _("starting")
