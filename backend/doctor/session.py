"""What holds this process: a container, a login session that may end it, a batch system; and the clock it reads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from backend.doctor import index
from backend.doctor.findings import Finding, Fix, attention, bad, check, ok, say, unknown
from backend.doctor.here import Here, ask, existing
from backend.i18n import N_

FIRST_YEAR, LAST_YEAR = 2026, 2100
"""This file is younger than the first."""
SLIGHT_S, GREAT_S = 30.0, 300.0
BATCH = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")


@check("container", N_("Container"))
def container(here: Here) -> Iterator[Finding]:
    if here.containers:
        yield ok(
            say(N_("This is a container: {signs}."), signs=", ".join(here.containers)),
            meaning=say(N_("Its limits, its disks and its view of the GPUs are those that it was started with.")),
        )
    elif "microsoft" in here.line("proc/version").lower():
        yield ok(say(N_("This is Linux inside Windows (WSL).")))
    else:
        yield ok(say(N_("This is no container, as far as can be seen.")))


@check("logout", N_("Work goes on after you log out"))
def logout(here: Here) -> Iterator[Finding]:
    batch = next((name for name in BATCH if here.environ.get(name)), "")
    if batch:
        yield attention(
            say(N_("{name} is set: this runs inside a job of a batch system."), name=batch),
            meaning=say(N_("When that job ends, everything that TuneDeck runs ends with it.")),
            fixes=[Fix(say(N_("Ask the batch system for enough time; trainings go on from their last checkpoint.")))],
        )
        return
    if not (here.root / "run/systemd/system").is_dir():
        yield ok(say(N_("There is no systemd that could end processes at logout.")))
        return
    user = str(here.user)
    kills = ask(["loginctl", "show-session", "--property=KillUserProcesses"], here.environ)
    lingers = ask(["loginctl", "show-user", user, "--property=Linger"], here.environ)
    if kills is None:
        kills = f"KillUserProcesses={_configured(here)}"
    ends = kills.partition("=")[2].strip().lower() in ("yes", "true", "1", "on")
    stays = (lingers or "").partition("=")[2].strip().lower() in ("yes", "true", "1", "on")
    line = say(
        N_("KillUserProcesses is {kills}, Linger is {lingers}."),
        kills="yes" if ends else "no",
        lingers="yes" if stays else "no" if lingers else "?",
    )
    # logind spares root unless it was told otherwise (KillExcludeUsers).
    if ends and user != "0":
        yield bad(
            line,
            meaning=say(N_("systemd ends all your processes when you log out: panel, servers and trainings.")),
            fixes=[
                Fix(
                    say(N_("Let your processes stay, and start the panel outside of the login session.")),
                    command="loginctl enable-linger\nsystemd-run --user --unit=tunedeck make run",
                )
            ],
        )
    else:
        yield ok(line)


def _configured(here: Here) -> str:
    """What logind's files say; without a word of theirs it is "no", as upstream ships it."""
    value = "no"
    files = [here.root / "etc/systemd/logind.conf", *sorted(here.root.glob("etc/systemd/logind.conf.d/*.conf"))]
    for file in files:
        for line in here.lines(str(file.relative_to(here.root))):
            name, _, said = line.partition("=")
            if name.strip() == "KillUserProcesses":
                value = said.strip()
    return value


@check("clock", N_("Clock"), deadline_s=4.0)
def clock(here: Here) -> Iterator[Finding]:
    now = here.now()
    year = datetime.fromtimestamp(now, UTC).year
    lines = [say(N_("This machine says {time} UTC."), time=f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S}")]
    fix = Fix(say(N_("Let the clock be set from the network.")), command="sudo timedatectl set-ntp true")
    if not FIRST_YEAR <= year <= LAST_YEAR:
        yield bad(
            *lines,
            meaning=say(N_("The year cannot be right: certificates are refused, so nothing can be fetched.")),
            fixes=[fix],
        )
        return
    ahead = _newest(here) - now
    if ahead > SLIGHT_S:
        lines.append(say(N_("The newest file of the workspace is {seconds} s in the future."), seconds=f"{ahead:.0f}"))
    answer = index.answer(here)
    off = None if answer.date is None else now - answer.date
    lines.append(
        say(N_("The package index could not be asked for the time: {problem}."), problem=answer.problem or "-")
        if off is None
        else say(N_("The package index's clock differs by {seconds} s."), seconds=f"{abs(off):.0f}")
    )
    if off is not None and abs(off) > GREAT_S:
        yield bad(
            *lines,
            meaning=say(N_("One of the two clocks is wrong. Certificates and access tokens may be refused.")),
            fixes=[fix],
        )
    elif (off is not None and abs(off) > SLIGHT_S) or ahead > SLIGHT_S:
        yield attention(
            *lines,
            meaning=say(N_("Times on the pages, and what is thought to be newer, may be wrong.")),
            fixes=[fix],
        )
    else:
        yield ok(*lines)


@check("file_clock", N_("Clock of the workspace's disk"))
def file_clock(here: Here) -> Iterator[Finding]:
    import tempfile

    with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=existing(here.workspace.root)) as file:
        file.write(b"x")
        file.flush()
        before = time.time()
        off = os.fstat(file.fileno()).st_mtime - before
    line = say(N_("A new file there is dated {seconds} s from now."), seconds=f"{off:+.1f}")
    if abs(off) > 5:
        yield attention(
            line,
            meaning=say(N_("The server of this drive has another clock: what changed lately is told wrongly.")),
            fixes=[Fix(say(N_("Ask who looks after the file server to have its clock set from the network.")))],
        )
    else:
        yield ok(line)


def _newest(here: Here) -> float:
    """When a file of the workspace was changed last, epoch seconds; 0 where there is none."""
    times = [0.0]
    for path in (here.workspace.state_db, here.workspace.chat_db, here.workspace.settings_file, here.workspace.run):
        try:
            times.append(Path(path).stat().st_mtime)
        except OSError:
            continue
    return max(times)


@check("umask", N_("Permissions of new files"))
def umask(here: Here) -> Iterator[Finding]:
    text = next((line.split()[1] for line in here.lines("proc/self/status") if line.startswith("Umask:")), "")
    if not text:
        yield unknown(say(N_("/proc/self/status does not tell it.")))
        return
    mask, line = int(text, 8), say(N_("umask is {mask}."), mask=text)
    fix = Fix(say(N_("Set it in the shell that starts the panel.")), command="umask 022")
    if mask & 0o700:
        yield bad(line, meaning=say(N_("You cannot use the files that you make yourself: installs fail.")), fixes=[fix])
    elif not mask & 0o002:
        yield attention(
            line, meaning=say(N_("Everybody on this machine can change the files that you make.")), fixes=[fix]
        )
    else:
        yield ok(line)


CHECKS = (container, logout, clock, file_clock, umask)
