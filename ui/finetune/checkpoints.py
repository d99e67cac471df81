"""The checkpoints of a run: how good each is, how large, which is the best; begin a new run from one, or delete it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.finetune import discard
from backend.finetune.files import Checkpoint
from backend.finetune.record import Run
from backend.i18n import _, ngettext
from ui import context, errors, words
from ui.finetune import links as finetune_links
from ui.jobs import card as job_card


def draw(run: Run, *, key: str) -> None:
    """Draw the checkpoints of ``run``, the newest first."""
    if not run.checkpoints:
        st.caption(_("No checkpoint yet. A checkpoint is a saved state from which the run can go on."))
        return
    total = sum(one.bytes for one in run.checkpoints)
    count = ngettext("{n} checkpoint", "{n} checkpoints", len(run.checkpoints)).format(n=len(run.checkpoints))
    keep = run.spec.get("keep", 2)
    st.caption(
        _("{count}, {size} on the disk. A run keeps its newest {keep} and the best.").format(
            count=count, size=words.size(total), keep=keep
        )
    )
    for one in reversed(run.checkpoints):
        _draw(run, one, f"{key}_checkpoint_{one.step}")


def _draw(run: Run, one: Checkpoint, key: str) -> None:
    with st.container(border=True, key=key, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            best = f" :green-badge[:material/star: {_('best')}]" if one.best else ""
            st.markdown(f"**{_('Step {step}').format(step=f'{one.step:,}')}**{best}", width="content")
            _buttons(run, one, key)
        st.caption(_facts(one), help=words.stamp(one.created))
        if st.session_state.get(f"{key}_asked") and run.row.done:
            _confirm(run, one, key)
        job_card.problem(key)


def _facts(one: Checkpoint) -> str:
    parts = [_("epoch {n}").format(n=f"{one.epoch:.2f}")]
    for name, value in (("loss", one.loss), ("eval_loss", one.eval_loss)):
        if value is not None:
            parts.append(f"{words.metric_word(name)} {words.figure(name, value)}")
    return " · ".join([*parts, words.size(one.bytes), words.ago(one.created)])


def _buttons(run: Run, one: Checkpoint, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if run.row.verb == "finetune":
            st.button(
                _("Branch from here"),
                key=f"{key}_branch",
                icon=":material/fork_right:",
                help=_("A new run that begins with the weights of this checkpoint, with other settings or other rows."),
                on_click=finetune_links.set_up,
                args=(run.row.id, {"start_from": one.path, "start_mode": "branch"}),
            )
        st.button(
            _("Delete"),
            key=f"{key}_delete",
            icon=":material/delete:",
            type="tertiary",
            disabled=not run.row.done,
            help=None if run.row.done else _("The run may need it. Pause it first."),
            on_click=_ask,
            args=(key, True),
        )


def _confirm(run: Run, one: Checkpoint, key: str) -> None:
    what = _("Delete the checkpoint at step {step}? This frees {size} and cannot be undone.").format(
        step=f"{one.step:,}", size=words.size(one.bytes)
    )
    if run.row.state != "succeeded" and one == run.checkpoints[-1]:
        what += " " + (
            _("Resume then goes on from step {step}.").format(step=f"{run.checkpoints[-2].step:,}")
            if len(run.checkpoints) > 1
            else _("Resume then begins anew.")
        )
    elif run.row.state == "succeeded":
        what += " " + _("What the run made stays.")
    st.markdown(errors.plain(what))
    with st.container(horizontal=True):
        st.button(
            _("Delete and free {size}").format(size=words.size(one.bytes)),
            key=f"{key}_yes",
            icon=":material/delete:",
            type="primary",
            on_click=job_card.act,
            args=(key, partial(_discard, one.step, key), run.row.id),
        )
        st.button(_("Keep it"), key=f"{key}_no", on_click=_ask, args=(key, False))


def _ask(key: str, asked: bool) -> None:
    st.session_state[f"{key}_asked"] = asked
    st.session_state.pop(f"{key}_problem", None)


def _discard(step: int, key: str, job_id: int) -> None:
    _ask(key, False)
    discard.checkpoint(context.store(), job_id, step)
