"""Hugging Face through its own client: the list of files in one request, each file with HTTP Range.

``hf_hub_download`` and ``snapshot_download`` of huggingface_hub 1.x throw a file away that was cut off in the middle
(``_download_to_tmp_and_move``: the temporary name is unique to the call). A shard has gigabytes, so this calls the layer
below them, ``http_get``, which goes on from ``resume_size``; URLs, headers, retries and errors stay the client's.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import httpx
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, parse_ratelimit_headers
from huggingface_hub.utils.tqdm import silent_tqdm

from backend.errors import PanelError
from backend.hubs import size_text
from jobs.downloads.listing import Listing, RemoteFile
from jobs.downloads.problems import Asked
from jobs.downloads.retry import Again, Cut, retry_after
from jobs.harness import Stopped

LARGEST = 50 * 10**9
"""The hub's limit for plain HTTP (``constants.MAX_HTTP_DOWNLOAD_SIZE``)."""

# The client's 10 MiB would be lost each time that a line breaks, and progress would stand still on a slow one.
constants.DOWNLOAD_CHUNK_SIZE = 256 * 1024


class HuggingFace:
    """One repository. ``stopping`` ends running transfers."""

    def __init__(self, asked: Asked, token: str | None, timeout_s: int, stopping: threading.Event) -> None:
        self.asked = asked
        self._timeout_s = timeout_s
        self._api = HfApi(endpoint=asked.endpoint, token=token or False, library_name="tunedeck")
        self._headers = {
            **build_hf_headers(token=token or False, library_name="tunedeck"),
            "Accept-Encoding": "identity",  # bytes on the disk are then bytes of the file, so Range fits
        }
        self._bar = _bar(stopping)
        self._commit = asked.revision or asked.hub.revision

    def listing(self) -> Listing:
        """All files, with sizes and checksums; later fetches are of the same commit."""
        info = self._api.model_info(
            self.asked.repo, revision=self.asked.revision or None, files_metadata=True, timeout=self._timeout_s
        )
        if not info.sha or info.siblings is None:
            raise self.asked.not_a_hub("no commit or no files named")
        self._commit = info.sha
        files = []
        for each in info.siblings:
            if each.lfs is not None:
                found = RemoteFile(each.rfilename, int(each.lfs.size), sha256=str(each.lfs.sha256))
            else:
                found = RemoteFile(each.rfilename, int(each.size or 0), blob=str(each.blob_id or ""))
            files.append(found)
        return Listing(tuple(files), info.sha)

    def check(self, file: RemoteFile) -> None:
        """Refuse a file that cannot come this way."""
        if file.size > LARGEST:
            raise self.asked.too_large(file.path, size_text(file.size))

    def fetch(self, file: RemoteFile, folder: Path) -> None:
        """Bring ``file`` into ``folder``, going on from what an earlier try left beside it."""
        target = folder / file.path
        partial = target.with_name(target.name + ".incomplete")
        target.parent.mkdir(parents=True, exist_ok=True)
        url = hf_hub_url(self.asked.repo, file.path, revision=self._commit, endpoint=self.asked.endpoint)
        # Unbuffered: what has arrived is on the disk, however this ends.
        with partial.open("ab", buffering=0) as out:
            have = out.tell()
            if have > file.size:
                out.truncate(0)
                have = 0
            if have < file.size or not file.size:
                self._get(url, cast("BinaryIO", out), have)
            size = os.fstat(out.fileno()).st_size
        if size > file.size:
            partial.unlink()
        if size != file.size:
            raise Cut(f"{size} of {file.size} bytes came")
        partial.replace(target)

    def _get(self, url: str, out: BinaryIO, have: int) -> None:
        try:
            http_get(url, out, resume_size=have, headers=dict(self._headers), tqdm_class=self._bar)
        except HfHubHTTPError as error:
            if error.response.status_code == 416:  # what lies here is longer than what the hub has
                out.truncate(0)
                raise Cut("what was here did not fit, and was thrown away") from error
            raise
        except OSError as error:
            if error.errno is None:  # the client's own check of the length
                raise Cut(str(error)) from error
            raise

    def again(self, error: Exception, fetching: bool) -> Again | None:
        """When to try again after ``error``; None: it is no use."""
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            if status == 429:
                limit = parse_ratelimit_headers(error.response.headers)
                told = limit.reset_in_seconds + 1 if limit is not None and limit.remaining == 0 else None
                return Again(told or retry_after(error.response.headers), tried=fetching)
            return Again() if status >= 500 or status == 408 else None
        if isinstance(error, httpx.ConnectError | httpx.TimeoutException | httpx.RemoteProtocolError):
            return Again(tried=fetching)  # http_get has tried six times
        return Again() if isinstance(error, httpx.TransportError | Cut) else None

    def explain(self, error: Exception, file: str = "") -> NoReturn:
        """Raise what a person is told."""
        raise self._explained(error, file) from error

    def _explained(self, error: Exception, file: str) -> Exception:
        if isinstance(error, PanelError):
            return error
        if isinstance(error, HfHubHTTPError):
            return self._status(error)
        if isinstance(error, httpx.TransportError | Cut):
            problem = str(error) or type(error).__name__
            return self.asked.cut_off(file, problem) if file else self.asked.unreachable(problem)
        if isinstance(error, HFValidationError):
            return self.asked.no_repository()
        if not file and isinstance(error, ValueError | KeyError | TypeError | httpx.InvalidURL):
            return self.asked.not_a_hub(f"{type(error).__name__}: {error}")
        return error

    def _status(self, error: HfHubHTTPError) -> PanelError:
        status = error.response.status_code
        if isinstance(error, GatedRepoError):
            return self.asked.gated()
        if isinstance(error, RevisionNotFoundError):
            return self.asked.no_revision()
        if status == 429:
            return self.asked.rate_limited()
        if status >= 500:
            return self.asked.broken(status)
        if isinstance(error, DisabledRepoError):
            return self.asked.refused(status, str(error.server_message or "disabled"))
        if status == 401 and self.asked.token:
            return self.asked.token_refused()
        # Without a token, the hub says 401 of a repository that does not exist, too.
        if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
            return self.asked.no_repository()
        if status == 403:
            return self.asked.gated()
        return self.asked.refused(status, str(error.server_message or error).strip())


def _bar(stopping: threading.Event) -> Any:
    class Bar(silent_tqdm):
        """No bar: only the place where a transfer notices that it should end."""

        def update(self, n: float | None = 1) -> None:
            if stopping.is_set():
                raise Stopped

    return Bar
