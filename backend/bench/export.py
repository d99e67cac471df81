"""Measurements as a table to take along: Markdown, CSV, and one HTML file that fetches nothing. The page draws the same table.

One matrix, or several under one another: a benchmark of one server is a matrix of one row.

Text in it (names of models and set-ups) is escaped. No folder, host name or user is in it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from html import escape

from backend import i18n
from backend.bench import matrix, notices
from backend.bench.columns import KEYS, TITLES, UNITS
from backend.bench.matrix import Cell, Matrix, Row, State
from backend.errors import PanelError
from backend.i18n import N_, _, ngettext
from backend.memory.report import PAGE_STYLE
from backend.memory.report_table import FORMULA, STYLE
from backend.specs.bench import Size

GIB = 1 << 30
CLEAR = 1.05
"""What differs by less is the same: so much differs from run to run."""
STATES: dict[State, str] = {
    "waiting": N_("waiting"),
    "loading": N_("loading"),
    "measuring": N_("measuring"),
    "done": N_("done"),
    "cannot": N_("not on this machine"),
    "failed": N_("failed"),
}
OWN: dict[str, tuple[str, str]] = {
    "memory_peak": (N_("Peak memory"), "GiB"),
    "memory_steady": (N_("Steady memory"), "GiB"),
    "load": (N_("Load time"), "s"),
}
"""Figures of the set-up itself, which stand before those of the load."""
MAIN = (
    "memory_peak",
    "load",
    "first_token_latency_ave",
    "per_token_latency_50",
    "token_throughput_completion",
    "rps",
)
"""What is worth a column where there is no room for all."""
ALL = (*OWN, *KEYS)


def title(name: str) -> str:
    """How figure ``name`` is called, with its unit."""
    if name in OWN:
        return f"{_(OWN[name][0])} ({OWN[name][1]})"
    return f"{_(TITLES[name])} (s)" if UNITS[name] == "s" else _(TITLES[name])


def number(name: str, row: Row, cell: Cell | None) -> float | None:
    """Figure ``name`` of one size of a row; sizes in GiB, times in seconds. None: not known."""
    if name == "load":
        return row.load_s
    if cell is None or not cell.answered:
        return None
    if name in OWN:
        size = cell.peak if name == "memory_peak" else cell.steady
        return size / GIB if size else None
    return cell.columns.get(name)


def text(name: str, value: float | None) -> str:
    """``value`` as people read it."""
    if value is None:
        return "-"
    unit = OWN[name][1] if name in OWN else UNITS.get(name, "")
    if name in ("load", "elapsed_time"):
        return f"{value:,.1f}"
    if unit == "s":
        return f"{value:,.1f}" if value >= 10 else f"{value:.3f}"
    if unit == "GiB":
        return f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return (
        f"{value:,.0f}"
        if value >= 100 or float(value).is_integer()
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
    )


def size_words(size: Size) -> str:
    """``1 at once, 512 + 128 tokens``."""
    prompt = f"{size.input_tokens:,}" if size.input_tokens else "…"
    return _("{n} at once, {prompt} + {answer} tokens").format(
        n=size.batch, prompt=prompt, answer=f"{size.output_tokens:,}"
    )


def why(row: Row, cell: Cell | None = None) -> str:
    """Why there is no figure, or what is to be known of one; empty where all is well."""
    partial = cell is not None and cell.answered and not cell.complete
    stored = (cell.problem if cell is not None else {}) or (
        {} if cell and cell.answered and not partial else row.problem
    )
    parts = [_("partial: it ended before all requests were answered")] if partial else []
    if stored:
        parts += filter(None, PanelError.from_dict(stored).localized())
    if parts:
        return " ".join(parts)
    failed = sum(cell.errors.values()) if cell is not None else 0
    return ngettext("{n} request failed", "{n} requests failed", failed).format(n=failed) if failed else ""


def sentences(found: Matrix) -> list[str]:
    """What the table comes to: the fastest row with the smallest and the largest size, and the one that takes least memory.
    Nothing is said of two that are nearly the same."""
    told = []
    for place in dict.fromkeys((0, len(found.sizes) - 1)):
        rated = _ranked(found, partial(_rate, place))
        if len(rated) > 1 and rated[-1][0] > CLEAR * rated[-2][0]:
            value, label = rated[-1]
            line = _("Fastest with {size}: {label}, {rate} tokens/s.")
            told.append(line.format(size=size_words(found.sizes[place]), label=label, rate=text("rps", value)))
    held = _ranked(found, _most_memory)
    if len(held) > 1 and CLEAR * held[0][0] < held[1][0]:
        told.append(
            _("Least memory: {label}, {size} GiB.").format(label=held[0][1], size=text("memory_peak", held[0][0]))
        )
    return told


def _rate(place: int, row: Row) -> float | None:
    """Tokens/s with the size at ``place``, where it was measured to the end."""
    cell = row.cells[place]
    return number("token_throughput_completion", row, cell) if cell and cell.complete else None


def _most_memory(row: Row) -> float | None:
    """GiB, once all its sizes are measured: the largest comes last."""
    sizes = [number("memory_peak", row, cell) for cell in row.cells]
    return max((size for size in sizes if size), default=None) if row.state == "done" else None


def notes(tables: Sequence[Matrix]) -> list[str]:
    """What is to be known to read the figures rightly, each once."""
    codes = (code for _row, _size, cell in _each(tables) if cell and cell.answered for code in cell.notices)
    return notices.sentences(dict.fromkeys(codes))


def _machine(stored: str) -> str:
    """:attr:`Matrix.machine` for people."""
    cores = stored.removeprefix(matrix.CPU)
    if cores == stored or not cores.isdigit():
        return stored
    return ngettext("a processor with {n} core", "a processor with {n} cores", int(cores)).format(n=cores)


def _ranked(found: Matrix, value: Callable[[Row], float | None]) -> list[tuple[float, str]]:
    """(value, label) of the rows that have one, the smallest first."""
    return sorted((known, row.label) for row in found.rows if (known := value(row)))


def table(tables: Sequence[Matrix], names: Sequence[str] = ALL) -> str:
    """The table as HTML, without its STYLE. A row of it is one size of one set-up; on a narrow screen rows become cards.
    Figures of the set-up itself that nobody measured have no column."""
    told = {name for name in OWN for row, _size, cell in _each(tables) if number(name, row, cell) is not None}
    names = [name for name in names if name not in OWN or name in told]
    heads = f'<th scope="col">{escape(_("Set-up"))}</th>' + "".join(
        f'<th scope="col" class="f">{escape(title(name))}</th>' for name in names
    )
    body = "".join(_rows(found, row, names) for found in tables for row in found.rows)
    return f'<div class="tdw"><table class="tdc"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _rows(found: Matrix, row: Row, names: Sequence[str]) -> str:
    if not any(cell and cell.answered for cell in row.cells):
        told = f"<b>{escape(_(STATES[row.state]))}</b><small>{escape(why(row))}</small>"
        return f'<tr><th scope="row">{escape(row.label)}</th><td class="w" colspan="{len(names)}">{told}</td></tr>'
    due = next((place for place, cell in enumerate(row.cells) if cell is None), None)
    return "".join(
        _line(row, size, cell, names, row.state if place == due else "waiting")
        for place, (size, cell) in enumerate(zip(found.sizes, row.cells, strict=True))
    )


def _line(row: Row, size: Size, cell: Cell | None, names: Sequence[str], state: State) -> str:
    note = why(row, cell) if cell is not None or row.state in ("cannot", "failed") else _(STATES[state])
    small = " · ".join(filter(None, (size_words(size), note)))
    cells = f'<th scope="row">{escape(row.label)}<small>{escape(small)}</small></th>'
    for name in names:
        value = escape(text(name, number(name, row, cell)))
        cells += f'<td class="f" data-label="{escape(title(name))}"><b>{value}</b></td>'
    return f"<tr>{cells}</tr>"


def facts(tables: Sequence[Matrix]) -> str:
    """Where the figures come from, in one line."""
    rows = [row for found in tables for row in found.rows]
    began = max(found.began for found in tables)
    taken = max((cell.measured for row in rows for cell in row.cells if cell), default=began)
    when = datetime.fromtimestamp(taken).astimezone().strftime("%Y-%m-%d %H:%M")
    machines = ", ".join(dict.fromkeys(_machine(found.machine) for found in tables if found.machine))
    told = (
        _("Measured by TuneDeck on {machine}, {time}.").format(machine=machines, time=when)
        if machines
        else _("Measured by TuneDeck, {time}.").format(time=when)
    )
    if not any(cell and cell.peak for row in rows for cell in row.cells):
        return told
    place = _("GPU memory") if any(row.on_gpu for row in rows) else _("Main memory")
    return f"{told} " + _("Memory: {place} of the server and all its processes.").format(place=place)


def to_markdown(tables: Sequence[Matrix]) -> str:
    """A table for notes and issues, reasons below it."""
    lines = [f"# {heading(tables)}", "", facts(tables), ""]
    lines += [_cells([_("Set-up"), _("Size"), *map(title, ALL)]), _cells(["---", "---", *("---:" for _n in ALL)])]
    reasons = []
    for row, size, cell in _each(tables):
        figures = (text(name, number(name, row, cell)) for name in ALL)
        lines.append(_cells([row.label, size_words(size), *figures]))
        note = why(row, cell)
        if note:
            reasons.append(f"- {row.label}, {size_words(size)}: {note}" if cell else f"- {row.label}: {note}")
    told = [f"- {line}" for line in (*(line for found in tables for line in sentences(found)), *notes(tables))]
    return "\n".join([*lines, "", *told, *dict.fromkeys(reasons)]).rstrip() + "\n"


def to_csv(tables: Sequence[Matrix]) -> str:
    """One row a size of a set-up; figures under the names that JSON has them by. Spreadsheets read it as UTF-8."""
    file = io.StringIO()
    out = csv.writer(file, lineterminator="\r\n")
    own = [f"{name}_{unit.lower()}" for name, (_title, unit) in OWN.items()]
    out.writerow(["setup", "engine", "state", "batch", "input_tokens", "output_tokens", *own, *KEYS, "note"])
    for row, size, cell in _each(tables):
        figures = ["" if (v := number(name, row, cell)) is None else f"{v:.6g}" for name in ALL]
        place = [size.batch, size.input_tokens, size.output_tokens]
        out.writerow([_harmless(row.label), row.engine, row.state, *place, *figures, _harmless(why(row, cell))])
    return "\ufeff" + file.getvalue()


def to_html(tables: Sequence[Matrix]) -> str:
    """The whole file, in the language of who asks."""
    lines = [facts(tables), *(line for found in tables for line in sentences(found)), *notes(tables)]
    told = "".join(f"<p>{escape(line)}</p>" for line in lines)
    language = i18n.current().replace("_", "-")
    name = escape(heading(tables))
    # The policy makes the promise hold whatever a name contains.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{PAGE_STYLE}{STYLE}</style></head><body>"
        f"<h1>{name}</h1>{told}{table(tables)}</body></html>\n"
    )


def files(tables: Sequence[Matrix]) -> dict[str, str]:
    """Ending of the file -> what is in it."""
    return {"md": to_markdown(tables), "csv": to_csv(tables), "html": to_html(tables)}


def heading(tables: Sequence[Matrix]) -> str:
    """What the table is called: its preset, else its first rows."""
    from backend.bench.presets import PRESETS  # which knows the matrix, too

    names = {found.preset for found in tables}
    if len(names) == 1 and (preset := PRESETS.get(names.pop())) is not None:
        return _(preset.title)
    return ", ".join(dict.fromkeys(row.label for found in tables for row in found.rows[:3]))


def _each(tables: Sequence[Matrix]) -> Iterator[tuple[Row, Size, Cell | None]]:
    for found in tables:
        for row in found.rows:
            for size, cell in zip(found.sizes, row.cells, strict=True):
                yield row, size, cell


def _cells(texts: Sequence[str]) -> str:
    return "| " + " | ".join(each.replace("|", "\\|").replace("\n", " ") for each in texts) + " |"


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(FORMULA) else value
