"""All package files of a lock into a folder: what is there and true stays, the rest is fetched, several at once.

A file shows up under its name when it is whole, so a kill costs the files in work and no other. Small ones go together
in one run of pip, whose start would take longer than the file; of the large ones each has its own.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backend.envs import pip, wheels
from backend.envs.locks import Lock, Package
from backend.settings import Settings
from backend.workspace import Workspace, explain_os_error
from jobs.downloads.transfer import Progress
from jobs.envs.pip_process import RAW, Pip
from jobs.harness import Job, Stopped

AT_ONCE = 3
LARGE_BYTES = 8_000_000
BATCH_BYTES, BATCH_FILES = 16_000_000, 16
LOOK_S = 0.2
FINISH_S = 10.0
"""When one run of pip has failed, the others may still finish what they are at: what is whole need not be fetched again."""
TEMPORARY = ".pip"
"""Below the folder of the downloads: where pip keeps what it has not finished."""


@dataclass
class Batch:
    """What one run of pip fetches. seen: bytes of files that it is done with; now: of the one in work."""

    packages: list[Package]
    seen: int = 0
    now: int = 0
    whole: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def total(self) -> int:
        return sum(package.bytes for package in self.packages)

    @property
    def done(self) -> int:
        """Bytes that are here, never more than its packages have."""
        with self.lock:
            return min(self.seen + self.now, self.total)

    def hear(self, line: str) -> None:
        """A line of ``--progress-bar raw``: ``Progress 262144 of 35284126``."""
        if not line.startswith(RAW):
            return
        words = line.split()
        if len(words) == 4 and words[1].isdecimal() and words[3].isdecimal():
            at, size = int(words[1]), int(words[3])
            with self.lock:
                if at == 0 or at < self.now:
                    self.seen += self.now if self.now == self.whole else 0
                self.now, self.whole = at, size


@dataclass
class Fetching:
    """One fetch into ``folder`` for the environment whose Python is ``python``."""

    job: Job
    workspace: Workspace
    settings: Settings
    lock: Lock
    python: Path
    folder: Path
    _failures: list[BaseException] = field(default_factory=list)
    _failed: float = 0.0
    _ending: threading.Event = field(default_factory=threading.Event)

    def prepare(self) -> None:
        """Make the folder; throw away what a killed attempt left half, what belongs to another lock, and what is not true."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self.folder / TEMPORARY, ignore_errors=True)
            here = wheels.present(self.folder, self.lock)
            for path in self.folder.iterdir():
                if path not in here.values() and wheels.named(path.name):
                    path.unlink()
            by_pin = {package.pin: package for package in self.lock.packages}
            size = sum(path.stat().st_size for path in here.values())
            progress, done = Progress(self.job, "download", max(size, 1), len(here)), 0

            def tick(count: int) -> None:
                nonlocal done
                self.job.check_stop()
                done += count
                progress.at(done, 0)

            for pin, path in here.items():
                if not wheels.true_to(path, by_pin[pin], tick):
                    self.job.log(f"{path.name} is not what the lock says; it is fetched again")
                    path.unlink()
        except OSError as error:
            raise explain_os_error(error, self.folder) from error

    def fetch(self, packages: list[Package]) -> int:
        """Fetch those of ``packages`` that are not here; bytes that were fetched.

        Raises:
            PanelError: why pip could not; see :func:`backend.envs.pip.explain`.
            Stopped: the person asked to stop.
        """
        here = wheels.present(self.folder, self.lock)
        # Told is always all of the lock: what comes in a later call is counted in the total, too.
        have, total = sum(each.bytes for each in self.lock.packages if each.pin in here), self.lock.download_bytes
        batches = split([package for package in packages if package.pin not in here])
        self._ending.clear()
        waiting: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        for batch in batches:
            waiting.put(batch)
        progress = Progress(self.job, "download", total, len(self.lock.packages))
        workers = [threading.Thread(target=self._work, args=(waiting,), daemon=True) for _ in range(AT_ONCE)]
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers):
                self.job.check_stop()
                progress.at(have + sum(batch.done for batch in batches), len(wheels.present(self.folder, self.lock)))
                next((w for w in workers if w.is_alive()), workers[0]).join(LOOK_S)
        finally:
            self._ending.set()
            for worker in workers:
                worker.join(10.0)
            shutil.rmtree(self.folder / TEMPORARY, ignore_errors=True)
        if self._failures:
            raise self._failures[0]
        fetched = sum(batch.total for batch in batches)
        progress.at(have + fetched, len(wheels.present(self.folder, self.lock)), last=True)
        return fetched

    def check(self) -> dict[str, str]:
        """File name -> sha256 of every file, read once more from the disk.

        Raises:
            PanelError: one is missing, or not what the lock says; it is deleted.
        """
        here, found = wheels.present(self.folder, self.lock), {}
        for package in self.lock.packages:
            path = here.get(package.pin)
            digest = wheels.sha256(path, lambda _count: self.job.check_stop()) if path else ""
            if path is None or (package.hashes and digest not in package.hashes):
                if path is not None:
                    path.unlink()
                lines = ["DO NOT MATCH THE HASHES", f"    {package.pin} from the disk"]
                raise pip.explain(lines, self.folder, self.workspace, self.settings)
            found[path.name] = digest
        return found

    def _work(self, waiting: queue.SimpleQueue[Batch]) -> None:
        while not self._ending.is_set() and not self._failures:
            try:
                batch = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._run(batch)
            except Stopped:
                return
            except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
                self._failed = self._failed or time.monotonic()
                self._failures.append(error)

    def _run(self, batch: Batch) -> None:
        temporary = self.folder / TEMPORARY / f"{batch.packages[0].key}-{time.monotonic_ns()}"
        temporary.mkdir(parents=True)
        wanted, done = temporary / "wanted.txt", temporary / "done"
        wanted.write_text("".join(f"{package.line}\n" for package in batch.packages), encoding="utf-8")
        # An environment without pip has no say in what is built; the tools that its sdists need are in it already.
        built = ("--no-build-isolation",) if batch.packages[0].sdist else ("--only-binary", ":all:")
        hashed = ("--require-hashes",) if all(package.hashes for package in batch.packages) else ()
        argv = pip.command(
            self.python,
            *("download", "--no-deps", *hashed, *built, "--progress-bar", "raw"),
            *("--retries", "2", "--resume-retries", "3", "--log", str(temporary / "pip.log")),
            *("--dest", str(done), "-r", str(wanted)),
        )
        self.job.log(f"fetching {', '.join(package.pin for package in batch.packages)}")
        run = Pip(argv, pip.fetching_environ(self.workspace, self.settings, temporary), self.job.log, batch.hear)
        code = run.wait(self._stop_worker)
        if code:
            more = pip.log_lines(temporary / "pip.log")
            for line in more:
                self.job.log(line)
            raise pip.explain([*more, *run.lines], self.folder, self.workspace, self.settings)
        # pip copies under the final name; a full disk, or a kill, would leave half a file there.
        for path in done.iterdir():
            path.replace(self.folder / path.name)
        with batch.lock:
            batch.seen, batch.now = batch.total, 0

    def _stop_worker(self) -> None:
        if self._ending.is_set() or (self._failures and time.monotonic() - self._failed > FINISH_S):
            raise Stopped


def split(packages: list[Package], is_large: Callable[[Package], bool] | None = None) -> list[Batch]:
    """What goes together in one run of pip, the large ones first: they take longest."""
    large_one = is_large or (lambda package: package.bytes >= LARGE_BYTES or package.any_build)
    large = sorted((package for package in packages if large_one(package)), key=lambda package: -package.bytes)
    batches = [Batch([package]) for package in large]
    for sdist in (False, True):
        group: list[Package] = []
        for package in packages:
            if large_one(package) or package.sdist != sdist:
                continue
            if group and (len(group) >= BATCH_FILES or sum(each.bytes for each in group) + package.bytes > BATCH_BYTES):
                batches.append(Batch(group))
                group = []
            group.append(package)
        if group:
            batches.append(Batch(group))
    return batches
