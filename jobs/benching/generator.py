"""The load generator: many requests at once to a server, and what each of them took.

    measured = run(Target("http://127.0.0.1:23333/v1", "llama3"), prompts, Load(num_prompts=200), concurrency=16)

Closed loop: ``concurrency`` people, each of whom asks again as soon as there is an answer. With ``load.rate`` visitors come at
random moments (exponential gaps) and are let in ``concurrency`` at a time; what they wait at the door counts, because a
measurement that leaves it out flatters a slow server. Why our own and no other: docs/decisions/0012-load-generator.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from backend.bench.columns import columns
from backend.bench.prompts import Prompt
from backend.bench.records import Record
from backend.chat.history import estimate_tokens
from backend.errors import ServerError
from backend.i18n import N_
from backend.specs.bench import Load
from jobs.benching.checking import Dialect, Target, check
from jobs.benching.connection import Address, Connection
from jobs.benching.measured import Ended, Measured

__all__ = ["Dialect", "Measured", "Target", "check", "run"]

LOOK_S = 0.2
AGAIN_S = 0.2
"""Pause of one who met a server in trouble, times how often in a row, up to a second."""
KNOCKS = 4
"""So often a server that does not let us in is tried again before it is taken for dead."""
TROUBLED = ("connect", "broken", "failed", "busy", "garbage")
SPARE_FILES = 64
LATE_S = 1.0
Progress = Callable[[int, int, Mapping[str, float]], None]
Stop = Callable[[], bool]


def run(
    target: Target,
    prompts: Sequence[Prompt],
    load: Load,
    concurrency: int,
    on_progress: Progress | None = None,
    stop: Stop | None = None,
    dialect: Dialect | None = None,
) -> Measured:
    """Send ``load.num_prompts`` requests, ``concurrency`` at a time, and wait for their end.

    on_progress: told ``(ended, all, figures)`` five times a second; stop: asked as often. A server that dies in the middle raises
    nothing: what came until then is in the result, which says so.

    Raises:
        ServerError: as :func:`jobs.benching.checking.check` where no ``dialect`` is given; ``bench_too_many_files``.
    """
    if not prompts:
        raise ValueError("no prompts")
    known = dialect or check(target, load)
    _allow(concurrency)
    return asyncio.run(_Level(target, known, prompts, load, concurrency, on_progress, stop).run())


def _allow(connections: int) -> None:
    """Each connection is an open file, and shells often allow 1,024 of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ServerError(
            "bench_too_many_files",
            N_("This machine allows a program {hard} open files, too few for {count} people at once."),
            N_("Measure with fewer people at once, or have the limit raised (ulimit -n)."),
            hard=hard,
            count=connections,
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Level:
    """One load, from the warm-up to the figures."""

    def __init__(
        self,
        target: Target,
        known: Dialect,
        prompts: Sequence[Prompt],
        load: Load,
        concurrency: int,
        on_progress: Progress | None,
        stop: Stop | None,
    ) -> None:
        self.key, self.known, self.prompts, self.load = target.key, known, prompts, load
        self.concurrency, self.on_progress, self.stop = concurrency, on_progress, stop
        self.address = Address.of(known.base_url)
        self.idle: list[Connection] = []
        self.records: list[Record] = []
        self.ended: Ended = ""
        self.first_error = ""
        self.failing = 0  # in a row
        self.door = asyncio.Lock()
        self.late_s = 0.0
        self.tokens = self.failed = 0
        self.workers: list[asyncio.Task[None]] = []
        self.latest: deque[float] = deque(maxlen=50)
        self.begin = time.perf_counter()

    async def run(self) -> Measured:
        watch = asyncio.create_task(self._watch())
        try:
            if self.load.warmup:
                await self._send(self.load.warmup, counted=False)
            self.failing, self.first_error = 0, ""
            if not self.ended:
                await self._send(self.load.num_prompts, counted=True)
        finally:
            watch.cancel()
            for connection in self.idle:
                connection.close()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        if self.on_progress is not None:
            self._tell()
        complete = len(self.records) == self.load.num_prompts and not self.ended
        return Measured(
            self.concurrency,
            columns(self.records),
            self.records,
            complete,
            self.ended,
            self._notices(),
            self.first_error,
        )

    async def _send(self, count: int, *, counted: bool) -> None:
        numbers = iter(range(count))
        due = self._arrivals(count) if counted and self.load.rate else None
        missing = min(self.concurrency, count) - len(self.idle)
        opened = await asyncio.gather(*(self._open() for _ in range(missing)))
        self.idle += [one for one in opened if one is not None]  # what is wrong there is seen with the first request
        self.begin = time.perf_counter()
        self.workers = [
            asyncio.create_task(self._worker(numbers, due, counted)) for _ in range(min(self.concurrency, count))
        ]
        outcomes = await asyncio.gather(*self.workers, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _arrivals(self, count: int) -> list[float]:
        """Seconds from the beginning at which visitors come."""
        chance = random.Random(self.load.seed)  # noqa: S311 - a schedule that can be had again, no secret
        return list(itertools.accumulate(chance.expovariate(self.load.rate) for _ in range(count)))

    async def _worker(self, numbers: Iterator[int], due: list[float] | None, counted: bool) -> None:
        failed = 0
        for number in numbers:
            if self.ended:
                return
            error = await self._one(number, due[number] if due else None, counted)
            failed = failed + 1 if error in TROUBLED else 0
            if failed and not self.ended:
                await asyncio.sleep(min(1.0, AGAIN_S * failed))

    async def _one(self, number: int, due: float | None, counted: bool) -> str:
        """Send one request; what went wrong, if anything."""
        prompt = self.prompts[number % len(self.prompts)]
        most = min(self.load.output_tokens, prompt.answer_tokens or self.load.output_tokens)
        body = self.known.body(prompt.messages, most, ignore_eos=self.load.ignore_eos)
        request = self.address.request("POST", "/chat/completions", self.key, body)
        connection = await self._connection()
        if due is not None:
            await asyncio.sleep(max(0.0, self.begin + due - time.perf_counter()))
        sent = time.perf_counter()
        begin = sent if due is None else self.begin + due
        self.late_s = max(self.late_s, sent - begin)
        if connection is None:
            error, end, told = "connect", time.perf_counter(), f"{self.address.name} does not answer"
            record = Record(number, self.concurrency, begin - self.begin, end - self.begin, error=error)
        else:
            answer = await connection.ask(request, self.load.timeout_s)
            if connection.trouble == "broken" and not connection.response.begun and connection.reused:
                # It was closed by the server while nobody used it: that is no failure of this request.
                again = await self._connection()
                if again is not None:
                    connection = again
                    begin = time.perf_counter() if due is None else begin
                    answer = await connection.ask(request, self.load.timeout_s)
            error, told = connection.verdict()
            usage = answer.completion_tokens is not None
            record = Record(
                number,
                self.concurrency,
                begin - self.begin,
                connection.ended - self.begin,
                None if answer.first is None else answer.first - begin,
                answer.prompt_tokens if answer.prompt_tokens is not None else estimate_tokens(prompt.text),
                answer.completion_tokens if answer.completion_tokens is not None else answer.pieces,
                usage,
                error,
                answer.gaps,
            )
            if connection.usable:
                self.idle.append(connection)
        self._note(record, told, counted)
        if error in ("connect", "broken") and not self.ended:
            await self._knock()
        return error

    async def _connection(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                return connection
        return await self._open()

    async def _open(self) -> Connection | None:
        try:
            return await Connection.open(self.address)
        except (OSError, TimeoutError):
            return None

    def _note(self, record: Record, told: str, counted: bool) -> None:
        if counted:
            self.records.append(record)
        if not record.error:
            self.failing = 0
            self.tokens += record.completion_tokens * counted
            if record.first_s is not None:
                self.latest.append(record.first_s)
            return
        self.failing += 1
        self.failed += counted
        self.first_error = self.first_error or told
        if self.failing >= 3 * self.concurrency + 10 and not self.ended:
            self.ended = "all_failed"

    async def _knock(self) -> None:
        """Whether the server still lets anybody in; one asks for all."""
        async with self.door:
            for attempt in range(KNOCKS):
                if self.ended:
                    return
                connection = await self._open()
                if connection is not None:
                    connection.close()
                    return
                await asyncio.sleep(AGAIN_S * (attempt + 1))
            self.ended = "server_died"

    async def _watch(self) -> None:
        try:
            while not self.ended:
                await asyncio.sleep(LOOK_S)
                self._tell()
                if self.stop is not None and self.stop() and not self.ended:
                    self.ended = "stopped"
        finally:  # also where telling failed, with a full disk: nobody may go on asking a server without being seen
            for worker in self.workers:
                worker.cancel()

    def _tell(self) -> None:
        if self.on_progress is None:
            return
        done, spent = len(self.records), time.perf_counter() - self.begin
        figures = {"failed": float(self.failed)}
        if done and spent > 0:
            figures |= {"requests_s": done / spent, "tokens_s": self.tokens / spent}
        if self.latest:
            figures["first_token_s"] = sum(self.latest) / len(self.latest)
        self.on_progress(done, self.load.num_prompts, figures)

    def _notices(self) -> tuple[str, ...]:
        good = [one for one in self.records if not one.error]
        found = []
        if not self.known.streams:
            found.append("no_stream")
        if any(not one.counted for one in good):
            found.append("tokens_estimated")
        if self.load.ignore_eos and any(one.completion_tokens < self._asked(one.number) - 1 for one in good):
            found.append("eos_kept")
        if self.load.rate and self.late_s > LATE_S:
            found.append("rate_not_reached")
        return tuple(found)

    def _asked(self, number: int) -> int:
        answer = self.prompts[number % len(self.prompts)].answer_tokens
        return min(self.load.output_tokens, answer or self.load.output_tokens)
