"""Which files of a folder or archive hold rows, in which order, and which part of the dataset each is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import orjson

from backend.data.containers import sniff
from backend.data.containers.names import split_name
from backend.data.containers.records import Notices
from backend.data.rows import SPLITS, Split
from backend.errors import DataError
from backend.i18n import N_

ABOUT = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json", "package.json"}
"""What lies beside rows and holds none."""
TABLES = {"json", "jsonl", "csv", "tsv", "excel", "parquet", "arrow"}
SHOWN = 8


class Chosen:
    """``name``: in the folder, with slashes. ``split``: the part of the dataset that its place says it is."""

    __slots__ = ("name", "split")

    def __init__(self, name: str, split: Split | None = None) -> None:
        self.name = name
        self.split = split


def choose(
    names: Sequence[str], read: Callable[[str], bytes], notices: Notices, where: str, member: str | None
) -> list[Chosen]:
    """The files of rows among ``names``; ``read`` gives the content of a small one.

    Raises:
        DataError: ``data_member_unknown``, ``data_folder_without_rows``.
    """
    shown = [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]
    if member is not None:
        if member not in names:
            raise DataError(
                "data_member_unknown",
                N_("{where} holds no file {member}."),
                N_("It holds: {names}"),
                where=where,
                member=member,
                names=_few(shown),
            )
        return [Chosen(member)]
    return _saved(shown, read) or _found(shown, notices, where)


def _saved(names: Sequence[str], read: Callable[[str], bytes]) -> list[Chosen]:
    """A folder that Hugging Face's ``save_to_disk`` wrote: one dataset, or one folder for each split."""
    found: list[Chosen] = []
    several = any(PurePosixPath(name).name == "dataset_dict.json" for name in names)
    for name in names:
        path = PurePosixPath(name)
        if path.name != "state.json":
            continue
        try:
            listed = [entry["filename"] for entry in orjson.loads(read(name))["_data_files"]]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
        split = split_name(path.parent.name) if several else None
        found += [Chosen(str(path.parent / str(file)), split) for file in listed]
    return _ordered([chosen for chosen in found if chosen.name in names])


def _found(names: Sequence[str], notices: Notices, where: str) -> list[Chosen]:
    kinds = {name: sniff.EXTENSIONS.get(sniff.extension(name), "") for name in names}
    tables = [name for name in names if kinds[name] in TABLES and PurePosixPath(name).name not in ABOUT]
    chosen = tables or [name for name in names if kinds[name] == "text" and not name.lower().endswith("readme.md")]
    if not chosen:
        raise DataError(
            "data_folder_without_rows",
            N_("{where} holds no file of rows."),
            N_("Wanted are JSON, JSON Lines, CSV, TSV, Excel, Parquet, Arrow or text files. It holds: {names}"),
            where=where,
            names=_few(names),
        )
    packed = [name for name in names if kinds[name] == "zip"]
    if packed:
        notices.note(
            "data_archives_left",
            N_("Archives within were not opened: {names}. Import each by itself."),
            names=_few(packed),
        )
    splits = {name: _split(name) for name in chosen}
    told = len(set(splits.values()) - {None}) > 1
    return _ordered([Chosen(name, splits[name] if told else None) for name in sorted(chosen, key=_natural)])


def _ordered(chosen: list[Chosen]) -> list[Chosen]:
    """What is trained first, so that a preview shows it."""
    return sorted(chosen, key=lambda one: (*SPLITS, None).index(one.split))


def _split(name: str) -> Split | None:
    path = PurePosixPath(name)
    return split_name(path.name) or next(filter(None, map(split_name, reversed(path.parts[:-1]))), None)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """part-2 before part-10."""
    words: list[tuple[int, int, str]] = []
    for word in sniff.NUMBERS.split(name):
        words.append((0, int(word), "") if word.isascii() and word.isdigit() else (1, 0, word))
    return words


def _few(names: Sequence[str]) -> str:
    text = ", ".join(names[:SHOWN])
    return f"{text}, …" if len(names) > SHOWN else text or "–"
