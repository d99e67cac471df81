"""How datasets read: formats, files, splits, roles, severities, and the steps that made a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.data.export import CONTAINERS
from backend.data.schemas import TITLES, Detection
from backend.data.versions import VersionInfo
from backend.i18n import N_, _, ngettext
from ui import words

KINDS = {"arrow": N_("Arrow"), "text": N_("plain text"), "folder": N_("folder"), "zip": N_("zip archive")}
"""Kinds of files that are read and not written."""
SPLITS = {"train": N_("train"), "validation": N_("validation"), "test": N_("test")}
ROLES = {"system": N_("System"), "user": N_("User"), "assistant": N_("Assistant"), "tool": N_("Tool")}
SEVERITIES = {
    "error": words.Look(N_("error"), ":material/error:", "red"),
    "warning": words.Look(N_("warning"), ":material/warning:", "orange"),
    "note": words.Look(N_("note"), ":material/info:", "gray"),
}
STEPS = {
    "import": N_("imported"),
    "fix": N_("fixed"),
    "split": N_("split"),
    "mix": N_("mixed"),
    "sample": N_("sampled"),
    "balance": N_("balanced"),
    "edit": N_("edited"),
    "add": N_("rows added"),
    "drop": N_("rows removed"),
    "meta": N_("labels changed"),
    "review": N_("reviewed"),
    "identity": N_("self-cognition made"),
    "persona": N_("role play made"),
    "documents": N_("made from documents"),
    "from_chat": N_("taken from the chat"),
}
"""What was done to make a version."""


def word(table: Mapping[str, str], name: str) -> str:
    """What ``name`` is called; one that nobody has named stands for itself."""
    return _(table[name]) if name in table else name


def format_word(schema: str) -> str:
    """What a format of rows is called."""
    return word(TITLES, schema)


def kind_word(kind: str) -> str:
    """What a kind of file is called."""
    return _(CONTAINERS[kind][0]) if kind in CONTAINERS else word(KINDS, kind)


def reasons(found: Detection) -> list[str]:
    """Why a file seems to be what it seems to be."""
    return [reason.text() for reason in found.reasons]


def rows(count: int) -> str:
    """``1 row``, ``12,345 rows``."""
    return ngettext("{n} row", "{n} rows", count).format(n=f"{count:,}")


def splits(counts: Mapping[str, int]) -> str:
    """``train 900, test 100``; empty where all rows are for training."""
    there = {name: count for name, count in counts.items() if count}
    if not there or set(there) == {"train"}:
        return ""
    return ", ".join(f"{word(SPLITS, name)} {count:,}" for name, count in there.items())


def origin(info: VersionInfo) -> str:
    """What a version was made from: files by name, sets by name and version."""
    parts = [_source(item) for item in info.made_from]
    shown = ", ".join(part for part in parts[:3] if part)
    return f"{shown} …" if len(parts) > 3 else shown


def _source(item: Mapping[str, Any]) -> str:
    if item.get("dataset"):
        version = str(item.get("version") or "")[:6]
        return f"{item['dataset']}@{version}" if version else str(item["dataset"])
    return str(item.get("file") or item.get("model") or "").rstrip("/").rpartition("/")[2]


def steps(found: Sequence[Mapping[str, Any]], *, brief: bool = False) -> str:
    """What was done to make a version: ``fixed: Empty answers, Blanks at the beginning``; ``brief``: ``fixed``."""
    said = [word(STEPS, str(step.get("do") or "")) if brief else _step(step) for step in found]
    return " · ".join(filter(None, said))


def _step(step: Mapping[str, Any]) -> str:
    name = str(step.get("do") or "")
    said = word(STEPS, name)
    codes = step.get("codes")
    if name == "fix" and isinstance(codes, list | tuple) and codes:
        return f"{said}: {', '.join(code_words(codes))}"
    return said


def code_words(codes: Sequence[object]) -> list[str]:
    """Findings of the doctor by their titles."""
    from backend.data.doctor import CHECKS

    return [_(CHECKS[str(code)].title) if str(code) in CHECKS else str(code) for code in codes]
