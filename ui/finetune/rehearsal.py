"""What a rehearsal with these settings measured: three real steps, one evaluation, one save, one load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from backend.finetune import times
from backend.i18n import _
from ui import context, errors, words

if TYPE_CHECKING:
    from backend.finetune.plan import Plan


def draw(made: Plan) -> None:
    """Draw it where there is one; nothing otherwise."""
    found = times.rehearsal(context.workspace(), made.spec)
    if found is None:
        return
    job, measured = found
    head = _("Rehearsed {ago} as job {job}: {step} a step, {memory} at the highest.").format(
        ago=words.ago(measured.made),
        job=job,
        step=step_time(measured.step_s),
        memory=memory(measured.peak_bytes),
    )
    folded = st.expander(
        errors.plain(head), icon=":material/rule:", key="finetune_rehearsal", on_change="rerun", type="compact"
    )
    if not folded.open:
        return
    with folded:
        rows = {
            _("Longest row"): _("{n} tokens").format(n=f"{measured.longest:,}"),
            _("One step"): _("{time}, {n} tokens").format(
                time=step_time(measured.step_s), n=f"{measured.tokens_per_step:,}"
            ),
            _("Memory at the highest"): memory(measured.peak_bytes),
            _("Load the model"): step_time(measured.load_s),
            _("One evaluation"): _("{time}, {n} rows").format(time=step_time(measured.eval_s), n=measured.eval_rows),
            _("Save a checkpoint"): f"{step_time(measured.save_s)}, {words.size(measured.checkpoint_bytes)}",
            _("Load that checkpoint"): step_time(measured.restore_s),
            _("Loss of the steps"): ", ".join(f"{loss:.3g}" for loss in measured.losses),
            _("Device"): errors.plain(measured.device),
        }
        st.table(rows, border="horizontal", width="content", alt=_("What the rehearsal measured"))


def step_time(seconds: float) -> str:
    """``0.35 s`` for what is short, else as other times."""
    return _("{n} s").format(n=f"{seconds:.2g}") if seconds < 10 else words.duration(seconds)


def memory(size: float) -> str:
    """GiB; what is less than a tenth of one in MiB."""
    return words.gib(size) if size >= 0.1 * 2**30 else words.size(size)
