"""A job's log: its end while it grows, any page of it, a search, and a download. Never the whole file at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from backend.i18n import _, ngettext
from backend.queue import logs
from backend.queue.rows import JobRow
from ui import context, words

TAIL_LINES = 200
TAIL_BYTES = 24 * 1024
"""What one refresh of a growing log sends at most."""
DOWNLOAD_BYTES = 32 << 20
"""More than this would have to lie in the panel's memory; larger logs are copied from their path."""


def draw(row: JobRow, *, key: str) -> None:
    """Draw the log of the attempt that the person chose, the newest at first."""
    path = _attempt(row, key)
    if path is None:
        st.caption(_("There is no log yet: the job has not started."))
        return
    needle = st.text_input(
        _("Search the log"),
        key=f"{key}_needle",
        placeholder=_("Text to find; the newest lines first"),
        icon=":material/search:",
        max_chars=logs.NEEDLE_CHARS,
    )
    if needle:
        _found(path, needle, key)
    _page(path, row, key)
    _foot(path, row, key)


def attempts(row: JobRow) -> list[int]:
    """The attempts of ``row`` that left a log, newest first."""
    found = context.store().job_dir(row.id).glob("attempt-*.log")
    numbers = [path.stem.removeprefix("attempt-") for path in found]
    return sorted((int(n) for n in numbers if n.isdigit()), reverse=True)


def _attempt(row: JobRow, key: str) -> Path | None:
    numbers = attempts(row)
    if not numbers:
        return None
    chosen = numbers[0]
    if len(numbers) > 1:
        picked = st.selectbox(
            _("Attempt"),
            ["newest", *map(str, numbers[1:])],
            key=f"{key}_attempt",
            format_func=lambda n: _("{n} (newest)").format(n=numbers[0]) if n == "newest" else n,
            on_change=lambda: _forget(key),
            filter_mode=None,
            width=160,
        )
        chosen = int(picked) if picked and picked != "newest" else numbers[0]
    return context.store().job_dir(row.id) / f"attempt-{chosen}.log"


def _page(path: Path, row: JobRow, key: str) -> None:
    at = st.session_state.get(f"{key}_at")
    if at is None:
        page = logs.tail(path, lines=TAIL_LINES, limit=TAIL_BYTES)
    else:
        page = logs.after(path, at) if st.session_state.get(f"{key}_down", True) else logs.before(path, at)
    if at is None and row.live:
        what = _("The end of the log; it follows the job.")
    elif page.first and page.last:
        what = _("The whole log.")
    else:
        share = 100 * page.end / max(1, page.size)
        what = _("{start} to {end} of {size} ({share} %).").format(
            start=words.size(page.start), end=words.size(page.end), size=words.size(page.size), share=f"{share:.0f}"
        )
    st.caption(what)
    with st.container(height=420 if page.text else "content", autoscroll=at is None, key=f"{key}_lines"):
        if page.text:
            st.code(page.text, language=None, wrap_lines=True)
        else:
            st.caption(_("Nothing was printed yet.") if row.live else _("Nothing was printed."))
    go = partial(_go, key)
    with st.container(horizontal=True):
        st.button(
            _("Earlier"),
            key=f"{key}_earlier",
            icon=":material/arrow_upward:",
            disabled=page.first,
            on_click=go,
            args=(page.start, False),
        )
        st.button(
            _("Later"),
            key=f"{key}_later",
            icon=":material/arrow_downward:",
            disabled=page.last,
            on_click=go,
            args=(page.end, True),
        )
        st.button(
            _("To the end"),
            key=f"{key}_end",
            icon=":material/vertical_align_bottom:",
            disabled=at is None,
            on_click=_forget,
            args=(key,),
        )


def _found(path: Path, needle: str, key: str) -> None:
    """The hits of the search; it goes on from where it stopped when the person asks."""
    about, found = st.session_state.get(f"{key}_search") or (None, None)
    if about != (needle, str(path)) or found is None:
        found = logs.search(path, needle)
        st.session_state[f"{key}_search"] = ((needle, str(path)), found)
    count = ngettext("{n} line found", "{n} lines found", len(found.hits)).format(n=len(found.hits))
    if found.reached:
        count += " " + _("in the last {size} of {total}").format(
            size=words.size(found.size - found.reached), total=words.size(found.size)
        )
    with st.container(border=True, key=f"{key}_hits"):
        st.caption(count)
        if found.hits:
            lines = {hit.offset: hit.line for hit in found.hits}
            st.code("\n".join(reversed(lines.values())), language=None, wrap_lines=True, height=160)
            st.selectbox(
                _("Show the lines around"),
                list(lines),
                index=None,
                key=f"{key}_hit",
                format_func=lambda offset: lines.get(offset, str(offset))[:160],
                placeholder=_("Choose a line"),
                on_change=_to_hit,
                args=(path, key),
            )
        if found.reached:
            st.button(
                _("Search further back"),
                key=f"{key}_more",
                icon=":material/manage_search:",
                on_click=_further,
                args=(path, needle, key),
            )


def _to_hit(path: Path, key: str) -> None:
    offset = st.session_state.get(f"{key}_hit")
    if offset is not None:
        _go(key, logs.around(path, offset).start, True)


def _further(path: Path, needle: str, key: str) -> None:
    about, found = st.session_state[f"{key}_search"]
    older = logs.search(path, needle, end=found.reached)
    st.session_state[f"{key}_search"] = (about, logs.Found(found.hits + older.hits, older.reached, found.size))


def _foot(path: Path, row: JobRow, key: str) -> None:
    size = path.stat().st_size if path.exists() else 0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            _("Download log") if size <= DOWNLOAD_BYTES else _("Download the last 32 MiB"),
            data=partial(_download, path),
            file_name=f"job-{row.id}-{path.name}",
            mime="text/plain",
            key=f"{key}_download",
            icon=":material/download:",
            on_click="ignore",
            disabled=not size,
        )
        st.caption(_("{size} on the server:").format(size=words.size(size)), width="content")
        st.code(str(path), language=None, wrap_lines=True)


def _download(path: Path) -> bytes:
    """The raw end of the log; read when the person clicks, not when the page is drawn."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - DOWNLOAD_BYTES))
        return file.read(DOWNLOAD_BYTES)


def _go(key: str, at: int, down: bool) -> None:
    st.session_state[f"{key}_at"] = at
    st.session_state[f"{key}_down"] = down


def _forget(key: str) -> None:
    """Back to the end of the log."""
    for name in ("at", "down"):
        st.session_state.pop(f"{key}_{name}", None)
