"""ModelScope through its own client (modelscope_hub, to which the older ``modelscope`` package passes everything on)."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from modelscope_hub import HubApi, HubConfig, set_default_config
from modelscope_hub.errors import (
    APIError,
    AuthenticationError,
    FileIntegrityError,
    HubError,
    NetworkError,
    NotExistError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)

from backend.errors import PanelError
from jobs.downloads.listing import Listing, RemoteFile
from jobs.downloads.problems import Asked
from jobs.downloads.retry import Again, Cut

WAIT_S = 10.0
"""After an answer 429 that does not say how long."""


class ModelScope:
    """One repository; everything that the client keeps lies in ``home``."""

    def __init__(self, asked: Asked, token: str | None, home: Path) -> None:
        self.asked = asked
        # An empty token is "none": otherwise the client looks for a login of its own.
        config = HubConfig(endpoint=asked.endpoint, token=token or "", cache_dir=home, config_dir=home)
        set_default_config(config)
        self._api = HubApi(config)
        self._revision = asked.revision or asked.hub.revision

    def listing(self) -> Listing:
        """All files, with sizes and checksums. The hub names no commit for the whole."""
        found = self._api.list_repo_files(self.asked.repo, "model", revision=self._revision)
        return Listing(
            tuple(
                RemoteFile(each.path, int(each.size or 0), sha256=str(each.sha256 or "").lower())
                for each in found
                if each.type != "tree"
            )
        )

    def check(self, file: RemoteFile) -> None:
        """Every file of this hub can come this way."""

    def fetch(self, file: RemoteFile, folder: Path) -> None:
        """Bring ``file`` into ``folder``, going on from what an earlier try left beside it (``.incomplete``)."""
        self._api.download_file(
            self.asked.repo, "model", file.path, revision=self._revision, local_dir=folder, file_size=file.size
        )
        have = (folder / file.path).stat().st_size
        if have != file.size:
            (folder / file.path).unlink()
            raise Cut(f"{have} of {file.size} bytes came")

    def again(self, error: Exception, fetching: bool) -> Again | None:
        """When to try again after ``error``; None: it is no use. The client has tried six times itself."""
        if isinstance(error, RateLimitError):
            told = getattr(error, "retry_after", None)
            # Its list of files waits at most 8 s, however long it was told to wait.
            return Again(float(told) if told is not None else WAIT_S, tried=fetching)
        if _line(error):
            return Again(tried=True)
        return Again() if isinstance(error, Cut) else None

    def explain(self, error: Exception, file: str = "") -> NoReturn:
        """Raise what a person is told."""
        raise self._explained(error, file) from error

    def _explained(self, error: Exception, file: str) -> Exception:
        if isinstance(error, PanelError):
            return error
        if isinstance(error, NotExistError):
            missing_revision = self.asked.revision and not file and self._is_there()
            return self.asked.no_revision() if missing_revision else self.asked.no_repository()
        if isinstance(error, AuthenticationError):
            return self.asked.token_refused()
        if isinstance(error, PermissionDeniedError):
            return self.asked.gated()
        if isinstance(error, RateLimitError):
            return self.asked.rate_limited()
        if isinstance(error, FileIntegrityError):
            return self.asked.corrupt(file)
        if not file and isinstance(error, ValueError) and not isinstance(error, HubError):
            return self.asked.not_a_hub(str(error))  # no JSON came
        if isinstance(error, ServerError) and error.status_code:
            return self.asked.broken(error.status_code)
        if _line(error) or isinstance(error, Cut):
            problem = str(error) or type(error).__name__
            return self.asked.cut_off(file, problem) if file else self.asked.unreachable(problem)
        if isinstance(error, APIError) and error.status_code:
            return self.asked.refused(error.status_code, str(error))
        if not file and isinstance(error, HubError | KeyError | TypeError | AttributeError):
            return self.asked.not_a_hub(f"{type(error).__name__}: {error}")
        return error

    def _is_there(self) -> bool:
        """Whether the repository itself exists: the hub answers 404 for a missing revision, too."""
        try:
            self._api.list_repo_files(self.asked.repo, "model")
        except (HubError, OSError, ValueError):
            return False
        return True


def _line(error: Exception) -> bool:
    """Whether the network or the hub failed, and not this machine: requests' own errors are OSErrors without a number."""
    return isinstance(error, NetworkError | ServerError) or (isinstance(error, OSError) and error.errno is None)
