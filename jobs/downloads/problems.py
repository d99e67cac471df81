"""What can go wrong with a hub, in words that say what to do."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from backend.errors import AccessError, NotFoundError, PanelError
from backend.hubs import Hub
from backend.i18n import N_
from backend.workspace import explain_os_error

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Asked:
    """What was asked of whom; the words of every failure. token: whether one was sent; token_file: where it lies."""

    hub: Hub
    repo: str
    revision: str
    endpoint: str
    token: bool
    token_file: Path

    def no_repository(self) -> PanelError:
        if not self.token:
            return NotFoundError(
                "download_repo_missing",
                N_("{hub} has no model {repo} that everybody may read: it does not exist, or it is private."),
                N_(
                    "Check the spelling on {page}. Where it is private, enter an access token on the Settings page, then resume."
                ),
                **self._words(),
            )
        return NotFoundError(
            "download_repo_missing",
            N_("{hub} has no model {repo} that your access token may read."),
            N_("Check the spelling on {page}, and that the access token kept here belongs to an account that sees it."),
            **self._words(),
        )

    def no_revision(self) -> PanelError:
        return NotFoundError(
            "download_revision_missing",
            N_("{repo} on {hub} has no branch, tag or commit called '{revision}'."),
            N_("Leave the revision empty for the newest version, or look at {page}."),
            **self._words(),
        )

    def token_refused(self) -> PanelError:
        if not self.token:
            return AccessError(
                "download_token_missing",
                N_("{hub} wants to know who asks for {repo}, and no access token is kept here."),
                N_(
                    "Make a token with read access on {token_page} and enter it on the Settings page (it is kept in"
                    " {token_file}), then resume."
                ),
                **self._words(),
            )
        return AccessError(
            "download_token_refused",
            N_("{hub} does not take the access token."),
            N_(
                "It may have expired. Make a new one with read access on {token_page} and enter it on the Settings page (it"
                " is kept in {token_file}), then resume."
            ),
            **self._words(),
        )

    def gated(self) -> PanelError:
        return AccessError(
            "download_gated",
            N_("The makers of {repo} let only people read it who have accepted its licence."),
            N_(
                "Log in and accept the licence on {page}. Then enter an access token of that account on the Settings page, and"
                " resume."
            ),
            **self._words(),
        )

    def rate_limited(self) -> PanelError:
        return PanelError(
            "download_rate_limited",
            N_("{hub} goes on refusing requests: there were too many from here (429)."),
            N_(
                "Resume later; what was fetched stays. With an access token, entered on the Settings page, the limit is higher."
            ),
            **self._words(),
        )

    def broken(self, status: int) -> PanelError:
        return PanelError(
            "download_hub_broken",
            N_("{endpoint} goes on answering with an error of its own ({status})."),
            N_("Resume later; what was fetched stays."),
            status=status,
            **self._words(),
        )

    def refused(self, status: int, problem: str) -> PanelError:
        return PanelError(
            "download_refused",
            N_("{endpoint} refuses {repo} ({status}): {problem}"),
            N_("Look at {page}. Where a mirror is set, check its address in the settings."),
            status=status,
            problem=problem[:500],
            **self._words(),
        )

    def unreachable(self, problem: str) -> PanelError:
        return PanelError(
            "download_unreachable",
            N_("{endpoint} cannot be reached: {problem}"),
            N_(
                "Check this machine's network and proxy (HTTPS_PROXY). Where the hub is blocked, set a mirror "
                "on the Settings page (or {mirror}), or choose the other hub. Then resume."
            ),
            problem=problem[:500],
            **self._words(),
        )

    def cut_off(self, file: str, problem: str) -> PanelError:
        return PanelError(
            "download_cut_off",
            N_("The connection broke off while {file} was fetched, and did not come back: {problem}"),
            N_("Resume when the network is back; what was fetched stays."),
            file=file,
            problem=problem[:500],
            **self._words(),
        )

    def not_a_hub(self, problem: str) -> PanelError:
        return PanelError(
            "download_not_a_hub",
            N_("{endpoint} does not answer as {hub} does: {problem}"),
            N_("Check the mirror's address in the settings, and whether a login page of the network comes in between."),
            problem=problem[:500],
            **self._words(),
        )

    def corrupt(self, file: str) -> PanelError:
        return PanelError(
            "download_corrupt",
            N_("{file} came twice with a content other than {hub} says it has."),
            N_("The file was deleted. Resume to try once more; with a mirror, try the hub itself."),
            file=file,
            **self._words(),
        )

    def too_large(self, file: str, size: str) -> PanelError:
        return PanelError(
            "download_file_too_large",
            N_("{file} has {size}; {hub} gives files above 50 GB only through its own transfer protocol."),
            N_("Look for a version whose weights are cut into several files. Nothing was fetched."),
            file=file,
            size=size,
            **self._words(),
        )

    def _words(self) -> dict[str, str]:
        return {
            "hub": self.hub.title,
            "repo": self.repo,
            "revision": self.revision or self.hub.revision,
            "endpoint": self.endpoint,
            "page": self.hub.page(self.repo),
            "token_file": str(self.token_file),
            "mirror": f"TUNEDECK_{self.hub.mirror.upper()}",
            "token_page": f"{self.hub.home}/{self.hub.tokens}",
        }


def disk_problem(error: BaseException, folder: Path) -> PanelError | None:
    """The failure of a write below ``folder``, or None where ``error`` is something else."""
    if isinstance(error, OSError) and error.errno in (*FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO):
        if error.errno in FULL:
            error = OSError(errno.ENOSPC, error.strerror)
        return explain_os_error(error, folder)
    return None
