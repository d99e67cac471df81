"""Write the parts of docs/troubleshooting.md that the program knows itself: `python scripts/troubleshooting.py [--check]`.

Two parts, each between its marks: the list of the page's sections at its head, and what logs say when something failed, row by row from
the table with which the panel explains them (``backend/diagnosis``). All other text is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from backend import diagnosis  # noqa: E402  (the checkout is on the path only now)
from backend.diagnosis.row import Fix, Row  # noqa: E402

PAGE = ROOT / "docs" / "troubleshooting.md"
INDEX = ("<!-- index: written by scripts/troubleshooting.py -->\n", "<!-- end of index -->")
TABLE = ("<!-- diagnosis: written by scripts/troubleshooting.py -->\n", "<!-- end of diagnosis -->")
HEAD = "| what the log says | code | cause | fix |\n|---|---|---|---|\n"
LIST = "<br>"
TITLES = {
    "rows_memory": "GPU memory, main memory, disks",
    "rows_gpu": "Driver, CUDA and GPUs",
    "rows_system": "Ports, rights, files, commands, signals",
    "rows_install": "Installing packages",
    "rows_packages": "Packages that do not fit",
    "rows_hub": "Hubs and other servers",
    "rows_models": "Model folders",
    "rows_formats": "Tokenizers, templates, quantized formats, adapters",
    "rows_training": "Training itself",
    "rows_engines": "What only one engine says",
}
"""Of the modules of rows; one that is not named here stands under the first line of its docstring."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when the page is not true")
    check = parser.parse_args().check
    old = PAGE.read_text(encoding="utf-8")
    new = written(old)
    if check and new != old:
        print("docs/troubleshooting.md is not true any more: run python scripts/troubleshooting.py")
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    return 1 if check and new != old else 0


def written(page: str) -> str:
    """``page`` with both parts as the program has them now."""
    with_table = between(page, TABLE, tables())
    return between(with_table, INDEX, index(with_table))


def by_hand(page: str) -> str:
    """``page`` without what is written here."""
    return between(between(page, TABLE, ""), INDEX, "")


def between(page: str, marks: tuple[str, str], text: str) -> str:
    """``page`` with ``text`` between the two marks."""
    begin, end = marks
    before, rest = page.split(begin)
    return f"{before}{begin}{text}{end}{rest.split(end)[1]}"


def index(page: str) -> str:
    """A line for each section with links to its parts, in the order of the page."""
    lines: list[str] = []
    for level, title in re.findall(r"^(##|###) (.+)$", page, re.MULTILINE):
        link = f"[{title}](#{anchor(title)})"
        if level == "##":
            lines.append(f"- {link}")
        else:
            lines[-1] += (": " if lines[-1].endswith(")") and lines[-1].count("](#") == 1 else ", ") + link
    return "\n".join(lines) + "\n"


def anchor(title: str) -> str:
    """What follows the # in a link to the heading ``title``, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")


def tables() -> str:
    """A table for each module of rows, under what the module says that it is about."""
    parts = []
    for module in modules():
        rows = "".join(f"{line(row)}\n" for row in module.ROWS)
        parts.append(f"\n### {title(module)}\n\n{HEAD}{rows}")
    return "".join(parts) + "\n"


def modules() -> list[ModuleType]:
    """The modules whose rows the panel uses, in its order."""
    found = {id(module.ROWS[0]): module for module in vars(diagnosis).values() if _holds_rows(module)}
    return [found[id(row)] for row in diagnosis.ROWS if id(row) in found]


def _holds_rows(value: object) -> bool:
    return isinstance(value, ModuleType) and value.__name__.startswith("backend.diagnosis.rows_")


def title(module: ModuleType) -> str:
    """The heading over its rows."""
    name = module.__name__.rpartition(".")[2]
    return TITLES.get(name) or (module.__doc__ or name).splitlines()[0].rstrip(".")


def line(row: Row) -> str:
    """One row of the table in the columns of :data:`HEAD`."""
    signs = [code(readable(pattern)) for pattern in row.patterns]
    signs += [f"exit code {number}" if number > 0 else f"ended by signal {-number}" for number in row.exits]
    fixes = [helps(fix) for fix in row.fixes]
    return f"| {LIST.join(signs)} | `{row.code}` | {escaped(row.cause)} | {LIST.join(fixes)} |"


def readable(pattern: str) -> str:
    """A pattern as a person reads it: what may stand there at will is an ellipsis."""
    plain = re.sub(r"<\w+:\w+>", "…", pattern).removesuffix("$")
    return re.sub(r"…(?:\s*…)+", "…", plain).strip()


def helps(fix: Fix) -> str:
    """What to do, with the command or with the field and its value."""
    if fix.kind == "command":
        return f"{code(str(fix.value))}: {escaped(fix.say)}"
    if fix.kind == "spec" and fix.value not in (None, ""):
        return f"{escaped(fix.say)} ({code(f'{fix.name}={fix.value}')})"
    return escaped(fix.say)


def code(text: str) -> str:
    """``text`` to the letter, in a cell of a table."""
    quotes = "``" if "`" in text else "`"
    blank = " " if "`" in text else ""
    return f"{quotes}{blank}{text}{blank}{quotes}".replace("|", "\\|")


def escaped(text: str) -> str:
    """Words of a sentence, in a cell of a table, where < and | would be markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
