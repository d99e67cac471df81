"""The table of a comparison: as HTML, for the page and for the shared file alike, and as CSV. All text in it is escaped.

Rows are runs. Every figure says below it where it comes from, or why there is none; how far it is from the first run stands
there, too. On a narrow screen rows become cards.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape

from backend.i18n import _
from backend.memory import figures
from backend.memory.compare import LETTERS, Comparison, Measured
from backend.memory.figures import FIGURES, GIB, GPU_FIGURES, MEMORY, Figure

# Okabe and Ito's palette (2008) without its yellow and black, which go under on white and on dark; two more after it. The
# last four lines are dashed: nothing is told by colour alone.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#8A8A8A")
DASHED_FROM = 4
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would compute instead of showing it."""

STYLE = """
.tdc{width:100%;border-collapse:collapse;font-size:.86rem;line-height:1.35}
.tdc th{text-align:left;font-weight:600;vertical-align:bottom;padding:.3rem .45rem;font-size:.8rem}
.tdc td,.tdc tbody th{vertical-align:top;padding:.45rem;font-size:.86rem}
.tdc tbody th{overflow-wrap:anywhere;min-width:7rem}
.tdc tr{border-bottom:1px solid color-mix(in srgb,currentColor 18%,transparent)}
.tdc .f{text-align:right}
.tdc td.f b{font-weight:600;white-space:nowrap}
.tdc small{display:block;font-weight:400;font-size:.76rem;opacity:.75;overflow-wrap:normal}
.tdc .n{opacity:.75}
.tdc i{display:inline-block;width:1.1em;height:0;border-top:.25em solid;vertical-align:middle;margin-right:.4em}
.tdc i.dash{border-top-style:dashed}
.tdw{overflow-x:auto;container-type:inline-size}
.tds{font-size:.8rem;opacity:.85;margin:.6rem 0 0}
.tds li{margin:.15rem 0}
@container (max-width:720px){
.tdc,.tdc tbody{display:block}
.tdc thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.tdc tr{display:block;border:1px solid color-mix(in srgb,currentColor 18%,transparent);border-radius:.5rem;padding:.5rem .6rem;margin-bottom:.6rem}
.tdc td{display:grid;grid-template-columns:45% 55%;padding:.15rem 0}
.tdc .f{text-align:left}
.tdc tbody th{display:block;padding:.15rem 0;font-size:.95rem}
.tdc td::before{content:attr(data-label);opacity:.75}
}
"""


def shown(comparison: Comparison) -> list[str]:
    """The figures that are worth a column: those of GPUs only where a run used one."""
    without = ("no_gpu", "no_samples", "job_deleted")
    gpus = any(row.figures[name].source not in without for row in comparison.rows for name in GPU_FIGURES)
    return [name for name in FIGURES if gpus or name not in GPU_FIGURES]


def table(comparison: Comparison) -> str:
    """The table as HTML, without its STYLE."""
    names = shown(comparison)
    heads = [_("Run"), _("Weights"), _("KV cache"), _("Batch"), _("Context")]
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    head += "".join(
        f'<th scope="col" class="f" title="{escape(_(figures.ABOUT.get(name, "")))}">{escape(_(figures.NAMES[name]))}</th>'
        for name in names
    )
    rows = "".join(_row(comparison, place, label, heads, names) for place, label in enumerate(comparison.labels()))
    body = f'<div class="tdw"><table class="tdc"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return body + _notes(comparison, names)


def _row(comparison: Comparison, place: int, label: str, heads: Sequence[str], names: Sequence[str]) -> str:
    measured = comparison.rows[place]
    run, first = measured.run, comparison.rows[0]
    mark = f'<i class="{"dash" if place >= DASHED_FROM else ""}" style="border-color:{COLOURS[place]}"></i>'
    known = (f"#{run.id}", run.setup.engine) if not run.deleted else (_("the job was deleted"),)
    name, about = f"{LETTERS[place]} {run.title}", " · ".join(filter(None, known))
    cells = f'<th scope="row" title="{escape(label)}">{mark}{escape(name)}<small>{escape(about)}</small></th>'
    setup = run.setup
    for name, said in zip(
        heads[1:], (setup.weights_word(), setup.cache_word(), setup.batch_word(), setup.context_word()), strict=True
    ):
        cells += f'<td data-label="{escape(name)}">{escape(said)}</td>'
    for name in names:
        figure = measured.figures[name]
        off = "" if place == 0 else figures.difference(name, first.figures[name], figure)
        cells += _cell(name, figure, off)
    return f"<tr>{cells}</tr>"


def _cell(name: str, figure: Figure, off: str) -> str:
    label, about = escape(_(figures.NAMES[name])), escape(figure.about())
    if figure.value is None:
        why = escape(_(figures.MISSING.get(figure.source, "")))
        return f'<td class="f" data-label="{label}" title="{about}"><span class="n">{escape(figure.tag())}<small>{why}</small></span></td>'
    value = escape(figures.text(name, figure.value))
    more = f"<small>{escape(off)}</small>" if off else ""
    return f'<td class="f" data-label="{label}" title="{about}"><span><b>{value}</b>{more}<small>{escape(figure.tag())}</small></span></td>'


def _notes(comparison: Comparison, names: Sequence[str]) -> str:
    """Where the figures come from, each way once: a phone has no hover."""
    lines = []
    for name in names:
        ways = list(
            dict.fromkeys(row.figures[name].about() for row in comparison.rows if row.figures[name].value is not None)
        )
        if ways:
            about, said = _(figures.ABOUT.get(name, "")), " / ".join(ways)
            text = _("{name} ({about}). {ways}") if about else _("{name}. {ways}")
            lines.append(text.format(name=_(figures.NAMES[name]), about=about, ways=said))
    if "gpu_peak" not in names:
        lines.append(_("None of these runs used a GPU that was recorded: all figures are of main memory."))
    lines.append(_("Differences are against the first run, {label}.").format(label=comparison.labels()[0]))
    return '<ul class="tds">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def to_csv(comparison: Comparison) -> str:
    """One row a run; sizes in GiB, times in seconds; beside every figure its source. Spreadsheets read it as UTF-8."""
    file = io.StringIO()
    out = csv.writer(file, lineterminator="\r\n")
    head = [
        "run",
        "job",
        "title",
        "kind",
        "engine",
        "weights",
        "kv_bits",
        "cache_share",
        "cache_gib",
        "batch",
        "context",
    ]
    for name in FIGURES:
        unit = "_gib" if name in MEMORY else "_s" if name == "load" else ""
        head += [f"{name}{unit}", f"{name}_source"]
    out.writerow([*head, "gpu_peak_difference_gib", "ram_peak_difference_gib"])
    for label, row in zip(comparison.labels(), comparison.rows, strict=True):
        out.writerow([_harmless(each) for each in _csv_row(comparison, label, row)])
    return "\ufeff" + file.getvalue()


def _csv_row(comparison: Comparison, label: str, row: Measured) -> list[str]:
    run, setup = row.run, row.run.setup
    numbers = (setup.kv_bits, setup.cache_share, setup.cache_gib, setup.batch or setup.batch_tokens, setup.context)
    found = [
        label,
        str(run.id),
        run.title,
        run.verb,
        setup.engine,
        setup.weights,
        *(f"{n:g}" if n else "" for n in numbers),
    ]
    for name in FIGURES:
        figure = row.figures[name]
        found += [_amount(name, figure.value), figure.about()]
    for name in ("gpu_peak", "ram_peak"):
        first, own = comparison.rows[0].figures[name].value, row.figures[name].value
        # Without an apostrophe in front: this one is a number, whatever its sign.
        found.append(f"{(own - first) / GIB:.3f}" if first is not None and own is not None else "")
    return found


def _amount(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value / GIB:.4f}" if name in MEMORY else f"{value:.2f}"


def _harmless(text: str) -> str:
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
