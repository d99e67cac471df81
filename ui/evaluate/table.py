"""The scores of one run as OpenCompass lays them out, dataset, version, metric, mode, score, and beside them what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from backend.errors import PanelError
from backend.evaluate.records import Score, Tally
from backend.i18n import _
from backend.memory.report_table import STYLE
from ui.evaluate import figures as evaluate_figures

MORE_STYLE = (
    ".tdc tr.g th,.tdc tr.g td{background:color-mix(in srgb,currentColor 6%,transparent)}"
    ".tdc td.f{font-variant-numeric:tabular-nums}.tdc tbody th{font-weight:400}.tdc tr.g th{font-weight:600}"
    ".tdc td.w{max-width:17rem}@container (max-width:720px){.tdc td.e{display:none}.tdc td.w{max-width:none}}"
)


def html(rows: Sequence[Score], tallies: Mapping[str, Tally]) -> str:
    """The table with its style; all text in it is escaped. tallies: by subject, empty where nobody counted answers."""
    texts = {_("Version"): "version", _("Metric"): "metric", _("Mode"): "mode"}
    if not any(score.version for score in rows):  # only OpenCompass and lm-eval number their prompts
        del texts[_("Version")]
    figures = [_("Questions")] if any(_asked(score, tallies) for score in rows) else []
    figures += [_("Right"), _("Not extracted")] if tallies else []
    figures += [_("Not answered")] if any(tally.failed for tally in tallies.values()) else []
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (_("Dataset"), *texts))
    head += "".join(f'<th scope="col" class="f">{escape(name)}</th>' for name in (*figures, _("Score")))
    body = "".join(_row(score, tallies, texts, figures) for score in rows)
    table = f'<div class="tdw"><table class="tdc"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<style>{STYLE}{MORE_STYLE}</style>{table}"


def _row(score: Score, tallies: Mapping[str, Tally], texts: Mapping[str, str], figures: Sequence[str]) -> str:
    tally = tallies.get(score.subject)
    cells = f'<th scope="row">{escape(score.subject)}</th>'
    for label, name in texts.items():
        cells += f'<td data-label="{escape(label)}">{escape(getattr(score, name) or "-")}</td>'
    counted = (tally.right, tally.unread, tally.failed) if tally else (None, None, None)
    for label, value in zip(figures, (_asked(score, tallies), *counted), strict=False):
        cells += _figure(label, "" if value is None else f"{value:,}")
    cells += _score(_("Score"), score, tally)
    return f"<tr{' class=g' if score.group else ''}>{cells}</tr>"


def _asked(score: Score, tallies: Mapping[str, Tally]) -> int | None:
    """How many questions the score rests on; None where nobody knows."""
    tally = tallies.get(score.subject)
    return tally.counted if tally and tally.counted else score.n


def _figure(label: str, text: str) -> str:
    empty = "" if text else " e"
    return f'<td class="f{empty}" data-label="{escape(label)}">{escape(text)}</td>'


def _score(label: str, score: Score, tally: Tally | None) -> str:
    if score.value is None:
        why = PanelError.from_dict(score.cause).localized()[0] if score.cause else _("not yet")
        return f'<td class="f w" data-label="{escape(label)}"><span><b>–</b><small>{escape(why)}</small></span></td>'
    interval = _interval(score, tally)
    small = f"<small>{interval[0]:.1f}–{interval[1]:.1f}</small>" if interval else ""
    return f'<td class="f" data-label="{escape(label)}"><span><b>{score.value:.2f}</b>{small}</span></td>'


def _interval(score: Score, tally: Tally | None) -> tuple[float, float] | None:
    """Of a share of questions; an average over subjects has none that is as simple."""
    if score.group or score.metric != "accuracy":
        return None
    if tally is not None and tally.counted:
        return evaluate_figures.wilson_percent(tally.right, tally.counted)
    if score.n and score.value is not None:
        return evaluate_figures.wilson_percent(round(score.value * score.n / 100), score.n)
    return None
