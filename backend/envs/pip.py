"""pip as it is run for an environment: the panel's own pip works on the other environment's Python (``--python``).

To fetch, it is set as this machine's pip is (its configuration, netrc, keyring) and by the settings pip_index_url,
pip_extra_index_url and proxy. To install, it sees nothing but a folder of files. A password never stands in a setting or on
a command line: pip takes it from ``~/.netrc``, from the system's keyring, or from ``secrets/netrc`` in the workspace.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from backend.errors import PanelError, workspace_full
from backend.i18n import N_
from backend.settings import Settings
from backend.workspace import Workspace

NETRC = "netrc"
OTHERS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")
COMMON = ("--no-input", "--disable-pip-version-check", "--no-color")

_UNREACHABLE = (
    r"NameResolutionError|name resolution|NewConnectionError|ConnectTimeoutError|Network is unreachable|"
    r"Connection refused|No route to host|ReadTimeoutError|Read timed out|Max retries exceeded"
)
_RULES: tuple[tuple[str, str, str, str], ...] = (
    (
        r"DO NOT MATCH THE HASHES",
        "env_pip_hash",
        N_("The package index gave a file for {package} whose content is not the one that was checked."),
        N_("Nothing of it was installed. Resume to try once more; with a mirror, try another one in the settings."),
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "env_pip_certificate",
        N_("{index} shows a certificate that this machine does not trust."),
        N_("Give pip the certificate of your network (pip config set global.cert FILE), or set another mirror."),
    ),
    (
        r"ProxyError|Tunnel connection failed|Cannot connect to proxy|\b407 ",
        "env_pip_proxy",
        N_("The proxy on the way to {index} refuses, or cannot be reached."),
        N_("Check the setting proxy, or the variable HTTPS_PROXY of the panel. Then resume."),
    ),
    (
        r"(?:HTTP error|status code|Client Error:?|response) ?\(?40[13]|\b40[13] (?:Client )?Error|40[13] Unauthorized|"
        r"User for .* when not in interactive",
        "env_pip_login",
        N_("{index} wants a name and password, or refuses the ones it was given."),
        N_("Put them into the file {netrc} (as in: machine HOST login NAME password SECRET), then resume."),
    ),
    (
        r"\b50[0234] (?:Server )?Error|too many 50\d error|HTTP error 50\d",
        "env_pip_broken",
        N_("{index} goes on answering with an error of its own."),
        N_("Resume later, or set another mirror on the Settings page; what was fetched stays."),
    ),
    (
        r"[Ii]ncomplete[ -][Dd]ownload|IncompleteRead|ConnectionResetError|Connection (?:broken|aborted)|RemoteDisconnected|"
        r"Download failed because not enough bytes",
        "env_pip_cut_off",
        N_("The connection to {index} broke off while packages were fetched, and did not come back."),
        N_("Resume when the network is back; what was fetched stays."),
    ),
    (
        _UNREACHABLE,
        "env_pip_unreachable",
        N_("{index} cannot be reached."),
        N_(
            "Check this machine's network. Where the index is blocked, set a mirror or a proxy on the Settings page, or "
            "install from a bundle. Then resume; what was fetched stays."
        ),
    ),
    (
        r"\(constraint\)",
        "env_pip_constraint",
        N_("This machine's own pip configuration forbids {package}, which this environment needs."),
        N_("Look at: pip config list. A line called constraint leads to the file that says so."),
    ),
    (
        r"No matching distribution found|Could not find a version that satisfies|HTTP error 404|404 Client Error",
        "env_pip_lacks",
        N_("{index} does not offer {package} for this machine."),
        N_("A mirror may be behind: set another one on the Settings page, then resume."),
    ),
    (
        r"metadata-generation-failed|Failed (?:to build|building)|failed-wheel-build|subprocess-exited-with-error|"
        r"backend-unavailable",
        "env_pip_build",
        N_("{package} could not be built on this machine."),
        N_("The log says why. Often a compiler or a header file is missing: on Debian or Ubuntu, build-essential."),
    ),
    (
        r"Permission denied|Read-only file system",
        "env_folder_read_only",
        N_("Nothing can be written to {folder}, where the environment is to lie."),
        N_("Give yourself write permission there, or name another folder in the setting environments_folder."),
    ),
)
_PACKAGES = (
    r"^\s+([A-Za-z0-9._-]+==[^\s;]+) from .*$",
    r"No matching distribution found for ([^\s(]+)",
    r"satisfies the requirement ([^\s(]+)",
    r"The user requested (?!\(constraint\))([^\s(]+)",
    r"Cannot install ([^\s(]+)",
    r"Failed building wheel for ([A-Za-z0-9._-]+)",
    r"^╰─> ([A-Za-z0-9._-]+)$",
    r"(?:^|\n)Collecting ([A-Za-z0-9._-]+(?:==[^\s;(]+)?)",
)
_FULL = re.compile(r"No space left on device|Disk quota exceeded|Errno (?:28|122)\b")


def command(python: Path, *arguments: str) -> list[str]:
    """The command line of our pip for the environment whose interpreter is ``python``."""
    return [sys.executable, "-m", "pip", "--python", str(python), *COMMON, *arguments]


def fetching_environ(workspace: Workspace, settings: Settings, temporary: Path) -> dict[str, str]:
    """Variables for a pip that asks the index. temporary: for what it has not finished, on the disk of the downloads."""
    found = {name: value for name, value in os.environ.items() if name not in OTHERS}
    if settings.pip_index_url:
        found["PIP_INDEX_URL"] = settings.pip_index_url
        found.pop("PIP_NO_INDEX", None)
    if settings.pip_extra_index_url:
        before = found.get("PIP_EXTRA_INDEX_URL", "").split()
        found["PIP_EXTRA_INDEX_URL"] = " ".join([*before, settings.pip_extra_index_url])
    if settings.proxy:
        found["PIP_PROXY"] = settings.proxy
    netrc = workspace.secrets / NETRC
    if netrc.is_file():
        found["NETRC"] = str(netrc)
    return {**found, **_plain(temporary)}


def installing_environ(temporary: Path) -> dict[str, str]:
    """Variables for a pip that only takes files from a folder: nothing of this machine's configuration counts."""
    found = {name: value for name, value in os.environ.items() if name not in OTHERS and not name.startswith("PIP_")}
    return {**found, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1", **_plain(temporary)}


def _plain(temporary: Path) -> dict[str, str]:
    return {
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONIOENCODING": "utf-8",
        "TMPDIR": str(temporary),
        "LC_ALL": "C.UTF-8",
    }


def explain(lines: Sequence[str], folder: Path, workspace: Workspace, settings: Settings) -> PanelError:
    """Why pip failed, in plain words, from what it printed. folder: where it was writing."""
    text = "\n".join(lines)
    if _FULL.search(text):
        return workspace_full(folder)
    proxy_silent = _proxy_silent(text, settings)
    words = {
        "index": _index(text, settings),
        "package": _package(text),
        "folder": str(folder),
        "netrc": str(workspace.secrets / NETRC),
    }
    for pattern, code, message, hint in _RULES:
        found = re.search(_UNREACHABLE if code == "env_pip_proxy" and proxy_silent else pattern, text)
        if found:
            at = text.rfind("\n", 0, text.find("[end of output]") - 1) if code == "env_pip_build" else found.start()
            return PanelError(code, message, hint, line=_line(text, at), **words)
    errors = [line for line in lines if line.lower().startswith("error")] or [line for line in lines if line.strip()]
    return PanelError(
        "env_pip_failed",
        N_("pip stopped: {line}"),
        N_("The log of this job has all that it said. Resume to try again; what was fetched stays."),
        line=(errors[-1] if errors else "-").removeprefix("ERROR: ")[:500],
        **words,
    )


def log_lines(log: Path) -> list[str]:
    """What pip writes into the file of ``--log`` only: why it could not read the page of a package."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if "Could not fetch URL" in line]


def _proxy_silent(text: str, settings: Settings) -> bool:
    """Whether the host that could not be reached is the proxy: pip speaks of it as of any other."""
    names = ("PIP_PROXY", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    proxies = {
        urlsplit(each).netloc.rpartition("@")[2] for each in (settings.proxy, *map(os.environ.get, names)) if each
    }
    return any(f"{host}:{port}" in proxies for host, port in re.findall(r"host='([^']+)', port=(\d+)", text))


def _index(text: str, settings: Settings) -> str:
    """The address that pip says it asks (it hides passwords), else the setting."""
    hosts = re.findall(r"host='([^']+)', port=(\d+)", text)
    told = re.search(r"Looking in indexes: ([^\s,]+)", text)
    if told:
        return re.sub(r"//[^/@\s]*@", "//", told[1])
    if settings.pip_index_url:
        return settings.pip_index_url
    return f"{hosts[-1][0]}:{hosts[-1][1]}" if hosts else "PyPI"


def _package(text: str) -> str:
    for pattern in _PACKAGES:
        if found := re.findall(pattern, text, re.MULTILINE):
            return str(found[-1])
    return "-"


def _line(text: str, at: int) -> str:
    """The line of ``text`` at this place: the evidence. It may have an address with a password in it."""
    line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0].strip()
    return re.sub(r"//[^/@\s]*@", "//****@", line)[:500]
