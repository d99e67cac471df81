"""Every program that the memory's panels are made of: who, what, whose job, how much, and where the figure is from."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from backend.i18n import _
from backend.memory.sample import HOST, Sample
from backend.queue.rows import JobRow
from ui.memory import words as memory_words

STYLE = """<style>
.mem-table { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
.mem-table th, .mem-table td { text-align: left; padding: 0.3rem 0.6rem 0.3rem 0; overflow-wrap: anywhere;
  border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
.mem-table th { font-weight: 600; }
.mem-table td:nth-child(2) { white-space: nowrap; font-variant-numeric: tabular-nums; }
.mem-table a { color: inherit; }
@media (max-width: 30rem) {
  .mem-table tr:first-child, .mem-table td:empty { display: none; }
  .mem-table tr { display: block; padding: 0.4rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
  .mem-table td { display: inline; border: 0; padding: 0 0.7rem 0 0; }
}
</style>"""


@dataclass(frozen=True, slots=True)
class Line:
    """A row. place, source: as they read. size: bytes."""

    place: str
    user: str
    command: str
    job: int | None
    size: int | None
    source: str


def draw(sample: Sample, titles: Mapping[int, str], rows: Mapping[int, JobRow]) -> None:
    """Draw the table, folded: it is sent only while it is open."""
    count = len({process.pid for device in sample.devices for process in device.processes if process.job is None})
    jobs = len({use.job for use in sample.jobs})
    if not count and not jobs:
        return
    label = _("All programs: jobs {jobs}, others {others}") if count else _("All programs: jobs {jobs}")
    more = st.expander(
        label.format(jobs=jobs, others=count), icon=":material/list:", key="memory_programs", on_change="rerun"
    )
    if more.open:
        with more:
            _written(lines(sample, rows), titles)
            named = {use.source for use in sample.jobs} | ({"driver"} if count else set())
            st.caption(memory_words.sources_help(named))


def lines(sample: Sample, rows: Mapping[int, JobRow]) -> list[Line]:
    """All rows, the largest first: programs on GPUs, then what jobs take where no program of theirs is told."""
    found: list[Line] = []
    told: set[tuple[str, int | None]] = set()
    for device in sample.devices:
        place = memory_words.place(device.uuid, sample.devices)
        for process in device.processes:
            known = process.size is not None
            source = memory_words.source("driver") if known else memory_words.not_told(device.hidden)
            found.append(Line(place, process.user, process.command, process.job, process.size, source))
            told |= {(device.uuid, process.job)} if known else set()
    for use in sample.jobs:
        if (use.place, use.job) not in told:
            owner = rows[use.job].owner if use.job in rows else ""
            place = memory_words.place(use.place, sample.devices)
            found.append(Line(place, owner, "", use.job, use.size, memory_words.source(use.source)))
    return sorted(found, key=lambda line: (line.place == memory_words.place(HOST, ()), -(line.size or 0)))


def _written(found: list[Line], titles: Mapping[int, str]) -> None:
    """As HTML of our own: on a phone each row becomes a card, where a table of Markdown would make the page wider."""
    heads = (_("Where"), _("Memory"), _("Who"), _("Program"), _("Job"), _("Where the figure is from"))
    table = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    for line in found:
        name = html.escape(f"#{line.job} {titles.get(line.job, '')}" if line.job is not None else "")
        link = f'<a href="/jobs?job={line.job}" target="_blank" rel="noopener">{name}</a>' if name else ""
        size = memory_words.size(line.size) if line.size is not None else _("unknown")
        cells = [*map(html.escape, (line.place, size, line.user, line.command)), link, html.escape(line.source)]
        table += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    st.html(f'{STYLE}<table class="mem-table">{table}</table>')
