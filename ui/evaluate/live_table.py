"""The table of a running evaluation: each subject with how far it is, what came, and the accuracy so far. Plain HTML: it is redrawn often."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backend.evaluate.records import Outcome, Tally
from backend.i18n import _
from ui.evaluate import figures as evaluate_figures
from ui.evaluate import look as evaluate_look

COLOURS: dict[Outcome, str] = {"right": "#009E73", "wrong": "#8A8A8A", "unread": "#E69F00", "failed": "#D55E00"}
"""Okabe and Ito's; each is told by its place, its words on hover and the figures beside it as well."""
STYLE = """
.tde{container-type:inline-size;max-height:30rem;overflow-y:auto}
.tde table{width:100%;border-collapse:collapse;font-size:.88rem;line-height:1.35}
.tde th{text-align:left;font-weight:600;font-size:.8rem;padding:.3rem .5rem}
.tde td,.tde tbody th{padding:.3rem .5rem;vertical-align:middle}
.tde tbody th{font-weight:400;overflow-wrap:anywhere;font-size:.88rem}
.tde tr{border-bottom:1px solid color-mix(in srgb,currentColor 14%,transparent)}
.tde .f{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.tde small{opacity:.75;font-size:.78rem;white-space:nowrap}
.tde .b{display:flex;height:.5rem;min-width:7rem;border-radius:.25rem;overflow:hidden;background:color-mix(in srgb,currentColor 12%,transparent)}
.tde .b i{display:block;height:100%}
.tde .k{display:flex;flex-wrap:wrap;gap:.2rem .9rem;font-size:.78rem;opacity:.85;padding:.4rem .5rem 0}
.tde .k i{display:inline-block;width:.7em;height:.7em;border-radius:.15em;margin-right:.35em}
@container (max-width:560px){
.tde table,.tde tbody{display:block}
.tde thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.tde tr{display:grid;grid-template-columns:1fr auto;gap:.1rem .6rem;padding:.35rem 0}
.tde td,.tde tbody th{display:block;padding:0 .2rem}
.tde .w{order:3;align-self:center}
.tde .l{order:4}
}
"""


def table(tallies: Sequence[Tally]) -> str:
    """The table, with its style."""
    head = "".join(
        f'<th scope="col"{cls}>{escape(text)}</th>'
        for text, cls in (
            (_("Subject"), ""),
            (_("Asked"), ' class="w"'),
            ("", ' class="f"'),
            (_("Accuracy so far"), ' class="f"'),
        )
    )
    rows = "".join(map(_row, tallies))
    return f'<style>{STYLE}</style><div class="tde" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{_key()}</div>'


def _row(tally: Tally) -> str:
    shares = _counts(tally)
    said = ", ".join(f"{count:,} {evaluate_look.OUTCOMES[name].word}" for name, count in shares.items() if count)
    bars = "".join(
        f'<i style="width:{100 * count / tally.planned:.2f}%;background:{COLOURS[name]}"></i>'
        for name, count in shares.items()
        if count and tally.planned
    )
    asked = f"{tally.asked:,}&thinsp;/&thinsp;{tally.planned:,}"
    label = escape(said or _("nothing yet"), quote=True)
    bar = f'<div class="b" role="img" title="{label}" aria-label="{label}">{bars}</div>'
    return (
        f'<tr><th scope="row">{escape(tally.subject)}</th><td class="w">{bar}</td><td class="f">{asked}</td>'
        f'<td class="f l">{_accuracy(tally)}</td></tr>'
    )


def _accuracy(tally: Tally) -> str:
    band = evaluate_figures.wilson_percent(tally.right, tally.counted)
    if band is None:
        return f"<small>{escape(_('waits') if not tally.asked else _('none counts'))}</small>"
    return f"{100 * tally.right / tally.counted:.0f} % <small>{band[0]:.0f}–{band[1]:.0f}</small>"


def _counts(tally: Tally) -> dict[Outcome, int]:
    return {"right": tally.right, "wrong": tally.wrong, "unread": tally.unread, "failed": tally.failed}


def _key() -> str:
    parts = "".join(
        f'<span><i style="background:{colour}"></i>{escape(evaluate_look.OUTCOMES[name].word)}</span>'
        for name, colour in COLOURS.items()
    )
    return f'<div class="k">{parts}</div>'
