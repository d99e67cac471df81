"""A comparison as one HTML file that needs nothing else: no script, no address outside of it, light and dark.

Whoever gets it sees what was measured, not where: no folder, no host name, no user is in it.
"""

from __future__ import annotations

from datetime import datetime
from html import escape

from backend import i18n
from backend.i18n import _
from backend.memory import figures
from backend.memory.compare import Comparison
from backend.memory.report_chart import chart
from backend.memory.report_table import STYLE, table

PAGE_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b2223;--grid:#d8dfdf}
@media (prefers-color-scheme:dark){:root{--paper:#14191a;--ink:#e4eaea;--grid:#374344}}
body{margin:0 auto;padding:1.5rem;max-width:1200px;background:var(--paper);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
h1{font-size:1.5rem;margin:0 0 .25rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:1.2rem 0 .3rem}
p{margin:.2rem 0;opacity:.85}.c{overflow-x:auto}
svg{display:block;max-width:none}svg text{font-size:12px;fill:var(--ink);opacity:.9}
svg .g{stroke:var(--grid);stroke-width:1}svg .e{font-weight:600;opacity:1}
svg .h{opacity:0}svg .h circle:hover{opacity:1}svg .h:hover{opacity:.9}svg .h:hover circle:not(:hover){opacity:0}
@media print{body{padding:0}}
"""


def to_html(comparison: Comparison) -> str:
    """The whole file, in the language of who asks."""
    title = comparison.name or _("Memory of {n} runs").format(n=len(comparison.rows))
    taken = datetime.fromtimestamp(comparison.taken).astimezone().strftime("%Y-%m-%d %H:%M")
    facts = [_("Measured by TuneDeck; put together {time}.").format(time=taken)]
    cards = [f"{name} ({figures.gib(total)})" if total else name for name, total in comparison.devices if name]
    if cards:
        facts.append(_("GPUs: {names}.").format(names=", ".join(cards)))
    charts = [(_("GPU memory"), chart(comparison, "gpu")), (_("Main memory"), chart(comparison, "host"))]
    body = "".join(f'<h2>{escape(name)}</h2><div class="c">{drawn}</div>' for name, drawn in charts if drawn)
    if not body:
        body = f"<p>{escape(_('No memory was recorded of these runs, so there is no chart.'))}</p>"
    language = i18n.current().replace("_", "-")
    # The policy makes the promise hold whatever a name contains.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{PAGE_STYLE}{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><p>{escape(' '.join(facts))}</p>{body}{table(comparison)}</body></html>\n"
    )
