"""The report card of a model and its copies: what to use in one sentence, the figures, the plot, and their answers side by side."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from backend.errors import PanelError
from backend.i18n import N_, _, ngettext
from backend.quantize import report, report_table
from backend.quantize.report_records import Report
from backend.quantize.report_table import Entry, Table
from backend.queue.rows import JobRow
from ui import context, errors, words
from ui.quantize import answers as quantize_answers
from ui.quantize import pareto as quantize_pareto

LOOKS = {
    "same": ("green", ":material/verified:"),
    "little": ("orange", ":material/trending_down:"),
    "much": ("red", ":material/warning:"),
    "unknown": ("gray", ":material/help:"),
}
"""How a copy's verdict looks: colour of a state, icon; the words are in the sentence beside them."""
VERDICTS = {
    "same": N_("keeps the quality"),
    "little": N_("costs a little quality"),
    "much": N_("loses quality"),
    "unknown": N_("cannot be told"),
}


def draw(row: JobRow, found: Report | None = None) -> None:
    """Draw the report card that job ``row`` made, or makes; nothing where there is none yet. found: what was read of it already."""
    found = found or report.read(context.store().job_dir(row.id))
    if found is None:
        return
    key = f"report_card_{row.id}"
    with st.container(border=True, key=key, gap="small"):
        _sentence(row, found)
        if found.models:
            _verdicts(found)
            _table(found, key)
            quantize_pareto.draw(found, key=f"{key}_pareto")
            quantize_answers.draw(found, key)
            _files(found, key)


def _sentence(row: JobRow, found: Report) -> None:
    st.caption(_("Report card"))
    if found.problem is not None:
        message, hint = PanelError.from_dict(found.problem).localized()
        st.markdown("#### :gray[:material/help:] " + _("The report card could not be finished."))
        st.markdown(errors.plain(message))
        if hint:
            st.caption(errors.plain(hint))
        return
    if not found.complete:
        waiting = _("It is still being measured; what is known stands below.") if row.live else _("It was not finished: resume the job to go on.")  # fmt: skip
        st.markdown("#### :violet[:material/sync:] " + errors.plain(report.recommend(found)))
        st.caption(waiting)
        return
    st.markdown("#### :material/recommend: " + errors.plain(report.recommend(found)))
    for text in report.cautions(found):
        st.caption(":material/info: " + errors.plain(text))


def _verdicts(found: Report) -> None:
    """One badge a copy."""
    told = [(one.name, report.verdict(one)) for one in found.copies if one.cell("perplexity") is not None]
    if not told:
        return
    badges = []
    for name, verdict in told:
        colour, icon = LOOKS[verdict]
        badges.append(f"{errors.plain(name)} :{colour}-badge[{icon} {_(VERDICTS[verdict])}]")
    st.markdown(" · ".join(badges))


def _table(found: Report, key: str) -> None:
    shown = report_table.table(found)
    if not shown.lines:
        return
    heads = [_head(name, about) for name, about in zip(shown.heads, shown.abouts, strict=True)]
    texts = [[errors.plain(line.label), *map(_entry, line.entries)] for line in shown.lines]
    frame = pd.DataFrame(texts, columns=[_("Figure"), *_apart(heads)]).set_index(_("Figure"))
    st.table(frame, border="horizontal")
    for number, text in enumerate(shown.notes, 1):
        st.caption(f"[{number}] " + errors.plain(text))
    _about(found, shown, key)


def _head(name: str, about: str) -> str:
    return errors.plain(f"{name} ({about})" if about else name)


def _apart(heads: list[str]) -> list[str]:
    """A table wants its columns to differ."""
    return [f"{head}{' ' * heads[:at].count(head)}" for at, head in enumerate(heads)]


def _entry(one: Entry) -> str:
    text = errors.plain(one.value) if one.value == "–" else f"**{errors.plain(one.value)}**"
    if one.mark:
        text += f" :gray[{errors.plain(one.mark)}]"
    if one.note:
        text += f" :gray[\\[{one.note}\\]]"
    return text + (f"  \n:small[{errors.plain(one.small)}]" if one.small else "")


def _about(found: Report, shown: Table, key: str) -> None:
    fold = st.expander(
        _("What the figures mean"), icon=":material/help:", key=f"{key}_about", on_change="rerun", type="compact"
    )
    if not fold.open:
        return
    with fold:
        st.markdown("\n".join(f"- **{errors.plain(line.label)}**: {errors.plain(line.about)}" for line in shown.lines))
        st.caption(
            _(
                "In brackets: 95 % intervals, of rows drawn again and again (bootstrap) for perplexity and divergence, after "
                "Wilson for shares. After them: the difference from the base, with the interval of the same rows or questions "
                "in both."
            )
        )
        source = _("the bundled set in two languages")
        if found.dataset:
            source = _("dataset '{name}'").format(name=found.dataset)
        rows = ngettext("{n} row", "{n} rows", found.rows).format(n=f"{found.rows:,}")
        questions = ngettext("{n} question", "{n} questions", found.questions).format(n=f"{found.questions:,}")
        text = _("Measured {when}, in {time}, on {device}: {rows} ({tokens} tokens) and {questions} of {source}.")
        st.caption(
            errors.plain(
                text.format(
                    when=words.stamp(found.made),
                    time=words.duration(found.seconds),
                    device=found.device or "?",
                    rows=rows,
                    tokens=f"{found.tokens:,}",
                    questions=questions,
                    source=source,
                )
            )
        )


def _files(found: Report, key: str) -> None:
    stem = "report-card"
    with st.container(horizontal=True):
        st.download_button(
            _("Download as Markdown"),
            lambda: report_table.to_markdown(found),
            f"{stem}.md",
            "text/markdown",
            key=f"{key}_md",
            icon=":material/description:",
            on_click="ignore",
        )
        st.download_button(
            _("Download CSV"),
            lambda: report_table.to_csv(found),
            f"{stem}.csv",
            "text/csv",
            key=f"{key}_csv",
            icon=":material/table:",
            on_click="ignore",
        )
        if found.answers:
            st.download_button(
                _("Download answers"),
                lambda: report_table.answers_csv(found),
                f"{stem}-answers.csv",
                "text/csv",
                key=f"{key}_answers_csv",
                icon=":material/forum:",
                on_click="ignore",
            )
