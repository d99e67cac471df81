"""Where things lie. One folder holds everything that TuneDeck knows; deleting it forgets everything.

    ~/.tunedeck/               mode 0700; TUNEDECK_WORKSPACE names another one
    ├── settings.json          what was changed on the Settings page
    ├── state.db               jobs and leases (SQLite, WAL); can be rebuilt from jobs/
    ├── chat.db                conversations (SQLite, WAL)
    ├── agent.db               conversations with agents, step by step (SQLite, WAL); agent-tools.json: settings of their tools
    ├── agent/                 a folder a conversation for what tools make; checks/: how well models call tools
    ├── evaluate.db            evaluations: runs, scores and answers (SQLite, WAL); evaluations/sets/: sets of questions, a folder each
    ├── course.json            how far the guided course is
    ├── compare.db             comparisons, the conversations behind their columns, and votes (SQLite, WAL)
    ├── memory.db              who used the memory, second by second for a day, minute by minute for a year (SQLite, WAL)
    ├── jobs/000123/           job.json spec.json attempt-1.log events.jsonl result.json: one folder a job
    ├── models/                what jobs made, and one small JSON per model in the catalogue
    ├── attachments/           pictures and texts that were sent with messages, named by their content
    ├── downloads/             models from a hub, a folder each; .NAME.partial is one that is not whole yet
    ├── comparisons/           memory of runs laid over one another, one JSON file each
    ├── datasets/collected/    rows sent from the chat, one JSON Lines file a collection
    ├── datasets/sets/         a folder a dataset, in it one of each version, which never changes
    ├── datasets/images/       pictures of rows, named by their content
    ├── datasets/uploads/      files sent through the browser, until they were read
    ├── datasets/documents/    documents sent through the browser, while a job may need them
    ├── exports/               datasets written for other programs
    ├── cache/arxiv/           arXiv's answers, a day each, 200 at most
    ├── cache/search/          indexes of datasets and documents, 2 GiB at most; made again when missing
    ├── environments/          engines' own environments: here whatever the workspace is, unless a setting says otherwise
    ├── logs/                  panel.log watcher.log
    ├── visitors/              what each browser has read of what ended, a small file each
    ├── run/                   locks and addresses of the running panel and watcher
    └── secrets/               mode 0700: token, API keys, netrc (logins for package indexes), MCP servers; every file 0600

Imported by the supervisor, of which one runs per job: standard library only.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import WorkspaceError, workspace_bad, workspace_full, workspace_read_only

RESERVE, RESERVE_BYTES = "reserve", 512 * 1024
"""Set aside under ``run/``: even SQLite's side files need room, and on a full disk a person must be able to delete."""

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: ``jobs`` and ``models`` that are shipped lie here."""


@dataclass(frozen=True)
class Workspace:
    """Paths of one workspace; create it with :func:`open_workspace`."""

    root: Path

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.json"

    @property
    def state_db(self) -> Path:
        return self.root / "state.db"

    @property
    def chat_db(self) -> Path:
        return self.root / "chat.db"

    @property
    def compare_db(self) -> Path:
        return self.root / "compare.db"

    @property
    def evaluate_db(self) -> Path:
        return self.root / "evaluate.db"

    @property
    def question_sets(self) -> Path:
        """Sets of questions that were brought in or made, a folder each; made by the first one."""
        return self.root / "evaluations" / "sets"

    @property
    def memory_db(self) -> Path:
        return self.root / "memory.db"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def attachments(self) -> Path:
        """Files that were sent with messages, named by their content; made by the first one."""
        return self.root / "attachments"

    @property
    def downloads(self) -> Path:
        """Models that were fetched from a hub, a folder each; made by the first download."""
        return self.root / "downloads"

    @property
    def collected(self) -> Path:
        """Rows that were collected while chatting; made by the first one."""
        return self.root / "datasets" / "collected"

    @property
    def datasets(self) -> Path:
        """Datasets, a folder each; made by the first one."""
        return self.root / "datasets" / "sets"

    @property
    def dataset_images(self) -> Path:
        """Pictures of rows, named by their content; made by the first one."""
        return self.root / "datasets" / "images"

    @property
    def uploads(self) -> Path:
        """Files that were sent through the browser and wait to be read into a dataset; made by the first one."""
        return self.root / "datasets" / "uploads"

    @property
    def exports(self) -> Path:
        """Datasets that were written for other programs; made by the first one."""
        return self.root / "exports"

    @property
    def comparisons(self) -> Path:
        """Saved comparisons of the memory of runs; made by the first one."""
        return self.root / "comparisons"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    def job_dir(self, job_id: int) -> Path:
        """The folder of job ``job_id``; it exists from the moment the job has a row."""
        return self.jobs / f"{job_id:06d}"


def default_root() -> Path:
    """``TUNEDECK_WORKSPACE`` or ``~/.tunedeck``."""
    named = os.environ.get("TUNEDECK_WORKSPACE")
    return Path(named).expanduser().absolute() if named else Path.home() / ".tunedeck"


def open_workspace(root: Path | str | None = None) -> Workspace:
    """The workspace at ``root`` (default :func:`default_root`), with its folders made.

    A full disk is no reason to stay out: what lies there can be looked at, and deleted to make room.

    Raises:
        WorkspaceError: ``workspace_read_only`` or ``workspace_bad`` when it cannot be written, ``workspace_full`` when
            the disk has no room even for the folders.
    """
    workspace = Workspace(Path(root).expanduser().absolute() if root is not None else default_root())
    try:
        for folder in (workspace.root, workspace.secrets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (workspace.jobs, workspace.models, workspace.logs, workspace.run):
            folder.mkdir(exist_ok=True)
        # A mount can be read-only although the folders exist: only a write tells.
        with tempfile.TemporaryFile(dir=workspace.run) as probe:
            probe.write(b"x" * 4096)
        _lay_reserve(workspace)
    except OSError as error:
        problem = explain_os_error(error, workspace.root)
        if problem.code != "workspace_full" or not workspace.run.is_dir():
            raise problem from error
    return workspace


def _lay_reserve(workspace: Workspace) -> None:
    path = workspace.run / RESERVE
    if path.exists() or shutil.disk_usage(workspace.run).free < 16 * RESERVE_BYTES:
        return
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)


def give_up_reserve(root: Path) -> bool:
    """Free what was set aside, where the disk under ``root`` is full: whether there is reason to try again now."""
    path = root / "run" / RESERVE
    if not path.exists() or shutil.disk_usage(root).free > RESERVE_BYTES:
        return False
    path.unlink(missing_ok=True)
    return True


def explain_os_error(error: OSError, path: Path) -> WorkspaceError:
    """The :class:`WorkspaceError` for a failed write below ``path``."""
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return workspace_read_only(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return workspace_full(path)
    return workspace_bad(path, error.strerror or str(error))


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other thread or process holds the file ``lock``, and hold it meanwhile; it is made where it is missing.

    Raises:
        WorkspaceError: disk full or read-only.
    """
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explain_os_error(error, lock.parent) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def write_json(path: Path, data: Any, *, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data`` as JSON: readers see the old file or the new one, never a half.

    Raises:
        WorkspaceError: disk full or read-only; the old file is untouched and no temporary file is left.
    """
    # Lone surrogates can reach us from a browser or a file name; they have no UTF-8 form.
    payload = json.dumps(data, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain_os_error(error, path.parent) from error


def read_json(path: Path) -> Any:
    """The JSON in ``path``, or None where the file is missing or not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return None
