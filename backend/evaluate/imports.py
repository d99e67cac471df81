"""Past runs brought in: output folders of OpenCompass, their summaries as files or as text out of a terminal, and results of lm-evaluation-harness.

Nothing is written where they lie. What is half-finished is taken as far as it came, each gap with its cause.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backend.errors import DataError, NotFoundError, PanelError
from backend.evaluate import lm_eval_output, opencompass_logs, opencompass_output, summaries
from backend.evaluate.imported import Imported, run_of
from backend.evaluate.records import Score
from backend.evaluate.store import EvaluateStore
from backend.i18n import N_
from backend.workspace import explain_os_error

__all__ = ["Imported", "Kept", "keep", "read"]

TABLES = (".csv", ".txt", ".md", ".log", ".out", ".tsv")
MOST_UNPACKED = 4 << 30
MOST_FILES = 200_000
DEEPEST, MOST_FOLDERS = 4, 2000
"""How far runs are looked for below a folder."""


@dataclass(frozen=True)
class Kept:
    """run: its number. new: False where the same was imported before."""

    run: int
    new: bool


def read(path: Path) -> list[Imported]:
    """All runs in ``path``: a folder, a zip of one, or a file; the oldest first.

    Raises:
        NotFoundError: ``import_path_unknown``. DataError: nothing in it can be read; its code says what. WorkspaceError: it cannot be opened.
    """
    path = path.expanduser()
    try:
        if path.is_dir():
            return _of_folder(path, path)
        if not path.is_file():
            raise NotFoundError(
                "import_path_unknown",
                N_("There is no file or folder {path}."),
                N_(
                    "Give the path on this machine; a folder of another machine has to be copied first, or uploaded as a zip."
                ),
                path=str(path),
            )
        if zipfile.is_zipfile(path) and path.suffix.lower() != ".xlsx":
            with _unpacked(path) as folder:
                return _of_folder(folder, path)
        return [lm_eval_output.read(path)] if path.suffix.lower() == ".json" else _of_table(path)
    except OSError as error:
        raise explain_os_error(error, path) from error


def keep(store: EvaluateStore, imported: Iterable[Imported]) -> list[Kept]:
    """Keep them. One that was imported before is not doubled: its number is that of then."""
    return [Kept(*store.keep(each.run, each.scores, each.answers, each.digest)) for each in imported]


def _of_folder(folder: Path, path: Path) -> list[Imported]:
    """path: what a person named."""
    found: list[Imported] = []
    for place in _places(folder):
        if opencompass_output.is_attempt(place):
            found += opencompass_output.read(place, path if folder is not path else place)
        for file in lm_eval_output.files(place):
            found.append(lm_eval_output.read(file, path if folder is not path else file))
    if found:
        return found
    tables = sorted(file for file in folder.iterdir() if file.suffix.lower() in TABLES)
    problem: PanelError | None = None
    for file in tables:
        try:
            found += _of_table(file)
        except PanelError as error:
            problem = problem or error
    if found:
        return found
    if problem is not None and len(tables) == 1:
        raise problem
    raise DataError(
        "import_nothing",
        N_("In {path} there are no results of OpenCompass or lm-evaluation-harness."),
        N_(
            "Choose the folder that holds folders named by a time, such as 20260101_120000, one of these, or a summary file."
        ),
        path=str(path),
    )


def _places(folder: Path) -> list[Path]:
    """The folders that hold a run each, all as deep: the one that was named, those in it, or deeper (``outputs/default/20260101_120000``)."""
    level = [folder]
    for _depth in range(DEEPEST):
        found = [each for each in level if opencompass_output.is_attempt(each) or lm_eval_output.files(each)]
        if found:
            return found
        level = [inner for each in level for inner in _folders(each)][:MOST_FOLDERS]
    return []


def _folders(folder: Path) -> list[Path]:
    try:
        inner = sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:  # not ours to read
        return []
    return [each for each in inner if not each.name.startswith((".", "__MACOSX"))]


def _of_table(file: Path) -> list[Imported]:
    """The runs of one table, a column each. Beside a whole output folder its logs are asked for causes."""
    summary = summaries.read(file)
    attempt = file.parent.parent if file.parent.name == "summary" else None
    told = summary.time or (attempt.name if attempt and not summary.time else "")
    found = []
    for place, model in enumerate(summary.models):
        cells = (_with_cause(score, model, attempt) for score in opencompass_output.of_column(summary, place))
        scores = tuple(cell for cell in cells if cell.value is not None or not cell.group)
        run = run_of("opencompass", model, scores, path=file, told=told, notices=("import_summary_only",))
        if model in summary.models[:place]:  # two columns of one name are two runs
            run = replace(run, settings={**run.settings, "column": place})
        found.append(Imported(run, scores))
    return found


def _with_cause(score: Score, model: str, attempt: Path | None) -> Score:
    if score.value is not None or score.group or score.cause:
        return score
    if attempt is not None and (attempt / "logs").is_dir():
        told = opencompass_logs.without_number(attempt, model, score.subject)
        return replace(score, cause=told.cause, evidence=told.evidence)
    error = PanelError(
        "import_cell_empty",
        N_("The table has no number here, and a table does not say why."),
        N_("Import the whole output folder where it still exists: its logs name the cause. Or run this subject again."),
    )
    return replace(score, cause=error.to_dict())


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """A folder with what is in the zip, for as long as it is read."""
    try:
        with zipfile.ZipFile(path) as packed, tempfile.TemporaryDirectory(prefix="tunedeck-import-") as folder:
            members = packed.infolist()
            size = sum(member.file_size for member in members)
            if size > MOST_UNPACKED or len(members) > MOST_FILES:
                raise DataError(
                    "import_zip_large",
                    N_("{name} would unpack to {size} MiB in {files} files."),
                    N_("Unpack it yourself and give the path of the folder."),
                    name=path.name,
                    size=size >> 20,
                    files=len(members),
                )
            packed.extractall(folder)
            yield Path(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            "import_zip_bad",
            N_("{name} cannot be unpacked: {problem}."),
            N_("It may be cut off or have a password. Pack the folder again, or give the path of the folder."),
            name=path.name,
            problem=str(error),
        ) from error
