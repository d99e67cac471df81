"""The Python that runs the panel: its version, its environment, its packages, and the language of the shell around it."""

from __future__ import annotations

import locale
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from backend.doctor.findings import Finding, Fix, attention, bad, check, ok, say, unknown
from backend.doctor.here import Here
from backend.i18n import N_
from backend.workspace import ROOT

ABLE = ((3, 11), (3, 12))
REPAIR = Fix(say(N_("Make the environment anew.")), command="rm -rf .venv && make setup")
OTHERS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD")


@check("python", N_("Python of the panel"))
def python(here: Here) -> Iterator[Finding]:
    version = say(N_("Python {version}, {path}."), version=platform.python_version(), path=sys.executable)
    if sys.version_info[:2] not in ABLE:
        yield attention(
            version,
            meaning=say(N_("TuneDeck is made for Python 3.11 and 3.12; its packages may not exist for this one.")),
            fixes=[Fix(say(N_("Make the environment with another Python.")), command="make setup PYTHON=python3.12")],
        )
        return
    problem = broken(here.prefix)
    if problem:
        yield bad(
            version,
            say(N_("The environment {path} is not whole: {problem}."), path=str(here.prefix), problem=problem),
            meaning=say(N_("Jobs cannot be started, often because the Python that it was made with was removed.")),
            fixes=[REPAIR],
        )
    else:
        yield ok(version)


def broken(prefix: Path) -> str:
    """What of the virtual environment ``prefix`` is missing, as a path; empty where all is there, or it is none."""
    settings = prefix / "pyvenv.cfg"
    if not settings.is_file():
        return ""
    for line in settings.read_text(errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home" and not Path(value.strip()).is_dir():
            return value.strip()
    interpreter = prefix / "bin" / "python"
    return "" if os.access(interpreter, os.X_OK) else str(interpreter)


@check("packages", N_("Packages of the panel"))
def packages(here: Here) -> Iterator[Finding]:
    wrong, count = [], 0
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        match = re.match(r"([\w.-]+)(?:\[[^\]]*\])?==(\S+)", line)
        if not match:
            continue
        count += 1
        name, wanted = match.groups()
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "-"
        if found.partition("+")[0] != wanted:
            wrong.append(f"{name} {found} ({wanted})")
    if wrong:
        yield attention(
            say(N_("Not as they should be (in brackets: wanted): {packages}."), packages=", ".join(wrong)),
            meaning=say(N_("TuneDeck was tested with other versions of these.")),
            fixes=[Fix(say(N_("Install what is wanted.")), command="make setup")],
        )
    else:
        yield ok(say(N_("All {count} that TuneDeck names have the wanted version."), count=str(count)))


@check("python_variables", N_("Variables that change Python"))
def python_variables(here: Here) -> Iterator[Finding]:
    named = [name for name in OTHERS if here.environ.get(name)]
    conda = here.environ.get("CONDA_PREFIX", "")
    if not named:
        line = say(N_("None of {names} is set."), names=", ".join(OTHERS))
        yield ok(line, say(N_("conda is active: {path}."), path=conda)) if conda else ok(line)
        return
    yield attention(
        *(say(N_("{name} is {value}."), name=name, value=here.environ[name]) for name in named),
        meaning=say(N_("Every program that TuneDeck starts loads other files because of it: engines may not start.")),
        fixes=[Fix(say(N_("Take them away in the shell that starts the panel.")), command=f"unset {' '.join(named)}")],
    )


@check("locale", N_("Language of the shell"))
def shell_language(here: Here) -> Iterator[Finding]:
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    chosen = next((f"{name}={here.environ[name]}" for name in names if here.environ.get(name)), "")
    encoding, files = locale.getencoding(), sys.getfilesystemencoding()
    line = say(
        N_("{variable}; text is {encoding}, file names are {files}."),
        variable=chosen or "LANG=",
        encoding=encoding,
        files=files,
    )
    plain = {name.lower().replace("-", "").replace("_", "") for name in (encoding, files)}
    if plain == {"utf8"}:
        yield ok(line)
    else:
        yield attention(
            line,
            meaning=say(N_("Engines may stop at Chinese characters in data, file names or logs.")),
            fixes=[Fix(say(N_("Set it in the shell that starts the panel.")), command="export LC_ALL=C.UTF-8")],
        )


@check("private", N_("Only you can read your workspace"))
def private(here: Here) -> Iterator[Finding]:
    secrets = here.workspace.secrets
    if not secrets.is_dir():
        yield ok(say(N_("There is no workspace yet.")))
        return
    open_ = [path for path in (secrets, *sorted(secrets.iterdir())) if path.stat(follow_symlinks=False).st_mode & 0o077]
    if secrets.stat().st_uid != os.getuid():
        yield unknown(say(N_("{path} belongs to somebody else."), path=str(secrets)))
    elif open_:
        yield bad(
            *(say(N_("Others may read {path}."), path=str(path)) for path in open_[:5]),
            meaning=say(N_("Access tokens and API keys lie there.")),
            fixes=[
                Fix(say(N_("Close it.")), command=f"chmod -R go-rwx '{secrets}'"),
                Fix(say(N_("Then make new keys: the old ones may have been read.")), place="settings"),
            ],
        )
    else:
        yield ok(say(N_("Nobody else can read {path}."), path=str(secrets)))


CHECKS = (python, packages, python_variables, shell_language, private)
