"""A model from a hub: the form, where it will be fetched from and whether there is room, and what is on its way."""

from __future__ import annotations

import shutil

import streamlit as st

from backend import hubs
from backend.errors import PanelError
from backend.i18n import _, ngettext
from backend.queue.rows import LIVE, JobRow
from backend.specs import parse
from backend.specs.download import DownloadSpec
from ui import context, download_fixes, errors, once, spec_form, words
from ui.jobs import card as job_card

RECENT = 5
"""Downloads that ended and are still shown; all of them are on the Jobs page."""
KEY = "download"


def draw() -> None:
    """Draw the form and the downloads below it."""
    st.caption(_("The model is fetched as a job: close this page, and it goes on. It is on the list when it is whole."))
    _take_over()
    with st.form(KEY):
        values = spec_form.draw(DownloadSpec, {}, key=KEY)
        _where_to()
        sent = st.form_submit_button(_("Download model"), type="primary", icon=":material/download:")
    if sent and str(values.get("repo") or "").strip():
        _submit(values)
    moving = _moving()

    def listing() -> None:
        _jobs()
        if moving != _moving():
            st.rerun()  # the timer ends with the last download

    st.fragment(errors.guarded(listing, "downloads"), run_every=2 if moving else None)()


def _take_over() -> None:
    """Fill the form with the fields of the download that the address names, once: then they are the person's to change."""
    again = st.query_params.pop(download_fixes.AGAIN, "")
    if not again.isdecimal():
        return
    try:
        spec = context.store().spec(int(again))
    except PanelError as error:
        errors.show(error, key=f"{KEY}_again")
        return
    for name in DownloadSpec.model_fields:
        if name in spec:
            st.session_state[f"{KEY}_{name}"] = spec[name]
    st.toast(_("The form at the top holds what was asked for. Correct it there."), icon=":material/edit:")


def _where_to() -> None:
    """Which address each hub has here, and the room on the disk; the Settings page changes the first."""
    settings, workspace = context.settings(), context.workspace()
    lines = []
    for key, hub in hubs.HUBS.items():
        address = hubs.endpoint(settings, key)
        parts = [f"`{address}`"]  # as code: not a link
        if address != hub.home:
            parts.append(_("a mirror, from the settings"))
        if hubs.token_file(workspace, key).is_file():
            parts.append(_("with the access token that is kept here"))
        lines.append(f"{hub.title}: {', '.join(parts)}")
    try:
        free = shutil.disk_usage(workspace.root).free
    except OSError as error:
        lines.append(errors.plain(f"{workspace.downloads}: {error.strerror}"))
    else:
        lines.append(
            _("Free for downloads: {free} in {folder}; {reserve} of it are kept free.").format(
                free=words.size(free),
                folder=errors.plain(str(workspace.downloads)),
                reserve=words.size(settings.download_reserve_mib * 2**20),
            )
        )
    st.caption("  \n".join(lines))
    st.page_link(
        download_fixes.SETTINGS_PAGE,
        label=_("Access tokens and mirrors"),
        icon=":material/key:",
        query_params={"hub": "huggingface"},
    )


def _submit(values: dict[str, object]) -> None:
    """Make the job; a download of the same that is under way, or waits, is not begun twice."""
    store = context.store()
    try:
        spec = parse("download", values)
        assert isinstance(spec, DownloadSpec)
        same = next((row for row in _under_way() if store.spec(row.id) == spec.model_dump(mode="json")), None)
        row = same or store.submit("download", values, submit_key=once.submit_key(f"{KEY}-{spec.repo}"))
    except PanelError as error:
        errors.show(error, key=KEY)
        return
    st.toast(
        (_("Job {job} downloads that already.") if same else _("Job {job} downloads it.")).format(job=row.id),
        icon=":material/download:",
    )


def _under_way() -> list[JobRow]:
    return context.store().list(states=("queued", *LIVE), verb="download", limit=100)


def _moving() -> int:
    return len(_under_way())


def _jobs() -> None:
    """Cards of what is on its way, then of what ended last."""
    rows = _under_way()
    ended = context.store().list(states=("succeeded", "failed", "cancelled", "lost"), verb="download", limit=RECENT)
    if rows:
        st.subheader(ngettext("{n} download under way", "{n} downloads under way", len(rows)).format(n=len(rows)))
    for row in rows:
        job_card.draw(row, key=f"download_{row.id}", compact=True)
    if ended:
        st.subheader(_("Downloads that ended"), anchor=False)
    for row in ended:
        # A compact card leads nowhere with what it made; the full one of a failed job has a log for which a list is no place.
        job_card.draw(row, key=f"download_{row.id}", compact=row.state != "succeeded")
