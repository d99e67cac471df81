"""What the end of a job on a dataset means: how many rows there are now, and what was found in them."""

from __future__ import annotations

from pathlib import Path

from backend.i18n import _, ngettext
from backend.notices.meaning import Ended, Meaning, Tells


def _rows(ended: Ended) -> Meaning:
    """Of jobs that made a version of a dataset."""
    n = int(ended.result["rows"])
    told = ngettext("The dataset {name} has {n} row now.", "The dataset {name} has {n} rows now.", n)
    text = told.format(name=ended.result["dataset"], n=f"{n:,}")
    refused = int(ended.result.get("rejected") or 0)
    if not refused:
        return Meaning(text)
    left = ngettext("{n} could not be read and was left out.", "{n} could not be read and were left out.", refused)
    return Meaning(f"{text} {left.format(n=f'{refused:,}')}", "attention")


def _examined(ended: Ended) -> Meaning:
    figures = {name: f"{int(ended.result[name]):,}" for name in ("rows", "errors", "warnings")}
    if not (ended.result["errors"] or ended.result["warnings"]):
        return Meaning(_("All {rows} rows were examined, and nothing is wrong with them.").format(**figures))
    told = _("{rows} rows were examined: {errors} with an error, {warnings} with a warning.")
    return Meaning(told.format(**figures), "attention")


def _exported(ended: Ended) -> Meaning:
    n = int(ended.result["rows"])
    told = ngettext("{n} row was written into {file}.", "{n} rows were written into {file}.", n)
    return Meaning(told.format(n=f"{n:,}", file=Path(ended.result["path"]).name))


def _counted(ended: Ended) -> Meaning:
    told = _("The longest of {rows} rows has {longest} tokens; {over} have more than 2,048.")
    names = {"rows": "rows", "longest": "longest", "over": "over_2048"}
    return Meaning(told.format(**{name: f"{int(ended.result[key]):,}" for name, key in names.items()}))


def _asked(ended: Ended) -> Meaning:
    figures = {name: f"{int(ended.result[name]):,}" for name in ("pairs", "refused")}
    told = _("{pairs} pairs were written into the dataset {name}; {refused} were refused.")
    return Meaning(told.format(name=ended.result["dataset"], **figures))


TELLS: dict[str, Tells] = {
    "change_data": _rows,
    "import_data": _rows,
    "examine_data": _examined,
    "export_data": _exported,
    "count_tokens": _counted,
    "ask_documents": _asked,
}
