"""A run that ran out of memory: where it did and why just there, the memory at that moment, and the smallest change that helps,
each with its saving and a button that goes on with it.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend.errors import PanelError
from backend.finetune import files, out_of_memory, relief
from backend.finetune.out_of_memory import Told
from backend.finetune.plan import checked
from backend.finetune.relief import Relief
from backend.i18n import _
from backend.memory.sample import HOST, Moment
from backend.queue import folder, logs
from backend.queue.rows import JobRow
from backend.specs import parse
from backend.specs.finetune import FinetuneSpec
from ui import context, errors, once, words
from ui.finetune import links as finetune_links
from ui.jobs import card as job_card
from ui.memory import layers as memory_layers
from ui.memory import window as memory_window

BEFORE_S, AFTER_S = 600.0, 30.0
"""What the chart shows around the moment; less where the run was shorter."""
OTHERS = 3
"""Changes that stand open beside the first; the rest is folded."""


def draw(row: JobRow) -> bool:
    """Draw what happened to the failed run ``row`` and what helps; False, and nothing, where it did not run out of memory."""
    job_dir = context.store().job_dir(row.id)
    record = out_of_memory.of_run(job_dir, row.error, row.progress, row.ended)
    if record is None:
        return False
    key = f"run_{row.id}"
    said = out_of_memory.told(record)
    with st.container(border=True, key=f"{key}_oom"):
        st.markdown(f":red[:material/memory_alt:] **{errors.plain(said.sentence)}**")
        st.markdown(errors.plain(said.means))
        if said.figures:
            st.caption(" · ".join(said.figures))
        _chart(row, said, key)
        _ways(row, record, key)
        _evidence(row, record, key)
    return True


def _ways(row: JobRow, record: files.OutOfMemory, key: str) -> None:
    store = context.store()
    try:
        spec = relief.spec_of(store.job_dir(row.id), store.spec(row.id))
    except PanelError as problem:
        errors.show(problem, key=f"{key}_oom_spec")
        return
    found = relief.of_run(context.workspace(), spec, record)
    if not found:
        st.button(
            _("Resume"),
            key=f"{key}_oom_resume",
            type="primary",
            icon=":material/play_circle:",
            help=_("What was learned is kept: only what came after it is done again."),
            on_click=job_card.act,
            args=(key, store.resume, row.id),
        )
        return
    st.markdown("**" + _heading(found) + "**")
    saved = files.checkpoints(store.job_dir(row.id))
    for number, one in enumerate(found[:OTHERS]):
        _way(row, one, f"{key}_oom_{number}", saved, primary=number == 0)
    rest = found[OTHERS:]
    if rest:
        with st.expander(_("More that helps"), icon=":material/more_horiz:", key=f"{key}_oom_more", type="compact"):
            for number, one in enumerate(rest, OTHERS):
                _way(row, one, f"{key}_oom_{number}", saved, primary=False)


def _heading(found: tuple[Relief, ...]) -> str:
    changes = [one for one in found if one.fields]
    if any(one.fits for one in changes):
        return _("What is enough, the smallest change first")
    if any(one.fits is None for one in changes):
        return _("What takes less, the smallest change first")
    return _("None of these is known to be enough alone; they take less")


def _way(row: JobRow, one: Relief, key: str, saved: list[files.Checkpoint], *, primary: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_row"):
        st.button(
            one.label,
            key=key,
            type="primary" if primary else "secondary",
            icon=":material/play_circle:",
            help=_begins(one, saved),
            on_click=job_card.act,
            args=(f"run_{row.id}", partial(_go_on, one), row.id),
        )
        if one.fields and finetune_links.PAGE.is_file():
            st.page_link(
                finetune_links.PAGE,
                label=_("Look at the plan first"),
                icon=":material/edit:",
                query_params=finetune_links.new_run(row.id, relief.resumed({}, one, saved)),
            )
    st.caption(_told(one))


def _told(one: Relief) -> str:
    """``saves 1.2 GiB: it then needs about 3.1 GiB; the same result, a little slower``."""
    said = []
    if one.saving is not None and one.need is not None and one.fields:
        text = _("saves about {saving}, so that it needs about {need}")
        said.append(text.format(saving=words.size(max(0, one.saving)), need=words.size(one.need)))
    return " · ".join([*said, one.costs])


def _begins(one: Relief, saved: list[files.Checkpoint]) -> str:
    """Where the run that a press makes begins."""
    if not one.fields:
        return _("The same job once more; it goes on from its last checkpoint.")
    if not saved or one.start == "anew":
        return _("Starts a new run with this change, from the beginning.")
    step = f"{saved[-1].step:,}"
    if one.start == "branch":
        return _("Starts a new run with this change; it begins with the weights of step {step}.").format(step=step)
    return _("Starts a new run with this change; it goes on from step {step}.").format(step=step)


def _go_on(one: Relief, job_id: int) -> None:
    """What a press does: the run that goes on, and the way to it."""
    store = context.store()
    if not one.fields:
        store.resume(job_id)
        return
    row, job_dir = store.get(job_id), store.job_dir(job_id)
    settled = relief.spec_of(job_dir, store.spec(job_id)).model_dump(mode="json")
    spec = parse(row.verb, relief.resumed(settled, one, files.checkpoints(job_dir)))
    assert isinstance(spec, FinetuneSpec)
    made = checked(context.workspace(), spec)
    new = store.submit(
        row.verb,
        made.spec.model_dump(mode="json"),
        title=row.title,
        parent=job_id,
        submit_key=once.submit_key(f"finetune-oom-{job_id}"),
    )
    st.query_params.from_dict(finetune_links.run(new.id))


def _chart(row: JobRow, said: Told, key: str) -> None:
    """The memory of the place where it ran, with the moment marked; nothing where it was not recorded."""
    moment = said.moment or row.ended
    if not moment:
        return
    start = max(moment - BEFORE_S, (row.started or moment) - AFTER_S)
    try:
        memory = context.memory()
        window = memory.window(start, moment + AFTER_S)
        told = memory.moments(start, moment + AFTER_S)
    except PanelError:
        return  # the record cannot be read, which the Memory page says: the rest of this is still worth showing
    places = [found.place for found in window.series if found.name == "job" and found.subject == str(row.id)]
    place = next((each for each in places if each != HOST), HOST)
    layers = memory_layers.of(window, place, {row.id: row.title})
    if layers.peak is None:
        return
    marks = [found for found in told if found.place in ("", place) and found.kind != "out_of_memory"]
    marks.append(Moment(moment, "out_of_memory", place, str(row.id)))
    what = _("Main memory") if place == HOST else _("GPU memory")
    st.caption(_("{what} around that moment, the triangle").format(what=what))
    alt = _("{what} around the moment when it ran out; the highest is {peak} GiB").format(
        what=what, peak=f"{layers.peak[0]:.1f}"
    )
    memory_window.draw(window, layers, marks, {row.id: row.title}, key=f"{key}_oom_chart", alt=alt)


def _evidence(row: JobRow, record: files.OutOfMemory, key: str) -> None:
    with st.expander(_("What the program said"), icon=":material/article:", key=f"{key}_oom_log", type="compact"):
        if record.line:
            st.code(record.line, language=None, wrap_lines=True)
        path = folder.log_file(context.store().job_dir(row.id), row.attempt)
        tail = logs.tail(path, lines=60).text
        if tail:
            st.code(tail, language=None, wrap_lines=True)
