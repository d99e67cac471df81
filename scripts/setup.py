"""Make or complete `.venv` from the pinned requirements, with visible progress: `python scripts/setup.py [--dev]`.

Runs under any fitting Python, before anything is installed: standard library only. Doing it twice costs nothing (a stamp
holds the hash of the requirement files); an interrupted setup goes on where it stopped. pip's whole output is in
`.venv/setup.log`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SILENCE_S = 10.0
"""Without a terminal, one line this often."""

CAUSES = (
    (r"No space left on device|Disk quota exceeded", "The disk is full."),
    (
        r"NameResolutionError|Temporary failure in name resolution|NewConnectionError|ConnectTimeoutError|"
        r"Network is unreachable|Connection refused|ProxyError|ReadTimeoutError|Max retries exceeded",
        "The package index cannot be reached. Check the network, or the proxy in HTTPS_PROXY.",
    ),
    (r"CERTIFICATE_VERIFY_FAILED", "The package index has a certificate that this machine does not trust."),
    (r"ResolutionImpossible", "The pinned packages exclude one another."),
    (r"No matching distribution found for ([^\s(]+)", "The package index does not offer {0} for this machine."),
    (r"Permission denied|Read-only file system", "A file cannot be written."),
)
"""What pip says, and what that means; the first that is found is the cause."""


class SetupError(Exception):
    """Why the environment could not be made; the message is all that a person sees."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also what `make test` and `make check` need")
    parser.add_argument("--env", type=Path, default=ROOT / ".venv", help="where (default: .venv)")
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="folder of the requirement files (default: the checkout)"
    )
    options = parser.parse_args()
    try:
        with one_at_a_time(options.root):
            set_up(options.root, options.env.absolute(), dev=options.dev)
    except KeyboardInterrupt:
        print("\nSetup stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def set_up(root: Path, env: Path, *, dev: bool) -> None:
    """Bring ``env`` to what the requirement files under ``root`` say; returns at once when it is there already."""
    wanted = {"base": fingerprint(root, "requirements.txt")}
    if dev:
        wanted["dev"] = fingerprint(root, "requirements.txt", "requirements-dev.txt")
    stamp = env / "setup.json"
    done = read_stamp(stamp) if works(env) else {}
    if wanted.items() <= done.items():
        return

    begin = time.monotonic()
    steps: list[tuple[str, list[str]]] = []
    if done.get("base") != wanted["base"]:
        torch = next(
            line for line in (root / "requirements.txt").read_text().splitlines() if line.startswith("torch==")
        )
        steps.append((torch, [torch]))
        steps.append(("packages", ["-r", str(root / "requirements.txt")]))
    if dev:
        steps.append(("test tools", ["-r", str(root / "requirements.txt"), "-r", str(root / "requirements-dev.txt")]))
    total = len(steps) + 2

    print(f"Setting up {env} (Python {sys.version.split()[0]}). The first time takes some minutes and about 2 GB.")
    say(1, total, "environment", "")
    if not works(env):
        make_environment(env)
    for number, (label, arguments) in enumerate(steps, start=2):
        with Progress(number, total, label, env) as progress:
            pip(env, root, arguments, progress)
    say(total, total, "check", "")
    check(env)
    stamp.write_text(json.dumps({**done, **wanted}) + "\n")
    print(f"Ready in {clock(time.monotonic() - begin)}: {installed(env)} packages in {env}.")


def fingerprint(root: Path, *names: str) -> str:
    """A hash that changes with the requirement files ``names``, the constraints and the Python version."""
    digest = hashlib.sha256(sys.version.encode())
    for name in (*names, "constraints.txt"):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def read_stamp(stamp: Path) -> dict[str, str]:
    try:
        return dict(json.loads(stamp.read_text()))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}


def works(env: Path) -> bool:
    """Whether ``env`` has a Python of this version that starts, and pip."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    packages = env / "lib" / f"python{version}" / "site-packages"
    return os.access(env / "bin" / "python", os.X_OK) and (packages / "pip" / "__main__.py").is_file()


def make_environment(env: Path) -> None:
    command = [sys.executable, "-m", "venv", "--clear", str(env)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        text = (result.stdout + result.stderr).strip()
        if "ensurepip" in text:
            raise SetupError("This Python cannot make environments. On Debian or Ubuntu: sudo apt install python3-venv")
        raise SetupError(
            f"The environment {env} cannot be made: {text.splitlines()[-1] if text else 'no reason given'}"
        )


def pip(env: Path, root: Path, arguments: list[str], progress: Progress) -> None:
    """``pip install`` with the constraints, its output into the log and its progress onto the screen."""
    log = env / "setup.log"
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--retries", "3"]
    command = [str(env / "bin" / "python"), "-m", "pip", "install", *options, "-c", str(root / "constraints.txt")]
    # Unbuffered, or the screen stands still for minutes; the name of a user's own site-packages would hide what is missing here.
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}
    with log.open("a") as file:
        start = file.tell()
        file.write(f"$ {' '.join([*command, *arguments])}\n")
        file.flush()
        child = subprocess.Popen([*command, *arguments], stdout=file, stderr=subprocess.STDOUT, env=environment)
        try:
            while True:
                try:
                    child.wait(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    progress.read(log, start)
        except BaseException:
            child.terminate()
            child.wait()
            raise
    if child.returncode:
        raise SetupError(f"{explain(log, start)}\nThe whole story: {log}. The same command goes on from here.")


def explain(log: Path, start: int) -> str:
    """One plain sentence for what went wrong in ``log`` after byte ``start``."""
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode(errors="replace")
    for pattern, sentence in CAUSES:
        if found := re.search(pattern, text):
            return sentence.format(*found.groups())
    errors = re.findall(r"^\s*(?:ERROR|error): (.+)$", text, re.MULTILINE)
    return f"pip stopped: {errors[-1]}" if errors else "pip stopped without giving a reason."


def check(env: Path) -> None:
    result = subprocess.run([str(env / "bin" / "python"), "-m", "pip", "check"], capture_output=True, text=True)
    if result.returncode:
        raise SetupError(f"The packages in {env} do not fit together:\n{result.stdout.strip()}")


def installed(env: Path) -> int:
    """How many packages ``env`` holds."""
    return sum(1 for _ in env.glob("lib/python*/site-packages/*.dist-info"))


class Progress:
    """One line that moves on a terminal; a line every ten seconds elsewhere."""

    def __init__(self, number: int, total: int, label: str, env: Path) -> None:
        self.number, self.total, self.label, self.env = number, total, label, env
        self.begin = time.monotonic()
        self.printed = self.begin
        self.before = installed(env)

    def __enter__(self) -> Progress:
        if sys.stdout.isatty():
            self.show("starting")
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.show(f"{installed(self.env) - self.before} new")
        if sys.stdout.isatty():
            print()

    def read(self, log: Path, start: int) -> None:
        """Say where pip is, from its log after byte ``start``."""
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
        if found := re.search(r"^Installing collected packages: (.+)$", text, re.MULTILINE):
            count = len(found[1].split(","))
            now = f"installing {min(installed(self.env) - self.before + 1, count)} of {count}"
        else:
            names = re.findall(r"^Collecting ([A-Za-z0-9._-]+)", text, re.MULTILINE)
            now = f"found {len(names)}, {names[-1]}" if names else "looking"
            if sizes := re.findall(r"^\s*Downloading \S+ \(([\d.]+ [kMG]B)\)", text, re.MULTILINE):
                now += f" (last download {sizes[-1]})"
        if sys.stdout.isatty() or time.monotonic() - self.printed >= SILENCE_S:
            self.show(now)

    def show(self, what: str) -> None:
        self.printed = time.monotonic()
        say(self.number, self.total, self.label, f"{what}  {clock(self.printed - self.begin)}", moving=True)


def say(number: int, total: int, label: str, what: str, *, moving: bool = False) -> None:
    line = f"[{number}/{total}] {label}  {what}".rstrip()
    if moving and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{line[:width]:<{width}}", end="", flush=True)
    else:
        print(line, flush=True)


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Two terminals may call setup at once: the second waits for the first."""
    fd = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another setup is at work on this folder; waiting for it.", flush=True)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


if __name__ == "__main__":
    sys.exit(main())
