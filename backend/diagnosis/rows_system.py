"""The machine around a program: ports, rights, files, commands, databases, signals."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import CAUSE, CONSEQUENCE, EXIT, Row, command, setting, text
from backend.i18n import N_

ROWS = (
    Row(
        "port_in_use",
        ("…address already in use", "…EADDRINUSE", "…server socket has failed to listen on any local network address"),
        N_("Another program uses the port already."),
        (
            text(N_("Start it again: TuneDeck gives it another port.")),
            command("ss -ltnp", N_("Shows which program uses which port.")),
        ),
        level=CAUSE,
        weight=3,
        server="server_port_taken",
    ),
    Row(
        "torchrun_missing",
        (
            "…torchrun: command not found",
            "…torchrun: not found",
            "…No such file or directory: 'torchrun'",
            "…cannot find command 'torchrun'",
        ),
        N_("torchrun was not found: the program was not started from the environment that holds torch."),
        (
            command(
                "export PATH=/path/to/the/environment/bin:$PATH", N_("Puts the environment's programs on the path.")
            ),
            F.REMAKE,
            text(N_("Start the evaluation from TuneDeck: it sets the path.")),
        ),
        level=CAUSE,
        weight=1,
    ),
    Row(
        "command_missing",
        ("…: <program:program>: command not found", "/bin/sh: <line:num>: <program:program>: not found"),
        N_("A program that is needed is not installed, or not on the path."),
        (F.REMAKE, command("echo $PATH", N_("Shows where programs are looked for."))),
        told=N_("The program {program} is not installed, or not on the path."),
        exits=(127,),
    ),
    Row(
        "no_permission",
        (
            "PermissionError: [Errno 13] Permission denied: '<path:quoted>'",
            "…Permission denied: '<path:quoted>'",
            "…Permission denied (os error 13)",
            "…: Permission denied$",
            "PermissionError: ",
        ),
        N_("The program may not read or write a file or folder."),
        (
            command("ls -ld FOLDER; id", N_("Shows to whom it belongs, and who you are.")),
            F.LOCAL_DISK,
            setting("cache", N_("Put the caches into a folder that is yours: set HF_HOME.")),
        ),
        told=N_("The program may not read or write {path}."),
        exits=(126,),
    ),
    Row(
        "read_only_disk",
        ("…Read-only file system",),
        N_("The disk can only be read: it is mounted that way, or the system locked it after an error."),
        (F.LOCAL_DISK, command("findmnt -T .", N_("Shows how this folder is mounted."))),
        level=CAUSE,
    ),
    Row(
        "network_drive_lost",
        ("…Stale file handle", "…Transport endpoint is not connected", "…Input/output error", "…Remote I/O error"),
        N_("The disk or the network drive under this folder stopped answering."),
        (
            F.LOCAL_DISK,
            command("findmnt -T .", N_("Shows how this folder is mounted.")),
            F.RESUME,
        ),
        level=CAUSE,
    ),
    Row(
        "database_locked",
        ("…database is locked", "…sqlite3.OperationalError: locking protocol", "…OperationalError: disk I/O error"),
        N_(
            "A database file stayed locked: another program has it open, or it lies on a network drive, whose locks do not work."
        ),
        (
            F.LOCAL_DISK,
            command("findmnt -T . ; fuser -v *.db", N_("Shows how the folder is mounted, and who has the file open.")),
        ),
        level=CAUSE,
    ),
    Row(
        "name_too_long",
        ("…File name too long",),
        N_("A path became too long for this disk."),
        (F.LOCAL_DISK, text(N_("Choose a shorter name or folder."))),
    ),
    Row(
        "killed",
        (
            "Killed$",
            "…: line <line:num>: <pid:num> Killed ",
            "…Signal 9 (SIGKILL) received by PID",
            "…exits with return code = -9",
            "…(exitcode: -9)",
            "…exitcode : -9 (pid",
            "…died with <Signals.SIGKILL: 9>",
            "…failed with code -9",
            "…failed with code 137",
        ),
        N_(
            "The program was killed from outside, without a chance to say why: most often by the system, because memory ran out."
        ),
        (
            F.STOP_SERVERS,
            F.SMALLER_BATCH,
            command(
                "dmesg | grep -i 'killed process'", N_("Shows whether the system did it; it may need an administrator.")
            ),
            F.RESUME,
        ),
        exits=(-9,),
    ),
    Row(
        "terminated",
        (
            "Terminated$",
            "…Signal 15 (SIGTERM) received by PID",
            "…exits with return code = -15",
            "…(exitcode: -15)",
            "…exitcode : -15 (pid",
            "…died with <Signals.SIGTERM: 15>",
        ),
        N_(
            "The program was asked to end from outside: somebody cancelled it, or the machine or its time limit ended it."
        ),
        (F.RESUME,),
        level=CONSEQUENCE,
        weight=1,
        exits=(-15,),
    ),
    Row(
        "crashed",
        (
            "…Segmentation fault",
            "…SIGSEGV",
            "…exits with return code = -11",
            "…(exitcode: -11)",
            "…died with <Signals.SIGSEGV: 11>",
        ),
        N_("A compiled package crashed. Often two packages do not fit each other, or one does not fit this machine."),
        (F.REMAKE, F.DOCTOR),
        level=CONSEQUENCE,
        exits=(-11,),
    ),
    Row(
        "aborted",
        (
            "…Aborted (core dumped)",
            "Fatal Python error: Aborted",
            "…exits with return code = -6",
            "…(exitcode: -6)",
            "…exitcode : -6 (pid",
            "…died with <Signals.SIGABRT: 6>",
        ),
        N_("A compiled package ended the program by itself, because something was wrong inside it."),
        (text(N_("Look in the log above: what it found wrong stands right before.")), F.REMAKE),
        level=CONSEQUENCE,
        weight=-1,
        exits=(-6,),
    ),
    Row(
        "processor_too_old",
        ("…Illegal instruction", "…requires a CPU with AVX2"),
        N_("A package uses instructions that the processor of this machine does not have."),
        (
            text(
                N_("Use another machine, or an older version of the package."),
            ),
        ),
        exits=(-4,),
    ),
    Row(
        "interrupted",
        ("KeyboardInterrupt$",),
        N_("The program was interrupted, by Ctrl-C or by Cancel."),
        (F.RESUME,),
        level=EXIT,
        exits=(130, -2),
    ),
)
