"""How long the rows of a version are in tokens: the chart, the share that is cut off, and the rows that are too long."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.data.tokens import TokenModel, histogram
from backend.data.tokens.lengths import Lengths, Share, bins, quantiles, truncated
from backend.data.versions import Version
from backend.i18n import _, ngettext
from ui import charts, errors
from ui.datasets import change as datasets_change
from ui.datasets import jobs as datasets_jobs
from ui.datasets import state as datasets_state

SHOWN = 12
VERB = "count_tokens"


def draw(version: Version, model: TokenModel, name: str, cutoff: int) -> None:
    """Draw what is known of the lengths; from a sample at once, from all rows where they were counted."""
    found = known(version, model)
    counts = found.of()
    share = truncated(found, cutoff)
    about = dict(zip(("median", "most"), quantiles(found, (0.5, 0.99)), strict=False))
    columns = st.columns(4)
    columns[0].metric(
        _("Cut off"), _percent(share.share), help=_("Rows with more than {n} tokens.").format(n=f"{cutoff:,}")
    )
    if about:
        columns[1].metric(_("Half of the rows"), f"≤ {about['median'].tokens:,}", help=_range(found, about["median"]))
        columns[2].metric(_("99 % of the rows"), f"≤ {about['most'].tokens:,}", help=_range(found, about["most"]))
    columns[3].metric(_("Longest") if found.exact else _("Longest seen"), f"{max(counts, default=0):,}")
    st.markdown(_said(found, share, cutoff))
    if found.refused:
        _refused(version, found)
    if counts:
        _chart(found, cutoff)
        _too_long(version, found, share, cutoff)
    _count_all(version, name, found)


@st.cache_data(show_spinner=False, max_entries=16, ttl="1h")
def _sample(folder: str, fingerprint: str, _version: Version, _model: TokenModel) -> dict[str, Any]:
    return histogram.sample(_model, _version).to_dict()


def known(version: Version, model: TokenModel) -> Lengths:
    """The counts of all rows where there are some, else of a sample."""
    whole = histogram.read(model, version)
    if whole is not None:
        return whole
    with st.spinner(_("Counting tokens…")):
        return Lengths.from_dict(_sample(str(version.folder), model.fingerprint, version, model))


def _percent(share: float) -> str:
    """``0 %``, ``0.05 %``, ``12.3 %``: what is not nothing never reads as nothing."""
    value = share * 100
    return f"{value:.3g} %" if 0 < value < 10 else f"{value:.1f} %".replace(".0 %", " %")


def _range(found: Lengths, one: Any) -> str | None:
    if found.exact:
        return None
    return _("In all rows it is between {low} and {high}, 95 times of 100.").format(
        low=f"{one.low:,}", high=f"{one.high:,}"
    )


def _said(found: Lengths, share: Share, cutoff: int) -> str:
    if found.exact:
        text = ngettext(
            "**{n}** row of {total} is longer than {cutoff} tokens. All rows were counted.",
            "**{n}** rows of {total} are longer than {cutoff} tokens. All rows were counted.",
            share.rows,
        )
        return text.format(n=f"{share.rows:,}", total=f"{found.total:,}", cutoff=f"{cutoff:,}")
    return _(
        "About **{n}** rows of {total} are longer than {cutoff} tokens; {low} to {high} rows, 95 times of 100. Told from a "
        "sample of {sample} rows."
    ).format(
        n=f"{share.rows:,}",
        total=f"{found.total:,}",
        cutoff=f"{cutoff:,}",
        low=f"{share.low * found.total:,.0f}",
        high=f"{share.high * found.total:,.0f}",
        sample=f"{found.counted:,}",
    )


def _refused(version: Version, found: Lengths) -> None:
    text = ngettext(
        "The chat template refuses {n} row: it cannot be learned as it is.",
        "The chat template refuses {n} rows: they cannot be learned as they are.",
        found.refused,
    )
    st.markdown(":orange[:material/warning:] " + text.format(n=f"{found.refused:,}"))
    for place, why in found.failed[:3]:
        st.caption(errors.plain(_("Row {number}: {problem}").format(number=f"{place:,}", problem=why)))
    _row_buttons(version, [(number, "") for number, _why in found.failed[:SHOWN]], "refused")


def _chart(found: Lengths, cutoff: int) -> None:
    width, rows = bins(found.of())
    scale = 1.0 if found.exact else found.total / max(1, found.counted)
    end = width * len(rows)
    corners = [[(place + side) * width, round(count * scale)] for place, count in enumerate(rows) for side in (0, 1)]
    # A bin is cut off where it begins beyond the limit; the line stands at the limit itself.
    beyond = next((place for place in range(len(rows)) if place * width > cutoff), len(rows))
    # A limit far beyond all rows would press them into a corner.
    shown = cutoff <= 1.5 * end
    limit = {
        "symbol": "none",
        "animation": False,
        "lineStyle": {"type": "dashed", "width": 2, "color": charts.PALETTE[1]},
        "label": {"formatter": _("cut-off {n}").format(n=f"{cutoff:,}"), "color": charts.PALETTE[1]},
        "data": [{"xAxis": cutoff}] if shown else [],
    }
    st.echarts_chart(
        {
            "animation": False,
            "grid": {"left": 8, "right": 32, "top": 50, "bottom": 28, "containLabel": True},
            "tooltip": {"trigger": "axis"},
            "xAxis": {
                "type": "value",
                "name": _("tokens of a row"),
                "nameLocation": "middle",
                "nameGap": 26,
                "min": 0,
                "max": max(end, cutoff) if shown else end,
                "splitLine": {"show": False},
                "axisLabel": {"hideOverlap": True},
            },
            "yAxis": {
                "type": "value",
                "name": _("rows") if found.exact else _("rows, about"),
                "nameTextStyle": {"align": "left"},
                "nameGap": 26,
                "minInterval": 1,
            },
            "series": [
                _steps(_("fits"), corners[: 2 * beyond], charts.PALETTE[0], "solid") | {"markLine": limit},
                _steps(_("cut off"), corners[2 * beyond :], charts.PALETTE[1], "dotted"),
            ],
        },
        height=260,
        key="tokens_chart",
        alt=_("How many rows have how many tokens; {share} have more than {cutoff}").format(
            share=_percent(truncated(found, cutoff).share), cutoff=f"{cutoff:,}"
        ),
    )


def _steps(name: str, corners: list[list[int]], colour: str, line: str) -> dict[str, Any]:
    return {
        "type": "line",
        "name": name,
        "data": corners,
        "showSymbol": False,
        "lineStyle": {"width": 1.5, "type": line},
        "areaStyle": {"opacity": 0.35},
        "itemStyle": {"color": colour},
    }


def _too_long(version: Version, found: Lengths, share: Share, cutoff: int) -> None:
    longest = found.too_long(cutoff)
    if not longest:
        return
    st.markdown("**" + _("The longest rows") + "**")
    _row_buttons(version, [(number, f"{tokens:,}") for number, tokens in longest[:SHOWN]], "long")
    more = max(len(longest), share.rows if found.exact else 0) - SHOWN
    if more > 0:
        st.caption(_("and {n} more").format(n=f"{more:,}"))
    if found.exact and share.rows == len(longest) < found.total:
        numbers = sorted(number for number, _tokens in longest)
        label = ngettext("Take {n} row out", "Take {n} rows out", len(numbers))
        st.button(
            label.format(n=f"{len(numbers):,}"),
            key="tokens_take_out",
            icon=":material/content_cut:",
            help=_(
                "What is cut off is never learned. This makes a new version without these rows; this one stays as it is."
            ),
            on_click=_take_out,
            args=(version, numbers),
        )


def _take_out(version: Version, numbers: list[int]) -> None:
    """Callback: a new version without these rows."""
    step = {"do": "drop", "rows": numbers}
    datasets_change.run(version, [step], _("Version {version} is without the rows that were too long."))


def _row_buttons(version: Version, rows: list[tuple[int, str]], key: str) -> None:
    with st.container(horizontal=True, gap="small", key=f"tokens_rows_{key}"):
        for number, tokens in rows:
            name = _("Row {n}").format(n=f"{number:,}")
            st.button(
                f"{name} · {tokens}" if tokens else name,
                key=f"tokens_row_{key}_{number}",
                on_click=_open,
                args=(number,),
                help=_("Look at it token by token"),
            )


def _open(number: int) -> None:
    """Callback: show that row token by token."""
    st.query_params[datasets_state.ROW] = str(number)
    st.query_params["look"] = "mask"


def _count_all(version: Version, name: str, found: Lengths) -> None:
    """The way to exact counts, and the job that makes them."""
    datasets_jobs.draw((VERB,), version.dataset, "tokens_job", ended=False)
    failed = [row for row in datasets_jobs.recent((VERB,), version.dataset) if row.state in ("failed", "lost")]
    if found.exact or datasets_jobs.of((VERB,), version.dataset):
        return
    if failed:
        datasets_jobs.draw((VERB,), version.dataset, "tokens_job_ended")
    st.button(
        _("Count all rows"),
        key="tokens_count_all",
        icon=":material/tag:",
        help=_("As a job: it goes on when you leave the page."),
        on_click=_submit,
        args=(version.dataset, version.info.id, name),
    )


def _submit(dataset: str, version: str, model: str) -> None:
    """Callback: make the job."""
    with datasets_state.problems():
        datasets_jobs.submit(VERB, {"dataset": dataset, "version": version, "model": model}, dataset)
