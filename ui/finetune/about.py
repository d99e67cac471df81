"""Settings and files of a run: what was foreseen beside what came, every setting, its folder, TensorBoard."""

from __future__ import annotations

import shlex
from typing import Any

import streamlit as st

from backend.finetune import faults, files
from backend.finetune.presets import PRESETS
from backend.finetune.record import Run
from backend.i18n import _
from backend.specs.finetune import FinetuneSpec
from ui import errors, words
from ui.finetune import words as finetune_words

FIRST = (
    "model",
    "dataset",
    "version",
    "purpose",
    "engine",
    "method",
    "learning_rate",
    "epochs",
    "batch_size",
    "accumulation",
    "max_length",
    "seed",
)
"""Settings that come first in the table; the others follow."""
LEFT_OUT = ("config_text", "sample_prompts")


def draw(run: Run, *, key: str) -> None:
    """Draw it."""
    _foreseen(run)
    _warned(run)
    st.markdown("**" + _("Settings") + "**")
    st.dataframe(
        [{_("Setting"): title, _("Value"): value} for title, value in settings(run.spec)],
        hide_index=True,
        width="stretch",
        height=360,
        key=f"{key}_settings",
        alt=_("Settings of this run"),
    )
    if run.spec.get("config_text"):
        with st.expander(_("XTuner config, edited by hand"), icon=":material/code:", type="compact"):
            st.code(str(run.spec["config_text"]), language="python")
    st.markdown("**" + _("Its folder on the server") + "**")
    st.code(str(run.dir), language=None, wrap_lines=True)
    _tensorboard(run)


def settings(spec: dict[str, Any]) -> list[tuple[str, str]]:
    """(title, value) of the fields of ``spec`` for people."""
    known = [name for name in FinetuneSpec.model_fields if name in spec and name not in LEFT_OUT]
    order = [*(name for name in FIRST if name in known), *(name for name in known if name not in FIRST)]
    return [(finetune_words.label(name), _value(name, spec[name])) for name in order if spec[name] not in ("", [])]


def _value(name: str, value: Any) -> str:
    if name == "purpose" and value in PRESETS:
        return _(PRESETS[value].title)
    return finetune_words.checkpoint(value) if name == "start_from" else finetune_words.value(name, value)


def _foreseen(run: Run) -> None:
    """What the plan and the rehearsal had said, beside what was measured."""
    rows = []
    seconds = run.plan.get("seconds")
    if isinstance(seconds, dict) and isinstance(seconds.get("likely"), int | float):
        took = words.duration(run.row.elapsed) if run.row.done and run.row.elapsed else ""
        rows.append((_("Time"), words.duration(seconds["likely"]), "", took))
    rehearsal, most = run.rehearsal, run.most("memory_mib")
    if rehearsal is not None or most is not None:
        rows.append(
            (
                _("Memory at the highest"),
                "",
                words.gib(rehearsal.peak_bytes) if rehearsal else "",
                words.gib(most * 2**20) if most is not None else "",
            )
        )
    took_s = run.last("s_per_step")
    if rehearsal is not None or isinstance(took_s, float):
        rows.append(
            (
                _("One step"),
                "",
                _("{n} s").format(n=f"{rehearsal.step_s:.2g}") if rehearsal else "",
                _("{n} s").format(n=f"{took_s:.2g}") if isinstance(took_s, float) else "",
            )
        )
    if not rows:
        return
    heads = (_("What"), _("Plan"), _("Rehearsal"), _("Measured"))
    lines = [heads, ("---",) * 4, *rows]
    st.markdown(
        "\n".join(
            "| " + " | ".join(errors.plain(cell) if cell != "---" else cell for cell in line) + " |" for line in lines
        )
    )


def _warned(run: Run) -> None:
    """What the plan had called worth knowing when it began."""
    found = faults.kept(run.plan.get("faults"))
    if found:
        st.markdown("**" + _("What the plan had warned of") + "**")
        st.markdown("\n".join(f"- {errors.plain(fault.sentence())}" for fault in found))


def _tensorboard(run: Run) -> None:
    folder = run.dir / files.TENSORBOARD
    if not folder.is_dir():
        return
    st.markdown("**TensorBoard**")
    st.caption(
        _("The same curves as event files. Where TensorBoard is installed, this opens them on port {port}:").format(
            port=6006
        )
    )
    st.code(
        f"tensorboard --logdir {shlex.quote(str(folder))} --host 127.0.0.1 --port 6006",
        language="bash",
        wrap_lines=True,
    )
